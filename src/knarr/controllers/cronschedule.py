"""When a cron job is due: robfig/cron's reading of schedules, cronsim's walk through the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from knarr.meta.times import parse_go_duration

WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: minute, hour, day of month, month, day of week: lowest, highest, names
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
#: robfig gives up as far ahead
YEARS_MAX = 5


class Schedule:
    """Of `spec.schedule` and `spec.timeZone`. Raises ValueError for what the server would not have taken."""

    def __init__(self, text: str, time_zone: str | None = None) -> None:
        if text.startswith(("TZ=", "CRON_TZ=")):
            zone, _, text = text.partition(" ")
            time_zone = time_zone or zone.partition("=")[2]
            text = text.strip()
        self.zone: tzinfo = _zone(time_zone)
        self._every: float | None = None
        self._expression = ""
        if text.startswith("@every "):
            self._every = max(1.0, float(int(parse_go_duration(text.removeprefix("@every ")))))
        else:
            fields = WORDS.get(text, text).split()
            if len(fields) != len(_FIELDS):
                raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: {fields}")
            plain = [_plain(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True)]
            # with a field for seconds cronsim takes local time as it is: an hour that the clock skips has no runs
            self._expression = " ".join(["0", *plain])

    def next(self, after: float) -> float | None:
        """The first time later than `after` (epoch seconds); None if there is none in five years."""
        if self._every is not None:
            return float(int(after)) + self._every
        from cronsim import CronSim, CronSimError

        begin = datetime.fromtimestamp(int(after), UTC).astimezone(self.zone)
        try:
            found = next(CronSim(self._expression, begin))
        except (CronSimError, StopIteration, OverflowError):
            return None
        if found > begin + timedelta(days=366 * YEARS_MAX):
            return None
        return found.timestamp()


def _zone(name: str | None) -> tzinfo:
    if not name:
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(f"unknown time zone {name}") from error


def _plain(field: str, low: int, high: int, names: dict[str, int]) -> str:
    """Every value spelled out; a star stays, because it decides how the two fields for days go together."""
    values: set[int] = set()
    for part in field.split(","):
        if part in ("*", "?", "*/1", "?/1"):
            return "*"
        if part:
            values.update(_values(part, low, high, names))
    return ",".join(map(str, sorted(values)))


def _values(part: str, low: int, high: int, names: dict[str, int]) -> range:
    span, _, step = part.partition("/")
    first, dash, last = span.partition("-")
    if first in ("*", "?"):
        return range(low, high + 1, int(step or 1))
    begin = _value(first, names)
    end = _value(last, names) if dash else (high if step else begin)
    if not low <= begin <= end <= high:
        raise ValueError(f"range out of bounds: {part}")
    return range(begin, end + 1, int(step or 1))


def _value(text: str, names: dict[str, int]) -> int:
    named = names.get(text.lower())
    return int(text) if named is None else named


class Due(NamedTuple):
    """`time`: the latest time that is due and was not served; None if there is none. `missed`: about how many."""

    earliest: float
    time: float | None
    missed: int


def latest_due(schedule: Schedule, since: float, now: float) -> Due:
    """What became due after `since`. Raises ValueError for a schedule that never comes."""
    first = schedule.next(since)
    second = schedule.next(first) if first is not None else None
    if first is None or second is None:
        raise ValueError("time difference between two schedules is less than 1 second")
    if now < first:
        return Due(since, None, 0)
    if now < second:
        return Due(since, first, 0)
    interval = int(second - first)
    missed = int(now - first) // interval + 1
    # jump near now and walk from there: years may have passed
    latest, time = None, schedule.next(first + (missed - 2) * interval)
    while time is not None and time <= now:
        latest, time = time, schedule.next(time)
    return Due(since, latest, missed)
