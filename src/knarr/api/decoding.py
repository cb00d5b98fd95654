"""The slow way from JSON to an object: what Go's decoder makes of nulls, unknown fields, wrong types and zero values.

Only bodies that the C decoder refuses, or that hold something to report, come here. The walk knows the facts of
api/schema.py and needs no types, so it also serves objects that are Python data already (patched, from YAML).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

from knarr.api import schema
from knarr.api.schema import Definition, Field, Type
from knarr.meta import gojson
from knarr.meta.quantity import Quantity
from knarr.meta.times import MicroTime, Time

#: the strict decoder stops counting there
STRICT_ERRORS_MAX = 100
INT_RANGE = {"int32": 1 << 31, "int64": 1 << 63}
GO_SCALARS = {"double": "float64", "byte": "[]uint8"}
GO_ZEROES: dict[str, Any] = {"string": "", "bool": False, "int32": 0, "int64": 0, "double": 0}
#: definitions of custom resources are stored as JSON, in which [] is not null
STORED_AS_JSON = "io.k8s.apiextensions-apiserver."
OPAQUE = (schema.RAW_EXTENSION, schema.FIELDS_V1, schema.JSON, schema.PATCH)


class DecodeError(ValueError):
    """A body that does not have the type's shape; the text is that of Go's decoder."""


class Base64(str):
    """Bytes in wire form."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Base64:
        """Raises ValueError with Go's text for what is not standard, padded base64; line ends are skipped."""
        if not text:
            return NO_BYTES
        if (fault := _base64_fault(text.encode())) is not None:
            raise ValueError(f"illegal base64 data at input byte {fault}")
        return cls(base64.b64encode(base64.b64decode(text)).decode())


NO_BYTES = Base64("")
ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
LINE_ENDS = b"\r\n"


def _base64_fault(data: bytes) -> int | None:
    """The offset at which Go's decoder stops, or None when all is well."""
    at = in_group = 0
    end = len(data)
    while at < end:
        char = data[at]
        at += 1
        if char in LINE_ENDS:
            continue
        if char in ALPHABET:
            in_group = (in_group + 1) % 4
            continue
        if char != ord("=") or in_group < 2:
            return at - 1
        if in_group == 2:  # a second = must follow
            at = _skip_line_ends(data, at)
            if at == end:
                return end
            if data[at] != ord("="):
                return at - 1
            at += 1
        at = _skip_line_ends(data, at)
        return at if at < end else None
    return end - in_group if in_group else None


def _skip_line_ends(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in LINE_ENDS:
        at += 1
    return at


class Pairs(list[tuple[str, Any]]):
    """A JSON object with its duplicate keys."""

    __slots__ = ()


class Number(float):
    """A JSON number with a fraction or an exponent, and how it was written."""

    text: str

    def __new__(cls, text: str) -> Number:
        number = super().__new__(cls, text)
        number.text = text
        return number


def parse_pairs(body: bytes) -> Any:
    """JSON with objects as `Pairs`; DecodeError in Go's words for what is not JSON."""
    text = gojson.text_of(body)
    try:
        value = json.loads(text, object_pairs_hook=Pairs, parse_float=Number, parse_constant=_refuse_constant)
    except RecursionError:
        raise DecodeError("exceeded max depth") from None
    except ValueError:
        raise DecodeError(gojson.syntax_error(body)) from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def plain(value: Any) -> Any:
    """`Pairs` as dicts (the last of duplicates wins), `Number` as float."""
    kind = type(value)
    if kind is Pairs:
        return {key: plain(item) for key, item in value}
    if kind is dict:
        return {key: plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    if kind is Number:
        return float(value)
    if kind is str and not value.isascii():
        return _whole_text(value)
    if kind is int and not -INT_RANGE["int64"] <= value < 2 * INT_RANGE["int64"]:
        return float(value)  # as Go's decoder and orjson have it
    return value


def find_duplicates(body: bytes) -> list[str]:
    """`duplicate field "spec.a"` for every key that an object of a JSON text repeats: what the strict decoder says of
    bodies without a type (custom resources, patches). Raises DecodeError for what is not JSON."""
    errors: dict[str, None] = {}
    _find_duplicates(parse_pairs(body), "", errors)
    return list(errors)[:STRICT_ERRORS_MAX]


def _find_duplicates(value: Any, path: str, errors: dict[str, None]) -> None:
    if type(value) is list:
        for index, item in enumerate(value):
            _find_duplicates(item, f"{path}[{index}]", errors)
    elif type(value) is Pairs:
        met = set()
        for key, item in value:
            here = f"{path}.{key}" if path else key
            if key in met:
                errors[f'duplicate field "{here}"'] = None
            met.add(key)
            _find_duplicates(item, here, errors)


def _whole_text(text: str) -> str:
    """Go replaces lone surrogates."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def json_kind(value: Any) -> str:
    """A JSON value's kind as Go's messages name it."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case Pairs() | dict():
            return "object"
    return "array"


def go_type(type_: Type, named: str = "") -> str:
    """A type as Go prints it: []v1.Container, map[string]string, int32."""
    if named:
        return named
    match type_.kind:
        case "list":
            return "[]" + go_type(type_.item)
        case "map":
            return "map[string]" + go_type(type_.item)
        case "object":
            package, _, name = type_.name.rpartition(".")
            return f"{package.rpartition('.')[2]}.{name}"
        case "any":
            return "interface {}"
    return GO_SCALARS.get(type_.name, type_.name)


def zero_of(type_: Type) -> Any:
    """What Go writes for a value that was never set and is not left out."""
    if type_.kind == "scalar":
        return GO_ZEROES.get(type_.name)
    if type_.kind == "object":
        if type_.name == schema.QUANTITY:
            return "0"
        if type_.name == schema.INT_OR_STRING:
            return 0
    return None


def decode_time(cls: type[Time] | type[MicroTime]) -> Callable[[Any], str]:
    def decode(item: Any) -> str:
        if not isinstance(item, str):
            raise ValueError(f"json: cannot unmarshal {json_kind(item)} into Go value of type string")
        return str(cls.parse(item))

    return decode


def decode_quantity(item: Any) -> str:
    if isinstance(item, Number):
        item = item.text
    return str(Quantity.parse(item if isinstance(item, str | int | float) else "x"))


def decode_int_or_string(item: Any) -> int | str:
    if isinstance(item, str) or (type(item) is int and -INT_RANGE["int32"] <= item < INT_RANGE["int32"]):
        return item
    got = json_kind(item)
    if got == "number":
        got += f" {item.text if isinstance(item, Number) else item}"
    raise ValueError(f"json: cannot unmarshal {got} into Go value of type int32")


def decode_props_or(item: Any) -> Any:
    """A schema inside `additionalProperties` or `items`: decoded on its own, so nothing unknown is reported."""
    if isinstance(item, dict | Pairs):
        return Walker(strict=False).decode(schema.load()[schema.PROPS], item)
    if isinstance(item, list):
        return [decode_props_or(x) for x in item]
    return item


def decode_props_or_array(item: Any) -> Any:
    """`items`: Go looks at the first letter only, so what is neither a schema nor a list is as good as null."""
    return decode_props_or(item) if isinstance(item, dict | Pairs | list) else None


def decode_props_or_bool(item: Any) -> Any:
    if isinstance(item, dict | Pairs | bool):
        return decode_props_or(item)
    raise ValueError("boolean or JSON schema expected")


#: types that decode themselves; a fault there ends the decoding at once
SELF_DECODING: dict[str, Callable[[Any], Any]] = {
    schema.QUANTITY: decode_quantity,
    schema.TIME: decode_time(Time),
    schema.MICRO_TIME: decode_time(MicroTime),
    schema.INT_OR_STRING: decode_int_or_string,
    schema.PROPS + "OrBool": decode_props_or_bool,
    schema.PROPS + "OrArray": decode_props_or_array,
    schema.PROPS + "OrStringArray": decode_props_or,
}


class Walker:
    """One walk over one object; `errors` are the strict decoder's, in its order."""

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict
        self.errors: list[str] = []
        self._seen: set[str] = set()
        self._wrong_type = ""

    def decode(self, definition: Definition, value: Any, path: str = "") -> dict[str, Any]:
        """The object in wire form; `path` is where it stands in what is reported. Raises DecodeError as Go does: for the first wrong type, unless a value that
        decodes itself (a quantity, a time) is wrong as well, which ends the decoding at once."""
        if value is None:
            value = {}
        if not isinstance(value, dict | Pairs):
            name = go_type(Type("object", definition.name))
            raise DecodeError(f"json: cannot unmarshal {json_kind(value)} into Go value of type {name}")
        out = self.struct(definition, value, tuple(path.split(".")) if path else (), path)
        if self._wrong_type:
            raise DecodeError(self._wrong_type)
        return out

    def report(self, error: str) -> None:
        if self.strict and error not in self._seen and len(self.errors) < STRICT_ERRORS_MAX:
            self._seen.add(error)
            self.errors.append(error)

    def struct(
        self, definition: Definition, value: Any, fields: tuple[str, ...], path: str
    ) -> dict[str, Any]:
        known, out = definition.fields, {}
        met: set[str] = set()
        for key, item in value if type(value) is Pairs else value.items():
            here = f"{path}.{key}" if path else key
            field = known.get(key)
            if field is None:
                self.report(f'unknown field "{here}"')
                continue
            if key in met:
                self.report(f'duplicate field "{here}"')
            met.add(key)
            if item is not None:
                out[key] = self.field(definition, field, item, (*fields, key), here)
        return finish(definition, out)

    def field(self, owner: Definition, field: Field, item: Any, fields: tuple[str, ...], path: str) -> Any:
        context = (owner.name.rpartition(".")[2], fields, field)
        return self.value(field.type, item, context, path)

    def value(self, type_: Type, item: Any, context: tuple[str, tuple[str, ...], Field], path: str) -> Any:
        match type_.kind:
            case "scalar":
                return self.scalar(type_, item, context)
            case "any":
                return plain(item)
            case "list":
                if isinstance(item, list | tuple) and type(item) is not Pairs:
                    inner = type_.item
                    return [self.value(inner, x, context, f"{path}[{i}]") for i, x in enumerate(item)]
                return self.fail(item, type_, context)
            case "map":
                return self.map(type_, item, context, path)
        return self.object(type_, item, context, path)

    def map(self, type_: Type, item: Any, context: Any, path: str) -> Any:
        if not isinstance(item, dict | Pairs):
            return self.fail(item, type_, context)
        out: dict[str, Any] = {}
        for key, value in item if type(item) is Pairs else item.items():
            here = f"{path}.{key}"
            if key in out:
                self.report(f'duplicate field "{here}"')
            out[_whole_text(key)] = self.value(type_.item, value, context, here)
        return out

    def object(self, type_: Type, item: Any, context: Any, path: str) -> Any:
        if type_.name in OPAQUE:
            return plain(item)
        if convert := SELF_DECODING.get(type_.name):
            if item is None:
                return zero_of(type_)
            try:
                return convert(item)
            except ValueError as error:
                raise DecodeError(str(error)) from None
        definition = schema.load()[type_.name]
        if item is None:
            return finish(definition, {})
        if not isinstance(item, dict | Pairs):
            return self.fail(item, type_, context)
        return self.struct(definition, item, context[1], path)

    def scalar(self, type_: Type, item: Any, context: Any) -> Any:
        name = type_.name
        if item is None:
            return GO_ZEROES.get(name, "")
        kind = type(item)
        if name == "string" and isinstance(item, str):
            return item if item.isascii() else _whole_text(item)
        if name == "bool" and kind is bool:
            return item
        if name in INT_RANGE and kind is int and -INT_RANGE[name] <= item < INT_RANGE[name]:
            return item
        if name == "double" and isinstance(item, int | float) and kind is not bool:
            return _shortest(item)
        if name == "byte" and isinstance(item, str):
            try:
                return str(Base64.parse(item))
            except ValueError as error:
                self._wrong_type = self._wrong_type or str(error)
                return ""
        return self.fail(item, type_, context)

    def fail(self, item: Any, type_: Type, context: tuple[str, tuple[str, ...], Field]) -> Any:
        """Remember the first wrong type; decoding goes on."""
        if item is None:
            return None
        struct, fields, field = context
        got = json_kind(item)
        if got == "number" and type_.name in INT_RANGE:
            got += f" {item.text if isinstance(item, Number) else item}"
        named = field.go_type
        if type_ is not field.type:  # an element: []v1.Capability holds v1.Capability
            named = named[2:] if named.startswith("[]") else ""
        wanted = go_type(type_, named)
        self._wrong_type = self._wrong_type or (
            f"json: cannot unmarshal {got} into Go struct field {struct}.{'.'.join(fields)} of type {wanted}"
        )
        return zero_of(type_)


def _shortest(number: Any) -> int | float:
    """Go writes whole floats without a fraction."""
    number = float(number) if isinstance(number, float) else number
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 1e21 else number


class Always(NamedTuple):
    """A field that is always there: how its zero value is made, and whether an empty list or map becomes that."""

    name: str
    zero: Callable[[], Any]
    replaces_empty: bool


class Endings(NamedTuple):
    """What the end of a struct changes."""

    dropped: frozenset[str]  # fields that are left out when zero
    always: tuple[Always, ...]


def finish(definition: Definition, out: dict[str, Any]) -> dict[str, Any]:
    """Drop what Go omits and add what it always writes."""
    endings = endings_of(definition.name)
    for key in [key for key, value in out.items() if not value and key in endings.dropped]:
        del out[key]
    for name, zero, replaces_empty in endings.always:
        value = out.get(name)
        if value is None or (replaces_empty and not value):
            out[name] = zero()
    return out


@cache
def endings_of(name: str) -> Endings:
    definition = schema.load()[name]
    dropped = frozenset(field.name for field in definition.fields.values() if field.behaviour == "o")
    return Endings(dropped, tuple(_always(definition)))


def _always(definition: Definition) -> Iterator[Always]:
    identity = identity_of(definition)
    for field in definition.fields.values():
        if field.name in identity:
            yield Always(field.name, partial(str, identity[field.name]), False)
        elif field.behaviour == "s":
            yield Always(field.name, partial(zero_struct, field.type), False)
        elif field.behaviour == "a" and definition.name.startswith(STORED_AS_JSON):
            zero = _nothing if field.type.kind in ("list", "map") else partial(zero_of, field.type)
            yield Always(field.name, zero, False)
        elif field.behaviour == "a" and field.type.kind in ("list", "map"):
            null = null_when_empty(definition, field)
            yield Always(field.name, _nothing if null else {"list": list, "map": dict}[field.type.kind], null)
        elif field.behaviour == "a":
            yield Always(field.name, partial(zero_of, field.type), False)
        elif field.behaviour == "n":
            yield Always(field.name, _nothing, False)


def null_when_empty(definition: Definition, field: Field) -> bool:
    """Whether an empty list or map that is always written is null, as Go's nil is. Protobuf, in which objects are
    stored, does not tell [] from nil. The items of lists, and kinds that are never stored, are [] all the same."""
    if definition.name.startswith(STORED_AS_JSON):
        return False
    return definition.served and not (field.name == "items" and definition.gvks)


def _nothing() -> None:
    return None


def zero_struct(type_: Type) -> dict[str, Any]:
    return finish(schema.load()[type_.name], {})


def identity_of(definition: Definition) -> dict[str, str]:
    """apiVersion and kind of a definition that is a kind, else nothing."""
    if not definition.gvks:
        return {}
    group, version, kind = definition.gvks[0]
    return {"apiVersion": f"{group}/{version}" if group else version, "kind": kind}
