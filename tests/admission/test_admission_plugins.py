"""Each plugin by tables; messages and defaults are recorded ones."""

import copy
import json
from pathlib import Path

import pytest

from knarr.admission.attributes import Attributes, Target
from knarr.admission.bootstrap import bootstrap_objects
from knarr.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from knarr.admission.chain import Chain, Plugin
from knarr.admission.defaults import default_plugins
from knarr.admission.defaulttolerationseconds import DefaultTolerationSeconds
from knarr.admission.ingressclass import DefaultIngressClass
from knarr.admission.limitranger import LimitRanger
from knarr.admission.namespacelifecycle import NamespaceLifecycle
from knarr.admission.noderestriction import NodeRestriction
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
from knarr.registry.context import Request, UserInfo
from knarr.world import World
from knarr.world.chance import chance

from ..auth.memory_reader import refusal, run

PARITY = Path(__file__).parents[3] / "shared/parity/docs/bootstrap"


def pod(name="p", **spec):
    spec = {"containers": [{"name": "c", "image": "i"}]} | spec
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": copy.deepcopy(spec)}


def attributes(obj=None, resource="pods", operation="CREATE", old=None, group="", sub="", user=None, name=""):
    shown = obj or old or {"metadata": {}}
    name = name or ("" if operation == "CREATE" else shown["metadata"].get("name", ""))
    namespace = shown["metadata"].get("namespace", "")
    request = Request(
        operation.lower(), "", group, "v1", resource, sub, namespace, name, user or UserInfo("jane")
    )
    return Attributes(request, operation, (group, "v1", ""), copy.deepcopy(obj), old)


def admit(plugin, obj=None, *args, **more):
    """The object after both phases of one plugin, which must handle the request."""
    a = attributes(obj, *args, **more)
    assert plugin.handles(a.target), a.target

    async def both():
        chain = Chain([plugin])
        await chain.admit(a)
        await chain.validate(a)

    run(both())
    return a.obj


def refused(plugin, *args, **more):
    return refusal(lambda: admit(plugin, *args, **more))


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


def claim(size="1Gi", **spec):
    spec = {"resources": {"requests": {"storage": size}}} | spec
    return {"metadata": {"name": "c", "namespace": "ns"}, "spec": spec, "status": {"phase": "Bound"}}


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


# -- certificates ----------------------------------------------------------------------------------------------


class Grants:
    """Allows the (verb, name) pairs given."""

    def __init__(self, *pairs):
        self.pairs = pairs

    async def authorize(self, request):
        from knarr.auth.authorize import Decision

        assert (request.group, request.resource) == ("certificates.k8s.io", "signers")
        return Decision((request.verb, request.name) in self.pairs)


def csr(**more):
    return {"metadata": {"name": "c"}, "spec": {"signerName": "x.io/s"}} | more


@pytest.mark.parametrize(
    ("plugin", "sub", "verb"),
    [(CertificateApproval, "approval", "approve"), (CertificateSigning, "status", "sign")],
)
def test_approving_and_signing_need_the_signer(plugin, sub, verb):
    changed = csr(status={"certificate": "x"})

    def go(*pairs, new=changed):
        args = (new, "certificatesigningrequests", "UPDATE", csr(), "certificates.k8s.io", sub)
        return admit(plugin(Grants(*pairs)), *args)

    go((verb, "x.io/s"))
    go((verb, "x.io/*"))
    code, message = refusal(lambda: go((verb, "y.io/s")))
    assert code == 403
    assert message.endswith(f'user not permitted to {verb} requests with signerName "x.io/s"')
    if verb == "sign":
        go(new=csr())  # a status that changes nothing needs no permission


def asking(signer, organization="devs", name="someone"):
    """A request for a certificate of this subject."""
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    parts = ((NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, name))
    subject = x509.Name([x509.NameAttribute(*part) for part in parts])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    pem = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    return {"metadata": {"name": "c"}, "spec": {"signerName": signer, "request": pem}}


def test_a_node_asks_for_certificates_of_its_own_name(reader):
    plugin = NodeRestriction(reader)
    args = ("certificatesigningrequests", "CREATE", None, "certificates.k8s.io")
    for signer in ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"):
        admit(plugin, asking(signer, name="system:node:n1"), *args, user=NODE)
        found = refused(plugin, asking(signer, name="system:node:n2"), *args, user=NODE)
        assert found[1].endswith("can only create a node CSR with CN=system:node:n1")
        broken = {"metadata": {"name": "c"}, "spec": {"signerName": signer, "request": "eA=="}}
        found = refused(plugin, broken, *args, user=NODE)
        assert found[1].endswith("unable to parse csr: PEM block type must be CERTIFICATE REQUEST")
    admit(plugin, asking("x.io/s"), *args, user=NODE)


def test_nobody_asks_for_masters():
    def request(organization, signer="kubernetes.io/kube-apiserver-client"):
        return asking(signer, organization)

    plugin = CertificateSubjectRestriction()
    args = ("certificatesigningrequests", "CREATE", None, "certificates.k8s.io")
    admit(plugin, request("devs"), *args)
    admit(plugin, request("system:masters", "x.io/s"), *args)
    assert refused(plugin, request("system:masters"), *args)[1].endswith(
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    )


# -- limit ranges ------------------------------------------------------------------------------------------------


def container(name="c", requests=None, limits=None):
    resources = {k: v for k, v in (("requests", requests), ("limits", limits)) if v}
    return {"name": name, "resources": resources}


@pytest.fixture
def limited(reader):
    reader.put(
        "",
        "limitranges",
        {
            "metadata": {"name": "c", "namespace": "ns"},
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "default": {"cpu": "500m", "memory": "512Mi"},
                        "defaultRequest": {"cpu": "100m", "memory": "512Mi"},
                        "min": {"cpu": "50m"},
                        "max": {"cpu": "1"},
                        "maxLimitRequestRatio": {"cpu": "10"},
                    }
                ]
            },
        },
    )
    return LimitRanger(reader)


DEFAULTED = {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "512Mi"}}


@pytest.mark.parametrize(
    ("spec", "note", "resources"),
    [
        (
            {"containers": [container()]},
            "cpu, memory request for container c; cpu, memory limit for container c",
            DEFAULTED,
        ),
        (
            {"containers": [container(requests={"cpu": "200m"}, limits={"cpu": "200m"})]},
            "memory request for container c; memory limit for container c",
            {"limits": {"cpu": "200m", "memory": "512Mi"}, "requests": {"cpu": "200m", "memory": "512Mi"}},
        ),
        (
            {"containers": [container()], "initContainers": [container("i")]},
            "cpu, memory request for container c; cpu, memory limit for container c; "
            "cpu, memory request for init container i; cpu, memory limit for init container i",
            DEFAULTED,
        ),
    ],
)
def test_defaults_of_limit_ranges(limited, spec, note, resources):
    made = admit(limited, pod(**spec))
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": f"LimitRanger plugin set: {note}"
    }
    assert made["spec"]["containers"][0]["resources"] == resources


@pytest.mark.parametrize(
    ("requests", "limits", "words"),
    [
        ({"cpu": "10m"}, {"cpu": "20m"}, "minimum cpu usage per Container is 50m, but request is 10m"),
        ({"cpu": "1"}, {"cpu": "2"}, "maximum cpu usage per Container is 1, but limit is 2"),
        (
            {"cpu": "50m"},
            {"cpu": "1"},
            "cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000",
        ),
        (
            {"cpu": "10m"},
            {"cpu": "2"},
            "[minimum cpu usage per Container is 50m, but request is 10m, maximum cpu usage per Container is 1, but "
            "limit is 2, cpu max limit to request ratio per Container is 10, but provided ratio is 200.000000]",
        ),
    ],
)
def test_bounds_of_containers(limited, requests, limits, words):
    wanted = pod("e", containers=[container(requests=requests, limits=limits)])
    assert refused(limited, wanted) == (403, f'pods "e" is forbidden: {words}')


def limit_range(reader, **limit):
    obj = {"metadata": {"name": "l", "namespace": "ns"}, "spec": {"limits": [limit]}}
    reader.put("", "limitranges", obj)
    return LimitRanger(reader)


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        (
            [container(n, {"memory": "20Mi"}, {"cpu": "600m", "memory": "20Mi"}) for n in "ab"],
            "maximum cpu usage per Pod is 1, but limit is 1200m",
        ),
        (
            [container()],
            "[minimum memory usage per Pod is 10Mi.  No request is specified, maximum cpu usage per Pod is 1.  No "
            "limit is specified]",
        ),
        ([container("c", {"memory": "20Mi"}, {"cpu": "600m", "memory": "20Mi"})], None),
    ],
)
def test_bounds_of_pods(reader, containers, words):
    plugin = limit_range(reader, type="Pod", max={"cpu": "1"}, min={"memory": "10Mi"})
    if words is None:
        admit(plugin, pod(containers=containers))
    else:
        assert refused(plugin, pod(containers=containers)) == (403, f'pods "p" is forbidden: {words}')


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"),
        ("6Gi", "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi"),
        ("2Gi", None),
    ],
)
def test_bounds_of_claims(reader, size, words):
    plugin = limit_range(reader, type="PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "5Gi"})
    if words is None:
        admit(plugin, claim(size), "persistentvolumeclaims")
    else:
        found = refused(plugin, claim(size), "persistentvolumeclaims")
        assert found == (403, f'persistentvolumeclaims "c" is forbidden: {words}')


# -- nodes ---------------------------------------------------------------------------------------------------------

NODE = UserInfo("system:node:n1", groups=("system:nodes",))
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u", "controller": True}


def mirror(owner=OWNER, **spec):
    made = pod(**({"nodeName": "n1"} | spec))
    made["metadata"] |= {
        "annotations": {"kubernetes.io/config.mirror": "x"},
        "ownerReferences": [owner] if owner else [],
    }
    return made


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (mirror(), None),
        (pod(nodeName="n1"), 'pod does not have "kubernetes.io/config.mirror" annotation'),
        (mirror(nodeName="n2"), 'node "n1" can only create pods with spec.nodeName set to itself'),
        (mirror(None), "can only create pods with an owner reference set to itself"),
        (mirror(OWNER | {"name": "n2"}), "can only create pods with an owner reference set to itself"),
        (mirror(OWNER | {"controller": False}), "a controller owner reference set to itself"),
        (mirror(OWNER | {"blockOwnerDeletion": True}), "must not set blockOwnerDeletion"),
        (mirror(OWNER | {"uid": "w"}), "node n1 UID mismatch: expected w got u"),
        (mirror(serviceAccountName="x"), "can not create pods that reference a service account"),
        (
            mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
            "can not create pods that reference secrets",
        ),
        (
            mirror(volumes=[{"name": "v", "configMap": {"name": "s"}}]),
            "can not create pods that reference configmaps",
        ),
        (
            mirror(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "s"}}]),
            "can not create pods that reference persistentvolumeclaims",
        ),
    ],
)
def test_pods_that_a_node_creates(reader, obj, words):
    reader.put("", "nodes", {"metadata": {"name": "n1", "uid": "u"}})
    plugin = NodeRestriction(reader)
    if words is None:
        admit(plugin, obj, user=NODE)
    else:
        code, message = refused(plugin, obj, user=NODE)
        assert code == 403
        assert words in message
    admit(plugin, obj)  # others are none of its business


def owned(obj):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [owner]}}


def node(name="n1", labels=None, **spec):
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (node(labels={"topology.kubernetes.io/zone": "z", "mine": "x"}), None, None),
        (node("n2"), None, 'node "n1" is not allowed to modify node "n2"'),
        (
            node(labels={"node-restriction.kubernetes.io/a": "b", "other.k8s.io/x": "y"}),
            None,
            'node "n1" is not allowed to set the following labels: node-restriction.kubernetes.io/a, other.k8s.io/x',
        ),
        (node(labels={"foo.node.kubernetes.io/x": "y"}), None, None),
        (node(taints=[]), node(taints=[{"key": "x"}]), 'node "n1" is not allowed to modify taints'),
        (node(), node(labels={"kubernetes.io/x": "y"}), "is not allowed to modify labels: kubernetes.io/x"),
        (owned(node()), node(), 'node "n1" is not allowed to modify ownerReferences'),
        (owned(node()), owned(node()), None),
        (node(labels={"kubernetes.io/x": "y"}), node(labels={"kubernetes.io/x": "y"}), None),
    ],
)
def test_what_a_node_says_of_itself(reader, new, old, words):
    plugin = NodeRestriction(reader)
    args = (new, "nodes", "UPDATE" if old else "CREATE", old)
    if words is None:
        admit(plugin, *args, user=NODE)
    else:
        assert refused(plugin, *args, user=NODE)[1].endswith(words)


def test_what_else_a_node_writes(reader):
    plugin = NodeRestriction(reader)
    mounted = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    reader.put("", "pods", pod("mine", nodeName="n1", volumes=[mounted]))
    reader.put("", "pods", pod("other", nodeName="n2"))
    mine, other = (reader.get("", "pods", "ns", n) for n in ("mine", "other"))
    admit(plugin, mine, "pods", "UPDATE", mine, sub="status", user=NODE)
    for words, args, more in (
        ("can only update pod status for pods", (other, "pods", "UPDATE", other), {"sub": "status"}),
        ("can only delete pods", (None, "pods", "DELETE", other), {}),
        ("can only evict pods", (pod("other"), "pods"), {"sub": "eviction", "name": "other"}),
    ):
        assert words in refused(plugin, *args, user=NODE, **more)[1]
    relabelled = {**mine, "metadata": {**mine["metadata"], "labels": {"a": "b"}}}
    args = (relabelled, "pods", "UPDATE", mine)
    assert "cannot update labels through pod status" in refused(plugin, *args, sub="status", user=NODE)[1]

    claimed = {**mine, "status": {"extendedResourceClaimStatus": {"resourceClaimName": "c"}}}
    args = (claimed, "pods", "UPDATE", mine)
    found = refused(plugin, *args, sub="status", user=NODE)
    assert "cannot update extended resource claim status" in found[1]
    found = refused(plugin, mine, "pods", "UPDATE", mine, sub="resize", user=NODE)
    assert found[1].endswith(
        "unexpected pod subresource \"resize\", only 'status' and 'eviction' are allowed"
    )
    claim = {"metadata": {"name": "data", "namespace": "ns"}}
    found = refused(plugin, claim, "persistentvolumeclaims", "UPDATE", claim, user=NODE)
    assert found[1].endswith("may only update PVC status")

    def token(**reference):
        spec = {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", **reference}} if reference else {}
        obj = {"metadata": {"name": "robot", "namespace": "ns"}, "spec": spec}
        return admit(plugin, obj, "serviceaccounts", sub="token", user=NODE, name="robot")

    token(name="mine", uid="uid-mine")
    for reference, words in (
        ({}, "node requested token not bound to a pod"),
        ({"name": "mine"}, "without a uid"),
        ({"name": "mine", "uid": "x"}, "does not match the UID in record"),
        ({"name": "other", "uid": "uid-other"}, "bound to a pod scheduled on a different node"),
        ({"name": "no", "uid": "x"}, 'pods "no" not found'),
    ):
        assert words in refusal(lambda reference=reference: token(**reference))[1]
    lease = {"metadata": {"name": "n2", "namespace": "kube-node-lease"}}
    found = refused(plugin, lease, "leases", group="coordination.k8s.io", user=NODE)
    assert found[1].endswith("can only access node lease with the same name as the requesting node")


def volume(**source):
    return {"name": "v", **source}


AUDIENCES = [
    ([volume(projected={"sources": [{"serviceAccountToken": {"path": "t", "audience": "a"}}]})], ["a"], True),
    (
        [volume(projected={"sources": [{"serviceAccountToken": {"path": "t", "audience": "a"}}]})],
        ["b"],
        False,
    ),
    ([volume(projected={"sources": [{"serviceAccountToken": {"path": "t", "audience": "a"}}]})], [], False),
    ([volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {}}]})], [], True),
    ([volume(csi={"driver": "d.x"})], ["a"], True),
    ([volume(csi={"driver": "d.x"})], ["c"], False),
    ([volume(csi={"driver": "other"})], ["a"], False),
    ([volume(persistentVolumeClaim={"claimName": "data"})], ["a"], True),
    ([volume(persistentVolumeClaim={"claimName": "none"})], ["a"], False),
    ([volume(ephemeral={"volumeClaimTemplate": {}})], ["a"], True),
    ([], ["a"], False),
    ([], ["granted"], True),
]


@pytest.mark.parametrize("volumes,audiences,allowed", AUDIENCES)
def test_for_whom_a_node_asks_tokens(reader, volumes, audiences, allowed):
    from knarr.auth.authorize import Decision

    class Grants:
        async def authorize(self, request):
            fits = request.verb == "request-serviceaccounts-token-audience" and request.resource == "granted"
            return Decision(fits and (request.namespace, request.name) == ("ns", "robot"))

    reader.put("", "pods", pod("p", nodeName="n1", volumes=volumes))
    for name in ("data", "p-v"):
        claim = {"metadata": {"name": name, "namespace": "ns"}, "spec": {"volumeName": "pv"}}
        reader.put("", "persistentvolumeclaims", claim)
    reader.put("", "persistentvolumes", {"metadata": {"name": "pv"}, "spec": {"csi": {"driver": "d.x"}}})
    driver = {"metadata": {"name": "d.x"}, "spec": {"tokenRequests": [{"audience": "a"}, {"audience": "b"}]}}
    reader.put("storage.k8s.io", "csidrivers", driver)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-p"}
    obj = {
        "metadata": {"name": "robot", "namespace": "ns"},
        "spec": {"boundObjectRef": bound, "audiences": audiences},
    }
    args = (NodeRestriction(reader, Grants()), obj, "serviceaccounts")
    if allowed:
        admit(*args, sub="token", user=NODE, name="robot")
    else:
        wanted = audiences[0] if audiences else ""
        words = (
            f'serviceaccounts "robot" is forbidden: audience "{wanted}" not found in pod spec volume, '
            "system:node:n1 is not authorized to request tokens for this audience"
        )
        assert refused(*args, sub="token", user=NODE, name="robot") == (403, words)


def test_a_node_asks_for_one_audience_at_a_time(reader):
    reader.put("", "pods", pod("p", nodeName="n1"))
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-p"}
    obj = {
        "metadata": {"name": "robot", "namespace": "ns"},
        "spec": {"boundObjectRef": bound, "audiences": ["a", "b"]},
    }
    found = refused(NodeRestriction(reader), obj, "serviceaccounts", sub="token", user=NODE, name="robot")
    assert found[1].endswith("node may only request 0 or 1 audiences")
