"""Timestamps and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from knarr.meta import durations, times
from knarr.meta.cel.functions import overload
from knarr.meta.cel.library.standard import no_conversion
from knarr.meta.cel.values import INT_MAX, INT_MIN, CelError, Duration, Timestamp

SECOND = 1_000_000_000
#: 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z
SECONDS_MIN, SECONDS_MAX = -62135596800, 253402300799
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(nanos: int) -> Timestamp:
    if not SECONDS_MIN * SECOND <= nanos <= SECONDS_MAX * SECOND + SECOND - 1:
        raise CelError("timestamp overflow")
    return Timestamp(nanos)


def duration(nanos: int) -> Duration:
    if not INT_MIN <= nanos <= INT_MAX:
        raise CelError("duration overflow")
    return Duration(nanos)


def string_to_timestamp(text: str) -> Timestamp:
    try:
        return parse_timestamp(text)
    except ValueError:
        raise no_conversion("google.protobuf.Timestamp") from None


def string_to_duration(text: str) -> Duration:
    try:
        return parse_duration(text)
    except ValueError:
        raise no_conversion("google.protobuf.Duration") from None


def parse_timestamp(text: str) -> Timestamp:
    """Raises ValueError for what is no RFC 3339 time."""
    times.parse(text)
    whole, dot, rest = text.partition(".")
    fraction = ""
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        fraction, zone = rest[:digits], rest[digits:]
        text = whole + zone
    return Timestamp(round(times.parse(text)) * SECOND + int((fraction + "000000000")[:9] or 0))


def parse_duration(text: str) -> Duration:
    """Raises ValueError for what is no duration of Go."""
    return duration(durations.parse_go_duration_nanos(text))


def show_timestamp(value: int) -> str:
    seconds, nanos = divmod(int(value), SECOND)
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{text}{fraction}Z"


def show_duration(value: int) -> str:
    """Seconds with a fraction, as protobuf writes durations."""
    sign = "-" if value < 0 else ""
    seconds, nanos = divmod(abs(int(value)), SECOND)
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{sign}{seconds}{fraction}s"


def _zone(name: str) -> Any:
    if not name or name == "UTC":
        return UTC
    if ":" in name:
        sign = -1 if name.startswith("-") else 1
        hours, _, minutes = name.lstrip("+-").partition(":")
        try:
            return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes)))
        except ValueError as error:
            raise CelError(str(error)) from None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        raise CelError(f"unknown time zone {name}") from None


def _at(value: int, zone: str = "") -> datetime:
    seconds, nanos = divmod(int(value), SECOND)
    return (EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)).astimezone(_zone(zone))


PARTS = {
    "getFullYear": lambda d: d.year,
    "getMonth": lambda d: d.month - 1,
    "getDate": lambda d: d.day,
    "getDayOfMonth": lambda d: d.day - 1,
    "getDayOfWeek": lambda d: (d.weekday() + 1) % 7,
    "getDayOfYear": lambda d: d.timetuple().tm_yday - 1,
    "getHours": lambda d: d.hour,
    "getMinutes": lambda d: d.minute,
    "getSeconds": lambda d: d.second,
    "getMilliseconds": lambda d: d.microsecond // 1000,
}


def _getters() -> list[Any]:
    found = []
    for name, part in PARTS.items():
        id_ = f"timestamp_to_{name}"
        found.append(overload(f"{id_}: timestamp::{name}() -> int", lambda t, part=part: part(_at(t))))
        found.append(
            overload(
                f"{id_}_with_tz: timestamp::{name}(string) -> int", lambda t, z, part=part: part(_at(t, z))
            )
        )
    units = {
        "getHours": 3600 * SECOND,
        "getMinutes": 60 * SECOND,
        "getSeconds": SECOND,
        "getMilliseconds": 1_000_000,
    }
    for name, unit in units.items():
        found.append(
            overload(
                f"duration_to_{name}: duration::{name}() -> int",
                lambda d, unit=unit: abs(int(d)) // unit * (1 if d >= 0 else -1),
            )
        )
    return found


OVERLOADS = (
    overload("string_to_timestamp: timestamp(string) -> timestamp", string_to_timestamp),
    overload("timestamp_to_timestamp: timestamp(timestamp) -> timestamp", lambda a: a),
    overload("int64_to_timestamp: timestamp(int) -> timestamp", lambda a: timestamp(a * SECOND)),
    overload("string_to_duration: duration(string) -> duration", string_to_duration),
    overload("duration_to_duration: duration(duration) -> duration", lambda a: a),
    overload("int64_to_duration: duration(int) -> duration", lambda a: duration(a)),
    overload("timestamp_to_string: string(timestamp) -> string", show_timestamp),
    overload("duration_to_string: string(duration) -> string", show_duration),
    overload(
        "add_duration_duration: _+_(duration,duration) -> duration", lambda a, b: duration(int(a) + int(b))
    ),
    overload(
        "add_duration_timestamp: _+_(duration,timestamp) -> timestamp",
        lambda a, b: timestamp(int(a) + int(b)),
    ),
    overload(
        "add_timestamp_duration: _+_(timestamp,duration) -> timestamp",
        lambda a, b: timestamp(int(a) + int(b)),
    ),
    overload(
        "subtract_duration_duration: _-_(duration,duration) -> duration",
        lambda a, b: duration(int(a) - int(b)),
    ),
    overload(
        "subtract_timestamp_duration: _-_(timestamp,duration) -> timestamp",
        lambda a, b: timestamp(int(a) - int(b)),
    ),
    overload(
        "subtract_timestamp_timestamp: _-_(timestamp,timestamp) -> duration",
        lambda a, b: duration(int(a) - int(b)),
    ),
    *_getters(),
)
