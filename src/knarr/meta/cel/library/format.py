"""Kubernetes' named formats: format.dns1123Label().validate(text)."""

from __future__ import annotations

from collections.abc import Callable

from knarr.meta import names, strformats
from knarr.meta.cel.functions import overload
from knarr.meta.cel.library import urls
from knarr.meta.cel.values import NONE, Optional

Check = Callable[[str], list[str]]


class Format:
    """A named rule for texts."""

    cel_type = "kubernetes.NamedFormat"
    __slots__ = ("check", "name", "regex_size")

    def __init__(self, name: str, check: Check, regex_size: int) -> None:
        self.name, self.check, self.regex_size = name, check, regex_size

    def validate(self, text: str) -> Optional:
        faults = self.check(text)
        return Optional(list(faults)) if faults else NONE


def _uri(text: str) -> list[str]:
    why = urls.fault(text)
    return [why] if why else []


def _known(name: str, complaint: str) -> Check:
    def check(text: str) -> list[str]:
        right = strformats.check_of(name)
        return [] if right is not None and right(text) else [complaint]

    return check


def _prefix(check: Check) -> Check:
    return lambda text: check(names.mask_trailing_dash(text))


#: each format's check, and the length of the regular expression that prices it
FORMATS: dict[str, tuple[Check, int]] = {
    "dns1123Label": (names.is_dns1123_label, 30),
    "dns1123Subdomain": (names.is_dns1123_subdomain, 60),
    "dns1035Label": (names.is_dns1035_label, 30),
    "qualifiedName": (names.is_qualified_name, 60),
    "dns1123LabelPrefix": (_prefix(names.is_dns1123_label), 30),
    "dns1123SubdomainPrefix": (_prefix(names.is_dns1123_subdomain), 60),
    "dns1035LabelPrefix": (_prefix(names.is_dns1035_label), 30),
    "labelValue": (names.is_label_value, 40),
    "uri": (_uri, 1080),
    "uuid": (_known("uuid", "does not match the UUID format"), 70),
    "byte": (_known("byte", "invalid base64"), 84),
    "date": (_known("date", "invalid date"), 71),
    "datetime": (_known("datetime", "invalid datetime"), 71),
}
BY_NAME = {name: Format(name, check, size) for name, (check, size) in FORMATS.items()}
F = "kubernetes.NamedFormat"


def named(name: str) -> Optional:
    return Optional(BY_NAME[name]) if name in BY_NAME else NONE


OVERLOADS = (
    *(overload(f"format-{name}: format.{name}() -> {F}", lambda f=f: f) for name, f in BY_NAME.items()),
    overload(f"format-named: format.named(string) -> optional<{F}>", named),
    overload(f"format-validate: {F}::validate(string) -> optional<list<string>>", Format.validate),
)
