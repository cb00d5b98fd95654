"""pods/binding (and the old `bindings`): put a pod on a node."""

from __future__ import annotations

import orjson

from knarr.api.conditions import put_condition
from knarr.api.core.binding import validate_target
from knarr.meta import errors, times
from knarr.meta.fielderrors import aggregate
from knarr.registry.context import Request
from knarr.registry.operations import Operations, read_write_options
from knarr.registry.result import Result, success_status
from knarr.registry.storage import Object, View
from knarr.registry.update import NO_RULES, Write, update


def register(operations: Operations) -> None:
    async def bind(request: Request, view: View, body: bytes, content_type: str) -> Result:
        return await _bind(operations, request, view, body, content_type)

    operations.registry.handlers["", "pods", "binding"] = bind
    operations.registry.handlers["", "bindings", ""] = bind


async def _bind(
    operations: Operations, request: Request, view: View, body: bytes, content_type: str
) -> Result:
    registry = operations.registry
    pods = registry.view("", "v1", "pods")
    assert pods is not None
    read_write_options(request, pods)
    bindings = registry.open_request_view("", "v1", "Binding", view)
    binding = operations.sent(request, bindings, body, content_type)
    metadata, target = binding["metadata"], binding["target"]
    name = request.name or metadata.get("name", "")
    if metadata.get("name", "") != name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    place = Request(**{slot: getattr(request, slot) for slot in Request.__slots__})
    place.resource, place.subresource, place.name = "pods", "binding", name
    review = registry.admission.open(request, "CREATE", ("", "v1", "Binding"), binding, None, request.options)
    if review is not None:
        await review.admit()
        metadata, target = binding["metadata"], binding["target"]
    if found := validate_target(target):
        # Kubernetes returns the bare list of findings here, which its handler takes for an internal error.
        raise errors.StatusError(errors.failure(500, "", aggregate(found)))
    if review is not None:
        await review.validate()
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    node = target["name"]

    async def assign(live: Object | None) -> Object:
        pod = dict(live or {})
        refuse(pod, name, metadata)
        now = times.format(registry.world.clock.now())
        pod["metadata"] = dict(pod["metadata"])
        _merge(pod["metadata"], "annotations", annotations)
        _merge(pod["metadata"], "labels", labels)
        pod["spec"] = {**pod["spec"], "nodeName": node}
        pod["status"] = {**(pod.get("status") or {})}
        # it has a place: it waits for none
        pod["status"].pop("nominatedNodeName", None)
        put_condition(pod["status"], scheduled(now))
        return pod

    # The pod's own fields are written by the API server here, not by the scheduler's update of them.
    await update(pods, place, assign, _Admitted(), Write(applied=True, rules=NO_RULES))
    return Result(orjson.dumps(success_status(201)), 201)


class _Admitted:
    """The binding was admitted as such; the pod's change is its effect."""

    def open(self, *_: object) -> None:
        return None


def _merge(metadata: Object, key: str, more: dict[str, str]) -> None:
    if more:
        metadata[key] = {**(metadata.get(key) or {}), **more}


def refuse(pod: Object, name: str, wanted: Object) -> None:
    """Raises 409 for a pod that cannot be bound (any more); `wanted` is the metadata that the binding expects."""
    metadata, spec = pod["metadata"], pod["spec"]
    for field, shown in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) and wanted[field] != metadata[field]:
            raise errors.conflict(
                "",
                "pods",
                name,
                f"StorageError: invalid object, Code: 4, Key: /registry/pods/{metadata.get('namespace', '')}/{name},"
                f" ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {shown} in precondition:"
                f" {wanted[field]}, {shown} in object meta: {metadata[field]}",
            )
    if "deletionTimestamp" in metadata:
        raise errors.conflict(
            "", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host"
        )
    if spec.get("nodeName"):
        raise errors.conflict(
            "", "pods/binding", name, f'pod {name} is already assigned to node "{spec["nodeName"]}"'
        )
    if spec.get("schedulingGates"):
        raise errors.conflict("", "pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")


def scheduled(now: str) -> Object:
    """The condition of a pod that has a node."""
    return {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
