"""Schedules of cron jobs, as robfig/cron reads them: five fields, or a word for a common schedule."""

from __future__ import annotations

import re
from typing import NamedTuple

from knarr.meta.strconv import atoi
from knarr.meta.times import parse_go_duration


class Bounds(NamedTuple):
    low: int
    high: int
    names: dict[str, int]


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS = (
    Bounds(0, 59, {}),
    Bounds(0, 23, {}),
    Bounds(1, 31, {}),
    Bounds(1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    Bounds(0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_TIME_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}").fullmatch


def problem(schedule: str) -> str:
    """What is wrong with a schedule, "" when nothing is."""
    try:
        _parse(schedule)
    except ValueError as error:
        return str(error)
    return ""


def _parse(schedule: str) -> None:
    if not schedule:
        raise ValueError("empty spec string")
    if schedule.startswith(("TZ=", "CRON_TZ=")):
        zone, _, schedule = schedule.partition(" ")
        name = zone.partition("=")[2]
        if why := time_zone_problem(name):
            raise ValueError(f"provided bad location {name}: {why}")
        schedule = schedule.strip()
    if schedule.startswith("@"):
        _parse_word(schedule)
        return
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    for field, bounds in zip(fields, _FIELDS, strict=True):
        for expression in field.split(","):
            if expression:
                _parse_range(expression, bounds)


def _parse_word(word: str) -> None:
    if word in _WORDS:
        return
    if word.startswith("@every "):
        duration = word.removeprefix("@every ")
        try:
            parse_go_duration(duration)
        except ValueError as error:
            raise ValueError(f"failed to parse duration {word}: {error}") from None
        return
    raise ValueError(f"unrecognized descriptor: {word}")


def _parse_range(expression: str, bounds: Bounds) -> None:
    range_and_step = expression.split("/")
    low_and_high = range_and_step[0].split("-")
    if low_and_high[0] in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = end = _number_or_name(low_and_high[0], bounds)
        if len(low_and_high) == 2:
            end = _number_or_name(low_and_high[1], bounds)
        elif len(low_and_high) > 2:
            raise ValueError(f"too many hyphens: {expression}")
    step = 1
    if len(range_and_step) == 2:
        step = _number(range_and_step[1])
        if len(low_and_high) == 1:
            end = bounds.high
    elif len(range_and_step) > 2:
        raise ValueError(f"too many slashes: {expression}")
    if start < bounds.low:
        raise ValueError(f"beginning of range ({start}) below minimum ({bounds.low}): {expression}")
    if end > bounds.high:
        raise ValueError(f"end of range ({end}) above maximum ({bounds.high}): {expression}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {expression}")


def _number_or_name(text: str, bounds: Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _number(text) if named is None else named


def _number(text: str) -> int:
    try:
        number = atoi(text)
    except ValueError as error:
        raise ValueError(f"failed to parse int from {text}: {error}") from None
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number


def time_zone_problem(name: str) -> str:
    """What is wrong with the name of a time zone, "" when it is one."""
    if not name:
        return "timeZone must be nil or non-empty string"
    unknown = f"unknown time zone {name}"
    for part in name.split("/"):
        if part in (".", "..") or part.startswith("-") or not _TIME_ZONE_PART(part):
            return unknown
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    from zoneinfo import ZoneInfo  # loads the time zone data

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return unknown
    return ""
