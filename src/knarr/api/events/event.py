"""Event of events.k8s.io: the same stored object as the core Event, under other names."""

from __future__ import annotations

from typing import Any

from knarr.api.core import event as core
from knarr.api.kind import Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError

#: events.k8s.io name, core name
RENAMED = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)
_TO_CORE = dict(RENAMED)
_TO_EVENTS = {core_name: name for name, core_name in RENAMED}


class Event(core.Event):
    field_aliases = {
        **{f"regarding.{name}": f"involvedObject.{name}" for name, _, _ in core.REFERENCE},
        "reportingController": "reportingComponent",
    }
    validate_name = staticmethod(names.is_dns1123_subdomain)

    def default(self, obj: Object) -> None:
        for key in ("regarding", "deprecatedSource"):
            obj.setdefault(key, {})
        for key in ("eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
            obj.setdefault(key, None)

    def validate(self, obj: Object) -> list[FieldError]:
        return core.validate_create(to_core(obj), new_api=True)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return core.validate_update(to_core(obj), to_core(old), new_api=True)

    def fields(self, obj: Object) -> dict[str, str]:
        about, source = obj.get("regarding") or {}, obj.get("deprecatedSource") or {}
        fields = {f"regarding.{name}": about.get(name, "") for name, _, _ in core.REFERENCE}
        reporter = obj.get("reportingController", "")
        fields["reason"] = obj.get("reason", "")
        fields["reportingController"] = source.get("component") or reporter
        fields["type"] = obj.get("type", "")
        return fields

    def cells(self, obj: Object, now: float) -> list[Any]:
        return super().cells(to_core(obj), now)

    @staticmethod
    def to_storage(obj: Object) -> Object:
        return to_core(obj)

    @staticmethod
    def from_storage(obj: Object) -> Object:
        return from_core(obj)


def to_core(event: Object) -> Object:
    """A core Event that shares what it can with `event`; one that is a core Event already comes back as it is."""
    if event.get("apiVersion") == "v1":
        return event
    core_event = {_TO_CORE.get(key, key): value for key, value in event.items()}
    core_event["apiVersion"] = "v1"
    core_event.setdefault("reportingComponent", "")
    core_event.setdefault("reportingInstance", "")
    return core_event


def from_core(event: Object) -> Object:
    """The events.k8s.io view of a core Event, fields that it leaves out when empty left out."""
    if event.get("apiVersion") == "events.k8s.io/v1":
        return event
    view = {_TO_EVENTS.get(key, key): value for key, value in event.items()}
    view["apiVersion"] = "events.k8s.io/v1"
    for key in ("reportingController", "reportingInstance"):
        if not view.get(key):
            view.pop(key, None)
    return view
