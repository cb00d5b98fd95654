"""The scale subresource of workloads: replicas behind one small object of autoscaling/v1."""

from __future__ import annotations

import orjson

from knarr.api.apps import scale as mapping
from knarr.meta import errors
from knarr.registry import patch
from knarr.registry.context import Request
from knarr.registry.operations import Operations, read_write_options
from knarr.registry.result import Result
from knarr.registry.storage import Object, View
from knarr.registry.update import Rules, Write, update

SCALED = (
    ("", "replicationcontrollers"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
)


def register(operations: Operations) -> None:
    async def scale(request: Request, view: View, body: bytes, content_type: str) -> Result:
        return await _serve(operations, request, view, body, content_type)

    for group, resource in SCALED:
        operations.registry.handlers[group, resource, "scale"] = scale


async def _serve(
    operations: Operations, request: Request, view: View, body: bytes, content_type: str
) -> Result:
    scales = scale_view(operations, view)
    if request.verb == "get":
        found = await operations.get(request, view)
        return Result(orjson.dumps(mapping.to_scale(orjson.loads(found.body))), 200, scales)
    is_apply = content_type == patch.APPLY
    read_write_options(request, view, is_apply)
    if request.verb == "update":
        wanted = operations.decoder.body(scales, request, body, content_type)
        patch.check_name(request, wanted)

        async def put(live: Object | None) -> Object:
            return _scaled(view, request, live, wanted)

        transform = put
    else:
        change = patch.transform(scales, request, content_type, body, operations.decoder)

        async def patched(live: Object | None) -> Object:
            if live is None:
                raise errors.not_found(view.row.group, view.row.name, request.name)
            return _scaled(view, request, live, await change(mapping.to_scale(live)))

        transform = patched
    kind = view.storage.kind
    rules = Rules(kind.prepare_for_update, kind.validate_update, lambda new, old: [])
    write = Write(rules=rules, uid_is_precondition=request.verb == "update")
    result = await update(view, request, transform, operations.registry.admission, write)
    return Result(orjson.dumps(mapping.to_scale(orjson.loads(result.body))), result.code, scales)


def _scaled(view: View, request: Request, live: Object | None, scale: Object) -> Object:
    if live is None:
        raise errors.not_found(view.row.group, view.row.name, request.name)
    if found := mapping.validate(scale):
        raise errors.invalid("autoscaling", "Scale", request.name, found)
    new = orjson.loads(orjson.dumps(live))
    mapping.apply_scale(new, scale)
    if version := (scale.get("metadata") or {}).get("resourceVersion"):
        new["metadata"]["resourceVersion"] = version
    if uid := (scale.get("metadata") or {}).get("uid"):
        new["metadata"]["uid"] = uid
    return new


def scale_view(operations: Operations, view: View) -> View:
    """A view whose bodies are Scale objects, over the same storage."""
    known = view.extra.get("scale")
    if known is None:
        row = view.row._replace(group="autoscaling", version="v1", kind="Scale")
        from knarr.api import schema
        from knarr.meta.managed import FieldManager, schema_of

        definition = schema.definition_of("autoscaling", "v1", "Scale")
        fields = FieldManager(schema_of(schema.definitions(), definition), "autoscaling/v1", lambda sub: ())
        from knarr.api.kind import Kind

        known = view.extra["scale"] = View(row, Kind(), view.storage, definition, fields)
    return known
