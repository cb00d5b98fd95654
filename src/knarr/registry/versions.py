"""Built-in kinds that are served in two versions or groups and stored in one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from knarr.api import catalog, schema
from knarr.api.resources import Resource
from knarr.meta.managed import Converter, TypeSchema, schema_of
from knarr.registry.storage import Object

GVR = tuple[str, str, str]

STORED_AS: dict[GVR, GVR] = {
    ("autoscaling", "v1", "horizontalpodautoscalers"): ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("events.k8s.io", "v1", "events"): ("", "v1", "events"),
}
#: module, functions to and from the stored version
CONVERTERS: dict[GVR, tuple[str, str, str]] = {
    ("autoscaling", "v1", "horizontalpodautoscalers"): (
        "knarr.api.autoscaling.conversion",
        "v1_to_v2",
        "v2_to_v1",
    ),
    ("events.k8s.io", "v1", "events"): ("knarr.api.events.event", "to_core", "from_core"),
}


def converters(row: Resource) -> tuple[Callable[[Object], Object], Callable[[Object], Object]]:
    """(to the stored version, to the served one); imported when such a resource is first used."""
    module, to_stored, to_served = CONVERTERS[row.group, row.version, row.name]
    loaded = import_module(module)
    return getattr(loaded, to_stored), getattr(loaded, to_served)


def field_converter(row: Resource) -> Converter | None:
    """For `FieldManager`: an object of this resource in the other version; None where there is but one."""
    gvr = (row.group, row.version, row.name)
    stored = STORED_AS.get(gvr, gvr)
    versions = {catalog.BY_GVR[g].api_version: catalog.BY_GVR[g] for g in (stored, *_served_from(stored))}
    if len(versions) == 1:
        return None
    at_rest = catalog.BY_GVR[stored].api_version

    def convert(obj: Object, api_version: str) -> tuple[TypeSchema, Object] | None:
        target = versions.get(api_version)
        if target is None:
            return None
        now = obj.get("apiVersion", row.api_version)
        if now != api_version:
            if now != at_rest:
                obj = converters(versions[now])[0](obj)
            if api_version != at_rest:
                obj = converters(target)[1](obj)
        definition = schema.definition_of(target.group, target.version, target.kind)
        return schema_of(schema.definitions(), definition), obj

    return convert


def _served_from(stored: GVR) -> list[GVR]:
    return [gvr for gvr, at in STORED_AS.items() if at == stored]
