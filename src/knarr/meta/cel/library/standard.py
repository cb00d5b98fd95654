"""The operators and conversions of the language itself."""

from __future__ import annotations

import math
from typing import Any

from knarr.meta import goregexp
from knarr.meta.cel.functions import PYTHON_TYPES, overload
from knarr.meta.cel.types import NAMES
from knarr.meta.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    CelError,
    DefaultMap,
    Duration,
    Optional,
    Timestamp,
    TypeValue,
    UInt,
    concat,
    equals,
)
from knarr.meta.gofmt import go_float


def checked(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise CelError("integer overflow")
    return value


def unsigned(value: int) -> UInt:
    if not 0 <= value <= UINT_MAX:
        raise CelError("unsigned integer overflow")
    return UInt(value)


def divide(a: int, b: int) -> int:
    if b == 0:
        raise CelError("division by zero")
    quotient = abs(a) // abs(b)
    return checked(quotient if (a < 0) == (b < 0) else -quotient)


def modulo(a: int, b: int) -> int:
    if b == 0:
        raise CelError("modulus by zero")
    return int(math.fmod(a, b)) if abs(a) < 1 << 53 and abs(b) < 1 << 53 else a - b * divide(a, b)


def divide_double(a: float, b: float) -> float:
    if b == 0:
        if a == 0 or math.isnan(a):
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def contains(item: Any, values: Any) -> bool:
    return any(equals(item, value) for value in values)


def has_key(key: Any, values: Any) -> bool:
    return find_key(values, key) is not None


def find_key(values: dict[Any, Any], key: Any) -> tuple[Any] | None:
    """The value of a key, in a tuple: numbers are looked up by value, true is not 1."""
    if key.__class__ is float:
        if not key.is_integer():
            return None
        key = int(key)
    if key.__class__ is str:
        return (values[key],) if key in values else None
    for known, value in values.items():
        if equals(known, key):
            return (value,)
    return None


def index_list(values: list[Any], at: Any) -> Any:
    if at.__class__ is float:
        if not at.is_integer():
            raise CelError(f"unsupported index value: {go_float(at)}")
        at = int(at)
    if not 0 <= at < len(values):
        raise CelError(f"index out of bounds: {int(at)}")
    return values[at]


def index_map(values: dict[Any, Any], key: Any) -> Any:
    found = find_key(values, key)
    if found is not None:
        return found[0]
    if values.__class__ is DefaultMap:
        return values.default  # type: ignore[attr-defined]
    raise CelError(f"no such key: {text_of(key)}")


def text_of(value: Any) -> str:
    kind = value.__class__
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return string_of_double(value)
    return str(value)


def string_of_double(value: float) -> str:
    """Go's strconv 'g' with the shortest digits: no exponent until 21 digits."""
    return go_float(value)


def no_conversion(wanted: str) -> CelError:
    """The error of a text that is no `wanted`."""
    return CelError(f"type conversion error from 'string' to '{wanted}'")


def to_int(value: Any) -> int:
    kind = value.__class__
    if kind is float:
        if math.isnan(value) or not -9223372036854775808.0 < value < 9223372036854775808.0:
            raise CelError("integer overflow")
        return int(value)
    if kind is str:
        try:
            if not value or value.strip() != value or "_" in value:
                raise ValueError
            number = int(value)
            if not INT_MIN <= number <= INT_MAX:
                raise ValueError
            return number
        except ValueError:
            raise no_conversion("int") from None
    if kind is Timestamp:
        return value // 1_000_000_000
    if kind is Duration:
        return int(value)
    return checked(int(value))


def to_uint(value: Any) -> UInt:
    if value.__class__ is float:
        if math.isnan(value) or not 0 <= value < 18446744073709551616.0:
            raise CelError("unsigned integer overflow")
        return UInt(int(value))
    if value.__class__ is str:
        try:
            number = int(value)
            if not 0 <= number <= UINT_MAX or value.startswith("+"):
                raise ValueError
            return UInt(number)
        except ValueError:
            raise no_conversion("uint") from None
    return unsigned(int(value))


def to_double(value: Any) -> float:
    if value.__class__ is str:
        try:
            return float(value)
        except ValueError:
            raise no_conversion("double") from None
    return float(value)


def to_bool(value: str) -> bool:
    if value in ("true", "True", "TRUE", "t", "1"):
        return True
    if value in ("false", "False", "FALSE", "f", "0"):
        return False
    raise no_conversion("bool")


def bytes_to_string(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None


def type_of(value: Any) -> TypeValue:
    if isinstance(value, list):
        return TypeValue("list")
    if isinstance(value, dict):
        return TypeValue("map")
    if value.__class__ is Optional:
        return TypeValue("optional_type")
    name = str(PYTHON_TYPES.get(value.__class__) or getattr(value, "cel_type", "dyn"))
    return TypeValue(NAMES.get(name, name))


def matches(text: str, pattern: str) -> bool:
    try:
        return goregexp.compile(pattern).search(text) is not None
    except goregexp.RegexpError as error:
        raise CelError(str(error)) from None


def insert(values: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    if find_key(values, key) is not None:
        raise CelError(f"insert failed: key {text_of(key)} already exists")
    return {**values, key: value}


def insert_map(values: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    for key, value in more.items():
        values = insert(values, key, value)
    return values


def _orderings() -> list[Any]:
    found = []
    operators = {
        "_<_": ("less", lambda a, b: a < b),
        "_<=_": ("less_equals", lambda a, b: a <= b),
        "_>_": ("greater", lambda a, b: a > b),
        "_>=_": ("greater_equals", lambda a, b: a >= b),
    }
    same = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
    mixed = [(a, b) for a in ("int", "uint", "double") for b in ("int", "uint", "double") if a != b]
    short = {"int": "int64", "uint": "uint64"}
    for operator, (name, impl) in operators.items():
        for kind in same:
            found.append(overload(f"{name}_{short.get(kind, kind)}: {operator}({kind},{kind}) -> bool", impl))
        for a, b in mixed:
            id_ = f"{name}_{short.get(a, a)}_{short.get(b, b)}"
            found.append(overload(f"{id_}: {operator}({a},{b}) -> bool", impl))
    return found


def _not(value: bool) -> bool:
    return not value


OVERLOADS = (
    overload("equals: _==_(A,A) -> bool", equals),
    overload("not_equals: _!=_(A,A) -> bool", lambda a, b: not equals(a, b)),
    *_orderings(),
    overload("logical_and: _&&_(bool,bool) -> bool", lambda a, b: a and b),
    overload("logical_or: _||_(bool,bool) -> bool", lambda a, b: a or b),
    overload("logical_not: !_(bool) -> bool", _not),
    overload("not_strictly_false: @not_strictly_false(bool) -> bool", lambda a: a is not False),
    overload("conditional: _?_:_(bool,A,A) -> A", lambda c, a, b: a if c else b),
    overload("in_list: @in(A,list<A>) -> bool", contains),
    overload("in_map: @in(A,map<A,B>) -> bool", has_key),
    overload("add_bytes: _+_(bytes,bytes) -> bytes", lambda a, b: a + b),
    overload("add_double: _+_(double,double) -> double", lambda a, b: a + b),
    overload("add_int64: _+_(int,int) -> int", lambda a, b: checked(a + b)),
    overload("add_list: _+_(list<A>,list<A>) -> list<A>", concat),
    overload("add_string: _+_(string,string) -> string", lambda a, b: a + b),
    overload("add_uint64: _+_(uint,uint) -> uint", lambda a, b: unsigned(int(a) + int(b))),
    overload("subtract_double: _-_(double,double) -> double", lambda a, b: a - b),
    overload("subtract_int64: _-_(int,int) -> int", lambda a, b: checked(a - b)),
    overload("subtract_uint64: _-_(uint,uint) -> uint", lambda a, b: unsigned(int(a) - int(b))),
    overload("multiply_double: _*_(double,double) -> double", lambda a, b: a * b),
    overload("multiply_int64: _*_(int,int) -> int", lambda a, b: checked(a * b)),
    overload("multiply_uint64: _*_(uint,uint) -> uint", lambda a, b: unsigned(int(a) * int(b))),
    overload("divide_double: _/_(double,double) -> double", divide_double),
    overload("divide_int64: _/_(int,int) -> int", divide),
    overload("divide_uint64: _/_(uint,uint) -> uint", lambda a, b: UInt(divide(a, b))),
    overload("modulo_int64: _%_(int,int) -> int", modulo),
    overload("modulo_uint64: _%_(uint,uint) -> uint", lambda a, b: UInt(modulo(a, b))),
    overload("negate_double: -_(double) -> double", lambda a: -a),
    overload("negate_int64: -_(int) -> int", lambda a: checked(-a)),
    overload("index_list: _[_](list<A>,int) -> A", index_list),
    overload("index_map: _[_](map<A,B>,A) -> B", index_map),
    overload("size_bytes: size(bytes) -> int", len),
    overload("bytes_size: bytes::size() -> int", len),
    overload("size_list: size(list<A>) -> int", len),
    overload("list_size: list<A>::size() -> int", len),
    overload("size_map: size(map<A,B>) -> int", len),
    overload("map_size: map<A,B>::size() -> int", len),
    overload("size_string: size(string) -> int", len),
    overload("string_size: string::size() -> int", len),
    overload("contains_string: string::contains(string) -> bool", lambda a, b: b in a),
    overload("starts_with_string: string::startsWith(string) -> bool", str.startswith),
    overload("ends_with_string: string::endsWith(string) -> bool", str.endswith),
    overload("matches: matches(string,string) -> bool", matches),
    overload("matches_string: string::matches(string) -> bool", matches),
    overload("bool_to_bool: bool(bool) -> bool", lambda a: a),
    overload("string_to_bool: bool(string) -> bool", to_bool),
    overload("bytes_to_bytes: bytes(bytes) -> bytes", lambda a: a),
    overload("string_to_bytes: bytes(string) -> bytes", str.encode),
    overload("double_to_double: double(double) -> double", lambda a: a),
    overload("int64_to_double: double(int) -> double", to_double),
    overload("string_to_double: double(string) -> double", to_double),
    overload("uint64_to_double: double(uint) -> double", to_double),
    overload("int64_to_int64: int(int) -> int", to_int),
    overload("double_to_int64: int(double) -> int", to_int),
    overload("duration_to_int64: int(duration) -> int", to_int),
    overload("string_to_int64: int(string) -> int", to_int),
    overload("timestamp_to_int64: int(timestamp) -> int", to_int),
    overload("uint64_to_int64: int(uint) -> int", to_int),
    overload("uint64_to_uint64: uint(uint) -> uint", to_uint),
    overload("double_to_uint64: uint(double) -> uint", to_uint),
    overload("int64_to_uint64: uint(int) -> uint", to_uint),
    overload("string_to_uint64: uint(string) -> uint", to_uint),
    overload("string_to_string: string(string) -> string", lambda a: a),
    overload("bool_to_string: string(bool) -> string", text_of),
    overload("bytes_to_string: string(bytes) -> string", bytes_to_string),
    overload("double_to_string: string(double) -> string", text_of),
    overload("int64_to_string: string(int) -> string", text_of),
    overload("uint64_to_string: string(uint) -> string", text_of),
    overload("to_dyn: dyn(A) -> dyn", lambda a: a),
    overload("type: type(A) -> type<A>", type_of),
    overload("@mapInsert_map_key_value: cel.@mapInsert(map<K,V>,K,V) -> map<K,V>", insert),
    overload("@mapInsert_map_map: cel.@mapInsert(map<K,V>,map<K,V>) -> map<K,V>", insert_map),
)
