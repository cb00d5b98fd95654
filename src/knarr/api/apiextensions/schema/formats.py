"""The string formats that custom resources may name (OpenAPI's and strfmt's); others are not looked at."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cache

from knarr.meta import times

Check = Callable[[str], bool]

_PATTERNS = {
    "uuid": r"(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{12}",
    "uuid3": r"(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?3[0-9A-F]{3}-?[0-9A-F]{4}-?[0-9A-F]{12}",
    "uuid4": r"(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?4[0-9A-F]{3}-?[89AB][0-9A-F]{3}-?[0-9A-F]{12}",
    "uuid5": r"(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?5[0-9A-F]{3}-?[89AB][0-9A-F]{3}-?[0-9A-F]{12}",
    "hostname": r"[a-zA-Z0-9\u0080-\U0010ffff](?:[-a-zA-Z0-9\u0080-\U0010ffff]{0,61}[a-zA-Z0-9\u0080-\U0010ffff])?"
    r"(?:\.[a-zA-Z0-9\u0080-\U0010ffff](?:[-a-zA-Z0-9\u0080-\U0010ffff]{0,61}[a-zA-Z0-9\u0080-\U0010ffff])?)*",
    "mac": r"(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}(?:[0-9A-Fa-f]{2}\1){0,14}[0-9A-Fa-f]{2}"
    r"|(?:[0-9A-Fa-f]{4}\.){2,9}[0-9A-Fa-f]{4}",
    "isbn10": r"(?:[0-9]{9}X|[0-9]{10})",
    "isbn13": r"(?:[0-9]{13})",
    "creditcard": r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})",
    "ssn": r"\d{3}[- ]?\d{2}[- ]?\d{4}",
    "hexcolor": r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})",
    "rgbcolor": r"rgb\(\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,"
    r"\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)",
    "bsonobjectid": r"[0-9a-fA-F]{24}",
    "k8s-short-name": r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?",
    "k8s-long-name": r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*",
}
NUMBERS = frozenset({"int32", "int64", "float", "double"})
_DURATION = re.compile(
    r"\s*([+-]?[0-9]*\.?[0-9]+)\s*"
    r"(nanoseconds?|nanos?|microseconds?|micros?|milliseconds?|millis|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?"
    r"|weeks?|wks?|ns|us|µs|ms|s|m|h|d|w)\s*",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EMAIL = re.compile(r"[^@\s<>,;:\\\"\[\]()]+@[^@\s<>,;:\\\"\[\]()]+")


@cache
def check_of(name: str) -> Check | None:
    """Whether a text has the format; None for a format that is not known (dashes in names do not count)."""
    plain = name.replace("-", "")
    if plain in ("k8sshortname", "k8slongname"):
        plain = {"k8sshortname": "k8s-short-name", "k8slongname": "k8s-long-name"}[plain]
    if plain in _CHECKS:
        return _CHECKS[plain]
    if plain in _PATTERNS:
        matches = re.compile(_PATTERNS[plain]).fullmatch
        if plain in ("isbn10", "isbn13"):
            return lambda text: matches(text.replace("-", "").replace(" ", "")) is not None and _isbn(text)
        if plain == "isbn":
            return None
        if plain == "creditcard":
            return lambda text: matches(re.sub(r"[^0-9]", "", text)) is not None and _luhn(text)
        if plain == "hostname":
            return lambda text: len(text) <= 255 and matches(text) is not None
        return lambda text: matches(text) is not None
    return None


def is_known(name: str) -> bool:
    """Whether the format means anything; what is not known is as if it were not there."""
    return name in NUMBERS or check_of(name) is not None


def _date_time(text: str) -> bool:
    try:
        times.Time.parse(text)
    except ValueError:
        return False
    return True


def _date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and _date_time(f"{text}T00:00:00Z")


def _byte(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return bool(text) or text == ""


def _ip(version: int) -> Check:
    from ipaddress import ip_address

    def check(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return "%" not in text and address.version == version

    return check


def _cidr(text: str) -> bool:
    from knarr.meta.addresses import parse_cidr

    return parse_cidr(text) is not None


def _uri(text: str) -> bool:
    if not text or any(ord(c) < 0x20 or c == "\x7f" for c in text):
        return False
    if text.startswith("/"):
        return " " not in text.partition("?")[0] or True
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) is not None and " " not in text.split("/")[0]


def _duration(text: str) -> bool:
    from knarr.meta import durations

    try:
        durations.parse_go_duration(text)
    except ValueError:
        end = 0
        for found in _DURATION.finditer(text):
            if found.start() != end:
                return False
            end = found.end()
        return end == len(text) and end > 0
    return True


def _isbn(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if len(digits) == 10:
        values = [10 if d == "X" else int(d) for d in digits]
        return sum((10 - i) * v for i, v in enumerate(values)) % 11 == 0
    return sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0


def _any_isbn(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    return any(re.fullmatch(_PATTERNS[k], digits) for k in ("isbn10", "isbn13")) and _isbn(text)


def _luhn(text: str) -> bool:
    digits = [int(d) for d in re.sub(r"[^0-9]", "", text)][::-1]
    return sum(d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(digits)) % 10 == 0


_CHECKS: dict[str, Check] = {
    "datetime": _date_time,
    "date": _date,
    "byte": _byte,
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "cidr": _cidr,
    "uri": _uri,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "duration": _duration,
    "isbn": _any_isbn,
    "password": lambda text: True,
}
