"""Hypothesis strategies for API objects in wire form, made from the schema."""

from hypothesis import strategies as st

from knarr.api import schema
from knarr.api.schema import Definition, Field, Type

DEPTH_MAX = 5
FIELDS_MAX = 4
TEXT = st.sampled_from(["a", "web-1", "x/y", 'say "hi": {}', "é", "back\\slash", "[]"])
SCALARS = {
    "string": TEXT,
    "bool": st.just(True),
    "double": st.sampled_from([1, 2.5, -7]),
    "int32": st.sampled_from([1, -1, 2**31 - 1, -(2**31)]),
    "int64": st.sampled_from([1, -1, 2**63 - 1, -(2**63)]),
    "byte": st.sampled_from(["YQ==", "AAEC"]),
}
ZEROES = {"string": "", "bool": False, "double": 0, "int32": 0, "int64": 0, "byte": ""}
ANYTHING = st.sampled_from([{"a": 1, "b": [None, {}]}, {}, [], "x", 5, True, {"f:a": {".": {}}}])
SPECIAL = {
    schema.QUANTITY: st.sampled_from(["1", "100m", "1Gi", "1500m", "0"]),
    schema.TIME: st.sampled_from(["2026-01-02T03:04:05Z", "1999-12-31T23:59:59Z"]),
    schema.MICRO_TIME: st.just("2026-01-02T03:04:05.000006Z"),
    schema.INT_OR_STRING: st.sampled_from([1, 0, "25%", "http"]),
    schema.RAW_EXTENSION: ANYTHING,
    schema.JSON: ANYTHING,
    schema.FIELDS_V1: st.just({"f:a": {".": {}}}),
    schema.PATCH: st.just({}),
    schema.PROPS + "OrBool": st.sampled_from([True, False, {"type": "string"}]),
    schema.PROPS + "OrArray": st.sampled_from([{"type": "string"}, [{"type": "integer"}]]),
    schema.PROPS + "OrStringArray": st.sampled_from([{"type": "string"}, ["a"]]),
}


@st.composite
def objects(draw, name: str, wild: bool = False, depth: int = 0):
    """An object of a definition with a few of its fields; `wild` ones also hold nulls and zero values."""
    definition = schema.load()[name]
    fields = [
        f for f in definition.fields.values() if not (definition.gvks and f.name in ("kind", "apiVersion"))
    ]
    if depth >= DEPTH_MAX:
        fields = [f for f in fields if f.type.kind == "scalar"]
    if not fields:
        return {}
    chosen = draw(st.lists(st.sampled_from(fields), max_size=FIELDS_MAX, unique_by=lambda f: f.name))
    if depth == 0:  # the interesting parts of an object
        chosen += [f for f in fields if f.name in ("metadata", "spec", "status") and f not in chosen]
    return {field.name: draw(_field(definition, field, wild, depth)) for field in chosen}


def _field(definition: Definition, field: Field, wild: bool, depth: int):
    strategy = values(field.type, wild, depth)
    return strategy | zeroes(field.type) if wild else strategy


def values(type_: Type, wild: bool, depth: int):
    match type_.kind:
        case "scalar":
            return SCALARS[type_.name]
        case "any":
            return ANYTHING
        case "list":
            return st.lists(values(type_.item, wild, depth), min_size=1, max_size=2)
        case "map":
            return st.dictionaries(TEXT, values(type_.item, wild, depth), min_size=1, max_size=2)
    special = SPECIAL.get(type_.name)
    return objects(type_.name, wild, depth + 1) if special is None else special


def zeroes(type_: Type):
    """What a client may send for nothing."""
    match type_.kind:
        case "scalar":
            return st.sampled_from([None, ZEROES[type_.name]])
        case "list":
            return st.sampled_from([None, []])
        case "map":
            return st.sampled_from([None, {}])
    return st.none() if type_.kind == "any" or type_.name in SPECIAL else st.sampled_from([None, {}])
