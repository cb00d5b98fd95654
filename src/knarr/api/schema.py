"""The facts of the API's types: per definition its fields, as OpenAPI and the Go types have them.

`data/schema.json` holds one line per definition, written by tools/make_schema.py. Definitions are known by their
OpenAPI names (`io.k8s.api.core.v1.Pod`); the file shortens the package. A field is one text of words:

    behaviour type [fact ...]                e.g.  "a []core.v1.Container required keys=name list=map merge=name"

Behaviour is what Go's encoder does, which OpenAPI does not tell:
    p  a pointer: absent when nil, zero values stay
    n  a pointer without omitempty: null when nil
    o  omitempty: zero values (and empty lists and maps) are dropped
    a  always written, also when zero: "" 0 false, null for lists, maps and times
    s  a struct that is not behind a pointer: always written, at least {}
Types: string bool double int32 int64 byte any, []T, {}T (maps), or a definition. Facts: required, keys (list map keys),
list and map (x-kubernetes-list-type, -map-type), strategy and merge (strategic merge patch), enum (~ is a space), format, default,
go (the name of a named Go scalar type, which error messages show). "." holds what belongs to the definition itself.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
PREFIXES = {
    "^": "io.k8s.apimachinery.pkg.",
    "+": "io.k8s.apiextensions-apiserver.pkg.apis.",
    "%": "io.k8s.kube-aggregator.pkg.apis.",
}
EXT = PREFIXES["+"] + "apiextensions.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
TIME, MICRO_TIME, FIELDS_V1, PATCH = (META + name for name in ("Time", "MicroTime", "FieldsV1", "Patch"))
JSON, PROPS = EXT + "JSON", EXT + "JSONSchemaProps"
#: JSONSchemaProps or something else
PROPS_OR = {PROPS + "OrBool": "bool", PROPS + "OrArray": "array", PROPS + "OrStringArray": "string array"}
SCALARS = {
    "string": ("string", ""),
    "bool": ("boolean", ""),
    "double": ("number", "double"),
    "byte": ("string", "byte"),
}
SCALARS |= {bits: ("integer", bits) for bits in ("int32", "int64")}
#: Kubernetes' own version, whose descriptions are read from kubernetes-validate
DESCRIBED_VERSION = "v1.36.0-local"


def full_name(short: str) -> str:
    """core.v1.Pod -> io.k8s.api.core.v1.Pod; the marks ^ + % stand for the other packages."""
    prefix = PREFIXES.get(short[0])
    return prefix + short[1:] if prefix else "io.k8s.api." + short


class Type(NamedTuple):
    """A field's type: `kind` is 'scalar', 'any', 'object', 'list' or 'map'."""

    kind: str
    name: str = ""  # of the scalar, or of the definition
    item: Type | None = None  # of a list or a map


class Field(NamedTuple):
    """One field of a definition; the words are explained above."""

    name: str
    behaviour: str
    type: Type
    required: bool = False
    list_type: str = ""
    map_type: str = ""
    keys: tuple[str, ...] = ()
    strategy: tuple[str, ...] = ()
    merge_key: str = ""
    enum: tuple[str, ...] = ()
    format: str = ""
    default: Any = None
    go_type: str = ""


class Definition:
    """The fields of one definition, parsed when first asked for."""

    def __init__(self, name: str, row: dict[str, Any], served: bool) -> None:
        self.name = name
        self.served = served  # part of the OpenAPI documents
        self._row = row
        self.extra: dict[str, Any] = row.get(".", {})

    @property
    def gvks(self) -> list[tuple[str, str, str]]:
        """(group, version, kind) of every kind this definition is the type of."""
        return [_gvk(text) for text in self.extra.get("gvk", ())]

    @cached_property
    def fields(self) -> dict[str, Field]:
        return {name: parse_field(name, text) for name, text in self._row.items() if name != "."}


def _gvk(text: str) -> tuple[str, str, str]:
    group, version, kind = text.split()
    return ("" if group == "-" else group, version, kind)


@cache
def parse_type(text: str) -> Type:
    if text.startswith("[]"):
        return Type("list", item=parse_type(text[2:]))
    if text.startswith("{}"):
        return Type("map", item=parse_type(text[2:]))
    if text in SCALARS:
        return Type("scalar", text)
    return Type("any") if text == "any" else Type("object", full_name(text))


#: fact -> (attribute of Field, how its text becomes the value)
FACTS = {
    "list": ("list_type", str),
    "map": ("map_type", str),
    "keys": ("keys", lambda text: tuple(text.split(","))),
    "strategy": ("strategy", lambda text: tuple(text.split(","))),
    "merge": ("merge_key", str),
    "enum": ("enum", lambda text: tuple(text.replace("~", " ").split("|"))),
    "format": ("format", str),
    "default": ("default", json.loads),
    "go": ("go_type", str),
}


def parse_field(name: str, text: str) -> Field:
    behaviour, type_, *words = text.split(" ")
    facts: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key == "required":
            facts["required"] = True
        else:
            attribute, convert = FACTS[key]
            facts[attribute] = convert(value)
    return Field(name, behaviour, parse_type(type_), **facts)


@cache
def load() -> dict[str, Definition]:
    """All definitions by their OpenAPI names, the hand-written ones (Table, AdmissionReview ...) last."""
    document = orjson.loads((Path(__file__).parent / "data" / "schema.json").read_bytes())
    served = {full_name(k): v for k, v in document["served"].items()}
    rest = {full_name(k): v for k, v in document["unserved"].items()}
    return {name: Definition(name, row, name in served) for name, row in (served | rest).items()}


@cache
def _by_gvk() -> dict[tuple[str, str, str], str]:
    return {gvk: name for name, definition in load().items() for gvk in definition.gvks}


def definition_of(group: str, version: str, kind: str) -> str:
    """The name of a kind's definition; KeyError for a kind without a built-in type."""
    return _by_gvk()[group, version, kind]


# -- as OpenAPI ------------------------------------------------------------------------------------------


class Definitions(Mapping[str, dict[str, Any]]):
    """OpenAPI v2 schemas by name, without descriptions; each is expanded when first asked for.

    Only what a server publishes: the hand-written kinds are absent. `default` is present as in OpenAPI v3.
    """

    def __init__(self) -> None:
        self._expanded: dict[str, dict[str, Any]] = {}
        self._names = [name for name, definition in load().items() if definition.served]

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in self._expanded:
            definition = load()[name]
            if not definition.served:
                raise KeyError(name)
            self._expanded[name] = expand(definition)
        return self._expanded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@cache
def definitions() -> Definitions:
    return Definitions()


def expand(definition: Definition) -> dict[str, Any]:
    """One definition as an OpenAPI schema."""
    out: dict[str, Any] = {"type": "object"} if definition.fields else {}
    out |= {key: value for key, value in definition.extra.items() if key != "gvk"}
    if definition.fields:
        out["properties"] = {name: expand_field(field) for name, field in definition.fields.items()}
    if required := [name for name, field in definition.fields.items() if field.required]:
        out["required"] = sorted(required)
    if definition.gvks:
        out["x-kubernetes-group-version-kind"] = [
            {"group": group, "kind": kind, "version": version} for group, version, kind in definition.gvks
        ]
    return out


def expand_field(field: Field) -> dict[str, Any]:
    out = expand_type(field.type)
    if field.format:
        out["format"] = field.format
    if field.enum:
        (out.get("items") or out.get("additionalProperties") or out)["enum"] = list(field.enum)
    default = default_of(field)
    for key, value in (
        ("default", default),
        ("x-kubernetes-list-map-keys", list(field.keys) or None),
        ("x-kubernetes-list-type", field.list_type or None),
        ("x-kubernetes-map-type", field.map_type or None),
        ("x-kubernetes-patch-merge-key", field.merge_key or None),
        ("x-kubernetes-patch-strategy", ",".join(field.strategy) or None),
    ):
        if value is not None:
            out[key] = value
    return out


ZEROES = {"string": "", "bool": False, "int32": 0, "int64": 0, "double": 0}


def default_of(field: Field) -> Any:
    """What OpenAPI v3 publishes: the real default, or the zero value of what is always written; None when neither."""
    if field.default is not None:
        return field.default
    if field.behaviour == "s":
        return {}
    if field.behaviour == "a" and field.type.kind == "scalar":
        return ZEROES.get(field.type.name)
    return None


def expand_type(type_: Type) -> dict[str, Any]:
    match type_.kind:
        case "list":
            return {"type": "array", "items": expand_type(type_.item)}
        case "map":
            return {"type": "object", "additionalProperties": expand_type(type_.item)}
        case "object":
            return {"$ref": f"#/definitions/{type_.name}"}
        case "any":
            return {"type": "object"}
    kind, format_ = SCALARS[type_.name]
    return {"type": kind, "format": format_} if format_ else {"type": kind}


@cache
def descriptions() -> dict[str, dict[str, Any]]:
    """Definitions with their descriptions, from the installed kubernetes-validate; {} when it is not installed.

    Read on demand (12 ms): `kubectl explain` and the served OpenAPI documents need it, nothing else does.
    """
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        return {}
    folder = Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema" / DESCRIBED_VERSION
    path = folder / "_definitions.json"
    return orjson.loads(path.read_bytes())["$defs"] if path.exists() else {}


def description_of(field: str) -> str:
    """The documentation of a field ("core.v1.PodSpec.nodeName", shortened or full), "" when there is none."""
    name, _, property_ = field.rpartition(".")
    name = name if name.startswith("io.k8s.") else full_name(name)
    properties = descriptions().get(name, {}).get("properties", {})
    return properties.get(property_, {}).get("description", "")


# -- for strategic merge patches -----------------------------------------------------------------------------


class FieldInfo(NamedTuple):
    """What a strategic merge patch must know of one field; `ref` is the definition of an object or of the items."""

    kind: str  # 'scalar', 'map', 'list', 'object'
    ref: str | None
    patch_strategy: tuple[str, ...]
    merge_key: str | None


@cache
def field(definition: str, name: str) -> FieldInfo | None:
    """None for a field that the definition does not have."""
    found = load()[definition].fields.get(name) if definition in load() else None
    if found is None:
        return None
    kind, ref = patch_kind(found.type)
    if kind in ("list", "map") and found.type.item:
        ref = patch_kind(found.type.item)[1]
    return FieldInfo(kind, ref, found.strategy, found.merge_key or None)


def patch_kind(type_: Type) -> tuple[str, str | None]:
    """('object', definition), or a kind; objects that marshal themselves are scalars, free-form ones are maps."""
    if type_.kind == "object":
        if type_.name in (RAW_EXTENSION, FIELDS_V1, JSON, PATCH):
            return "map", None
        return ("object", type_.name) if load()[type_.name].fields else ("scalar", None)
    return ("map" if type_.kind == "any" else type_.kind), None
