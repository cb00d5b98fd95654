"""Points in time as the wire has them: RFC 3339 in UTC, to the second (Time) or the microsecond (MicroTime).

Inside, a time is a float of seconds since the epoch.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from math import floor

from knarr.meta.durations import (
    format_go_duration,
    format_go_duration_nanos,
    human_duration,
    parse_go_duration,
    parse_go_duration_nanos,
    short_human_duration,
)
from knarr.meta.gofmt import quote

__all__ = [
    "MicroTime",
    "Time",
    "age",
    "format",
    "format_go_duration",
    "format_go_duration_nanos",
    "format_micro",
    "human_duration",
    "parse",
    "parse_go_duration",
    "parse_go_duration_nanos",
    "parse_micro",
    "short_human_duration",
]

#: Go's layouts, which its messages name
LAYOUT = "2006-01-02T15:04:05Z07:00"
MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROS = 1_000_000
_PLAIN = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
).fullmatch


class Time(str):
    """`2026-01-02T03:04:05Z`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Time:
        """Any RFC 3339 time, moved to UTC, its fraction cut off. ValueError has Go's message."""
        return _canonical_time(text)


class MicroTime(str):
    """`2026-01-02T03:04:05.000006Z`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> MicroTime:
        """An RFC 3339 time with exactly six digits of fraction, moved to UTC. ValueError has Go's message."""
        return MicroTime(_format_micros(_micros(text, MICRO_LAYOUT)))


@lru_cache(maxsize=8192)
def _canonical_time(text: str) -> Time:
    return Time(_format_seconds(_micros(text, LAYOUT) // _MICROS))


@lru_cache(maxsize=8192)
def parse(text: str) -> float:
    """Seconds since the epoch, fractions kept to the microsecond. ValueError has Go's message."""
    return _micros(text, LAYOUT) / _MICROS


def parse_micro(text: str) -> float:
    """As `parse`, for a field that demands six digits of fraction."""
    return _micros(text, MICRO_LAYOUT) / _MICROS


def format(epoch: float) -> str:
    """To the second, rounded down."""
    return _format_seconds(floor(epoch))


def format_micro(epoch: float) -> str:
    return _format_micros(round(epoch * _MICROS))


def age(text: str | None, now: float) -> str:
    """How long ago, as a table shows it; `<unknown>` for no time at all."""
    return human_duration(now - parse(text)) if text else "<unknown>"


@lru_cache(maxsize=64)
def _date_prefix(day: int) -> str:
    ordinal = day + _EPOCH_DAY
    # Year 0 exists for Go and not for Python; it only arises from an offset around year 1.
    return date.fromordinal(ordinal).isoformat() + "T" if ordinal > 0 else f"0000-12-{31 + ordinal:02}T"


def _format_seconds(seconds: int) -> str:
    day, rest = divmod(seconds, 86400)
    minutes, second = divmod(rest, 60)
    return f"{_date_prefix(day)}{minutes // 60:02}:{minutes % 60:02}:{second:02}Z"


def _format_micros(micros: int) -> str:
    seconds, fraction = divmod(micros, _MICROS)
    return f"{_format_seconds(seconds)[:-1]}.{fraction:06}Z"


def _micros(text: str, layout: str) -> int:
    """Microseconds since the epoch."""
    match = _PLAIN(text)
    if match and (layout is LAYOUT or len(match[7] or "") == 6):
        year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
        offset = 0
        if match[8]:
            offset = (int(match[9]) * 60 + int(match[10])) * 60
            if int(match[9]) > 24 or int(match[10]) > 60:
                _explain(text, layout)
            if match[8] == "-":
                offset = -offset
        if (
            1 <= month <= 12
            and 1 <= day <= _days_in(month, year)
            and hour < 24
            and minute < 60
            and second < 60
        ):
            days = (date(year, month, day).toordinal() if year else _year_zero(month, day)) - _EPOCH_DAY
            seconds = days * 86400 + (hour * 60 + minute) * 60 + second - offset
            return seconds * _MICROS + int(f"{match[7] or '0':0<6}"[:6])
    _explain(text, layout)
    raise AssertionError(f"a time that Go refuses was not explained: {text!r}")


def _year_zero(month: int, day: int) -> int:
    return date(4, month, day).toordinal() - (365 * 3 + 366)


def _days_in(month: int, year: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


# Go's own reading, chunk by chunk, for the message of what it stumbles over


def _explain(text: str, layout: str) -> None:
    """Raises Go's message for a text that is no time."""
    rest, year, month, day = text, 0, 0, 0
    chunks = _MICRO_CHUNKS if layout is MICRO_LAYOUT else _CHUNKS
    for prefix, element in chunks:
        for sign in prefix:
            if rest[:1] != sign:
                _refuse(text, layout, rest, prefix)
            rest = rest[1:]
        held = rest
        number, rest = _take(element, rest)
        if number is None:
            _refuse(text, layout, held, element)
        assert number is not None
        if element == "2006":
            year = number
        elif element == "01":
            month = number
        elif element == "02":
            day = number
        low, high, name = _RANGES.get(element, (0, number, ""))
        if not low <= number <= high:
            raise ValueError(f"parsing time {quote(text)}: {name} out of range")
        if element == "05" and layout is LAYOUT and (fraction := re.match("[.,][0-9]+", rest)):
            rest = rest[fraction.end() :]
        if element == "Z07:00" and number:
            hours, minutes = divmod(number - 1, 100)
            for part, limit, name in ((hours, 24, "hour"), (minutes, 60, "minute")):
                if part > limit:
                    raise ValueError(f"parsing time {quote(text)}: time zone offset {name} out of range")
    if rest:
        raise ValueError(f"parsing time {quote(text)}: extra text: {quote(rest)}")
    if not 1 <= day <= _days_in(month, year):
        raise ValueError(f"parsing time {quote(text)}: day out of range")


#: what stands before each element of the layout, and the element
_CHUNKS = (("", "2006"), ("-", "01"), ("-", "02"), ("T", "15"), (":", "04"), (":", "05"), ("", "Z07:00"))
_MICRO_CHUNKS = (*_CHUNKS[:6], ("", ".000000"), ("", "Z07:00"))
_RANGES = {"01": (1, 12, "month"), "15": (0, 23, "hour"), "04": (0, 59, "minute"), "05": (0, 59, "second")}
_ELEMENTS = {
    "2006": re.compile("[0-9]{4}"),
    "01": re.compile("[0-9]{2}"),
    "02": re.compile("[0-9]{2}"),
    "15": re.compile("[0-9]{1,2}"),
    "04": re.compile("[0-9]{2}"),
    "05": re.compile("[0-9]{2}"),
    ".000000": re.compile("[.,][0-9]{6}"),
    "Z07:00": re.compile("Z|[+-][0-9]{2}:[0-9]{2}"),
}


def _take(element: str, rest: str) -> tuple[int | None, str]:
    """The element's number (for a zone 1 + hhmm, 0 for Z) and what follows it; None when it is not there."""
    match = _ELEMENTS[element].match(rest)
    if not match:
        return None, rest
    taken, rest = match[0], rest[match.end() :]
    if element == "Z07:00":
        return (0 if taken == "Z" else 1 + int(taken[1:3]) * 100 + int(taken[4:6])), rest
    return int(taken.lstrip(".,")), rest


def _refuse(text: str, layout: str, found: str, wanted: str) -> None:
    raise ValueError(
        f"parsing time {quote(text)} as {quote(layout)}: cannot parse {quote(found)} as {quote(wanted)}"
    )
