"""Values that are a number or a text: ports by number or name, counts or percentages."""

from __future__ import annotations

from knarr.meta import names
from knarr.meta.fielderrors import FieldError, invalid
from knarr.meta.gofmt import quote
from knarr.meta.names import is_port_name, is_port_number
from knarr.meta.strconv import atoi

IntOrString = int | str


def is_percent(value: IntOrString) -> bool:
    """Is it a well-formed percentage, `25%`?"""
    return isinstance(value, str) and not names.is_percent(value)


def percent_of(value: IntOrString) -> int | None:
    """25 for `25%`, None for what is no percentage."""
    return int(value[:-1]) if isinstance(value, str) and not names.is_percent(value) else None


def int_value(value: IntOrString) -> int:
    """The number, a text read as Go's Atoi reads it; 0 for what is none."""
    if isinstance(value, int):
        return value
    digits = value[1:] if value[:1] in ("+", "-") else value
    return int(value) if digits.isascii() and digits.isdigit() else 0


def scaled(value: IntOrString, total: int, round_up: bool) -> int:
    """A count, or a percentage of `total`. ValueError for a text that is no percentage."""
    if isinstance(value, int):
        return value
    percent = _percent_number(value)
    product = percent * total
    # Go divides floating point numbers here; whole numbers give the same answer without its noise.
    return -(-product // 100) if round_up else product // 100


def _percent_number(text: str) -> int:
    if not text.endswith("%"):
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    digits = text[:-1]
    try:
        return atoi(digits)
    except ValueError as error:
        why = f"invalid value {quote(digits)}: {error}"
        raise ValueError(f"invalid value for IntOrString: {why}") from None


def validate_port_number_or_name(value: IntOrString, path: str) -> list[FieldError]:
    """A port of a pod by number or by name."""
    messages = is_port_name(value) if isinstance(value, str) else is_port_number(value)
    return [invalid(path, value, message) for message in messages]


def validate_non_negative(value: int, path: str) -> list[FieldError]:
    return [] if value >= 0 else [invalid(path, value, "must be greater than or equal to 0")]


def validate_positive_int_or_percent(value: IntOrString, path: str) -> list[FieldError]:
    """A percentage, or a number that is not negative (rolling updates, disruption budgets)."""
    if isinstance(value, str):
        return [invalid(path, value, message) for message in names.is_percent(value)]
    return validate_non_negative(value, path)


def validate_not_more_than_100_percent(value: IntOrString, path: str) -> list[FieldError]:
    percent = percent_of(value)
    if percent is None or percent <= 100:
        return []
    return [invalid(path, value, "must not be greater than 100%")]
