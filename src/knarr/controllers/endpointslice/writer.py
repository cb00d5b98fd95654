"""Writes what was planned for one owner's slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from knarr.api.scheme import evolve
from knarr.client.client import Client, is_not_found, namespace_terminating
from knarr.client.indexer import Indexer
from knarr.client.objects import Key, controller_ref, key_of
from knarr.controllers.endpointslice.reconcile import Draft, Plan
from knarr.controllers.endpointslice.tracker import SliceTracker
from knarr.controllers.podcontrol import pod_prefix
from knarr.meta.errors import StatusError

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"

#: annotations of a slice as it is -> as it should be
Annotate = Callable[[Mapping[str, str]], dict[str, str]]


def slices_index(piece: Any) -> tuple[str, ...]:
    """By service and by who keeps them."""
    labels = piece.metadata.labels
    if SERVICE_NAME not in labels:
        return ()
    return (_value(piece.metadata.namespace, labels[SERVICE_NAME], labels.get(MANAGED_BY, "")),)


def slices_of(indexer: Indexer, key: Key, manager: str) -> list[Any]:
    """A service's slices that `manager` keeps, except those that are on their way out."""
    found = indexer.by_index(SERVICE_NAME, _value(key.namespace, key.name, manager))
    return [piece for piece in found if piece.metadata.deletionTimestamp is None]


def _value(namespace: str, service: str, manager: str) -> str:
    return f"{namespace}/{service}/{manager}"


class SliceWriter:
    """Creates, updates and deletes; tells the tracker."""

    def __init__(self, client: Client, tracker: SliceTracker) -> None:
        self._client = client
        self._tracker = tracker

    async def write(self, owner: Any, plan: Plan, labels: dict[str, str], annotate: Annotate) -> None:
        """Raises StatusError for the first write that is refused."""
        key = key_of(owner)
        for draft in plan.create:
            try:
                made = await self._client.create(new_slice(owner, draft, labels, annotate({})))
            except StatusError as error:
                if namespace_terminating(error):
                    return
                raise
            self._tracker.wrote(key, made)
        for draft in plan.update:
            old = draft.old
            metadata = {"labels": labels, "annotations": annotate(old.metadata.annotations)}
            changed = evolve(old, endpoints=tuple(draft.endpoints), ports=draft.ports, metadata=metadata)
            self._tracker.wrote(key, await self._client.update(changed))
        for piece in plan.delete:
            self._tracker.deleting(key, piece)
            try:
                await self._client.delete(piece)
            except StatusError as error:
                if not is_not_found(error):
                    raise


def new_slice(
    owner: Any, draft: Draft, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> dict[str, Any]:
    """In wire form; the API server names it after its owner."""
    metadata: dict[str, Any] = {
        "generateName": pod_prefix(owner.metadata.name),
        "namespace": owner.metadata.namespace,
        "labels": labels,
        "ownerReferences": [controller_ref(owner)],
    }
    if annotations:
        metadata["annotations"] = annotations
    made = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": draft.family,
    }
    if draft.endpoints:
        made["endpoints"] = draft.endpoints
    if draft.ports:
        made["ports"] = draft.ports
    return made
