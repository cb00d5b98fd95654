"""The options of a request: read from its query (or body) and checked in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knarr.meta import errors, fielderrors, fields, labels, objectmeta
from knarr.meta.fielderrors import FieldError
from knarr.meta.strconv import parse_int64

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False", ""})
DRY_RUN = ("All",)
WITH_CONTINUE = "resourceVersionMatch is forbidden when continue is provided"
FIELD_VALIDATION = ("", "Ignore", "Strict", "Warn")


@dataclass(slots=True)
class ListOptions:
    """Options of list, watch and deletecollection."""

    label_selector: labels.Selector | None = None
    field_selector: fields.FieldSelector | None = None
    resource_version: str = ""
    resource_version_match: str = ""
    limit: int = 0
    continue_: str = ""
    watch: bool = False
    allow_watch_bookmarks: bool = False
    send_initial_events: bool | None = None
    timeout_seconds: int | None = None


@dataclass(slots=True)
class DeleteOptions:
    """Options of delete and deletecollection; a body wins over the query, as a whole."""

    grace_period_seconds: int | None = None
    propagation_policy: str = ""
    orphan_dependents: bool | None = None
    #: preconditions; an empty one is met by nothing
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False
    raw: dict[str, Any] = field(default_factory=dict)


def parse_bool(query: Mapping[str, str], name: str) -> bool:
    """A boolean query parameter; anything that is not false is true, as Kubernetes' conversion has it."""
    value = query.get(name)
    return False if value is None else value.lower() not in ("false", "0")


def parse_int(query: Mapping[str, str], name: str) -> int | None:
    """A number in the query; None where it is not there. Raises 400."""
    value = query.get(name)
    try:
        return None if value is None else parse_int64(value)
    except ValueError as error:
        raise errors.bad_request(str(error)) from None


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Raises 400 for what cannot be read and 422 for combinations that make no sense."""
    options = ListOptions()
    if not query:
        return options
    # Numbers are read before selectors are: of several faults that decides which is told.
    options.timeout_seconds = parse_int(query, "timeoutSeconds")
    options.limit = parse_int(query, "limit") or 0
    if text := query.get("labelSelector"):
        options.label_selector = _selector(labels.parse, text)
    if text := query.get("fieldSelector"):
        options.field_selector = _selector(fields.parse, text)
    options.resource_version = query.get("resourceVersion", "")
    options.resource_version_match = query.get("resourceVersionMatch", "")
    options.continue_ = query.get("continue", "")
    options.watch = parse_bool(query, "watch")
    options.allow_watch_bookmarks = parse_bool(query, "allowWatchBookmarks")
    if "sendInitialEvents" in query:
        options.send_initial_events = parse_bool(query, "sendInitialEvents")
    if options.watch:
        _default_watch(options)
    if found := _check_list(options):
        raise errors.invalid("meta.k8s.io", "ListOptions", "", found)
    return options


def _selector(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise errors.bad_request(str(error)) from None


def _default_watch(o: ListOptions) -> None:
    """A watch from no version, or from any, begins with the present state, as it always did; who asks for bookmarks
    is now told where that ends."""
    if o.send_initial_events is None and not o.resource_version_match and o.resource_version in ("", "0"):
        o.send_initial_events, o.resource_version_match = True, "NotOlderThan"


def _check_list(o: ListOptions) -> list[FieldError]:
    found: list[FieldError] = []
    match, version = o.resource_version_match, o.resource_version
    if o.watch:
        return _check_watch(o)
    if match:
        if not version:
            found.append(
                fielderrors.forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                )
            )
        if o.continue_:
            found.append(fielderrors.forbidden("resourceVersionMatch", WITH_CONTINUE))
        if match not in ("Exact", "NotOlderThan"):
            found.append(
                fielderrors.not_supported("resourceVersionMatch", match, ("Exact", "NotOlderThan", ""))
            )
        if match == "Exact" and version == "0":
            found.append(
                fielderrors.forbidden(
                    "resourceVersionMatch",
                    'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
                )
            )
    if o.send_initial_events is not None:
        found.append(fielderrors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return found


def _check_watch(o: ListOptions) -> list[FieldError]:
    found: list[FieldError] = []
    match = o.resource_version_match
    if o.send_initial_events is not None and match != "NotOlderThan":
        found.append(
            fielderrors.forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )
        )
    if match:
        if o.send_initial_events is None:
            found.append(
                fielderrors.forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                )
            )
        if match != "NotOlderThan":
            found.append(fielderrors.not_supported("resourceVersionMatch", match, ("NotOlderThan",)))
        if o.continue_:
            found.append(fielderrors.forbidden("resourceVersionMatch", WITH_CONTINUE))
    return found


def check_write(query: Mapping[str, str], verb: str, is_apply: bool = False) -> list[FieldError]:
    """What is wrong with the CreateOptions, UpdateOptions or PatchOptions of a query."""
    found: list[FieldError] = []
    if verb == "patch" and not is_apply and "force" in query:
        found.append(fielderrors.forbidden("force", "may not be specified for non-apply patch"))
    found.extend(check_manager(query.get("fieldManager", ""), is_apply))
    dry_run = query.get("dryRun")
    if dry_run is not None and dry_run not in DRY_RUN:
        found.append(fielderrors.not_supported("dryRun", [dry_run], DRY_RUN))
    validation = query.get("fieldValidation", "")
    if validation and validation not in FIELD_VALIDATION:
        found.append(fielderrors.not_supported("fieldValidation", validation, FIELD_VALIDATION))
    return found


def check_manager(manager: str, required: bool = False) -> list[FieldError]:
    if required and not manager:
        return [fielderrors.required("fieldManager", "is required for apply patch")]
    return objectmeta.validate_field_manager(manager)


def delete_options(query: Mapping[str, str], body: dict[str, Any] | None) -> DeleteOptions:
    """From the body where there is one, else from the query. Raises 422 for values that make no sense."""
    raw = dict(body or {})
    if body is None:
        if (seconds := parse_int(query, "gracePeriodSeconds")) is not None:
            raw["gracePeriodSeconds"] = seconds
        if "propagationPolicy" in query:
            raw["propagationPolicy"] = query["propagationPolicy"]
        if "orphanDependents" in query:
            raw["orphanDependents"] = parse_bool(query, "orphanDependents")
        if "dryRun" in query:
            raw["dryRun"] = [query["dryRun"]]
    raw = {**raw, "kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    preconditions = raw.get("preconditions") or {}
    options = DeleteOptions(
        grace_period_seconds=raw.get("gracePeriodSeconds"),
        propagation_policy=raw.get("propagationPolicy") or "",
        orphan_dependents=raw.get("orphanDependents"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=bool(raw.get("dryRun")),
        raw=raw,
    )
    if found := _check_delete(options, raw):
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", found)
    return options


def _check_delete(o: DeleteOptions, raw: dict[str, Any]) -> list[FieldError]:
    found: list[FieldError] = []
    policy = raw.get("propagationPolicy")
    if o.orphan_dependents is not None and policy is not None:
        found.append(
            fielderrors.invalid(
                "propagationPolicy",
                policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if policy not in (None, "Foreground", "Background", "Orphan"):
        found.append(
            fielderrors.not_supported(
                "propagationPolicy", policy, ("Foreground", "Background", "Orphan", "nil")
            )
        )
    values = raw.get("dryRun") or []
    if any(value not in DRY_RUN for value in values):
        found.append(fielderrors.not_supported("dryRun", values, DRY_RUN))
    return found
