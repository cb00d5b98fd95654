"""Each plugin by tables; messages and defaults are recorded ones."""

import json
from pathlib import Path

import pytest

from knarr.admission.attributes import Target
from knarr.admission.bootstrap import bootstrap_objects
from knarr.admission.chain import Chain, Plugin
from knarr.admission.defaults import default_plugins
from knarr.admission.defaulttolerationseconds import DefaultTolerationSeconds
from knarr.admission.ingressclass import DefaultIngressClass
from knarr.admission.namespacelifecycle import NamespaceLifecycle
from knarr.admission.nodetaints import TaintNodesByCondition
from knarr.admission.podresize import NodeDeclaredFeatureValidator, PodResizeValidator
from knarr.admission.podtopologylabels import PodTopologyLabels
from knarr.admission.priority import Priority
from knarr.admission.runtimeclass import RuntimeClass
from knarr.admission.serviceaccount import ServiceAccount
from knarr.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from knarr.world import World
from knarr.world.chance import chance

from ..auth.memory_reader import refusal, run
from .asking import admit, attributes, claim, pod, refused

PARITY = Path(__file__).parents[3] / "shared/parity/docs/bootstrap"


# -- the chain ---------------------------------------------------------------------------------------------


def test_the_chain_asks_only_those_concerned_in_order():
    log = []

    class Named(Plugin):
        def __init__(self, name, operations):
            self.name, self.operations = name, operations

        def handles(self, target):
            log.append(f"{self.name}?")
            return target.operation in self.operations

        def admit(self, a):
            log.append(self.name)

    class Waits(Named):
        async def admit(self, a):
            log.append(f"{self.name}...")

        async def validate(self, a):
            log.append(f"{self.name}!")

    chain = Chain([Named("a", ["CREATE"]), Waits("b", ["CREATE", "DELETE"]), Named("c", ["DELETE"])])

    async def go(operation):
        log.clear()
        await chain.admit(attributes(pod(), operation=operation))
        await chain.validate(attributes(pod(), operation=operation))
        return " ".join(log)

    assert run(go("CREATE")) == "a? b? c? a b... b? b!"
    assert run(go("CREATE")) == "a b... b!"
    assert run(go("DELETE")) == "a? b? c? b... c b? b!"
    chain.forget()
    assert "a?" in run(go("CREATE"))


def test_the_default_set(reader):
    names = [p.name for p in default_plugins(reader, World(chance=chance(1)), None)]
    assert names == [
        "NamespaceLifecycle",
        "LimitRanger",
        "ServiceAccount",
        "NodeRestriction",
        "TaintNodesByCondition",
        "PodSecurity",
        "Priority",
        "DefaultTolerationSeconds",
        "DefaultStorageClass",
        "StorageObjectInUseProtection",
        "PersistentVolumeClaimResize",
        "RuntimeClass",
        "CertificateApproval",
        "CertificateSigning",
        "CertificateSubjectRestriction",
        "DefaultIngressClass",
        "PodTopologyLabels",
        "NodeDeclaredFeatureValidator",
        "PodResizeValidator",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
        "ResourceQuota",
    ]


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        ({"metadata": {"name": "a"}}, "a"),
        ({"metadata": {"generateName": "gen-"}}, "gen-"),
        ({"metadata": {}}, "Unknown"),
    ],
)
def test_the_name_in_messages(obj, name):
    assert attributes(obj).forbidden("why").message == f'pods "{name}" is forbidden: why'


def test_bootstrap_objects_are_kubernetes_own():
    if not PARITY.exists():
        pytest.skip("the recorded objects are not on this machine")
    for resource in ("namespaces", "priorityclasses"):
        recorded = json.loads((PARITY / f"{resource}.json").read_text())
        ours = [o for _, r, o in bootstrap_objects() if r == resource]
        for obj in ours:
            obj["metadata"].pop("generation", None)
        assert [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in ours] == recorded


# -- namespaces --------------------------------------------------------------------------------------------


def test_namespace_lifecycle(reader):
    plugin = NamespaceLifecycle(reader)
    assert refused(plugin, pod()) == (404, 'namespaces "ns" not found')
    reader.put("", "namespaces", {"metadata": {"name": "ns"}, "status": {"phase": "Active"}})
    admit(plugin, pod())
    reader.put("", "namespaces", {"metadata": {"name": "ns"}, "status": {"phase": "Terminating"}})
    assert refused(plugin, pod()) == (
        403,
        'pods "p" is forbidden: unable to create new content in namespace ns because it is being terminated',
    )
    try:
        plugin.admit(attributes(pod()))
    except Exception as error:
        assert error.status["details"]["causes"] == [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace ns is being terminated",
                "field": "metadata.namespace",
            }
        ]
    admit(plugin, pod(), operation="UPDATE", old=pod())
    admit(plugin, {"metadata": {"name": "n1"}}, "nodes")
    assert not plugin.handles(Target("", "pods", "", "DELETE"))
    assert not plugin.handles(Target("authorization.k8s.io", "localsubjectaccessreviews", "", "CREATE"))


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_immortal_namespaces(reader, name):
    plugin = NamespaceLifecycle(reader)
    found = refused(plugin, None, "namespaces", "DELETE", name=name)
    assert found == (403, f'namespaces "{name}" is forbidden: this namespace may not be deleted')
    admit(plugin, None, "namespaces", "DELETE", name="kube-node-lease")


# -- service accounts ----------------------------------------------------------------------------------------


@pytest.fixture
def accounts(reader):
    def account(name, **more):
        reader.put("", "serviceaccounts", {"metadata": {"name": name, "namespace": "ns"}, **more})

    account("default")
    account("quiet", automountServiceAccountToken=False)
    account("puller", imagePullSecrets=[{"name": "reg"}])
    account(
        "strict",
        secrets=[{"name": "own"}],
    )
    strict = reader.get("", "serviceaccounts", "ns", "strict")
    strict["metadata"]["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
    return ServiceAccount(reader, chance(1))


MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def test_the_token_volume(accounts):
    spec = admit(accounts, pod(initContainers=[{"name": "i"}]))["spec"]
    (volume,) = spec["volumes"]
    prefix, _, suffix = volume["name"].rpartition("-")
    assert (prefix, len(suffix)) == ("kube-api-access", 5)
    assert volume["projected"] == {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "namespace",
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                        }
                    ]
                }
            },
        ],
        "defaultMode": 420,
    }
    mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT}
    assert [c["volumeMounts"] for c in spec["containers"] + spec["initContainers"]] == [[mount], [mount]]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")


@pytest.mark.parametrize(
    ("spec", "volumes", "name"),
    [
        ({"serviceAccountName": "quiet"}, 0, "quiet"),
        ({"serviceAccountName": "quiet", "automountServiceAccountToken": True}, 1, "quiet"),
        ({"automountServiceAccountToken": False}, 0, "default"),
        ({"serviceAccount": "quiet"}, 0, "quiet"),
        ({"serviceAccount": "default", "serviceAccountName": "quiet"}, 0, "quiet"),
        ({"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": MOUNT}]}]}, 0, "default"),
        ({"volumes": [{"name": "kube-api-access-mine"}]}, 1, "default"),
    ],
)
def test_who_gets_a_token_volume(accounts, spec, volumes, name):
    made = admit(accounts, pod(**spec))["spec"]
    assert len(made.get("volumes", [])) == volumes
    assert made["serviceAccountName"] == made["serviceAccount"] == name


def test_pull_secrets(accounts):
    made = admit(accounts, pod(serviceAccountName="puller"))
    assert made["spec"]["imagePullSecrets"] == [{"name": "reg"}]
    own = admit(accounts, pod(serviceAccountName="puller", imagePullSecrets=[{"name": "mine"}]))
    assert own["spec"]["imagePullSecrets"] == [{"name": "mine"}]


def test_a_missing_account_and_one_that_comes_late(reader, accounts):
    words = 'pods "p" is forbidden: error looking up service account ns/{0}: serviceaccount "{0}" not found'
    assert refused(accounts, pod(serviceAccountName="absent")) == (403, words.format("absent"))
    reader.drop("", "serviceaccounts", "ns", "default")
    assert refused(accounts, pod()) == (403, words.format("default"))

    async def late():
        import asyncio

        a = attributes(pod())
        waiting = asyncio.ensure_future(Chain([accounts]).admit(a))
        await asyncio.sleep(0.35)
        assert not waiting.done()
        reader.put("", "serviceaccounts", {"metadata": {"name": "default", "namespace": "ns"}})
        await waiting
        return a.obj

    assert len(run(late())["spec"]["volumes"]) == 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"serviceAccountName": "default"}, "a mirror pod may not reference service accounts"),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
            "a mirror pod may not reference secrets",
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}]}}]},
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ],
)
def test_mirror_pods(accounts, spec, words):
    mirror = pod(**spec)
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert refused(accounts, mirror) == (403, f'pods "p" is forbidden: {words}')


def test_an_account_that_limits_secrets(accounts):
    good = pod(serviceAccountName="strict", volumes=[{"name": "v", "secret": {"secretName": "own"}}])
    admit(accounts, good)
    bad = pod(serviceAccountName="strict", volumes=[{"name": "v", "secret": {"secretName": "other"}}])
    assert (
        'secret.secretName="other" is not allowed because service account strict' in refused(accounts, bad)[1]
    )
    pulls = pod(serviceAccountName="strict", imagePullSecrets=[{"name": "x"}])
    assert 'imagePullSecrets[0].name="x" is not allowed' in refused(accounts, pulls)[1]


# -- small ones ----------------------------------------------------------------------------------------------


@pytest.fixture
def classes(reader):
    for name, value, policy in (("high", 1000, None), ("never", -5, "Never")):
        obj = {"metadata": {"name": name}, "value": value} | ({"preemptionPolicy": policy} if policy else {})
        reader.put("scheduling.k8s.io", "priorityclasses", obj)
    return Priority(reader)


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ({}, (0, "PreemptLowerPriority", None)),
        ({"priority": 0}, (0, "PreemptLowerPriority", None)),
        ({"priorityClassName": "high"}, (1000, None, "high")),
        ({"priorityClassName": "high", "priority": 1000}, (1000, None, "high")),
        ({"priorityClassName": "never"}, (-5, "Never", "never")),
        (
            {"priorityClassName": "high", "priority": 5},
            "the integer value of priority (5) must not be provided in pod spec; priority admission controller "
            "computed 1000 from the given PriorityClass name",
        ),
        (
            {"priorityClassName": "never", "preemptionPolicy": "PreemptLowerPriority"},
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority "
            "admission controller computed Never from the given PriorityClass name",
        ),
        ({"priorityClassName": "nope"}, "no PriorityClass with name nope was found"),
    ],
)
def test_priorities(classes, spec, result):
    if isinstance(result, str):
        assert refused(classes, pod(**spec)) == (403, f'pods "p" is forbidden: {result}')
        return
    made = admit(classes, pod(**spec))["spec"]
    assert (made.get("priority"), made.get("preemptionPolicy"), made.get("priorityClassName")) == result


def test_the_default_class(reader, classes):
    def put(name, value, default=True):
        obj = {"metadata": {"name": name}, "value": value, "globalDefault": default}
        reader.put("scheduling.k8s.io", "priorityclasses", obj)

    put("a", 7)
    made = admit(classes, pod())["spec"]
    assert (made["priorityClassName"], made["priority"]) == ("a", 7)
    other = {"metadata": {"name": "b"}, "globalDefault": True}
    found = refused(classes, other, "priorityclasses", group="scheduling.k8s.io")
    words = "PriorityClass a is already marked as default. Only one default can exist"
    assert found == (403, f'priorityclasses.scheduling.k8s.io "b" is forbidden: {words}')
    same = {"metadata": {"name": "a"}, "globalDefault": True}
    assert refused(classes, same, "priorityclasses", group="scheduling.k8s.io")[1].endswith(words)
    admit(classes, same, "priorityclasses", "UPDATE", same, group="scheduling.k8s.io")
    put("a", 7, default=False)
    assert "priorityClassName" not in admit(classes, pod())["spec"]


def test_priority_survives_clients_that_do_not_know_it(classes):
    old = pod(priority=5, preemptionPolicy="Never")
    made = admit(classes, pod(), operation="UPDATE", old=old)["spec"]
    assert (made["priority"], made["preemptionPolicy"]) == (5, "Never")


NOT_READY = {
    "key": "node.kubernetes.io/not-ready",
    "operator": "Exists",
    "effect": "NoExecute",
    "tolerationSeconds": 300,
}
UNREACHABLE = NOT_READY | {"key": "node.kubernetes.io/unreachable"}


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], [NOT_READY, UNREACHABLE]),
        ([{"key": "x", "operator": "Exists"}], [NOT_READY, UNREACHABLE]),
        ([{"operator": "Exists"}], []),
        ([NOT_READY | {"tolerationSeconds": 5}], [UNREACHABLE]),
        ([{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}], [NOT_READY, UNREACHABLE]),
    ],
)
def test_tolerations(given, added):
    made = admit(DefaultTolerationSeconds(), pod(tolerations=given))
    assert made["spec"]["tolerations"] == given + added


def test_new_nodes_are_tainted_once():
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    plugin = TaintNodesByCondition()
    made = admit(plugin, {"metadata": {"name": "n"}}, "nodes")
    assert made["spec"]["taints"] == [taint]
    assert admit(plugin, made, "nodes")["spec"]["taints"] == [taint]


def test_topology_labels(reader):
    plugin = PodTopologyLabels(reader)
    labels = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "x": "y"}
    reader.put("", "nodes", {"metadata": {"name": "n1", "labels": labels}})
    bind = {"metadata": {"name": "p", "namespace": "ns"}, "target": {"kind": "Node", "name": "n1"}}
    made = admit(plugin, bind, sub="binding")
    assert made["metadata"]["labels"] == {k: v for k, v in labels.items() if k != "x"}
    placed = pod(nodeName="n1")
    placed["metadata"]["labels"] = {"topology.kubernetes.io/zone": "mine"}
    assert admit(plugin, placed)["metadata"]["labels"]["topology.kubernetes.io/zone"] == "z"
    assert "labels" not in admit(plugin, pod())["metadata"]


def requesting(**amounts):
    return {"containers": [{"name": "c", "image": "i", "resources": {"requests": amounts}}], "nodeName": "n1"}


@pytest.mark.parametrize(
    ("plugin", "spec", "labels", "declared", "why"),
    [
        (PodResizeValidator, requesting(cpu="1500m"), {}, [], ""),
        (
            PodResizeValidator,
            requesting(cpu="2500m", memory="2Gi"),
            {},
            [],
            "node didn't have enough allocatable resources: cpu, requested: 2500, allocatable: 2000; memory,"
            " requested: 2147483648, allocatable: 1073741824",
        ),
        (
            PodResizeValidator,
            requesting(cpu="1500m"),
            {"kubernetes.io/os": "windows"},
            [],
            'pod resize is only supported on linux nodes, node "n1" is "windows"',
        ),
        (PodResizeValidator, {**requesting(cpu="2"), "nodeName": "n2"}, {}, [], 'node "n2" not found'),
        (NodeDeclaredFeatureValidator, {**requesting(cpu="2"), "nodeName": "n2"}, {}, [], ""),
        (
            NodeDeclaredFeatureValidator,
            {**requesting(cpu="1"), "resources": {"requests": {"cpu": "2"}}},
            {},
            ["Other"],
            "pod update requires features InPlacePodLevelResourcesVerticalScaling which are not available on node"
            ' "n1"',
        ),
        (
            NodeDeclaredFeatureValidator,
            {**requesting(cpu="1"), "resources": {"requests": {"cpu": "2"}}},
            {},
            ["InPlacePodLevelResourcesVerticalScaling"],
            "",
        ),
        (
            NodeDeclaredFeatureValidator,
            {
                **requesting(cpu="1"),
                "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "2"}}}],
            },
            {},
            [],
            "pod update requires features InPlacePodVerticalScalingInitContainers which are not available on node"
            ' "n1"',
        ),
    ],
)
def test_resizing_what_is_on_a_node(reader, plugin, spec, labels, declared, why):
    status = {"allocatable": {"cpu": "2", "memory": "1Gi"}, "declaredFeatures": declared}
    reader.put("", "nodes", {"metadata": {"name": "n1", "labels": labels}, "status": status})
    old = pod(**requesting(cpu="1"), initContainers=[{"name": "i", "resources": {}}])
    new = pod(**{"initContainers": [{"name": "i", "resources": {}}], **spec})
    if why:
        assert refused(plugin(reader), new, operation="UPDATE", old=old, sub="resize") == (
            403,
            f'pods "p" is forbidden: {why}',
        )
    else:
        admit(plugin(reader), new, operation="UPDATE", old=old, sub="resize")


# -- storage, ingress, runtime -------------------------------------------------------------------------------


def marked(name, when, key="storageclass.kubernetes.io/is-default-class", **more):
    metadata = {"name": name, "creationTimestamp": when, "annotations": {key: "true"}}
    return {"metadata": metadata} | more


def test_default_storage_class(reader):
    plugin = DefaultStorageClass(reader)

    def chosen(**spec):
        return admit(plugin, claim(**spec), "persistentvolumeclaims")["spec"].get("storageClassName")

    assert chosen() is None
    reader.put("storage.k8s.io", "storageclasses", marked("old", "2026-01-01T00:00:00Z"))
    reader.put("storage.k8s.io", "storageclasses", marked("b", "2026-02-01T00:00:00Z"))
    reader.put("storage.k8s.io", "storageclasses", marked("a", "2026-02-01T00:00:00Z"))
    reader.put("storage.k8s.io", "storageclasses", {"metadata": {"name": "z"}})
    assert chosen() == "a"
    assert chosen(storageClassName="") == ""
    assert chosen(storageClassName="x") == "x"


def test_default_ingress_class(reader):
    plugin = DefaultIngressClass(reader)
    obj = {"metadata": {"name": "i", "namespace": "ns"}, "spec": {}}
    group = "networking.k8s.io"
    assert "ingressClassName" not in admit(plugin, obj, "ingresses", group=group)["spec"]
    key = "ingressclass.kubernetes.io/is-default-class"
    reader.put(group, "ingressclasses", marked("nginx", "2026-01-01T00:00:00Z", key))
    assert admit(plugin, obj, "ingresses", group=group)["spec"]["ingressClassName"] == "nginx"
    old = obj | {"metadata": obj["metadata"] | {"annotations": {"kubernetes.io/ingress.class": "x"}}}
    assert "ingressClassName" not in admit(plugin, old, "ingresses", group=group)["spec"]


def test_protection_finalizers():
    plugin = StorageObjectInUseProtection()
    made = admit(plugin, claim(), "persistentvolumeclaims")
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert admit(plugin, made, "persistentvolumeclaims")["metadata"]["finalizers"] == [
        "kubernetes.io/pvc-protection"
    ]
    volume = {"metadata": {"name": "v", "finalizers": ["x"]}, "spec": {}}
    made = admit(plugin, volume, "persistentvolumes")
    assert made["metadata"]["finalizers"] == ["x", "kubernetes.io/pv-protection"]


def test_growing_claims(reader):
    plugin = PersistentVolumeClaimResize(reader)
    reader.put(
        "storage.k8s.io", "storageclasses", {"metadata": {"name": "grows"}, "allowVolumeExpansion": True}
    )
    reader.put("storage.k8s.io", "storageclasses", {"metadata": {"name": "fixed"}})

    def grow(new, old):
        return admit(plugin, new, "persistentvolumeclaims", "UPDATE", old)

    grow(claim("2Gi", storageClassName="grows"), claim(storageClassName="grows"))
    grow(claim("1Gi", storageClassName="fixed"), claim("2Gi", storageClassName="fixed"))
    for name in ("fixed", "absent", ""):
        pair = claim("2Gi", storageClassName=name), claim(storageClassName=name)
        message = refusal(lambda pair=pair: grow(*pair))[1]
        assert "the storageclass that provisions the pvc must support resize" in message
    pending = claim(storageClassName="grows") | {"status": {"phase": "Pending"}}
    message = refusal(lambda: grow(claim("2Gi", storageClassName="grows"), pending))[1]
    assert message.endswith("Only bound persistent volume claims can be expanded")


def test_runtime_classes(reader):
    plugin = RuntimeClass(reader)
    scheduling = {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "t"}]}
    reader.put(
        "node.k8s.io",
        "runtimeclasses",
        {"metadata": {"name": "rc"}, "overhead": {"podFixed": {"cpu": "100m"}}, "scheduling": scheduling},
    )
    spec = admit(plugin, pod(runtimeClassName="rc", tolerations=[{"key": "mine"}]))["spec"]
    assert spec["overhead"] == {"cpu": "100m"}
    assert spec["nodeSelector"] == {"a": "b"}
    assert spec["tolerations"] == [{"key": "mine"}, {"key": "t"}]
    admit(plugin, pod(runtimeClassName="rc", overhead={"cpu": "0.1"}))
    start = 'pods "p" is forbidden: '
    for given, words in (
        ({"runtimeClassName": "no"}, 'pod rejected: RuntimeClass "no" not found'),
        (
            {"runtimeClassName": "rc", "overhead": {"cpu": "1"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"overhead": {"cpu": "1"}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "rc", "nodeSelector": {"a": "c"}},
            "conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = c",
        ),
    ):
        assert refused(plugin, pod(**given)) == (403, start + words)


ANY, LONG = {"operator": "Exists"}, {"key": "a", "operator": "Exists", "effect": "NoExecute"}
SHORT = {**LONG, "tolerationSeconds": 5}


@pytest.mark.parametrize(
    ("own", "more", "merged"),
    [
        ([SHORT], [LONG], [LONG]),
        ([LONG], [SHORT], [LONG]),
        ([SHORT], [{**SHORT, "tolerationSeconds": 6}], [{**SHORT, "tolerationSeconds": 6}]),
        ([LONG, {"key": "b", "value": "c"}], [ANY], [ANY]),
        ([LONG], [LONG], [LONG]),
    ],
)
def test_tolerations_of_runtime_classes_are_said_once(reader, own, more, merged):
    obj = {"metadata": {"name": "rc"}, "scheduling": {"tolerations": more}}
    reader.put("node.k8s.io", "runtimeclasses", obj)
    made = admit(RuntimeClass(reader), pod(runtimeClassName="rc", tolerations=own))
    assert made["spec"]["tolerations"] == merged
