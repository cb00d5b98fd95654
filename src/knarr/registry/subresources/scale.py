"""The scale subresource of workloads: replicas behind one small object of autoscaling/v1."""

from __future__ import annotations

import orjson

from knarr.api.apps import scale as mapping
from knarr.api.kind import Kind
from knarr.meta import errors, times
from knarr.meta.managed import ScaleEntries
from knarr.registry import patch
from knarr.registry.context import Request
from knarr.registry.create import place
from knarr.registry.operations import Operations, read_write_options
from knarr.registry.result import Result
from knarr.registry.storage import Object, View
from knarr.registry.subresources.scaleadmission import ScaleAdmission
from knarr.registry.update import Rules, Write, update

SCALED = (
    ("", "replicationcontrollers"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
)
REPLICAS = ("spec", "replicas")


class ScaleKind(Kind):
    """How a Scale looks as a table."""

    columns = mapping.COLUMNS
    cells = staticmethod(mapping.cells)


def register(operations: Operations) -> None:
    async def scale(request: Request, view: View, body: bytes, content_type: str) -> Result:
        return await Scaling(operations, request, view).serve(body, content_type)

    for group, resource in SCALED:
        operations.registry.handlers[group, resource, "scale"] = scale


class Scaling:
    """One request to a scale subresource."""

    def __init__(self, operations: Operations, request: Request, view: View) -> None:
        self.operations, self.request, self.view = operations, request, view
        self.scales = operations.registry.open_request_view("autoscaling", "v1", "Scale", view)
        self.scales.kind = SCALE
        self.clock = view.storage.world.clock

    async def serve(self, body: bytes, content_type: str) -> Result:
        request, view = self.request, self.view
        if request.verb == "get":
            found = await self.operations.get(request, view)
            return self._result(found)
        if request.verb == "patch":
            patch.check_content_type(content_type, view.custom)
        is_apply = content_type == patch.APPLY
        read_write_options(request, view, is_apply)
        if request.verb == "update":
            wanted = self.operations.sent(request, self.scales, body, content_type)
            patch.check_name(request, wanted)

            async def make(scale: Object) -> Object:
                return orjson.loads(orjson.dumps(wanted))
        else:
            change = patch.transform(self.scales, request, content_type, body, self.operations.decoder)

            async def make(scale: Object) -> Object:
                return await change(scale)

        async def transform(live: Object | None) -> Object:
            if live is None:
                raise errors.not_found(view.row.group, view.row.name, request.name)
            return await self._scaled(live, make, is_apply)

        kind = view.storage.kind
        rules = Rules(kind.prepare_for_update, kind.validate_update, kind.warnings_on_update)
        write = Write(applied=True, rules=rules, uid_is_precondition=request.verb == "update")
        admission = ScaleAdmission(self.operations.registry.admission, mapping.to_scale, mapping.apply_scale)
        result = await update(view, request, transform, admission, write)
        return self._result(result)

    async def _scaled(self, live: Object, make, is_apply: bool) -> Object:
        """The live object with the new number of replicas, and with the owners of that field moved along."""
        row = self.view.row
        entries = ScaleEntries(
            live["metadata"].get("managedFields"), row.api_version, {row.api_version: REPLICAS}
        )
        before = mapping.to_scale(live)
        if owned := entries.to_scale():
            before["metadata"]["managedFields"] = owned
        scale = await make(before)
        place(self.scales, self.request, scale)
        if not is_apply:
            now = times.format(self.clock.now())
            self.scales.fields.update(before, scale, self.request.field_manager, "scale", now)
        if found := mapping.validate(scale):
            raise errors.invalid("autoscaling", "Scale", self.request.name, found)
        new = orjson.loads(orjson.dumps(live))
        mapping.apply_scale(new, scale)
        metadata = scale.get("metadata") or {}
        new["metadata"]["managedFields"] = entries.to_parent(metadata.get("managedFields"))
        for field in ("resourceVersion", "uid"):
            if metadata.get(field):
                new["metadata"][field] = metadata[field]
            elif field == "resourceVersion":
                new["metadata"].pop(field, None)
        return new

    def _result(self, result: Result) -> Result:
        return Result(orjson.dumps(mapping.to_scale(orjson.loads(result.body))), result.code, self.scales)


SCALE = ScaleKind()
