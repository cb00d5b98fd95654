"""Which objects belong to which node: through the pods that are bound to it.

node <- pod <- secret, configmap, service account, resource claim, persistent volume claim <- persistent volume <- secret
node <- volume attachment, resource slice
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from knarr.api import podrefs
from knarr.registry.reader import Object, Reader

MIRROR = "kubernetes.io/config.mirror"

Key = tuple[str, str, str]  # resource, namespace, name


class _Pod(NamedTuple):
    node: str
    #: what may change in a bound pod and adds references
    growth: tuple[int, int, bool]
    keys: tuple[Key, ...]


class _Volume(NamedTuple):
    claim: Key
    secrets: tuple[tuple[str, str], ...]


class NodeGraph:
    """Follows pods, volumes, attachments and slices once somebody asks: a cluster without remote kubelets never pays."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._following = False
        #: how many pods of a node refer to an object
        self._users: dict[Key, Counter[str]] = {}
        self._pods: dict[tuple[str, str], _Pod] = {}
        self._volumes: dict[str, _Volume] = {}
        self._secret_volumes: dict[tuple[str, str], set[str]] = {}
        self._owned: dict[Key, str] = {}

    def related(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a chain of references leads from the object to the node."""
        if not self._following:
            self._follow()
        if resource in ("volumeattachments", "resourceslices"):
            return self._owned.get((resource, "", name)) == node
        if resource == "persistentvolumes":
            volume = self._volumes.get(name)
            return volume is not None and self._uses(node, volume.claim)
        if self._uses(node, (resource, namespace, name)):
            return True
        if resource == "secrets":
            volumes = self._secret_volumes.get((namespace, name), ())
            return any(self._uses(node, self._volumes[v].claim) for v in volumes)
        return False

    def _uses(self, node: str, key: Key) -> bool:
        return node in self._users.get(key, ())

    def _follow(self) -> None:
        self._following = True
        self._reader.subscribe("", "pods", self._pod_changed)
        self._reader.subscribe("", "persistentvolumes", self._volume_changed)
        self._reader.subscribe("storage.k8s.io", "volumeattachments", self._attachment_changed)
        self._reader.subscribe("resource.k8s.io", "resourceslices", self._slice_changed)

    def _pod_changed(self, event: str, pod: Object) -> None:
        metadata = pod["metadata"]
        place = metadata["namespace"], metadata["name"]
        known = self._pods.get(place)
        node = pod["spec"].get("nodeName", "")
        if event == "DELETED" or not node:
            self._forget(place)
            return
        growth = _growth(pod)
        if known is not None and known.node == node and known.growth == growth:
            return
        self._forget(place)
        keys = tuple(_references(pod))
        self._pods[place] = _Pod(node, growth, keys)
        for key in keys:
            self._users.setdefault(key, Counter())[node] += 1

    def _forget(self, place: tuple[str, str]) -> None:
        known = self._pods.pop(place, None)
        if known is None:
            return
        for key in known.keys:
            users = self._users[key]
            users[known.node] -= 1
            if not users[known.node]:
                del users[known.node]
            if not users:
                del self._users[key]

    def _volume_changed(self, event: str, volume: Object) -> None:
        name = volume["metadata"]["name"]
        old = self._volumes.pop(name, None)
        for secret in old.secrets if old else ():
            self._secret_volumes[secret].discard(name)
            if not self._secret_volumes[secret]:
                del self._secret_volumes[secret]
        claim = volume["spec"].get("claimRef")
        if event == "DELETED" or not claim:
            return
        key = ("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", ""))
        secrets = tuple(dict.fromkeys(podrefs.volume_secrets(volume)))
        self._volumes[name] = _Volume(key, secrets)
        for secret in secrets:
            self._secret_volumes.setdefault(secret, set()).add(name)

    def _attachment_changed(self, event: str, obj: Object) -> None:
        self._own("volumeattachments", event, obj)

    def _slice_changed(self, event: str, obj: Object) -> None:
        self._own("resourceslices", event, obj)

    def _own(self, resource: str, event: str, obj: Object) -> None:
        key = (resource, "", obj["metadata"]["name"])
        node = obj["spec"].get("nodeName")
        if event == "DELETED" or not node:
            self._owned.pop(key, None)
        else:
            self._owned[key] = node


def _growth(pod: Object) -> tuple[int, int, bool]:
    status = pod.get("status") or {}
    return (
        len(pod["spec"].get("ephemeralContainers") or ()),
        len(status.get("resourceClaimStatuses") or ()),
        "extendedResourceClaimStatus" in status,
    )


def _references(pod: Object) -> list[Key]:
    """Everything a node may see because of this pod; a mirror pod, which the node made itself, gives it nothing."""
    metadata, spec = pod["metadata"], pod["spec"]
    namespace = metadata["namespace"]
    itself: Key = ("pods", namespace, metadata["name"])
    if MIRROR in (metadata.get("annotations") or {}):
        return [itself]
    found = [itself]
    if spec.get("serviceAccountName"):
        found.append(("serviceaccounts", namespace, spec["serviceAccountName"]))
    for resource, visit in (
        ("secrets", podrefs.secrets),
        ("configmaps", podrefs.config_maps),
        ("persistentvolumeclaims", podrefs.claims),
        ("resourceclaims", podrefs.resource_claims),
    ):
        found.extend((resource, namespace, name) for name in visit(pod))
    return list(dict.fromkeys(found))
