"""Event, as the core group serves it; events.k8s.io (api/events/event.py) is another view of the same object."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.meta import names, times
from knarr.meta.fielderrors import FieldError, invalid, required

LENGTHS_MAX = (("reportingInstance", 128), ("action", 128), ("reason", 128))
NOTE_MAX = 1024
TYPES = ("Normal", "Warning")
#: objects without a namespace have their events here
DEFAULT_NAMESPACE = "default"
REFERENCE: gostruct.Shape = (
    ("kind", "Kind", ""),
    ("namespace", "Namespace", ""),
    ("name", "Name", ""),
    ("uid", "UID", ""),
    ("apiVersion", "APIVersion", ""),
    ("resourceVersion", "ResourceVersion", ""),
    ("fieldPath", "FieldPath", ""),
)
SOURCE = gostruct.strings("component", "host")


class Event(Kind):
    # only events.k8s.io asks for more
    validate_name = staticmethod(names.path_segment_name)
    allow_create_on_update = True
    columns = (
        Column("Last Seen", doc="core.v1.Event.lastTimestamp"),
        Column("Type", doc="core.v1.Event.type"),
        Column("Reason", doc="core.v1.Event.reason"),
        Column("Object", doc="core.v1.Event.involvedObject"),
        Column("Subobject", doc="core.v1.ObjectReference.fieldPath", priority=1),
        Column("Source", doc="core.v1.Event.source", priority=1),
        Column("Message", doc="core.v1.Event.message"),
        Column("First Seen", doc="core.v1.Event.firstTimestamp", priority=1),
        Column("Count", doc="core.v1.Event.count", priority=1),
        NAME._replace(priority=1, format="name"),
    )

    def default(self, obj: Object) -> None:
        for key in ("involvedObject", "source"):
            obj.setdefault(key, {})
        for key in ("firstTimestamp", "lastTimestamp", "eventTime"):
            obj.setdefault(key, None)
        obj.setdefault("reportingComponent", "")
        obj.setdefault("reportingInstance", "")

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_create(obj, new_api=False)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_update(obj, old, new_api=False)

    def fields(self, obj: Object) -> dict[str, str]:
        about, source = obj.get("involvedObject") or {}, obj.get("source") or {}
        fields = {f"involvedObject.{name}": about.get(name, "") for name, _, _ in REFERENCE}
        reporter = obj.get("reportingComponent", "")
        fields["reason"] = obj.get("reason", "")
        fields["reportingComponent"] = reporter
        fields["source"] = source.get("component") or reporter
        fields["type"] = obj.get("type", "")
        return fields

    def cells(self, obj: Object, now: float) -> list[Any]:
        about = obj.get("involvedObject") or {}
        first, last, count = _occurrences(obj, now)
        kind = about.get("kind", "").lower()
        return [
            last,
            obj.get("type", ""),
            obj.get("reason", ""),
            f"{kind}/{about['name']}" if about.get("name") else kind,
            about.get("fieldPath", ""),
            _source(obj),
            obj.get("message", "").strip(),
            first,
            count,
            obj["metadata"]["name"],
        ]


def _occurrences(event: Object, now: float) -> tuple[str, str, int]:
    """First seen, last seen and how often, from whichever fields the reporter filled in."""
    first = times.age(event.get("firstTimestamp") or event.get("eventTime"), now)
    if series := event.get("series"):
        return first, times.age(series.get("lastObservedTime"), now), series.get("count", 0)
    last = times.age(event["lastTimestamp"], now) if event.get("lastTimestamp") else first
    return first, last, event.get("count") or 1


def _source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else component


# validation; `new_api`: the request came through events.k8s.io


def validate_create(event: Object, new_api: bool) -> list[FieldError]:
    """`event` in the core form, whichever API it came through."""
    errors = _legacy_errors(event, new_api)
    if not new_api:
        return errors
    errors += _series_errors(event.get("series"))
    if not event.get("eventTime"):
        errors.append(required("eventTime"))
    if event.get("type") not in TYPES:
        # Kubernetes shows no value here
        errors.append(invalid("type", "", f"has invalid value: {event.get('type', '')}"))
    unset = [key for key in ("firstTimestamp", "lastTimestamp", "count") if event.get(key)]
    if any((event.get("source") or {}).values()):
        unset.append("source")
    return errors + [invalid(key, "", "needs to be unset") for key in unset]


def validate_update(event: Object, old: Object, new_api: bool) -> list[FieldError]:
    errors = _legacy_errors(event, new_api)
    if not new_api:
        return errors
    if event.get("series") != old.get("series"):
        errors += _series_errors(event.get("series"))
    for key, zero in UNCHANGEABLE:
        new, before = event.get(key) or zero, old.get(key) or zero
        if new != before:
            if key in ("involvedObject", "related") and new is not None:
                new = gostruct.dump(new, REFERENCE)
            elif key == "source":
                new = gostruct.dump(new, SOURCE)
            path = "reportingController" if key == "reportingComponent" else key
            errors.append(invalid(path, new, checks.IMMUTABLE))
    return errors


#: what events.k8s.io lets nobody change, with the zero value of each; Kubernetes checks reason twice
UNCHANGEABLE: tuple[tuple[str, Any], ...] = (
    ("involvedObject", {}),
    ("reason", ""),
    ("message", ""),
    ("source", {}),
    ("firstTimestamp", None),
    ("lastTimestamp", None),
    ("count", 0),
    ("reason", ""),
    ("type", ""),
    ("eventTime", None),
    ("action", ""),
    ("related", None),
    ("reportingComponent", ""),
    ("reportingInstance", ""),
)


def _series_errors(series: Object | None) -> list[FieldError]:
    if series is None:
        return []
    errors = []
    if series.get("count", 0) < 2:
        errors.append(invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(required("series.lastObservedTime"))
    return errors


def _legacy_errors(event: Object, new_api: bool) -> list[FieldError]:
    """Event and object share a namespace; an event with eventTime must have the other new fields too."""
    namespace = event["metadata"].get("namespace", "")
    about = (event.get("involvedObject") or {}).get("namespace", "")
    path, message = "involvedObject.namespace", "does not match event.namespace"
    errors: list[FieldError] = []
    if not event.get("eventTime"):
        if about != namespace and (about or namespace != DEFAULT_NAMESPACE):
            errors.append(invalid(path, about, message))
    else:
        if not about and namespace not in (DEFAULT_NAMESPACE, "kube-system"):
            errors.append(invalid(path, about, message))
        errors += _new_fields_errors(event, "reportingController" if new_api else "reportingComponent")
    return errors


def _new_fields_errors(event: Object, reporter_path: str) -> list[FieldError]:
    reporter = event.get("reportingComponent", "")
    errors = checks.required_text(reporter_path, reporter)
    errors += checks.qualified_name(reporter_path, reporter)
    for key, maximum in LENGTHS_MAX:
        text = event.get(key, "")
        if not text:
            errors.append(required(key))
        if names.byte_length(text) > maximum:
            errors.append(invalid(key, "", f"can have at most {maximum} characters"))
    if names.byte_length(event.get("message", "")) > NOTE_MAX:
        errors.append(invalid("message", "", f"can have at most {NOTE_MAX} characters"))
    return errors
