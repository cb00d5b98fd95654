"""Spans of time as Go writes them (`1h2m0s`) and as kubectl shows them (`5m12s`)."""

from __future__ import annotations

import re

from knarr.meta.gofmt import quote

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SECOND = 1_000_000_000
_MAX = 2**63 - 1
_PART = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)")


def parse_go_duration_nanos(text: str) -> int:
    """Nanoseconds of Go's `time.ParseDuration`. ValueError has Go's message."""
    wrong = ValueError(f"time: invalid duration {quote(text)}")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise wrong
    total = 0
    while rest:
        match = _PART.match(rest)
        assert match
        whole, fraction, unit = match[1], match[2] or "", match[3]
        if not whole and len(fraction) < 2:
            raise wrong
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        scale = _UNITS.get(unit)
        if scale is None:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        total += int(whole[:30] or 0) * scale
        if len(fraction) > 1:
            digits = fraction[1:20]
            total += int(digits) * scale // 10 ** len(digits)
        rest = rest[match.end() :]
    limit = _MAX + 1 if text[0] == "-" else _MAX
    if total > limit:
        raise wrong
    return -total if text[0] == "-" else total


def parse_go_duration(text: str) -> float:
    """Seconds."""
    return parse_go_duration_nanos(text) / _SECOND


def format_go_duration_nanos(nanos: int) -> str:
    """Go's `time.Duration.String`: `1h2m0s`, `1.5s`, `20ms`, `0s`."""
    if not nanos:
        return "0s"
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos < _SECOND:
        for unit, scale in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
            if nanos < scale * 1000:
                return f"{sign}{_decimal(nanos, scale)}{unit}"
    minutes, rest = divmod(nanos, 60 * _SECOND)
    seconds = f"{_decimal(rest, _SECOND)}s"
    if not minutes:
        return sign + seconds
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(number: int, scale: int) -> str:
    whole, rest = divmod(number, scale)
    if not rest:
        return str(whole)
    return f"{whole}.{rest:0{len(str(scale)) - 1}d}".rstrip("0")


def format_go_duration(seconds: float) -> str:
    return format_go_duration_nanos(round(seconds * _SECOND))


def human_duration(seconds: float) -> str:
    """At most two units, fewer digits the longer it is: `119s`, `9m59s`, `7h59m`, `7d23h`, `2y3d`.

    A span that lies more than a second in the future is `<invalid>`: clocks differ a little.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def short_human_duration(seconds: float) -> str:
    """One unit: `59s`, `59m`, `23h`, `364d`, `1y`."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    for unit, span, limit in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 86400), ("d", 86400, 86400 * 365)):
        if whole < limit:
            return f"{whole // span}{unit}"
    return f"{whole // (86400 * 365)}y"
