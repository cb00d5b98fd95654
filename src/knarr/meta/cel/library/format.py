"""Kubernetes' named formats: format.dns1123Label().validate(text)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date

from knarr.meta import names, times
from knarr.meta.cel.functions import overload
from knarr.meta.cel.library import urls
from knarr.meta.cel.values import NONE, Optional

Check = Callable[[str], list[str]]


class Format:
    """A named rule for texts."""

    cel_type = "kubernetes.NamedFormat"
    __slots__ = ("check", "name")

    def __init__(self, name: str, check: Check) -> None:
        self.name, self.check = name, check

    def validate(self, text: str) -> Optional:
        faults = self.check(text)
        return Optional(list(faults)) if faults else NONE


def _uri(text: str) -> list[str]:
    why = urls.fault(text)
    return [why] if why else []


def _uuid(text: str) -> list[str]:
    from knarr.meta import goregexp

    pattern = r"^(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{12}$"
    return [] if goregexp.compile(pattern).search(text) else ["does not match the UUID format"]


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return ["invalid base64"]
    return []


def _date(text: str) -> list[str]:
    try:
        date.fromisoformat(text)
    except ValueError:
        return ["invalid date"]
    return []


def _date_time(text: str) -> list[str]:
    try:
        times.parse(text)
    except ValueError:
        return ["invalid datetime"]
    return []


def _prefix(check: Check) -> Check:
    return lambda text: check(names.mask_trailing_dash(text))


FORMATS: dict[str, Check] = {
    "dns1123Label": names.is_dns1123_label,
    "dns1123Subdomain": names.is_dns1123_subdomain,
    "dns1035Label": names.is_dns1035_label,
    "qualifiedName": names.is_qualified_name,
    "dns1123LabelPrefix": _prefix(names.is_dns1123_label),
    "dns1123SubdomainPrefix": _prefix(names.is_dns1123_subdomain),
    "dns1035LabelPrefix": _prefix(names.is_dns1035_label),
    "labelValue": names.is_label_value,
    "uri": _uri,
    "uuid": _uuid,
    "byte": _byte,
    "date": _date,
    "datetime": _date_time,
}
BY_NAME = {name: Format(name, check) for name, check in FORMATS.items()}
F = "kubernetes.NamedFormat"


def named(name: str) -> Optional:
    return Optional(BY_NAME[name]) if name in BY_NAME else NONE


OVERLOADS = (
    *(overload(f"format-{name}: format.{name}() -> {F}", lambda f=f: f) for name, f in BY_NAME.items()),
    overload(f"format-named: format.named(string) -> optional<{F}>", named),
    overload(f"format-validate: {F}::validate(string) -> optional<list<string>>", Format.validate),
)
