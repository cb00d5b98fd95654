"""What nodes may write, and certificates that they and others ask for; messages are recorded ones."""

import pytest

from knarr.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from knarr.admission.noderestriction import NodeRestriction
from knarr.registry.context import UserInfo

from ..auth.memory_reader import refusal
from .asking import admit, pod, refused

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
