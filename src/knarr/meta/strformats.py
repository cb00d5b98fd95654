"""The string formats that custom resources may name (OpenAPI's and strfmt's); others are not looked at."""

from __future__ import annotations

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
    # 6, 8 or 20 octets
    "mac": r"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}(?:(?:[0-9A-Fa-f]{2}\1){2}|(?:[0-9A-Fa-f]{2}\1){14})?"
    r"[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}(?:[0-9A-Fa-f]{4}\.|(?:[0-9A-Fa-f]{4}\.){7})?[0-9A-Fa-f]{4}",
    "ssn": r"\d{3}[- ]\d{2}[- ]\d{4}",
    # an empty text is none
    "byte": r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})",
    "hexcolor": r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})",
    "rgbcolor": r"rgb\(\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,"
    r"\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)",
    "bsonobjectid": r"[0-9a-fA-F]{24}",
    "k8sshortname": r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?",
    "k8slongname": r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*",
}
_ISBN10, _ISBN13 = re.compile("[0-9]{9}X|[0-9]{10}"), re.compile("[0-9]{13}")
_CREDIT_CARD = re.compile(
    "4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    "|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11}"
)
NUMBERS = frozenset({"int32", "int64", "float", "double"})
_WORDS = re.compile(r"\s*(?:\d+\s*[A-Za-zµ]+\s*)+", re.ASCII)
_WORD = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
#: What a unit may be called, its length in nanoseconds; anything that starts with the last name is that unit too.
_UNITS = (
    (("ns", "nano"), 1),
    (("us", "µs", "micro"), 10**3),
    (("ms", "milli"), 10**6),
    (("s", "sec"), 10**9),
    (("m", "min"), 60 * 10**9),
    (("h", "hr", "hour"), 3600 * 10**9),
    (("d", "day"), 86400 * 10**9),
    (("w", "wk", "week"), 604800 * 10**9),
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:.\d+)?(?:z|[+-]\d\d:\d\d)", re.ASCII)


@cache
def check_of(name: str) -> Check | None:
    """Whether a text has the format; None for a format that is not known (dashes in names do not count)."""
    plain = name.replace("-", "")
    if plain in _CHECKS:
        return _CHECKS[plain]
    return _matches(plain) if plain in _PATTERNS else None


def _matches(name: str) -> Check:
    matches = re.compile(_PATTERNS[name]).fullmatch
    return lambda text: matches(text) is not None


def is_known(name: str) -> bool:
    """Whether the format means anything; what is not known is as if it were not there."""
    return name in NUMBERS or check_of(name) is not None


def _date_time(text: str) -> bool:
    date, _, time = text.lower().partition("t")
    found = _TIME.fullmatch(time.partition("t")[0])
    return found is not None and found[1] <= "23" and max(found[2], found[3]) <= "59" and _date(date)


def _date(text: str) -> bool:
    try:
        times.parse(f"{text}T00:00:00Z")
    except ValueError:
        return False
    return _DATE.fullmatch(text) is not None


def _ip(mark: str) -> Check:
    """IPv4-mapped addresses are of both versions, for they have both marks."""
    from knarr.meta.addresses import parse_ip

    return lambda text: mark in text and parse_ip(text) is not None


@cache
def _hostname_pattern() -> re.Pattern[str]:
    """A word with at most one dash, after its first letter; or labels and a last one of two letters at least."""
    from knarr.meta import goregexp

    one = r"[a-zA-Z0-9\p{S}\p{L}]"
    label = rf"{one}([-a-zA-Z0-9\p{{S}}\p{{L}}]{{0,61}}{one})?\."
    return goregexp.compile(rf"^({one}-?{one}{{0,62}}|({label})+{one}(-?{one}){{1,62}})$")


def _hostname(text: str) -> bool:
    if len(text.encode()) > 255 or any(len(part.encode()) > 63 for part in text.split(".")):
        return False
    return _hostname_pattern().search(text) is not None


@cache
def _email_pattern() -> re.Pattern[str]:
    """What Go's net/mail takes for one address, a name before it or none (no groups, no comments)."""
    atom = r'[^\x00-\x20\x7f()<>\[\]:;@\\,".]+'
    quoted = r'"(?:[^\x00-\x08\x0a-\x1f\x7f"\\]|\\[^\x00-\x08\x0a-\x1f\x7f])+"'
    dotted = rf"{atom}(?:\.{atom})*"
    address = rf"(?:{dotted}|{quoted})@[ \t]*(?:{dotted}|\[[0-9a-fA-F.:]+\])"
    name = rf"(?:(?:[.]|{atom}|{quoted})[ \t]*)*"
    return re.compile(rf"[ \t]*(?:{address}|{name}<{address}>)[ \t]*")


def _cidr(text: str) -> bool:
    from knarr.meta.addresses import parse_cidr

    return parse_cidr(text) is not None


def _uri(text: str) -> bool:
    from knarr.meta import gourl

    return not gourl.fault(text, request=True)


def parse_duration(text: str) -> int:
    """Nanoseconds of Go's durations and of words like "2 days". ValueError for what is neither."""
    from knarr.meta import durations

    try:
        return durations.parse_go_duration_nanos(text)
    except ValueError:
        if _WORDS.fullmatch(text) is None:
            raise
    spans = [int(number) * scale for number, word in _WORD.findall(text) for scale in _scales(word.lower())]
    if not spans:
        raise ValueError(f"unable to parse {text} as duration")
    return sum(spans)


def _scales(word: str) -> list[int]:
    return [scale for names, scale in _UNITS if word in names or word.startswith(names[-1])]


def _duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _isbn10(text: str) -> bool:
    digits = _without_separators(text)
    if _ISBN10.fullmatch(digits) is None:
        return False
    values = [10 if d == "X" else int(d) for d in digits]
    return sum((10 - i) * v for i, v in enumerate(values)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = _without_separators(text)
    if _ISBN13.fullmatch(digits) is None:
        return False
    return sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0


def _without_separators(text: str) -> str:
    return text.replace("-", "").replace(" ", "")


def _credit_card(text: str) -> bool:
    """A number of a known issuer with Luhn's check digit."""
    digits = re.sub(r"[^0-9]", "", text)
    if _CREDIT_CARD.fullmatch(digits) is None:
        return False
    values = [int(d) for d in reversed(digits)]
    return sum(d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(values)) % 10 == 0


_CHECKS: dict[str, Check] = {
    "datetime": _date_time,
    "date": _date,
    "ipv4": _ip("."),
    "ipv6": _ip(":"),
    "hostname": _hostname,
    "cidr": _cidr,
    "uri": _uri,
    "email": lambda text: _email_pattern().fullmatch(text) is not None,
    "duration": _duration,
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "password": lambda text: True,
}
