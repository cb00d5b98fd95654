"""A kubelet writes to its own node, its own pods and what belongs to them, and to nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from knarr.admission import certificates, nodeaudiences
from knarr.admission.attributes import CREATE, DELETE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.api import podrefs
from knarr.meta import errors
from knarr.meta.gofmt import quote
from knarr.registry.context import Request, UserInfo
from knarr.registry.reader import Reader

PREFIX, NODES_GROUP = "system:node:", "system:nodes"
MIRROR = "kubernetes.io/config.mirror"
RESTRICTED_LABELS = "node-restriction.kubernetes.io"
LEASE_NAMESPACE = "kube-node-lease"
NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
#: labels below kubernetes.io and k8s.io that a kubelet may set on its node
KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
    }
)
KUBELET_LABEL_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


class Authorizer(Protocol):
    """What is needed of an authorizer: its decisions have `.allowed`."""

    async def authorize(self, request: Request) -> Any: ...


class NodeRestriction(Plugin):
    name = "NodeRestriction"

    def __init__(self, reader: Reader, authorizer: Authorizer | None = None) -> None:
        self._reader, self._authorizer = reader, authorizer
        self._rules: dict[tuple[str, str], Callable[[str, Attributes], Awaitable[None] | None]] = {
            ("", "pods"): self._pods,
            ("", "nodes"): self._node,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "serviceaccounts"): self._token,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("certificates.k8s.io", "certificatesigningrequests"): self._certificate_request,
        }

    def handles(self, target: Target) -> bool:
        return target[:2] in self._rules and target.operation in (CREATE, UPDATE, DELETE)

    def admit(self, a: Attributes) -> Awaitable[None] | None:
        node = _node_name(a.user)
        if node is None:
            return None
        if not node:
            raise a.forbidden(f'could not determine node from user "{a.user.name}"')
        return self._rules[a.request.group, a.request.resource](node, a)

    # -- pods --------------------------------------------------------------------------------------------

    def _pods(self, node: str, a: Attributes) -> None:
        rules = {"": self._pod, "status": self._pod_status, "eviction": self._eviction}
        rule = rules.get(a.request.subresource)
        if rule is None:
            raise a.forbidden(
                f"unexpected pod subresource {quote(a.request.subresource)}, only 'status' and 'eviction' are allowed"
            )
        rule(node, a)

    def _pod(self, node: str, a: Attributes) -> None:
        if a.operation == UPDATE:
            raise a.forbidden(
                f'unexpected operation "{UPDATE}", node "{node}" can only create and delete mirror pods'
            )
        if a.operation == DELETE:
            if self._existing_pod(a)["spec"].get("nodeName") != node:
                raise a.forbidden(f'node "{node}" can only delete pods with spec.nodeName set to itself')
            return
        if MIRROR not in (a.obj["metadata"].get("annotations") or {}):
            raise a.forbidden(
                f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
            )
        if a.obj["spec"].get("nodeName") != node:
            raise a.forbidden(f'node "{node}" can only create pods with spec.nodeName set to itself')
        self._check_owner(node, a)
        self._check_references(node, a)

    def _check_owner(self, node: str, a: Attributes) -> None:
        owners = a.obj["metadata"].get("ownerReferences") or []
        start = f'node "{node}" can only create pods with'
        if len(owners) > 1:
            raise a.forbidden(f"{start} a single owner reference set to itself")
        owner = owners[0] if owners else {}
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise a.forbidden(f"{start} an owner reference set to itself")
        if not owner.get("controller"):
            raise a.forbidden(f"{start} a controller owner reference set to itself")
        if owner.get("blockOwnerDeletion"):
            raise a.forbidden(f'node "{node}" must not set blockOwnerDeletion on an owner reference')
        found = self._reader.get("", "nodes", "", node)
        if found is None:
            raise errors.not_found("", "nodes", node)
        if owner.get("uid") != found["metadata"].get("uid"):
            raise a.forbidden(
                f"node {node} UID mismatch: expected {owner.get('uid')} got {found['metadata'].get('uid')}"
            )

    @staticmethod
    def _check_references(node: str, a: Attributes) -> None:
        spec = a.obj["spec"]
        volumes = spec.get("volumes") or ()
        sources = [s for v in volumes for s in (v.get("projected") or {}).get("sources") or ()]
        for found, words in (
            (spec.get("serviceAccountName"), "a service account"),
            (next(podrefs.secrets(a.obj), None) is not None, "secrets"),
            (next(podrefs.config_maps(a.obj), None) is not None, "configmaps"),
            (any("clusterTrustBundle" in s for s in sources), "clustertrustbundles"),
            (any("persistentVolumeClaim" in v for v in volumes), "persistentvolumeclaims"),
            (spec.get("resourceClaims"), "resourceclaims"),
        ):
            if found:
                raise a.forbidden(f'node "{node}" can not create pods that reference {words}')

    def _pod_status(self, node: str, a: Attributes) -> None:
        if a.operation != UPDATE:
            raise a.forbidden(f'unexpected operation "{a.operation}"')
        if a.old["spec"].get("nodeName") != node:
            raise a.forbidden(
                f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
            )
        if (a.obj["metadata"].get("labels") or {}) != (a.old["metadata"].get("labels") or {}):
            raise a.forbidden(f'node "{node}" cannot update labels through pod status')
        claims = [(o.get("status") or {}).get("resourceClaimStatuses") or [] for o in (a.obj, a.old)]
        if claims[0] != claims[1]:
            raise a.forbidden(f'node "{node}" cannot update resource claim statues')
        extended = [(o.get("status") or {}).get("extendedResourceClaimStatus") for o in (a.obj, a.old)]
        if extended[0] != extended[1]:
            raise a.forbidden(f'node "{node}" cannot update extended resource claim status')

    def _eviction(self, node: str, a: Attributes) -> None:
        if a.operation != CREATE:
            raise a.forbidden(f"unexpected operation {a.operation}")
        if not a.name:
            raise a.forbidden("could not determine pod from request data")
        if self._existing_pod(a)["spec"].get("nodeName") != node:
            raise a.forbidden(f"node {node} can only evict pods with spec.nodeName set to itself")

    def _existing_pod(self, a: Attributes) -> Object:
        found = self._reader.get("", "pods", a.namespace, a.name)
        if found is None:
            raise errors.not_found("", "pods", a.name)
        return found

    # -- the node itself -----------------------------------------------------------------------------------

    def _node(self, node: str, a: Attributes) -> None:
        if a.name != node:
            raise a.forbidden(f'node "{node}" is not allowed to modify node "{a.name}"')
        if a.operation == DELETE:
            return
        new, old = a.obj.get("spec") or {}, (a.old or {}).get("spec") or {}
        config = new.get("configSource")
        labels = _changed(
            a.obj["metadata"].get("labels"), ((a.old or {}).get("metadata") or {}).get("labels")
        )
        forbidden = ", ".join(sorted(filter(_forbidden_label, labels)))
        if a.operation == CREATE:
            if config is not None:
                raise a.forbidden(f'node "{node}" is not allowed to create pods with a non-nil configSource')
            if forbidden:
                raise a.forbidden(f'node "{node}" is not allowed to set the following labels: {forbidden}')
            return
        if config is not None and config != old.get("configSource"):
            raise a.forbidden(
                f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
            )
        if (new.get("taints") or []) != (old.get("taints") or []):
            raise a.forbidden(f'node "{node}" is not allowed to modify taints')
        owners = [o["metadata"].get("ownerReferences") or [] for o in (a.obj, a.old)]
        if owners[0] != owners[1]:
            # the garbage collector would delete the node, and its restrictions with it
            raise a.forbidden(f'node "{node}" is not allowed to modify ownerReferences')
        if forbidden:
            raise a.forbidden(f"is not allowed to modify labels: {forbidden}")

    # -- what belongs to it --------------------------------------------------------------------------------

    @staticmethod
    def _claim(node: str, a: Attributes) -> None:
        if a.request.subresource != "status":
            raise a.forbidden("may only update PVC status")
        if a.operation != UPDATE:
            raise a.forbidden(f'unexpected operation "{a.operation}"')
        if _without_capacity(a.obj) != _without_capacity(a.old):
            raise a.forbidden(
                f'node "{node}" is not allowed to update fields other than status.quantity and status.conditions'
            )

    def _token(self, node: str, a: Attributes) -> Awaitable[None] | None:
        if a.operation != CREATE or a.request.subresource != "token":
            return None
        reference = (a.obj.get("spec") or {}).get("boundObjectRef") or {}
        if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod") or not reference.get("name"):
            raise a.forbidden("node requested token not bound to a pod")
        if not reference.get("uid"):
            raise a.forbidden("node requested token with a pod binding without a uid")
        pod = self._reader.get("", "pods", a.namespace, reference["name"])
        if pod is None:
            raise errors.not_found("", "pods", reference["name"])
        if pod["metadata"].get("uid") != reference["uid"]:
            raise a.forbidden(
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
        if pod["spec"].get("nodeName") != node:
            raise a.forbidden("node requested token bound to a pod scheduled on a different node")
        audiences = (a.obj.get("spec") or {}).get("audiences") or [""]
        if len(audiences) > 1:
            raise a.forbidden("node may only request 0 or 1 audiences")
        if nodeaudiences.wanted_by(self._reader, pod, audiences[0]):
            return None
        return self._granted_audience(a, audiences[0])

    async def _granted_audience(self, a: Attributes, audience: str) -> None:
        """An audience that no volume of the pod names takes a right, whose resource is the audience."""
        if audience and self._authorizer is not None:
            question = Request(
                "request-serviceaccounts-token-audience",
                version="v1",
                resource=audience,
                namespace=a.namespace,
                name=a.name,
                user=a.user,
            )
            if (await self._authorizer.authorize(question)).allowed:
                return
        raise a.forbidden(
            f"audience {quote(audience)} not found in pod spec volume, {a.user.name} is not authorized to request "
            "tokens for this audience"
        )

    @staticmethod
    def _lease(node: str, a: Attributes) -> None:
        if a.namespace != LEASE_NAMESPACE:
            raise a.forbidden(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if a.name != node:
            raise a.forbidden("can only access node lease with the same name as the requesting node")

    @staticmethod
    def _csi_node(node: str, a: Attributes) -> None:
        if a.name != node:
            raise a.forbidden("can only access CSINode with the same name as the requesting node")

    @staticmethod
    def _slice(node: str, a: Attributes) -> None:
        if a.operation == CREATE and (a.obj.get("spec") or {}).get("nodeName") != node:
            raise a.forbidden("can only create ResourceSlice with the same NodeName as the requesting node")
        if a.operation == DELETE and a.old and (a.old.get("spec") or {}).get("nodeName") != node:
            raise a.forbidden("can only delete ResourceSlice with the same NodeName as the requesting node")

    @staticmethod
    def _certificate_request(node: str, a: Attributes) -> None:
        """A node asks for certificates of its own name only; the rest of a request its signer looks at."""
        spec = (a.obj or {}).get("spec") or {}
        if a.operation != CREATE or spec.get("signerName") not in NODE_SIGNERS:
            return
        names = certificates.common_names(a, spec.get("request", ""))
        if names[-1:] != [f"{PREFIX}{node}"]:
            raise a.forbidden(f"can only create a node CSR with CN={PREFIX}{node}")


def _node_name(user: UserInfo) -> str | None:
    if NODES_GROUP not in user.groups or not user.name.startswith(PREFIX):
        return None
    return user.name[len(PREFIX) :]


def _changed(new: dict[str, str] | None, old: dict[str, str] | None) -> set[str]:
    return {key for key, _ in set((new or {}).items()) ^ set((old or {}).items())}


def _forbidden_label(key: str) -> bool:
    domain = key.partition("/")[0] if "/" in key else ""
    if domain == RESTRICTED_LABELS or domain.endswith(f".{RESTRICTED_LABELS}"):
        return True
    ours = any(domain == d or domain.endswith(f".{d}") for d in ("kubernetes.io", "k8s.io"))
    allowed = key in KUBELET_LABELS or any(
        domain == d or domain.endswith(f".{d}") for d in KUBELET_LABEL_DOMAINS
    )
    return ours and not allowed


def _without_capacity(claim: Object) -> Object:
    hidden = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")
    metadata = {k: v for k, v in claim["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    status = {k: v for k, v in (claim.get("status") or {}).items() if k not in hidden}
    return {**claim, "metadata": metadata, "status": status}
