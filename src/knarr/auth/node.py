"""The Node authorizer: a kubelet sees its own node, its pods, and what those need."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.auth.authorize import ALLOWED, NO_OPINION, Decision, Rules
from knarr.auth.graph import NodeGraph
from knarr.auth.rules import Rule, compile_rule
from knarr.meta.gofmt import quote
from knarr.registry.context import Request, UserInfo
from knarr.registry.reader import Reader

PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"


def node_name(user: UserInfo) -> str | None:
    """The node a kubelet speaks for; "" for a kubelet that does not say which, None for anybody else."""
    if NODES_GROUP not in user.groups or not user.name.startswith(PREFIX):
        return None
    return user.name[len(PREFIX) :]


class NodeAuthorizer:
    """`rules` are those of the cluster role system:node, for resources that every node may see alike."""

    def __init__(self, reader: Reader, rules: Iterable[Rule]) -> None:
        self._graph = NodeGraph(reader)
        self._rules = [compile_rule(r) for r in rules]
        self._special = {
            ("", "secrets"): self._readable,
            ("", "configmaps"): self._readable,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._gettable,
            ("resource.k8s.io", "resourceclaims"): self._gettable,
            ("storage.k8s.io", "volumeattachments"): self._gettable,
            ("", "serviceaccounts"): self._account,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
        }

    def authorize(self, request: Request) -> Decision:
        node = node_name(request.user)
        if node is None:
            return NO_OPINION
        if not node:
            return Decision(False, f"unknown node for user {quote(request.user.name)}")
        special = self._special.get((request.group, request.resource)) if request.resource else None
        if special is not None:
            why = special(node, request)
            return ALLOWED if why is None else Decision(False, why)
        return ALLOWED if any(r.allows(request) for r in self._rules) else NO_OPINION

    def resolve(self, user: UserInfo, namespace: str) -> Rules:
        """What a node may do hangs on its pods: there is no list of it."""
        if node_name(user) is None:
            return Rules()
        return Rules((), True, ("node authorizer does not support user rule resolution",))

    # Each returns None to allow, else the reason not to.

    def _related(self, node: str, request: Request) -> str | None:
        if not request.name:
            return "No Object name found"
        if self._graph.related(node, request.resource, request.namespace, request.name):
            return None
        return f"no relationship found between node '{node}' and this object"

    def _readable(self, node: str, request: Request) -> str | None:
        if request.verb not in ("get", "list", "watch"):
            return "can only read resources of this type"
        if request.subresource:
            return "cannot read subresource"
        if not request.namespace:
            return "can only read namespaced object of this type"
        return self._related(node, request)

    def _gettable(self, node: str, request: Request) -> str | None:
        if request.verb != "get":
            return "can only get individual resources of this type"
        if request.subresource:
            return "cannot get subresource"
        return self._related(node, request)

    def _claim(self, node: str, request: Request) -> str | None:
        if request.subresource != "status":
            return self._gettable(node, request)
        if request.verb not in ("update", "patch"):
            return "can only get/update/patch this type"
        return self._related(node, request)

    def _account(self, node: str, request: Request) -> str | None:
        if request.verb == "get" and not request.subresource:
            return self._related(node, request)
        if request.verb != "create" or not request.name:
            return "can only create tokens for individual service accounts"
        if request.subresource != "token":
            return "can only create token subresource of serviceaccount"
        return self._related(node, request)

    def _lease(self, node: str, request: Request) -> str | None:
        if request.verb not in ("get", "create", "update", "patch", "delete"):
            return "can only get, create, update, patch, or delete a node lease"
        if request.namespace != LEASE_NAMESPACE:
            return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        # the name of a new lease is not known here: admission (NodeRestriction) looks at it
        if request.verb != "create" and request.name != node:
            return "can only access node lease with the same name as the requesting node"
        return None

    def _csi_node(self, node: str, request: Request) -> str | None:
        if request.verb not in ("get", "create", "update", "patch", "delete"):
            return "can only get, create, update, patch, or delete a CSINode"
        if request.subresource:
            return "cannot authorize CSINode subresources"
        if request.verb != "create" and request.name != node:
            return "can only access CSINode with the same name as the requesting node"
        return None

    def _slice(self, node: str, request: Request) -> str | None:
        if request.subresource:
            return "cannot authorize ResourceSlice subresources"
        if request.verb == "create":
            return None
        if request.verb in ("get", "update", "patch", "delete"):
            return self._related(node, request)
        if request.verb in ("watch", "list", "deletecollection"):
            if _selected(request, "spec.nodeName") == node:
                return None
            return "can only list/watch/deletecollection resourceslices with nodeName field selector"
        return (
            "only the following verbs are allowed for a ResourceSlice: "
            "get, watch, list, create, update, patch, delete, deletecollection"
        )

    def _node(self, node: str, request: Request) -> str | None:
        # what a node writes to is narrowed further by NodeRestriction
        if request.subresource == "status":
            return None if request.verb in ("update", "patch") else ""
        if request.subresource:
            return ""
        if request.verb in ("create", "update", "patch"):
            return None
        if request.verb not in ("get", "list", "watch"):
            return ""
        # by name, not by the graph: a kubelet asks for its node before the node is there
        if request.name == node:
            return None
        if not request.name:
            return f"node '{node}' cannot read all nodes, only its own Node object"
        return f"node '{node}' cannot read '{request.name}', only its own Node object"

    def _pod(self, node: str, request: Request) -> str | None:
        allowed = {"status": ("update", "patch"), "eviction": ("create",), "": ("create", "delete")}
        if request.verb in allowed.get(request.subresource, ()):
            return None
        if request.subresource or request.verb not in ("get", "list", "watch"):
            return ""
        if request.verb == "get":
            return self._related(node, request)
        if _selected(request, "spec.nodeName") == node:
            return None
        if request.name:
            return self._related(node, request)
        return "can only list/watch pods with spec.nodeName field selector"


def _selected(request: Request, field: str) -> str | None:
    """The value that the request's field selector demands of a field."""
    text = request.query.get("fieldSelector")
    if not text:
        return None
    from knarr.meta import fields

    try:
        return fields.parse(text).exact(field)
    except ValueError:
        return None
