"""Built-in kinds that are served in two versions or groups and stored in one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from knarr.api.resources import Resource
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
