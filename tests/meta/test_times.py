"""Times and durations in Go's and kubectl's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import times
from knarr.meta.times import MicroTime, Time

LAYOUT, MICRO = "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000000Z07:00"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
        ("2026-01-02T03:04:05-07:30", "2026-01-02T10:34:05Z"),
        ("2026-01-02T03:04:05.999999999Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05,5Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T3:04:05Z", "2026-01-02T03:04:05Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_time(text: str, canonical: str) -> None:
    assert Time.parse(text) == canonical
    assert type(Time.parse(text)) is Time


def cannot(text: str, found: str, wanted: str, layout: str = LAYOUT) -> str:
    return f'parsing time "{text}" as "{layout}": cannot parse "{found}" as "{wanted}"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", cannot("yesterday", "yesterday", "2006")),
        ("", cannot("", "", "2006")),
        ("2026", cannot("2026", "", "-")),
        ("2026-01-02", cannot("2026-01-02", "", "T")),
        ("2026-1-02T00:00:00Z", cannot("2026-1-02T00:00:00Z", "1-02T00:00:00Z", "01")),
        ("2026-01-02 00:00:00Z", cannot("2026-01-02 00:00:00Z", " 00:00:00Z", "T")),
        ("2026-01-02T00:00Z", cannot("2026-01-02T00:00Z", "Z", ":")),
        ("2026-01-02T00:00:00", cannot("2026-01-02T00:00:00", "", "Z07:00")),
        ("2026-01-02T00:00:00z", cannot("2026-01-02T00:00:00z", "z", "Z07:00")),
        ("2026-13-02T00:00:00Z", 'parsing time "2026-13-02T00:00:00Z": month out of range'),
        ("2026-02-29T00:00:00Z", 'parsing time "2026-02-29T00:00:00Z": day out of range'),
        ("2026-01-02T24:00:00Z", 'parsing time "2026-01-02T24:00:00Z": hour out of range'),
        ("2026-01-02T00:60:00Z", 'parsing time "2026-01-02T00:60:00Z": minute out of range'),
        ("2026-01-02T00:00:60Z", 'parsing time "2026-01-02T00:00:60Z": second out of range'),
        (
            "2026-01-02T00:00:00+25:00",
            'parsing time "2026-01-02T00:00:00+25:00": time zone offset hour out of range',
        ),
        ("2026-01-02T00:00:00Zx", 'parsing time "2026-01-02T00:00:00Zx": extra text: "x"'),
    ],
)
def test_time_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Time.parse(text)
    assert str(error.value) == message


def test_micro_time_has_six_digits() -> None:
    assert MicroTime.parse("2026-01-02T03:04:05.000006+01:00") == "2026-01-02T02:04:05.000006Z"
    refused = {
        "yesterday": cannot("yesterday", "yesterday", "2006", MICRO),
        "2026-01-02T03:04:05Z": cannot("2026-01-02T03:04:05Z", "Z", ".000000", MICRO),
        "2026-01-02T03:04:05.1234567Z": cannot("2026-01-02T03:04:05.1234567Z", "7Z", "Z07:00", MICRO),
    }
    for text, message in refused.items():
        with pytest.raises(ValueError) as error:
            MicroTime.parse(text)
        assert str(error.value) == message


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    st.integers(-14 * 60, 14 * 60),
)
def test_agrees_with_datetime(moment: datetime, offset: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    utc = local.astimezone(UTC).replace(tzinfo=None)
    text = local.isoformat(timespec="microseconds")
    assert MicroTime.parse(text) == utc.isoformat(timespec="microseconds") + "Z"
    assert Time.parse(text) == utc.replace(microsecond=0).isoformat() + "Z"


@given(st.floats(min_value=-2e9, max_value=4e9, allow_nan=False))
def test_format_and_parse_meet(epoch: float) -> None:
    assert times.parse(times.format(epoch)) == epoch // 1
    assert times.format_micro(times.parse_micro(times.format_micro(epoch))) == times.format_micro(epoch)


MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (-2, "<invalid>", "<invalid>"),
        (-1.5, "0s", "0s"),
        (0, "0s", "0s"),
        (0.9, "0s", "0s"),
        (59, "59s", "59s"),
        (119, "119s", "1m"),
        (120, "2m", "2m"),
        (2 * MINUTE + 1, "2m1s", "2m"),
        (10 * MINUTE - 1, "9m59s", "9m"),
        (10 * MINUTE + 59, "10m", "10m"),
        (3 * HOUR - 1, "179m", "2h"),
        (3 * HOUR, "3h", "3h"),
        (3 * HOUR + MINUTE, "3h1m", "3h"),
        (8 * HOUR - 1, "7h59m", "7h"),
        (8 * HOUR + 59 * MINUTE, "8h", "8h"),
        (2 * DAY - 1, "47h", "1d"),
        (2 * DAY, "2d", "2d"),
        (2 * DAY + HOUR, "2d1h", "2d"),
        (8 * DAY - 1, "7d23h", "7d"),
        (8 * DAY + HOUR, "8d", "8d"),
        (YEAR, "365d", "1y"),
        (2 * YEAR - 1, "729d", "1y"),
        (2 * YEAR, "2y", "2y"),
        (2 * YEAR + DAY, "2y1d", "2y"),
        (8 * YEAR - 1, "7y364d", "7y"),
        (8 * YEAR + DAY, "8y", "8y"),
    ],
)
def test_human_duration(seconds: float, long: str, short: str) -> None:
    assert (times.human_duration(seconds), times.short_human_duration(seconds)) == (long, short)


def test_age() -> None:
    assert times.age(None, 0.0) == "<unknown>"
    assert times.age("1970-01-01T00:00:00Z", 330.0) == "5m30s"


@pytest.mark.parametrize(
    ("text", "nanos", "canonical"),
    [
        ("0", 0, "0s"),
        ("1h2m3s", 3723 * 10**9, "1h2m3s"),
        ("90m", 5400 * 10**9, "1h30m0s"),
        ("1.5s", 1_500_000_000, "1.5s"),
        (".5s", 500_000_000, "500ms"),
        ("-1m", -60 * 10**9, "-1m0s"),
        ("+5s", 5 * 10**9, "5s"),
        ("1us", 1000, "1µs"),
        ("1.5µs", 1500, "1.5µs"),
        ("1ns", 1, "1ns"),
        ("1h0.5s", 3600_500_000_000, "1h0m0.5s"),
    ],
)
def test_go_duration(text: str, nanos: int, canonical: str) -> None:
    assert times.parse_go_duration_nanos(text) == nanos
    assert times.format_go_duration_nanos(nanos) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("s", 'time: invalid duration "s"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1.5.5s", 'time: missing unit in duration "1.5.5s"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("1h-3m", 'time: unknown unit "h-" in duration "1h-3m"'),
        ("2562048h", 'time: invalid duration "2562048h"'),
    ],
)
def test_go_duration_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        times.parse_go_duration(text)
    assert str(error.value) == message


@given(st.integers(-(2**63), 2**63 - 1))
def test_go_duration_round_trip(nanos: int) -> None:
    assert times.parse_go_duration_nanos(times.format_go_duration_nanos(nanos)) == nanos
