"""Creating and deleting pods for an owner, and telling of it in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.client.client import Client, is_conflict, is_not_found, namespace_terminating
from knarr.client.codec import built_in
from knarr.client.events import EventRecorder
from knarr.client.objects import controller_ref, meta_of
from knarr.meta import names
from knarr.meta.errors import StatusError

POD = built_in("v1", "Pod")


class _Named(msgspec.Struct, gc=False):
    name: str


class _Created(msgspec.Struct, gc=False):
    """All that is read of the answer to a creation: the informer brings the rest."""

    metadata: _Named


_created = msgspec.json.Decoder(_Created)


def pod_prefix(owner_name: str) -> str:
    """For generateName: with a dash, unless the result could not be a pod's name."""
    prefix = f"{owner_name}-"
    return prefix if not names.is_dns1123_subdomain(prefix + "x") else owner_name


def pod_from_template(owner: Any, template: Any, **metadata: Any) -> dict[str, Any]:
    """A pod in wire form as the template (a Struct, or in wire form) says, controlled by `owner`; more metadata by
    name (`name`, `labels`...)."""
    wire = template if type(template) is dict else scheme().to_dict(template)
    own = wire.get("metadata") or {}
    meta = {"generateName": pod_prefix(meta_of(owner, "name")), "namespace": meta_of(owner, "namespace")}
    meta |= {field: own[field] for field in ("labels", "annotations", "finalizers") if field in own}
    meta["ownerReferences"] = [controller_ref(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta | metadata, "spec": wire["spec"]}


class PodControl:
    """The pods of one controller's owners."""

    def __init__(self, client: Client, events: EventRecorder) -> None:
        self._client = client
        self._events = events

    async def create(self, owner: Any, pod: Mapping[str, Any] | bytes) -> str:
        """Create a pod (a dict, or its JSON where many are the same); its name. Raises StatusError.

        The owner's events tell of success and of failure, except in a namespace that is going away.
        """
        namespace = meta_of(owner, "namespace")
        body = pod if isinstance(pod, bytes) else msgspec.json.encode(pod)
        query = {"fieldManager": self._client.manager}
        try:
            answer = await self._client.transport.request("create", POD, namespace, query=query, body=body)
        except StatusError as error:
            if not namespace_terminating(error):
                self._events.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        name = _created.decode(answer).metadata.name
        self._events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return name

    async def delete(self, owner: Any, pod: Any) -> None:
        """Delete this very pod. Raises StatusError, NotFound where it is gone or was replaced."""
        name, namespace = pod.metadata.name, pod.metadata.namespace
        try:
            await self._client.delete(core_v1.Pod, name, namespace, uid=pod.metadata.uid)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                self._events.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self._events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")


def is_gone(error: BaseException) -> bool:
    """A deletion failed because there was nothing to delete any more."""
    return isinstance(error, Exception) and (is_not_found(error) or is_conflict(error))
