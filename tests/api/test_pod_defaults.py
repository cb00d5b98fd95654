"""What a pod holds that its author did not say, and what is decided when it is created."""

import pytest

from knarr.api.core.podspec.images import default_pull_policy
from knarr.api.core.podspec.qos import qos_class

from .kindcases import CREATED_AT, Resource

PODS = Resource("pods")


def pod(**spec):
    container = {"name": "c", "image": "i:1", **spec.pop("container", {})}
    return {"spec": {"containers": [container], **spec}}


def container(**fields):
    return PODS.defaulted(pod(container=fields))["spec"]["containers"][0]


@pytest.mark.parametrize(
    "image,policy",
    [
        ("app", "Always"),
        ("app:latest", "Always"),
        ("app:1", "IfNotPresent"),
        ("localhost:5000/app", "Always"),
        ("localhost:5000/app:1", "IfNotPresent"),
        ("app@sha256:" + "a" * 64, "IfNotPresent"),
        ("app:latest@sha256:" + "a" * 64, "Always"),
        ("a/b/c", "Always"),
        ("UPPER/app", "Always"),
        ("example.com/UPPER", "IfNotPresent"),
        ("g" * 64, "Always"),
        ("0" * 64, "IfNotPresent"),
        (" app", "IfNotPresent"),
        ("", "IfNotPresent"),
        ("app:", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image, policy):
    assert default_pull_policy(image) == policy


def test_a_bare_pod():
    spec = PODS.defaulted(pod())["spec"]
    assert spec == {
        "containers": [
            {
                "name": "c",
                "image": "i:1",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {},
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


@pytest.mark.parametrize(
    "given,made",
    [
        ({"ports": [{"containerPort": 80}]}, {"ports": [{"containerPort": 80, "protocol": "TCP"}]}),
        (
            {"resources": {"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}}},
            {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1", "memory": "1Gi"}}},
        ),
        ({"resources": {"requests": {"cpu": "100u"}}}, {"resources": {"requests": {"cpu": "1m"}}}),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
                    }
                ]
            },
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
                    }
                ]
            },
        ),
        (
            {"livenessProbe": {"httpGet": {"port": 80}}},
            {
                "livenessProbe": {
                    "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                }
            },
        ),
        (
            {"lifecycle": {"preStop": {"httpGet": {"port": 80}}}},
            {"lifecycle": {"preStop": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}}}},
        ),
    ],
)
def test_a_container(given, made):
    found = container(**given)
    assert {name: found[name] for name in made} == made


@pytest.mark.parametrize(
    "given,made",
    [
        ({}, {"emptyDir": {}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"configMap": {"name": "m"}}, {"configMap": {"name": "m", "defaultMode": 420}}),
        ({"hostPath": {"path": "/"}}, {"hostPath": {"path": "/", "type": ""}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                }
            },
        ),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}},
            {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "metadata": {},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {},
                            "volumeMode": "Filesystem",
                        },
                    }
                }
            },
        ),
        (
            {"rbd": {"monitors": ["m"], "image": "i"}},
            {
                "rbd": {
                    "monitors": ["m"],
                    "image": "i",
                    "pool": "rbd",
                    "user": "admin",
                    "keyring": "/etc/ceph/keyring",
                }
            },
        ),
        ({"image": {"reference": "a"}}, {"image": {"reference": "a", "pullPolicy": "Always"}}),
    ],
)
def test_a_volume(given, made):
    spec = PODS.defaulted(pod(volumes=[{"name": "v", **given}]))["spec"]
    assert spec["volumes"] == [{"name": "v", **made}]


def test_ports_on_the_hosts_network_are_the_hosts():
    spec = PODS.defaulted(pod(hostNetwork=True, container={"ports": [{"containerPort": 80}]}))["spec"]
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80
    template = Resource("podtemplates").defaulted(
        {"template": pod(hostNetwork=True, container={"ports": [{"containerPort": 80}]})}
    )
    assert "hostPort" not in template["template"]["spec"]["containers"][0]["ports"][0]


def test_both_names_of_the_service_account():
    for given in (
        {"serviceAccount": "a"},
        {"serviceAccountName": "a"},
        {"serviceAccount": "b", "serviceAccountName": "a"},
    ):
        spec = PODS.defaulted(pod(**given))["spec"]
        assert spec["serviceAccount"] == spec["serviceAccountName"] == "a"


@pytest.mark.parametrize(
    "resources,container_resources,made",
    [
        ({"limits": {"cpu": "2"}}, {}, {"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}),
        (
            {"limits": {"cpu": "2"}},
            {"requests": {"cpu": "1"}},
            {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}},
        ),
        (
            {"requests": {"cpu": "1"}},
            {"limits": {"hugepages-2Mi": "4Mi"}},
            {"requests": {"cpu": "1", "hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi"}},
        ),
    ],
)
def test_resources_of_the_whole_pod(resources, container_resources, made):
    spec = PODS.defaulted(pod(resources=resources, container={"resources": container_resources}))["spec"]
    assert spec["resources"] == made


def spec_of(*resources, **more):
    return {"containers": [{"resources": r} for r in resources], **more}


ONE = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    "spec,expected",
    [
        (spec_of({}), "BestEffort"),
        (spec_of({"requests": {"cpu": "0"}}), "BestEffort"),
        (spec_of({"requests": {"example.com/x": "1"}}), "BestEffort"),
        (spec_of({"requests": {"cpu": "1"}}), "Burstable"),
        (spec_of({"limits": ONE, "requests": ONE}), "Guaranteed"),
        (spec_of({"limits": ONE, "requests": {"cpu": "1", "memory": "1024Mi"}}), "Guaranteed"),
        (spec_of({"limits": ONE, "requests": {"cpu": "500m", "memory": "1Gi"}}), "Burstable"),
        (spec_of({"limits": ONE, "requests": ONE}, {}), "Burstable"),
        (spec_of({"limits": ONE, "requests": ONE}, {"requests": {"cpu": "1"}}), "Burstable"),
        (spec_of({}, resources={"limits": ONE, "requests": ONE}), "Guaranteed"),
        (spec_of({"limits": ONE, "requests": ONE}, resources={"requests": {"cpu": "3"}}), "Burstable"),
        (spec_of({"limits": ONE, "requests": ONE}, initContainers=[{"resources": {}}]), "Burstable"),
    ],
)
def test_quality_of_service(spec, expected):
    assert qos_class(spec) == expected


def test_creation_resets_the_status():
    created = PODS.created({**pod(), "status": {"phase": "Running", "podIP": "1.2.3.4"}})
    assert created["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert created["metadata"]["generation"] == 1


def test_a_gated_pod_says_why_it_waits():
    created = PODS.created(pod(schedulingGates=[{"name": "example.com/x"}]))
    (condition,) = created["status"]["conditions"]
    assert condition["reason"] == "SchedulingGated"
    assert condition["status"] == "False"
    assert condition["lastTransitionTime"] == CREATED_AT


def test_a_negative_grace_period_becomes_a_second():
    assert PODS.created(pod(terminationGracePeriodSeconds=-5))["spec"]["terminationGracePeriodSeconds"] == 1


def test_match_label_keys_complete_the_selector():
    term = {
        "topologyKey": "zone",
        "labelSelector": {},
        "matchLabelKeys": ["app"],
        "mismatchLabelKeys": ["tier"],
    }
    body = pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    body["metadata"] = {"labels": {"app": "a", "tier": "t"}}
    (made,) = PODS.created(body)["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert made["labelSelector"]["matchExpressions"] == [
        {"key": "app", "operator": "In", "values": ["a"]},
        {"key": "tier", "operator": "NotIn", "values": ["t"]},
    ]


@pytest.mark.parametrize(
    "annotation,profile,annotation_after,profile_after",
    [
        (None, {"type": "RuntimeDefault"}, None, {"type": "RuntimeDefault"}),
        ("unconfined", None, "unconfined", {"type": "Unconfined"}),
        ("localhost/x", None, "localhost/x", {"type": "Localhost", "localhostProfile": "x"}),
        ("nonsense", None, "nonsense", None),
    ],
)
def test_apparmor_annotation_and_field(annotation, profile, annotation_after, profile_after):
    key = "container.apparmor.security.beta.kubernetes.io/c"
    body = pod(container={"securityContext": {"appArmorProfile": profile}} if profile else {})
    if annotation:
        body["metadata"] = {"annotations": {key: annotation}}
    created = PODS.created(body)
    assert created["metadata"].get("annotations", {}).get(key) == annotation_after
    context = created["spec"]["containers"][0].get("securityContext", {})
    assert context.get("appArmorProfile") == profile_after


def test_status_addresses_agree():
    made = PODS.defaulted({**pod(), "status": {"podIP": "1.1.1.1", "podIPs": [{"ip": "2.2.2.2"}]}})
    assert made["status"]["podIPs"] == [{"ip": "1.1.1.1"}]
    made = PODS.defaulted({**pod(), "status": {"podIPs": [{"ip": "2.2.2.2"}]}})
    assert made["status"]["podIP"] == "2.2.2.2"
