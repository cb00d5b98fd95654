"""The API's types: one frozen Struct per definition, built from the facts when first asked for.

A well-formed body never runs Python code per field: msgspec decodes, checks and encodes in C. Anything unusual
(nulls, unknown fields, wrong types, empty maps that Go leaves out) takes the slow way of api/decoding.py.

Controllers share cached objects without copying: Structs are frozen, lists are tuples, and the garbage collector
never walks them. Change one with `evolve`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Union

import msgspec
import orjson
from msgspec import Meta, Struct
from msgspec import field as struct_field
from msgspec.structs import replace

from knarr.api import resources, schema
from knarr.api.decoding import (
    NO_BYTES,
    STORED_AS_JSON,
    Base64,
    DecodeError,
    Walker,
    identity_of,
    parse_pairs,
    plain,
)
from knarr.api.schema import Definition, Field, Type
from knarr.api.tidy import tidy
from knarr.meta.quantity import Quantity
from knarr.meta.times import MicroTime, Time

__all__ = ["CustomObject", "DecodeError", "KubeObject", "Model", "Scheme", "Strictness", "evolve", "scheme"]

EMPTY_MAP: Mapping[str, Any] = MappingProxyType({})
INT32, INT64 = (Annotated[int, Meta(ge=-(2 ** (n - 1)), le=2 ** (n - 1) - 1)] for n in (32, 64))
SCALARS: dict[str, Any] = {
    "string": str,
    "bool": bool,
    "double": int | float,
    "int32": INT32,
    "int64": INT64,
    "byte": Base64,
}
ZEROES: dict[str, Any] = {
    "string": "",
    "bool": False,
    "double": 0,
    "int32": 0,
    "int64": 0,
    "byte": NO_BYTES,
}
#: definitions whose Go type decodes itself
SELF_DECODING: dict[str, Any] = {
    schema.QUANTITY: Quantity,
    schema.TIME: Time,
    schema.MICRO_TIME: MicroTime,
    schema.INT_OR_STRING: INT32 | str,
    schema.RAW_EXTENSION: Any,
    # Of all that controllers hold of an object nobody in this process looks into these: as text they cost 15 KB less a
    # pod, and a third less time to decode.
    schema.FIELDS_V1: msgspec.Raw,
    schema.PATCH: Any,
    schema.JSON: Any,
}
GO_ZEROES = {schema.QUANTITY: Quantity("0"), schema.INT_OR_STRING: 0}
#: annotations that need no `| None` for a default of None (msgspec refuses it beside Raw)
NULLABLE = (Any, msgspec.Raw)
#: a null that the C encoder hands on as it came
NULL_FIELDS = b'"fieldsV1":null'
#: what the C decoder and encoder raise for bodies that need the slow way
REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError)
TOP_FIELDS = ("metadata", "spec", "status")


class Strictness(StrEnum):
    """The values of ?fieldValidation=."""

    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


class Model(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of every API struct."""

    #: its name in the schema
    __definition__: ClassVar[str] = ""


class KubeObject(Model):
    """Base of every kind: has apiVersion, kind and metadata."""

    #: (group, version, kind)
    __gvk__: ClassVar[tuple[str, str, str]] = ("", "", "")
    #: its row of discovery; None for kinds that are not served (lists, options)
    __resource__: ClassVar[resources.Resource | None] = None


RESOURCE_BY_GVK = {(row.group, row.version, row.kind): row for row in resources.RESOURCES}


def identifier(name: str) -> str:
    """A wire name as a Python name: `from_`, `ref` for $ref, x_kubernetes_..."""
    name = re.sub(r"\W", "_", name.lstrip("$"))
    return name + "_" if keyword.iskeyword(name) else name


def _empty_map() -> dict[str, Any]:
    """Not `dict` itself: msgspec leaves such a field out when it is empty."""
    return {}


def always(value: Any) -> Any:
    """A default that is written even under omit_defaults."""
    return struct_field(default_factory=lambda: value)


def _decode_hook(type_: Any, value: Any) -> Any:
    if type(value) is not str and type_ is not Quantity:
        raise ValueError("not a string")
    return type_.parse(value)


class Scheme:
    """Types, decoders and conversions of all definitions; use the one that `scheme()` returns."""

    def __init__(self, definitions: Mapping[str, Definition] | None = None) -> None:
        self.definitions = schema.load() if definitions is None else definitions
        self._types: dict[str, Any] = dict(SELF_DECODING)
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        self.encoder = msgspec.json.Encoder(enc_hook=str, order="deterministic")

    # -- types ---------------------------------------------------------------------------------------

    def type(self, name: str) -> Any:
        """The Struct of a definition, built with everything it refers to on first use."""
        if name not in self._types:
            forward = identifier(name)
            self._types[name] = forward  # what a recursive definition sees
            self._types[name] = globals()[forward] = self._build(name)
        return self._types[name]

    def type_of(self, group: str, version: str, kind: str) -> type[KubeObject]:
        """The class of a kind; KeyError when it has no built-in type."""
        return self.type(schema.definition_of(group, version, kind))

    def _annotation(self, type_: Type) -> Any:
        match type_.kind:
            case "list":
                return tuple[self._annotation(type_.item), ...]
            case "map":
                return dict[str, self._annotation(type_.item)]
            case "any":
                return Any
            case "scalar":
                return SCALARS[type_.name]
        if alternative := schema.PROPS_OR.get(type_.name):
            props = self.type(schema.PROPS)
            other = {"bool": bool, "array": tuple[props, ...], "string array": tuple[str, ...]}[alternative]
            return Union[props, other]  # noqa: UP007 - props may be a forward reference
        return self.type(type_.name)

    def _field(self, field: Field, top: bool, json_stored: bool) -> tuple[Any, Any]:
        """(annotation, default); the identity of a default decides whether it is written.

        `json_stored`: a list that was never sent is null, as Go's nil is; others come back from the store as [].
        """
        annotation, type_ = self._annotation(field.type), field.type
        pointer = field.behaviour in "pn"
        default: Any = None
        match type_.kind:
            case "list":
                default = None if json_stored and field.behaviour == "a" else ()
            case "map":
                default = EMPTY_MAP
                if field.behaviour == "a":
                    return annotation, struct_field(default_factory=_empty_map)
            case "scalar" if not pointer:
                default = ZEROES[type_.name]
            case "object" if type_.name in SELF_DECODING:
                default = None if pointer else GO_ZEROES.get(type_.name)
            case "object" if isinstance(annotation, type) and (field.behaviour == "s" or top):
                default = annotation()
        if default is None and annotation not in NULLABLE:
            annotation = Union[annotation, None]  # noqa: UP007 - may be a forward reference
        return annotation, always(default) if field.behaviour in "asn" else default

    def _build(self, name: str) -> Any:
        definition = self.definitions[name]
        identity = identity_of(definition)
        fields, rename = [], {}
        for field in definition.fields.values():
            attribute = identifier(field.name)
            if attribute != field.name:
                rename[attribute] = field.name
            if field.name in identity:
                fields.append((attribute, str, always(identity[field.name])))
            else:
                top = bool(identity) and field.name in TOP_FIELDS
                fields.append((attribute, *self._field(field, top, name.startswith(STORED_AS_JSON))))
        namespace: dict[str, Any] = {"__definition__": name}
        if identity:
            namespace["__gvk__"] = definition.gvks[0]
            namespace["__resource__"] = RESOURCE_BY_GVK.get(definition.gvks[0])
        return msgspec.defstruct(
            name.rpartition(".")[2],
            fields,
            rename=rename or None,
            module=__name__,
            bases=(KubeObject if identity else Model,),
            namespace=namespace,
            frozen=True,
            kw_only=True,
            gc=False,
        )

    def decoder(self, name: str) -> msgspec.json.Decoder[Any]:
        if name not in self._decoders:
            self._decoders[name] = msgspec.json.Decoder(self.type(name), dec_hook=_decode_hook)
        return self._decoders[name]

    # -- objects -------------------------------------------------------------------------------------

    def decode(self, name: str, body: bytes) -> Any:
        """A body as an object; unknown fields are dropped. Raises DecodeError."""
        try:
            return self.decoder(name).decode(body)
        except REFUSED:
            walked = Walker(strict=False).decode(self.definitions[name], parse_pairs(body))
            return self._convert(name, walked)

    def encode(self, obj: Any) -> bytes:
        return self.encoder.encode(obj)

    def to_dict(self, obj: Any) -> dict[str, Any]:
        """An object in wire form, as the server would write it."""
        if isinstance(obj, CustomObject):
            return orjson.loads(obj.encode())
        return self._wire(type(obj).__definition__, self.encoder.encode(obj))

    def from_dict(self, cls: Any, obj: Mapping[str, Any]) -> Any:
        """Python data as an object of a class; unknown fields are dropped. Raises DecodeError."""
        if cls is CustomObject:
            return CustomObject.from_dict(obj)
        name = cls.__definition__
        try:
            return msgspec.convert(_raw_fields(obj), cls, dec_hook=_decode_hook)
        except REFUSED:
            return self._convert(name, Walker(strict=False).decode(self.definitions[name], obj))

    def _convert(self, name: str, walked: dict[str, Any]) -> Any:
        """From wire form; its nulls stand for empty lists and maps, which the types know as such."""
        return msgspec.convert(without_nulls(walked), self.type(name), dec_hook=_decode_hook)

    # -- wire form -----------------------------------------------------------------------------------

    def decode_object(
        self, what: str | tuple[str, str, str], body: bytes, strict: Strictness = Strictness.WARN
    ) -> tuple[dict[str, Any], list[str]]:
        """A body as a plain dict as the server stores it, and what the strict decoder found (unknown and duplicate
        fields, nothing under Ignore). `what` is a definition or (group, version, kind). Raises DecodeError."""
        name = what if isinstance(what, str) else schema.definition_of(*what)
        try:
            encoded = self.encoder.encode(self.decoder(name).decode(body))
        except REFUSED:
            return self._walk(name, parse_pairs(body), strict)
        if NULL_FIELDS in encoded or (strict is not Strictness.IGNORE and has_duplicates(body)):
            return self._walk(name, parse_pairs(body), strict)
        return self._wire(name, encoded), []

    def normalize(
        self,
        what: str | tuple[str, str, str],
        obj: Mapping[str, Any],
        strict: Strictness = Strictness.WARN,
        path: str = "",
    ) -> tuple[dict[str, Any], list[str]]:
        """The same for an object that is Python data already: patched, or from YAML. `path` is where it stands in
        the whole ("metadata" for the metadata of a custom resource)."""
        name = what if isinstance(what, str) else schema.definition_of(*what)
        if not path:
            try:
                encoded = self.encoder.encode(self.decoder(name).decode(orjson.dumps(obj)))
                if NULL_FIELDS not in encoded:
                    return self._wire(name, encoded), []
            except (*REFUSED, orjson.JSONEncodeError):
                pass  # something to report, or to word: the walk says what
        return self._walk(name, obj, strict, path)

    def _walk(
        self, name: str, value: Any, strict: Strictness, path: str = ""
    ) -> tuple[dict[str, Any], list[str]]:
        walker = Walker(strict is not Strictness.IGNORE)
        return walker.decode(self.definitions[name], value, path), walker.errors

    def _wire(self, name: str, encoded: bytes) -> dict[str, Any]:
        obj = orjson.loads(encoded)
        return tidy(name, obj) if b"{}" in encoded or b"[]" in encoded else obj


def has_duplicates(body: bytes) -> bool:
    """Whether some object in a JSON text may repeat a key: its quotes are more than those of the text read and
    written again. Escapes that writing could change count as a maybe."""
    return b"\\u" in body or body.count(b'"') != orjson.dumps(orjson.loads(body)).count(b'"')


def without_nulls(value: Any) -> Any:
    """As `msgspec.convert` wants it."""
    if type(value) is dict:
        return {
            key: msgspec.Raw(orjson.dumps(item))
            if key == "fieldsV1" and type(item) is dict
            else without_nulls(item)
            for key, item in value.items()
            if item is not None
        }
    return [without_nulls(item) for item in value] if type(value) is list else value


def _raw_fields(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for an object, or an object's metadata, without nulls: only managedFields need anything."""
    if isinstance(metadata := obj.get("metadata"), dict) and metadata.get("managedFields"):
        return {**obj, "metadata": _raw_fields(metadata)}
    if obj.get("managedFields"):
        return {**obj, "managedFields": without_nulls(list(obj["managedFields"]))}
    return obj


@cache
def scheme() -> Scheme:
    """The one Scheme of the process."""
    return Scheme()


def evolve(obj: Any, /, **changes: Any) -> Any:
    """A copy with some fields changed; a dict changes fields of the struct already there.

    Names are attributes (`from_`). A dict for a struct that is None builds one; lists and maps replace what was there
    and may hold dicts, which become structs. Raises msgspec.ValidationError for data of the wrong shape.
    """
    for name, value in changes.items():
        kind = type(value)
        if kind is dict:
            old = getattr(obj, name)
            changes[name] = evolve(old, **value) if isinstance(old, Struct) else _fit(type(obj), name, value)
        elif kind is list or (kind is tuple and value and type(value[0]) is dict):
            changes[name] = _fit(type(obj), name, value)
    return obj.changed(changes) if isinstance(obj, CustomObject) else replace(obj, **changes)


def _fit(cls: type[Struct], name: str, value: Any) -> Any:
    if name == "managedFields":
        value = without_nulls(list(value))
    return msgspec.convert(value, _annotations(cls).get(name, Any), dec_hook=_decode_hook)


@cache
def _annotations(cls: type[Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(cls)}


# -- custom resources ------------------------------------------------------------------------------------------


class CustomObject(KubeObject):
    """A custom resource: typed metadata, everything else plain JSON values."""

    apiVersion: str = ""
    kind: str = ""
    metadata: Any = None
    #: every other field of the object
    content: Mapping[str, Any] = EMPTY_MAP

    def __getattr__(self, name: str) -> Any:
        """obj.spec, obj.status like a built-in kind; None when absent."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self.content.get(name)

    @staticmethod
    def decode(body: bytes) -> CustomObject:
        try:
            obj = orjson.loads(body)
        except orjson.JSONDecodeError:
            obj = plain(parse_pairs(body))
        return CustomObject.from_dict(obj)

    @staticmethod
    def from_dict(obj: Mapping[str, Any]) -> CustomObject:
        content = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
        meta = scheme().from_dict(scheme().type(schema.META + "ObjectMeta"), obj.get("metadata") or {})
        return CustomObject(
            apiVersion=obj.get("apiVersion", ""), kind=obj.get("kind", ""), metadata=meta, content=content
        )

    def encode(self) -> bytes:
        parts = {"apiVersion": self.apiVersion, "kind": self.kind, "metadata": self.metadata}
        return scheme().encoder.encode({**parts, **self.content})

    def changed(self, changes: Mapping[str, Any]) -> CustomObject:
        own = {k: v for k, v in changes.items() if k in ("apiVersion", "kind", "metadata", "content")}
        if content := {k: v for k, v in changes.items() if k not in own}:
            own["content"] = {**self.content, **content}
        return replace(self, **own)
