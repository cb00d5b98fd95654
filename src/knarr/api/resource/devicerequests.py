"""The names of a claim's requests, which its constraints, configuration and results refer to."""

from __future__ import annotations

from knarr.api import checks
from knarr.api.kind import Object
from knarr.meta.fielderrors import FieldError, invalid, required

REFERENCES_MAX = 32
_UNKNOWN = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)

#: request -> its subrequests
Names = dict[str, set[str]]


def names_of(devices: Object) -> Names:
    return {
        request.get("name", ""): {sub.get("name", "") for sub in request.get("firstAvailable") or ()}
        for request in devices.get("requests") or ()
    }


def reference(known: Names, value: str, path: str) -> list[FieldError]:
    parts = value.split("/")
    if len(parts) > 2:
        return [invalid(path, value, _UNKNOWN)]
    found: list[FieldError] = []
    for part in parts:
        found += checks.dns_label(path, part)
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in known[parts[0]]):
        found.append(invalid(path, value, _UNKNOWN))
    return found


def name_errors(value: str, path: str) -> list[FieldError]:
    return checks.dns_label(path, value) if value else [required(path)]
