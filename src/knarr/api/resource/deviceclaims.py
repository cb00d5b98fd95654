"""What a claim asks of devices: shared by claims and their templates."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct
from knarr.api.gostruct import Items, Pointer
from knarr.api.kind import Object
from knarr.api.resource import deviceconfigs, devicenames, devicerequests, deviceselectors, devicetaints
from knarr.api.resource.claimfacts import FIRST_AVAILABLE_MAX
from knarr.api.resource.devicerequests import Names
from knarr.meta.fielderrors import FieldError, invalid, required

MODES = ("All", "ExactCount")
REQUESTS_MAX = CONSTRAINTS_MAX = CONFIGS_MAX = 32
ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"
#: v1.36 says so of a constraint without any attribute, though nothing is set twice
ONE_ATTRIBUTE = (
    'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
)

TOLERATION: gostruct.Shape = (
    *gostruct.strings("key", "operator", "value", "effect"),
    ("tolerationSeconds", "TolerationSeconds", None),
)
_SELECTOR: gostruct.Shape = (("cel", "CEL", Pointer(gostruct.strings("expression"))),)
_EXACT: gostruct.Shape = (
    ("deviceClassName", "DeviceClassName", ""),
    ("selectors", "Selectors", Items(_SELECTOR)),
    ("allocationMode", "AllocationMode", ""),
    ("count", "Count", 0),
    ("adminAccess", "AdminAccess", None),
    ("tolerations", "Tolerations", Items(TOLERATION)),
    ("capacity", "Capacity", Pointer((("requests", "Requests", None),))),
)
_SUB: gostruct.Shape = (("name", "Name", ""), *(f for f in _EXACT if f[0] != "adminAccess"))
_REQUEST: gostruct.Shape = (
    ("name", "Name", ""),
    ("exactly", "Exactly", Pointer(_EXACT)),
    ("firstAvailable", "FirstAvailable", Items(_SUB)),
)
_CONSTRAINT: gostruct.Shape = (
    ("requests", "Requests", None),
    ("matchAttribute", "MatchAttribute", None),
    ("distinctAttribute", "DistinctAttribute", None),
)
OPAQUE: gostruct.Field = (
    "opaque",
    "Opaque",
    Pointer((("driver", "Driver", ""), ("parameters", "Parameters", None))),
)
_CONFIG: gostruct.Shape = (("requests", "Requests", None), OPAQUE)
#: a claim's spec as messages print it
SPEC: gostruct.Shape = (
    (
        "devices",
        "Devices",
        (
            ("requests", "Requests", Items(_REQUEST)),
            ("constraints", "Constraints", Items(_CONSTRAINT)),
            ("config", "Config", Items(_CONFIG)),
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
    known = devicerequests.names_of(devices)
    found = devicenames.distinct(
        devices.get("requests"), REQUESTS_MAX, _request_errors, devicenames.name_of, f"{where}.requests"
    )
    found += devicenames.items(
        devices.get("constraints"),
        CONSTRAINTS_MAX,
        lambda constraint, here: _constraint_errors(constraint, here, known),
        f"{where}.constraints",
    )
    return found + devicenames.items(
        devices.get("config"),
        CONFIGS_MAX,
        lambda config, here: config_errors(config, here, known),
        f"{where}.config",
    )


def _request_errors(request: Object, path: str) -> list[FieldError]:
    exactly, first = request.get("exactly"), request.get("firstAvailable") or []
    found = devicerequests.name_errors(request.get("name", ""), f"{path}.name")
    if exactly is None and not first:
        return [*found, required(path, ONE_OF)]
    if exactly is not None and first:
        return [*found, invalid(path, None, f"{ONE_OF}, but multiple fields are set")]
    if exactly is not None:
        return found + _wanted_errors(exactly, f"{path}.exactly")
    return found + devicenames.distinct(
        first, FIRST_AVAILABLE_MAX, _sub_errors, devicenames.name_of, f"{path}.firstAvailable"
    )


def _sub_errors(request: Object, path: str) -> list[FieldError]:
    found = devicerequests.name_errors(request.get("name", ""), f"{path}.name")
    return found + _wanted_errors(request, path)


def _wanted_errors(wanted: Object, path: str) -> list[FieldError]:
    name, mode, count = (
        wanted.get("deviceClassName", ""),
        wanted.get("allocationMode", ""),
        wanted.get("count", 0),
    )
    where = f"{path}.deviceClassName"
    found = checks.dns_subdomain(where, name) if name else [required(where)]
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
    return found + devicetaints.tolerations(wanted, path)


def _constraint_errors(constraint: Object, path: str, known: Names) -> list[FieldError]:
    found = references(constraint, path, known)
    for key in ("matchAttribute", "distinctAttribute"):
        if constraint.get(key) is not None:
            return found + devicenames.fully_qualified(constraint[key], f"{path}.{key}")
    return [*found, required(path, ONE_ATTRIBUTE)]


def references(item: Object, path: str, known: Names) -> list[FieldError]:
    """`requests` of a constraint or of configuration."""
    return devicenames.distinct(
        item.get("requests"),
        devicerequests.REFERENCES_MAX,
        lambda name, here: devicerequests.reference(known, name, here),
        devicenames.itself,
        f"{path}.requests",
    )


def config_errors(config: Object, path: str, known: Names) -> list[FieldError]:
    return references(config, path, known) + deviceconfigs.errors(config, path)


def immutable(path: str, spec: Any, old: Any, shape: gostruct.Shape = SPEC) -> list[FieldError]:
    if spec == old:
        return []
    return [invalid(path, gostruct.dump(spec, shape), checks.IMMUTABLE)]
