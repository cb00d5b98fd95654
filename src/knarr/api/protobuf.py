"""Kubernetes protobuf: built-in kinds as `application/vnd.kubernetes.protobuf`, and back.

A body is the magic `k8s\\0` and a runtime.Unknown that holds apiVersion, kind and the object's own message. Numbers
of fields are facts in data/protobuf.json; their types, and whether Go writes zero values, come from the schema.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from knarr.api import schema
from knarr.api.schema import Type
from knarr.meta import times
from knarr.meta.gojson import text_of

Object = dict[str, Any]

MAGIC = b"k8s\0"
VARINT, FIXED64, BYTES = 0, 1, 2
FIXED32 = 5


class ProtobufError(ValueError):
    """A body that is no Kubernetes protobuf; the text is what Kubernetes says."""


# -- wire format -----------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """Negative numbers take ten bytes, as int32 and int64 do."""
    if number < 0:
        number += 1 << 64
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data):
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise ProtobufError("proto: integer overflow")


def signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def delimited(number: int, data: bytes) -> bytes:
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def fields_of(data: bytes) -> list[tuple[int, int, Any]]:
    """(number, wire type, value) of every field, in order."""
    out: list[tuple[int, int, Any]] = []
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = read_varint(data, at)
        elif wire == BYTES:
            size, at = read_varint(data, at)
            value = data[at : at + size]
            if len(value) != size:
                raise ProtobufError("unexpected EOF")
            at += size
        elif wire == FIXED64:
            value, at = data[at : at + 8], at + 8
        elif wire == FIXED32:
            value, at = data[at : at + 4], at + 4
        else:
            raise ProtobufError(f"proto: illegal wireType {wire}")
        out.append((number, wire, value))
    return out


# -- types that Go writes by hand --------------------------------------------------------------------------


def _encode_time(text: str | None) -> bytes:
    if not text:
        return b""
    seconds = times.parse(text)
    whole = int(seconds // 1)
    return b"\x08" + varint(whole) + b"\x10" + varint(0)


def _encode_micro_time(text: str | None) -> bytes:
    if not text:
        return b""
    whole = int(times.parse(text) // 1)
    fraction = text.partition(".")[2].rstrip("Z")[:6].ljust(6, "0") if "." in text else "0"
    return b"\x08" + varint(whole) + b"\x10" + varint(int(fraction) * 1000)


def _instant(data: bytes) -> tuple[int, int]:
    found = {number: value for number, _, value in fields_of(data)}
    return signed(found.get(1, 0)), signed(found.get(2, 0))


def _decode_time(data: bytes) -> str | None:
    seconds, _ = _instant(data)
    return times.format(seconds) if data else None


def _decode_micro_time(data: bytes) -> str | None:
    seconds, nanos = _instant(data)
    return times.format(seconds)[:-1] + f".{nanos // 1000:06d}Z" if data else None


def _encode_int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + delimited(3, value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def _decode_int_or_string(data: bytes) -> int | str:
    found = {number: value for number, _, value in fields_of(data)}
    if found.get(1):
        return text_of(found.get(3, b""))
    return signed(found.get(2, 0))


def _encode_raw(value: Any) -> bytes:
    return delimited(1, orjson.dumps(value))


def _decode_raw(data: bytes) -> Any:
    """JSON, or an object that is protobuf itself (what a WatchEvent carries)."""
    raw = next((value for number, _, value in fields_of(data) if number == 1), b"")
    if raw[:4] == MAGIC:
        return decode(raw)
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as error:
        raise ProtobufError(f"invalid JSON: {error}") from None


def _encode_props_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x08" + varint(int(value))
    return b"\x08\x01" + delimited(2, message(schema.PROPS).encode(value))


def _decode_props_or_bool(data: bytes) -> Any:
    found = {number: value for number, _, value in fields_of(data)}
    return message(schema.PROPS).decode(found[2]) if 2 in found else bool(found.get(1))


def _encode_props_or_array(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(delimited(2, message(schema.PROPS).encode(item)) for item in value)
    return delimited(1, message(schema.PROPS).encode(value))


def _decode_props_or_array(data: bytes) -> Any:
    found = fields_of(data)
    if found and found[0][0] == 1:
        return message(schema.PROPS).decode(found[0][2])
    return [message(schema.PROPS).decode(value) for number, _, value in found if number == 2]


def _encode_props_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(delimited(2, item.encode()) for item in value)
    return delimited(1, message(schema.PROPS).encode(value))


def _decode_props_or_strings(data: bytes) -> Any:
    found = fields_of(data)
    if found and found[0][0] == 1:
        return message(schema.PROPS).decode(found[0][2])
    return [text_of(value) for number, _, value in found if number == 2]


def _encode_quantity(text: Any) -> bytes:
    return delimited(1, str(text).encode())


def _decode_quantity(data: bytes) -> str:
    return next((text_of(value) for number, _, value in fields_of(data) if number == 1), "0")


Coder = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]
BY_HAND: dict[str, Coder] = {
    schema.TIME: (_encode_time, _decode_time),
    schema.MICRO_TIME: (_encode_micro_time, _decode_micro_time),
    schema.QUANTITY: (_encode_quantity, _decode_quantity),
    schema.INT_OR_STRING: (_encode_int_or_string, _decode_int_or_string),
    schema.RAW_EXTENSION: (_encode_raw, _decode_raw),
    schema.FIELDS_V1: (_encode_raw, _decode_raw),
    schema.JSON: (_encode_raw, _decode_raw),
    schema.PROPS + "OrBool": (_encode_props_or_bool, _decode_props_or_bool),
    schema.PROPS + "OrArray": (_encode_props_or_array, _decode_props_or_array),
    schema.PROPS + "OrStringArray": (_encode_props_or_strings, _decode_props_or_strings),
}
#: written by Go even when nothing is in them
ZEROES: dict[str, Any] = {"string": "", "bool": False, "double": 0.0, "int32": 0, "int64": 0}


# -- messages ----------------------------------------------------------------------------------------------


class Message:
    """Encoder and decoder of one definition.

    A struct that Go embeds is inline in JSON and a message of its own in protobuf: `_inline` holds those, by number.
    """

    def __init__(self, name: str, path: tuple[int, ...] = ()) -> None:
        numbers = {
            field: number if type(number) is list else [number]
            for field, number in _numbers().get(name, {}).items()
        }
        depth = len(path)
        own: list[tuple[int, schema.Field]] = []
        inner: dict[int, Message] = {}
        for field in schema.load()[name].fields.values():
            way = numbers.get(field.name, [])
            if tuple(way[:depth]) != path or len(way) <= depth:
                continue
            if len(way) == depth + 1:
                own.append((way[depth], field))
            elif way[depth] not in inner:
                inner[way[depth]] = Message(name, (*path, way[depth]))
        self._by_number = dict(own)
        self._inline = inner
        self._order = sorted([*self._by_number, *inner])

    def encode(self, obj: Object) -> bytes:
        out: list[bytes] = []
        for number in self._order:
            if number in self._inline:
                out.append(delimited(number, self._inline[number].encode(obj)))
                continue
            field = self._by_number[number]
            value = obj.get(field.name)
            if value is None:
                value = "" if field.name == "creationTimestamp" else _zero(field.type, field.behaviour)
                if value is None:
                    continue
            out.append(_encode_field(number, field.type, value))
        return b"".join(out)

    def decode(self, data: bytes) -> Object:
        """The object in wire form, zero values included where Go wrote them."""
        obj: Object = {}
        for number, _, raw in fields_of(data):
            if number in self._inline:
                obj.update(self._inline[number].decode(raw))
                continue
            field = self._by_number.get(number)
            if field is not None:
                _decode_into(obj, field.name, field.type, raw)
        return obj


@cache
def message(name: str) -> Message:
    return Message(name)


@cache
def _numbers() -> dict[str, dict[str, int | list[int]]]:
    return orjson.loads((Path(__file__).parent / "data" / "protobuf.json").read_bytes())


def _zero(type_: Type, behaviour: str) -> Any:
    """What Go encodes for an absent field; None when it writes nothing."""
    if behaviour in ("p", "n"):
        return None
    if type_.kind == "scalar":
        return ZEROES.get(type_.name) if type_.name != "byte" else None
    if type_.kind == "object" and type_.name in (schema.TIME, schema.MICRO_TIME):
        return ""
    if type_.kind == "object" and type_.name == schema.INT_OR_STRING:
        return 0
    if type_.kind == "object" and type_.name not in BY_HAND and behaviour in ("s", "z", "a"):
        return {}
    return None


def _encode_field(number: int, type_: Type, value: Any) -> bytes:
    if type_.kind == "list":
        assert type_.item is not None
        return b"".join(_encode_field(number, type_.item, item) for item in value)
    if type_.kind == "map":
        assert type_.item is not None
        entries = []
        for key in sorted(value):
            entry = delimited(1, key.encode()) + _encode_entry(type_.item, value[key])
            entries.append(delimited(number, entry))
        return b"".join(entries)
    if type_.kind == "scalar":
        return _encode_scalar(number, type_.name, value)
    return delimited(number, _encode_object(type_, value))


def _encode_entry(type_: Type, value: Any) -> bytes:
    if type_.kind == "list":
        assert type_.item is not None
        return delimited(2, b"".join(_encode_field(1, type_.item, item) for item in value))
    return _encode_field(2, type_, value)


def _encode_object(type_: Type, value: Any) -> bytes:
    if type_.kind == "any":
        return _encode_raw(value)
    coder = BY_HAND.get(type_.name)
    return coder[0](value) if coder else message(type_.name).encode(value)


def _encode_scalar(number: int, name: str, value: Any) -> bytes:
    if name == "string":
        return delimited(number, value.encode())
    if name == "byte":
        return delimited(number, base64.b64decode(value))
    if name == "double":
        return varint(number << 3 | FIXED64) + struct.pack("<d", value)
    return varint(number << 3 | VARINT) + varint(int(value))


def _decode_into(obj: Object, name: str, type_: Type, raw: Any) -> None:
    if type_.kind == "list":
        assert type_.item is not None
        obj.setdefault(name, []).append(_decode_value(type_.item, raw))
    elif type_.kind == "map":
        assert type_.item is not None
        entry = {number: value for number, _, value in fields_of(raw)}
        key = text_of(entry.get(1, b""))
        obj.setdefault(name, {})[key] = _decode_entry(type_.item, entry.get(2))
    else:
        value = _decode_value(type_, raw)
        if value is not None:
            obj[name] = value


def _decode_entry(type_: Type, raw: Any) -> Any:
    if type_.kind == "list":
        assert type_.item is not None
        return [_decode_value(type_.item, value) for _, _, value in fields_of(raw or b"")]
    if raw is None:
        return ZEROES.get(type_.name, {}) if type_.kind == "scalar" else {}
    return _decode_value(type_, raw)


def _decode_value(type_: Type, raw: Any) -> Any:
    if type_.kind == "scalar":
        return _decode_scalar(type_.name, raw)
    if type_.kind == "any":
        return _decode_raw(raw)
    coder = BY_HAND.get(type_.name)
    return coder[1](raw) if coder else message(type_.name).decode(raw)


def _decode_scalar(name: str, raw: Any) -> Any:
    try:
        if name == "string":
            return text_of(raw)
        if name == "byte":
            return base64.b64encode(raw).decode()
        if name == "bool":
            return bool(raw)
        if name == "double":
            return struct.unpack("<d", raw)[0]
        return signed(raw)
    except (AttributeError, struct.error) as error:
        raise ProtobufError(f"proto: wrong wireType: {error}") from None


# -- bodies ------------------------------------------------------------------------------------------------


def encode(obj: Object) -> bytes:
    """A built-in object (with kind and apiVersion) as a body. Raises KeyError for kinds without a message."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    # discovery's oldest documents name no version
    return envelope(api_version, kind, message(_definition(api_version or "v1", kind)).encode(obj))


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    type_meta = delimited(1, api_version.encode()) + delimited(2, kind.encode())
    return MAGIC + delimited(1, type_meta) + delimited(2, raw) + delimited(3, b"") + delimited(4, b"")


def decode(body: bytes, default: tuple[str, str] = ("", "")) -> Object:
    """The object of a body; `default` is (apiVersion, kind) where the body names none. Raises ProtobufError."""
    if body[:4] != MAGIC:
        raise ProtobufError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    try:
        return _decode(body[4:], default)
    except ProtobufError:
        raise
    except (TypeError, AttributeError, ValueError, LookupError, ArithmeticError, OSError) as error:
        # fields of another wire type than the message has, times no calendar has
        raise ProtobufError(f"proto: wrong wireType: {error}") from None
    except RecursionError:
        raise ProtobufError("proto: nested too deep") from None


def _decode(data: bytes, default: tuple[str, str]) -> Object:
    unknown = {number: value for number, _, value in fields_of(data)}
    type_meta = {number: text_of(value) for number, _, value in fields_of(unknown.get(1, b""))}
    api_version, kind = type_meta.get(1) or default[0], type_meta.get(2) or default[1]
    try:
        found = message(_definition(api_version, kind))
    except KeyError:
        return {"apiVersion": api_version, "kind": kind}
    return {"apiVersion": api_version, "kind": kind, **found.decode(unknown.get(2, b""))}


def watch_event(event: Object) -> bytes:
    """One event of a watch: a bare WatchEvent message whose object is a body with its own envelope."""
    return delimited(1, event["type"].encode()) + delimited(2, delimited(1, encode(event["object"])))


def read_watch_event(data: bytes) -> Object:
    """The reverse of `watch_event`. Raises ProtobufError."""
    found = {number: value for number, _, value in fields_of(data)}
    return {"type": bytes(found.get(1, b"")).decode(), "object": _decode_raw(found.get(2, b""))}


def frame(message: bytes) -> bytes:
    """A message in a stream of messages: four bytes of length before it."""
    return struct.pack(">I", len(message)) + message


def _definition(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return schema.definition_of(group, version, kind)
