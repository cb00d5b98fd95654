"""The quick test of values that most are: does the schema's validation find nothing?

The closures know only what the schema says, so that a good object costs little; what they cannot tell they ask
`Validator`, which alone finds words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from knarr.api.apiextensions.schema.validate import INT64, INTEGER_FORMATS, Validator

Accepts = Callable[[Any], bool]
SCALAR_KEYS = ("enum", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern", "format")


def accepts(validator: Validator) -> Accepts | type | None:
    """A test whether `validate` would find nothing: a function, a Python type of plain values, or None: anything."""
    if validator.any_of or validator.one_of or validator.all_of or validator.not_ is not None:
        return lambda value: validator.validate(value, "x").valid
    plain = _plain(validator)
    if plain is not None:
        return plain
    if validator.types == ("object",) and not validator.schema.get("enum") and not validator.format:
        return _accepts_object(validator)
    if validator.types == ("array",) and not validator.schema.get("enum") and not validator.format:
        return _accepts_list(validator)
    if validator.types == ("string",) and not validator.nullable:
        return _accepts_string(validator)
    if validator.types in (("integer",), ("number",)):
        return _accepts_number(validator)
    if validator.types == ("integer", "string") and not (
        validator.nullable or any(key in validator.schema for key in SCALAR_KEYS)
    ):
        return lambda value: (
            value.__class__ is str or (value.__class__ is int and INT64[0] <= value <= INT64[1])
        )
    if not _constrains(validator):
        return None
    return lambda value: validator.validate(value, "x").valid


def _plain(validator: Validator) -> type | None:
    if validator.nullable or any(validator.schema.get(key) is not None for key in SCALAR_KEYS):
        return None
    # (numbers have to be looked at: an integer must fit 64 bits and may be written 2.0)
    plain: dict[tuple[str, ...], type] = {("string",): str, ("boolean",): bool}
    return plain.get(validator.types)


def _constrains(validator: Validator) -> bool:
    keys = {"description", "title", "default", "nullable", "example", "externalDocs"}
    return any(key not in keys and not key.startswith("x-kubernetes-") for key in validator.schema) or bool(
        validator.types
    )


def _accepts_string(validator: Validator) -> Accepts:
    schema = validator.schema
    longest = schema.get("maxLength", math.inf)
    shortest, allowed = schema.get("minLength", 0), schema.get("enum")
    search = validator.pattern.search if validator.pattern is not None else None
    formatted = validator.format_check
    chosen = frozenset(v for v in allowed if isinstance(v, str)) if allowed else None

    def test(value: Any) -> bool:
        return (
            value.__class__ is str
            and shortest <= len(value) <= longest
            and (chosen is None or value in chosen)
            and (search is None or search(value) is not None)
            and (formatted is None or formatted(value))
        )

    return test


def _accepts_number(validator: Validator) -> Accepts:
    """Whole numbers within bounds are quick; everything else is looked at closely."""
    schema = validator.schema
    low, high = INTEGER_FORMATS.get(validator.format, INT64)
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    bounds = [b for b in (lowest, highest) if b is not None]
    plain = all(isinstance(b, int) for b in bounds) and not any(
        schema.get(key) for key in ("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum")
    )
    if plain:
        low = low if lowest is None else max(low, lowest)
        high = high if highest is None else min(high, highest)

    def test(value: Any) -> bool:
        if plain and value.__class__ is int and low <= value <= high:
            return True
        return validator.validate(value, "x").valid

    return test


def _accepts_list(validator: Validator) -> Accepts:
    schema, nullable = validator.schema, validator.nullable
    fewest, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if schema.get("uniqueItems"):
        return lambda value: validator.validate(value, "x").valid
    item = accepts(validator.items) if validator.items is not None else None
    is_type = isinstance(item, type)

    def test(value: Any) -> bool:
        if value.__class__ is not list:
            return value is None and nullable
        if not fewest <= len(value) <= most:
            return False
        if item is None:
            return True
        if is_type:
            return all(element.__class__ is item for element in value)
        return all(map(item, value))

    return test


def _accepts_object(validator: Validator) -> Accepts:
    schema, nullable = validator.schema, validator.nullable
    fewest, most = schema.get("minProperties", 0), schema.get("maxProperties", math.inf)
    tests = {key: accepts(sub) for key, sub in validator.properties.items()}
    types = {key: test for key, test in tests.items() if isinstance(test, type)}
    functions = {key: test for key, test in tests.items() if test is not None and key not in types}
    required = [key for key in validator.required if not validator.defaulted(key)]
    other = accepts(validator.additional) if validator.additional is not None else None
    other_type = other if isinstance(other, type) else None
    known, closed = frozenset(validator.properties), validator.forbids_additional

    def test(value: Any) -> bool:
        if value.__class__ is not dict:
            return value is None and nullable
        if not fewest <= len(value) <= most:
            return False
        for key, item in value.items():
            wanted = types.get(key)
            if wanted is not None:
                if item.__class__ is not wanted:
                    return False
                continue
            function = functions.get(key)
            if function is not None:
                if not function(item):
                    return False
            elif closed and key not in known:
                return False
            elif other is not None and key not in known:
                if other_type is not None:
                    if item.__class__ is not other_type:
                        return False
                elif not other(item):
                    return False
        return all(key in value for key in required)

    return test
