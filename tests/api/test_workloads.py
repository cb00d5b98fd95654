"""Deployments and their kin: defaults, rules, rows, scale."""

import copy

import pytest

from knarr.api.apps import scale

from .kindcases import NOW, Resource

TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
SELECTOR = {"matchLabels": {"app": "x"}}
SPEC = {"selector": SELECTOR, "template": TEMPLATE}
DEPLOYMENTS = Resource("deployments", "apps")
REPLICASETS = Resource("replicasets", "apps")
STATEFULSETS = Resource("statefulsets", "apps")
DAEMONSETS = Resource("daemonsets", "apps")
CONTROLLERS = Resource("replicationcontrollers")
REVISIONS = Resource("controllerrevisions", "apps")


def body(**spec):
    return {"spec": {**copy.deepcopy(SPEC), **spec}}


DEFAULTS = [
    (DEPLOYMENTS, {}, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}}),
    (DEPLOYMENTS, {"strategy": {"type": "Recreate"}}, {"strategy": {"type": "Recreate"}}),
    (REPLICASETS, {}, {"replicas": 1}),
    (STATEFULSETS, {}, {"replicas": 1, "podManagementPolicy": "OrderedReady", "serviceName": "",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}}),
    (STATEFULSETS, {"updateStrategy": {"type": "RollingUpdate"}}, {"updateStrategy": {"type": "RollingUpdate"}}),
    (DAEMONSETS, {}, {"revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}}),
]  # fmt: skip


@pytest.mark.parametrize("resource,given,made", DEFAULTS)
def test_defaults(resource, given, made):
    spec = resource.defaulted(body(**given))["spec"]
    assert {name: spec[name] for name in made} == made
    assert resource.errors(body(**given)) == []


def test_how_many_pods_of_a_stateful_set_may_be_down_is_behind_a_closed_gate():
    def asking(unavailable):
        rolling = {"partition": 0, "maxUnavailable": unavailable}
        return body(updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling})

    made = STATEFULSETS.created(asking(2))
    assert made["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0}
    made = STATEFULSETS.defaulted(asking(2))
    had, new = copy.deepcopy(made), STATEFULSETS.defaulted(asking(0))
    STATEFULSETS.kind.prepare_for_update(new, had)
    assert [str(error) for error in STATEFULSETS.kind.validate_update(new, had)] == [
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0"
    ]


def test_a_replication_controller_takes_labels_and_selector_from_its_template():
    made = CONTROLLERS.defaulted({"spec": {"template": TEMPLATE}})
    assert made["spec"]["selector"] == made["metadata"]["labels"] == {"app": "x"}
    assert made["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    "volumes", [[], [{"name": "d", "emptyDir": {}}], [{"name": "other", "emptyDir": {}}]]
)
def test_claims_of_a_stateful_set_can_be_mounted(volumes):
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    given = body(volumeClaimTemplates=[{"metadata": {"name": "d"}, "spec": claim}])
    pod = given["spec"]["template"]["spec"]
    pod["volumes"] = volumes
    pod["containers"][0]["volumeMounts"] = [{"name": "d", "mountPath": "/d"}]
    assert STATEFULSETS.errors(given) == []
    pod["containers"][0]["volumeMounts"][0]["name"] = "absent"
    (error,) = STATEFULSETS.errors(given)
    assert error == 'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "absent"'


def test_claims_of_a_stateful_set_are_whole_objects():
    claim = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    (made,) = STATEFULSETS.defaulted(body(volumeClaimTemplates=[claim]))["spec"]["volumeClaimTemplates"]
    assert made["kind"] == "PersistentVolumeClaim"
    assert made["spec"]["volumeMode"] == "Filesystem"
    assert made["status"] == {"phase": "Pending"}


OTHER = {"metadata": {"labels": {"app": "y"}}, "spec": TEMPLATE["spec"]}
MISMATCH = (
    'spec.template.metadata.labels: Invalid value: {"app":"y"}: `selector` does not match template `labels`'
)
RULES = [
    (DEPLOYMENTS, {"template": OTHER}, [MISMATCH]),
    (REPLICASETS, {"template": OTHER}, [MISMATCH]),
    (STATEFULSETS, {"template": OTHER}, [MISMATCH]),
    (DAEMONSETS, {"template": OTHER}, [MISMATCH]),
    (DEPLOYMENTS, {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
        ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0']),
    (DEPLOYMENTS, {"minReadySeconds": -1}, ["spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"]),
    (STATEFULSETS, {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"storageClassName": "A"}}]},
        ["spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
         "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
         'spec.volumeClaimTemplates[0].spec.storageClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must'
         " consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric"
         " character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?"
         "(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"]),
    (DAEMONSETS, {"updateStrategy": {"type": "X"}},
        ['spec.updateStrategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "RollingUpdate",'
         ' "OnDelete"']),
    (DAEMONSETS, {"selector": {}}, ["spec.selector: Invalid value: {}: empty selector is invalid for daemonset"]),
]  # fmt: skip


@pytest.mark.parametrize("resource,given,expected", RULES)
def test_rules(resource, given, expected):
    assert resource.errors(body(**given)) == expected


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS, DAEMONSETS], ids=["deployment", "rs", "ds"])
def test_a_selector_is_for_life(resource):
    template = {**TEMPLATE, "metadata": {"labels": {"app": "x", "b": "c"}}}
    new = body(template=template, selector={"matchLabels": {"b": "c"}})
    expected = ['spec.selector: Invalid value: {"matchLabels":{"b":"c"}}: field is immutable']
    assert resource.update_errors(body(), new) == expected


def test_what_a_stateful_set_may_change():
    for change in (
        {"replicas": 3},
        {"minReadySeconds": 1},
        {"template": {**TEMPLATE, "metadata": {"labels": {"app": "x", "l": "m"}}}},
    ):
        assert STATEFULSETS.update_errors(body(), body(**change)) == []
    # claims and the name of the service are not judged again
    wrong = body(serviceName="Other", volumeClaimTemplates=[{"metadata": {"name": "d"}}])
    (error,) = STATEFULSETS.update_errors(body(), wrong)
    assert error.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas'")


@pytest.mark.parametrize(
    "change,generation",
    [
        ({}, 1),
        ({"spec": {**SPEC, "paused": True}}, 2),
        ({"metadata": {"annotations": {"a": "b"}}}, 2),
        ({"metadata": {"labels": {"a": "b"}}}, 1),
    ],
)
def test_generation_of_a_deployment(change, generation):
    after, _ = DEPLOYMENTS.updated(body(), {**body(), **change})
    assert after["metadata"]["generation"] == generation


def test_a_daemon_set_counts_its_templates():
    created = DAEMONSETS.created(body())
    key = "deprecated.daemonset.template.generation"
    assert created["metadata"]["annotations"][key] == "1"
    after, _ = DAEMONSETS.updated(
        body(), body(template={**TEMPLATE, "metadata": {"labels": {"app": "x", "l": "m"}}})
    )
    assert after["metadata"]["annotations"][key] == "2"
    after, _ = DAEMONSETS.updated(body(), body(minReadySeconds=1))
    assert after["metadata"]["annotations"][key] == "1"
    assert after["metadata"]["generation"] == 2


STATUSES = [
    (REPLICASETS, {"replicas": -1, "observedGeneration": -2, "terminatingReplicas": -3}, [
        "status.replicas: Invalid value: -1: must be greater than or equal to 0",
        "status.observedGeneration: Invalid value: -2: must be greater than or equal to 0",
        "status.terminatingReplicas: Invalid value: -3: must be greater than or equal to 0",
    ]),
    (DEPLOYMENTS, {"replicas": 0, "unavailableReplicas": -1, "terminatingReplicas": -3}, [
        "status.unavailableReplicas: Invalid value: -1: must be greater than or equal to 0",
        "status.terminatingReplicas: Invalid value: -3: must be greater than or equal to 0",
    ]),
    (REPLICASETS, {"replicas": 1, "readyReplicas": 2}, ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]),
    (DEPLOYMENTS, {"replicas": 1, "availableReplicas": 2}, [
        "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"]),
    (STATEFULSETS, {"replicas": -1}, ["status.replicas: Invalid value: -1: must be greater than or equal to 0"]),
    (DAEMONSETS, {"numberReady": -1}, ["status.numberReady: Invalid value: -1: must be greater than or equal to 0"]),
]  # fmt: skip


@pytest.mark.parametrize("resource,status,expected", STATUSES)
def test_statuses(resource, status, expected):
    found = resource.update_errors(body(), {**body(), "status": status}, "status")
    assert [error for error in found if error in expected] == expected


def test_statuses_start_with_what_go_always_writes():
    assert DEPLOYMENTS.created(body())["status"] == {}
    assert REPLICASETS.created(body())["status"] == {"replicas": 0}
    assert STATEFULSETS.created(body())["status"] == {"replicas": 0, "availableReplicas": 0}
    assert len(DAEMONSETS.created(body())["status"]) == 4


def test_warnings_of_templates_and_names():
    (name, label) = DEPLOYMENTS.warnings(
        {
            "metadata": {"name": "a.b"},
            **body(
                template={
                    **TEMPLATE,
                    "spec": {**TEMPLATE["spec"], "nodeSelector": {"beta.kubernetes.io/os": "linux"}},
                }
            ),
        }
    )
    assert name.startswith(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising"
    )
    assert (
        label
        == 'spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    )
    assert DAEMONSETS.warnings({"metadata": {"name": "a.b"}, **body()}) == []


ROWS = [
    (DEPLOYMENTS, {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 3}, ["a", "1/1", 2, 3, "120m", "c", "i:1", "app=x"]),
    (REPLICASETS, {"replicas": 2, "readyReplicas": 1}, ["a", 1, 2, 1, "120m", "c", "i:1", "app=x"]),
    (STATEFULSETS, {"readyReplicas": 1}, ["a", "1/1", "120m", "c", "i:1"]),
    (DAEMONSETS, {"desiredNumberScheduled": 4, "numberReady": 3}, ["a", 4, 0, 3, 0, 0, "<none>", "120m", "c", "i:1", "app=x"]),
]  # fmt: skip


@pytest.mark.parametrize("resource,status,cells", ROWS)
def test_rows(resource, status, cells):
    assert resource.row_of({**body(), "status": status}) == cells


def test_a_revision_shows_whose_it_is():
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "u", "controller": True}
    obj = REVISIONS.defaulted({"revision": 3, "data": {"x": 1}, "metadata": {"ownerReferences": [owner]}})
    assert REVISIONS.kind.cells(obj, NOW) == ["a", "statefulset.apps/s", 3, "120m"]
    assert REVISIONS.errors({"revision": -1}) == [
        "revision: Invalid value: -1: must be greater than or equal to 0",
        "data: Required value: data is mandatory",
    ]
    assert REVISIONS.errors({"data": ["x"]}) == ["data: Required value: data must be a valid JSON object"]
    assert REVISIONS.update_errors({"data": ["x"]}, {"data": ["x"], "revision": 1}) == []
    changed = {"revision": 1, "data": {"x": 2}}
    assert REVISIONS.update_errors({"revision": 1, "data": {"x": 1}}, changed) == [
        'data: Invalid value: {"x":2}: field is immutable'
    ]


@pytest.mark.parametrize(
    "resource", [DEPLOYMENTS, REPLICASETS, STATEFULSETS], ids=["deployment", "rs", "sts"]
)
def test_scale(resource):
    obj = resource.created(body(replicas=3))
    made = scale.to_scale(obj)
    assert made["spec"] == {"replicas": 3}
    assert made["status"] == {"replicas": 0, "selector": "app=x"}
    assert made["metadata"]["name"] == "a"
    scale.apply_scale(obj, {"spec": {}})
    assert obj["spec"]["replicas"] == 0
    assert scale.to_scale(obj)["spec"] == {}


def test_scale_of_a_replication_controller():
    obj = CONTROLLERS.created({"spec": {"template": TEMPLATE, "selector": {"b": "c", "a": "b"}}})
    assert scale.to_scale(obj)["status"]["selector"] == "a=b,b=c"
    assert [str(error) for error in scale.validate({"spec": {"replicas": -1}})] == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
