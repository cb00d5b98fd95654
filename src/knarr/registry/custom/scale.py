"""The scale subresource of custom resources: a Scale made of the fields that the definition names."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.kind import NAME, Column, Kind
from knarr.meta import errors, times
from knarr.meta.managed import ScaleEntries
from knarr.registry import patch
from knarr.registry.context import Request
from knarr.registry.create import place
from knarr.registry.custom import scalepaths
from knarr.registry.custom.columns import AGE_DATE
from knarr.registry.custom.views import Definition
from knarr.registry.operations import Operations, read_write_options
from knarr.registry.result import Result
from knarr.registry.storage import View
from knarr.registry.subresources.scaleadmission import ScaleAdmission
from knarr.registry.update import NO_RULES, Rules, Write, update

Object = dict[str, Any]


class _ScaleKind(Kind):
    """How the Scale of a custom object looks as a table."""

    columns = (
        NAME,
        Column("Desired", "integer", "", "Number of desired replicas"),
        Column("Available", "integer", "", "Number of actual replicas"),
        AGE_DATE,
    )

    def cells(self, obj: Object, now: float) -> list[Any]:
        age = times.age(obj["metadata"].get("creationTimestamp"), now)
        return [obj["metadata"]["name"], obj["spec"].get("replicas", 0), obj["status"]["replicas"], age]


SCALE = _ScaleKind()


def register(operations: Operations, definition: Definition) -> None:
    """Serve the scale of every version that has one."""
    paths = {
        definition.api_version(v["name"]): scale_of(v) for v in definition.versions if scale_of(v) is not None
    }
    if not paths:
        return

    async def serve(request: Request, view: View, body: bytes, content_type: str) -> Result:
        return await _Scaling(operations, request, view, paths).serve(body, content_type)

    operations.registry.handlers[definition.group, definition.plural, "scale"] = serve


def scale_of(version: Object) -> Object | None:
    return (version.get("subresources") or {}).get("scale")


def to_scale(obj: Object, paths: Object) -> Object:
    """The Scale of an object. Raises 500 where the number of replicas is not there or is none."""
    scale = _scale(obj, paths)
    if "replicas" not in scale["spec"]:
        raise errors.internal(f'the spec replicas field "{paths["specReplicasPath"]}" does not exist')
    return scale


def _scale(obj: Object, paths: Object) -> Object:
    metadata = obj["metadata"]
    try:
        wanted = scalepaths.integer(obj, paths["specReplicasPath"])
        there = scalepaths.integer(obj, paths["statusReplicasPath"])
        selector = (
            scalepaths.text(obj, paths["labelSelectorPath"]) if paths.get("labelSelectorPath") else None
        )
    except ValueError as error:
        raise errors.internal(str(error)) from None
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": there or 0}
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {} if wanted is None else {"replicas": wanted},
        "status": status,
    }


class _Scaling:
    """One request to the scale subresource of a custom object."""

    def __init__(
        self, operations: Operations, request: Request, view: View, paths: dict[str, Object | None]
    ) -> None:
        self.operations, self.request, self.view = operations, request, view
        own = paths[view.row.api_version]
        assert own is not None
        self.paths, self.all_paths = own, paths
        self.scales = operations.registry.open_request_view("autoscaling", "v1", "Scale", view)
        self.scales.kind = SCALE
        self.clock = view.storage.world.clock

    async def serve(self, body: bytes, content_type: str) -> Result:
        request, view = self.request, self.view
        if request.verb == "get":
            return self._result(await self.operations.get(request, view))
        if request.verb == "patch":
            patch.check_content_type(content_type, True)
        is_apply = content_type == patch.APPLY
        read_write_options(request, view, is_apply)
        if request.verb == "update":
            wanted = self.operations.sent(request, self.scales, body, content_type)
            patch.check_name(request, wanted)

            async def make(scale: Object) -> Object:
                return orjson.loads(orjson.dumps(wanted))
        else:
            make = patch.transform(self.scales, request, content_type, body, self.operations.decoder)  # type: ignore[assignment]

        async def transform(live: Object | None) -> Object:
            if live is None:
                raise errors.not_found(view.row.group, view.row.name, request.name)
            return await self._scaled(live, make, is_apply)

        kind = view.storage.kind
        rules = Rules(kind.prepare_for_update, kind.validate_update, NO_RULES.warnings)
        write = Write(applied=True, rules=rules, uid_is_precondition=request.verb == "update")
        admission = ScaleAdmission(
            self.operations.registry.admission, lambda obj: _scale(obj, self.paths), self._replicate
        )
        result = await update(view, request, transform, admission, write)
        return self._result(result)

    async def _scaled(self, live: Object, make: Any, is_apply: bool) -> Object:
        """The live object with the new number of replicas, and with the owners of that field moved along."""
        api_version = self.view.row.api_version
        places = {
            v: tuple(scalepaths.parts_of(p["specReplicasPath"])) for v, p in self.all_paths.items() if p
        }
        entries = ScaleEntries(live["metadata"].get("managedFields"), api_version, places)
        before = to_scale(live, self.paths) if self.request.verb != "update" else _scale(live, self.paths)
        if owned := entries.to_scale():
            before["metadata"]["managedFields"] = owned
        scale = await make(before)
        place(self.scales, self.request, scale)
        if not is_apply:
            now = times.format(self.clock.now())
            self.scales.fields.update(before, scale, self.request.field_manager, "scale", now)
        new = orjson.loads(orjson.dumps(live))
        self._replicate(new, scale)
        metadata = scale.get("metadata") or {}
        new["metadata"]["managedFields"] = entries.to_parent(metadata.get("managedFields"))
        for field in ("resourceVersion", "uid"):
            if metadata.get(field):
                new["metadata"][field] = metadata[field]
            elif field == "resourceVersion" and self.request.verb == "update":
                new["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return new

    def _replicate(self, obj: Object, scale: Object) -> None:
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        scalepaths.put(obj, self.paths["specReplicasPath"], replicas)

    def _result(self, result: Result) -> Result:
        scale = to_scale(orjson.loads(result.body), self.paths)
        return Result(orjson.dumps(scale), result.code, self.scales)
