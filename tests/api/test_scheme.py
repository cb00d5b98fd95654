"""The types: what is absent, what is written, edits, custom resources; and both ways of decoding agree."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import ValidationError

from knarr.api import schema
from knarr.api.scheme import CustomObject, KubeObject, Strictness, evolve, scheme
from knarr.api.types import apps_v1, autoscaling_v2, core_v1, meta_v1, rbac_v1
from knarr.meta.quantity import Quantity

from .strategies import objects

POD = "io.k8s.api.core.v1.Pod"
CRD = schema.EXT + "CustomResourceDefinition"
KINDS = sorted(name for name, definition in schema.load().items() if definition.gvks)
FEW = settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def wire(name, obj, strict=Strictness.WARN):
    return scheme().decode_object(name, json.dumps(obj).encode(), strict)


@pytest.mark.parametrize("name", KINDS)
@FEW
@given(data=st.data())
def test_every_kind_survives_encoding(name, data):
    obj, errors = scheme().normalize(name, data.draw(objects(name)))
    assert errors == []
    body = json.dumps(obj).encode()
    typed = scheme().decode(name, body)
    assert scheme().decode(name, scheme().encode(typed)) == typed
    assert wire(name, obj) == (obj, [])


@pytest.mark.parametrize(
    "name", [POD, CRD, *(n for n in KINDS if n.endswith(("Service", "StatefulSet", "Secret", "Event")))]
)
@FEW
@given(data=st.data())
def test_the_fast_and_the_slow_way_agree(name, data):
    obj = data.draw(objects(name, wild=True))
    assert wire(name, obj) == scheme().normalize(name, obj)


@FEW
@given(data=st.data())
def test_normalizing_twice_changes_nothing(data):
    once, _ = scheme().normalize(POD, data.draw(objects(POD, wild=True)))
    assert scheme().normalize(POD, once) == (once, [])


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        # omitempty scalars go when zero, pointers stay
        ({"spec": {"containers": [], "hostNetwork": False, "nodeName": ""}}, {"spec": {"containers": None}}),
        (
            {"spec": {"terminationGracePeriodSeconds": 0}},
            {"spec": {"containers": None, "terminationGracePeriodSeconds": 0}},
        ),
        # structs that are not behind a pointer are always there, empty maps never
        (
            {"spec": {"containers": [{"name": "c"}], "nodeSelector": {}}},
            {"spec": {"containers": [{"name": "c", "resources": {}}]}},
        ),
        # pointers to structs stay when empty
        (
            {"spec": {"volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {}}},
            {"spec": {"containers": None, "volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {}}},
        ),
        # times that are not pointers are null until set
        (
            {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {
                "spec": {"containers": None},
                "status": {
                    "conditions": [
                        {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
                    ]
                },
            },
        ),
        (
            {"metadata": {"creationTimestamp": None, "labels": {}, "finalizers": []}},
            {"spec": {"containers": None}},
        ),
        (
            {"spec": {"overhead": {"cpu": "1000m"}}, "status": {"startTime": "2026-01-02T04:04:05+01:00"}},
            {
                "spec": {"containers": None, "overhead": {"cpu": "1"}},
                "status": {"startTime": "2026-01-02T03:04:05Z"},
            },
        ),
    ],
)
def test_what_go_would_store(sent, stored):
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "status": {}} | stored
    assert wire(POD, sent) == (whole, [])
    assert scheme().normalize(POD, sent) == (whole, [])


def test_what_a_type_has_when_nothing_is_set():
    pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p"))
    assert (pod.apiVersion, pod.kind) == ("v1", "Pod")
    assert pod.spec.containers == () and pod.metadata.labels == {} and pod.status.phase == ""
    assert pod.spec.priority is None and pod.spec.affinity is None
    with pytest.raises(TypeError):
        pod.metadata.labels["a"] = "b"
    with pytest.raises(AttributeError):
        pod.kind = "x"
    assert json.loads(scheme().encode(pod))["metadata"] == {"name": "p"}


def test_a_class_knows_its_kind_and_resource():
    assert core_v1.Pod.__gvk__ == ("", "v1", "Pod")
    assert apps_v1.Deployment.__resource__.name == "deployments"
    assert core_v1.PodList.__resource__ is None
    assert (
        scheme().type_of("autoscaling", "v2", "HorizontalPodAutoscaler")
        is autoscaling_v2.HorizontalPodAutoscaler
    )
    assert issubclass(rbac_v1.Role, KubeObject) and not issubclass(core_v1.PodSpec, KubeObject)
    with pytest.raises(KeyError):
        scheme().type_of("", "v1", "Gadget")
    with pytest.raises(AttributeError):
        core_v1.Gadget  # noqa: B018


def test_lists_decode():
    body = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}}]}'
    pods = scheme().decode("io.k8s.api.core.v1.PodList", body)
    assert pods.metadata.resourceVersion == "7" and [p.metadata.name for p in pods.items] == ["a"]


def test_nulls_are_empty_lists_for_clients():
    role = scheme().decode("io.k8s.api.rbac.v1.Role", b'{"metadata":{"name":"r"},"rules":null}')
    assert role.rules == ()
    assert scheme().to_dict(role)["rules"] is None


def test_names_that_python_reserves():
    rule = core_v1.Pod.__module__ and scheme().type("io.k8s.api.networking.v1.NetworkPolicyIngressRule")
    assert json.loads(scheme().encode(rule(from_=({},))))["from"] == [{}]
    assert scheme().type(schema.PROPS)(ref="#/x") != scheme().type(schema.PROPS)()


def test_evolve():
    pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", labels={"a": "b"}))
    moved = evolve(pod, spec={"nodeName": "n"}, status={"phase": "Running"})
    assert (moved.spec.nodeName, moved.status.phase, pod.spec.nodeName) == ("n", "Running", "")
    assert moved.metadata is pod.metadata
    built = evolve(
        moved,
        spec={
            "affinity": {"nodeAffinity": {}},
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}],
        },
    )
    assert built.spec.affinity.nodeAffinity is not None
    assert isinstance(built.spec.containers[0].resources.requests["cpu"], Quantity)
    more = evolve(built, spec={"containers": [*built.spec.containers, {"name": "d"}]})
    assert more.spec.containers[0] is built.spec.containers[0]
    assert evolve(pod, metadata={"labels": {"c": "d"}}).metadata.labels == {"c": "d"}
    with pytest.raises(ValidationError):
        evolve(pod, spec={"containers": [{"nam": "d"}]})


def test_from_dict():
    pod = scheme().from_dict(core_v1.Pod, {"spec": {"nodeName": "n", "unknown": 1}, "metadata": None})
    assert pod.spec.nodeName == "n"
    assert isinstance(pod, core_v1.Pod)


def test_custom_objects_look_like_built_in_ones():
    body = b'{"apiVersion":"e.com/v1","kind":"W","metadata":{"name":"w","bogus":1},"spec":{"x":1},"data":[]}'
    widget = CustomObject.decode(body)
    assert widget.metadata.name == "w" and widget.spec == {"x": 1} and widget.status is None
    changed = evolve(widget, metadata={"labels": {"a": "b"}}, status={"ready": True})
    assert changed.status == {"ready": True} and widget.status is None
    assert json.loads(changed.encode()) == {
        "apiVersion": "e.com/v1",
        "kind": "W",
        "metadata": {"name": "w", "labels": {"a": "b"}},
        "spec": {"x": 1},
        "data": [],
        "status": {"ready": True},
    }
    assert scheme().to_dict(changed)["status"] == {"ready": True}
