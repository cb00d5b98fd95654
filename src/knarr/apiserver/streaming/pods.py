"""Finding the pod, its container and its node, with the API server's own refusals."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import containers_with_paths
from knarr.api.nodeapi import NodeAPI, NodeConnections, NodeError
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry.registry import Registry

Object = dict[str, Any]


def find(registry: Registry, resource: str, namespace: str, name: str) -> Object:
    """The newest state of a core/v1 object. Raises 404."""
    storage = registry.storage("", resource)
    entry = storage.cacher.get(storage.key(namespace, name))
    if entry is None:
        raise errors.not_found("", resource, name)
    return entry.object


def container_of(pod: Object, wanted: str) -> str:
    """The container a request is about. Raises 400."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    containers = spec.get("containers", ())
    if not wanted and len(containers) == 1:
        only: str = containers[0]["name"]
        return only
    everything = [container["name"] for container, _ in containers_with_paths(spec, "")]
    if wanted in everything:
        return wanted
    if wanted:
        raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
    message = f"a container name must be specified for pod {name}"
    if containers:
        message += f", choose one of: [{' '.join(everything)}]"
    raise errors.bad_request(message)


def node_of(pod: Object) -> str:
    """Raises 400 for a pod that is not assigned."""
    node = pod["spec"].get("nodeName", "")
    if not node:
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return node


def connection(registry: Registry, connections: NodeConnections, node: str) -> NodeAPI:
    """The node's kubelet. Raises 404 for a node that is not there, 500 for one that cannot be reached."""
    api = connections.get(node)
    if api is not None:
        return api
    found = registry.get("", "nodes", "", node)
    if found is None:
        # the API server answers with the resource it was asked for, whatever was missing
        raise errors.not_found("", "pods", node)
    if not has_address(found):
        raise StatusError(errors.failure(500, "", "no preferred addresses found; known addresses: []"))
    raise errors.internal(f"error dialing backend: node {node} is not connected to this API server")


def has_address(node: Object) -> bool:
    """A node that says nowhere where it is cannot be asked; its host name will do."""
    labels = node["metadata"].get("labels") or {}
    return bool((node.get("status") or {}).get("addresses") or labels.get("kubernetes.io/hostname"))


def refused(error: NodeError) -> StatusError:
    """A node's refusal as the API server hands it on."""
    message = str(error)
    if error.code == 400:
        return errors.bad_request(message)
    if error.code == 404:
        return StatusError(errors.failure(404, "NotFound", message))
    return errors.internal(message)


def flag(query: dict[str, str], name: str) -> bool:
    """A boolean parameter as the API server reads it: present means true, except for `false` and `0`."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0")
