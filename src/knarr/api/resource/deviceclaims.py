"""What a claim asks of devices: shared by claims and their templates."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct
from knarr.api.gostruct import Items, Pointer
from knarr.api.kind import Object
from knarr.api.resource import deviceselectors
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required, too_many

MODES = ("All", "ExactCount")
REQUESTS_MAX = CONSTRAINTS_MAX = CONFIGS_MAX = 32
FIRST_AVAILABLE_MAX = 8
ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"

_EXACT: gostruct.Shape = (
    ("deviceClassName", "DeviceClassName", ""),
    ("selectors", "Selectors", None),
    ("allocationMode", "AllocationMode", ""),
    ("count", "Count", 0),
    ("adminAccess", "AdminAccess", None),
    ("tolerations", "Tolerations", None),
    ("capacity", "Capacity", None),
)
_SUB: gostruct.Shape = (("name", "Name", ""), *(f for f in _EXACT if f[0] != "adminAccess"))
_REQUEST: gostruct.Shape = (
    ("name", "Name", ""),
    ("exactly", "Exactly", Pointer(_EXACT)),
    ("firstAvailable", "FirstAvailable", Items(_SUB)),
)
#: a claim's spec as messages print it
SPEC: gostruct.Shape = (
    (
        "devices",
        "Devices",
        (
            ("requests", "Requests", Items(_REQUEST)),
            ("constraints", "Constraints", None),
            ("config", "Config", None),
        ),
    ),
)


def default(spec: Object) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        for wanted in [request.get("exactly"), *(request.get("firstAvailable") or ())]:
            if wanted is None:
                continue
            wanted["allocationMode"] = wanted.get("allocationMode") or "ExactCount"
            if wanted["allocationMode"] == "ExactCount" and not wanted.get("count"):
                wanted["count"] = 1
            for toleration in wanted.get("tolerations") or ():
                toleration["operator"] = toleration.get("operator") or "Equal"


def errors(spec: Object, path: str) -> list[FieldError]:
    """`path` is that of the claim's spec."""
    devices, where = spec.get("devices") or {}, f"{path}.devices"
    found: list[FieldError] = []
    requests = devices.get("requests") or ()
    if len(requests) > REQUESTS_MAX:
        found.append(too_many(f"{where}.requests", len(requests), REQUESTS_MAX))
    known: dict[str, None] = {}
    for i, request in enumerate(requests):
        here = f"{where}.requests[{i}]"
        found += _name_errors(request.get("name", ""), f"{here}.name")
        if request.get("name", "") in known:
            found.append(duplicate(here, request["name"]))
        known[request.get("name", "")] = None
        found += _request_errors(request, here)
    for i, constraint in enumerate(devices.get("constraints") or ()):
        found += _constraint_errors(constraint, f"{where}.constraints[{i}]", known)
    return found


def _name_errors(name: str, path: str) -> list[FieldError]:
    return checks.dns_label(path, name) if name else [required(path)]


def _request_errors(request: Object, path: str) -> list[FieldError]:
    exactly, first = request.get("exactly"), request.get("firstAvailable") or []
    if (exactly is None) == (not first):
        if exactly is None:
            return [required(path, ONE_OF)]
        return [
            invalid(
                path,
                None,
                "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
            )
        ]
    if exactly is not None:
        return _wanted_errors(exactly, f"{path}.exactly")
    found: list[FieldError] = []
    if len(first) > FIRST_AVAILABLE_MAX:
        found.append(too_many(f"{path}.firstAvailable", len(first), FIRST_AVAILABLE_MAX))
    seen: set[str] = set()
    for i, sub in enumerate(first):
        here = f"{path}.firstAvailable[{i}]"
        found += _name_errors(sub.get("name", ""), f"{here}.name")
        if sub.get("name", "") in seen:
            found.append(duplicate(here, sub["name"]))
        seen.add(sub.get("name", ""))
        found += _wanted_errors(sub, here)
    return found


def _wanted_errors(wanted: Object, path: str) -> list[FieldError]:
    name, mode, count = (
        wanted.get("deviceClassName", ""),
        wanted.get("allocationMode", ""),
        wanted.get("count", 0),
    )
    found: list[FieldError] = []
    if not name:
        found.append(required(f"{path}.deviceClassName"))
    else:
        found += checks.invalids(f"{path}.deviceClassName", name, names.is_dns1123_subdomain(name))
    found += deviceselectors.errors(wanted.get("selectors"), f"{path}.selectors")
    if mode == "All":
        if count:
            detail = "must not be specified when allocationMode is 'All'"
            found.append(invalid(f"{path}.count", count, detail))
    elif mode == "ExactCount":
        if count <= 0:
            found.append(invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        found += checks.one_of(f"{path}.allocationMode", mode, MODES)
    return found


def _constraint_errors(constraint: Object, path: str, known: dict[str, None]) -> list[FieldError]:
    found: list[FieldError] = []
    for i, name in enumerate(constraint.get("requests") or ()):
        if name.partition("/")[0] not in known:
            detail = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
            found.append(invalid(f"{path}.requests[{i}]", name, detail))
    attribute = constraint.get("matchAttribute")
    if attribute is None and constraint.get("distinctAttribute") is None:
        found.append(required(f"{path}.matchAttribute"))
    return found


def immutable(path: str, spec: Any, old: Any, shape: gostruct.Shape = SPEC) -> list[FieldError]:
    if spec == old:
        return []
    return [invalid(path, gostruct.dump(spec, shape), "field is immutable")]
