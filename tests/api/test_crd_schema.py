"""Structural schemas at work: pruning, defaulting, validation and its messages, ratcheting."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.apiextensions.schema import defaulting, listtypes, ratcheting
from knarr.api.apiextensions.schema.accepts import accepts
from knarr.api.apiextensions.schema.node import Node
from knarr.api.apiextensions.schema.prune import prune
from knarr.api.apiextensions.schema.result import field_errors
from knarr.api.apiextensions.schema.validate import Validator
from knarr.api.apiextensions.schema.version import VersionSchema
from knarr.meta import fielderrors, strformats

SCENARIOS = Path(__file__).parents[3] / "shared" / "parity" / "scenarios"
TEXT, NUMBER, OPEN = {"type": "string"}, {"type": "integer"}, {"x-kubernetes-preserve-unknown-fields": True}


def of(**properties):
    return {"type": "object", "properties": properties}


def messages(schema, value):
    return [str(e) for e in field_errors(Validator(schema).validate(value).findings, "")]


PRUNED = [
    pytest.param(of(a=TEXT), {"a": "x", "b": 1}, {"a": "x"}, ["b"], id="unknown"),
    pytest.param(of(a=of(b=TEXT)), {"a": {"c": 1, "b": "x"}}, {"a": {"b": "x"}}, ["a.c"], id="nested"),
    pytest.param(
        of(l={"type": "array", "items": of(b=TEXT)}), {"l": [{"c": 1}]}, {"l": [{}]}, ["l[0].c"], id="items"
    ),
    pytest.param(
        of(m={"type": "object", "additionalProperties": of(b=TEXT)}),
        {"m": {"k": {"c": 1}}},
        {"m": {"k": {}}},
        ["m.k.c"],
        id="map",
    ),
    pytest.param(of(a=OPEN), {"a": {"x": [1, {"y": None}]}}, {"a": {"x": [1, {"y": None}]}}, [], id="kept"),
    pytest.param(
        of(a={**OPEN, "properties": {"b": of(c=TEXT)}}),
        {"a": {"z": 1, "b": {"c": "x", "d": 1}}},
        {"a": {"z": 1, "b": {"c": "x"}}},
        ["a.b.d"],
        id="specified inside of what is kept",
    ),
    pytest.param(
        of(), {"apiVersion": "v1", "kind": "K", "metadata": {"x": 1}}, None, [], id="what every resource has"
    ),
]


@pytest.mark.parametrize(("schema", "value", "want", "dropped"), PRUNED)
def test_pruning(schema, value, want, dropped):
    want = copy.deepcopy(value) if want is None else want
    assert prune(value, Node(schema)) == dropped
    assert value == want
    assert prune(value, Node(schema)) == []


DEFAULTED = [
    pytest.param(of(a={**TEXT, "default": "d"}), {}, {"a": "d"}, id="absent"),
    pytest.param(of(a={**TEXT, "default": "d"}), {"a": None}, {"a": "d"}, id="null"),
    pytest.param(of(a={**TEXT, "default": "d", "nullable": True}), {"a": None}, {"a": None}, id="nullable"),
    pytest.param(of(a=TEXT), {"a": None}, {}, id="null without a default goes"),
    pytest.param(
        of(a={**of(b={**NUMBER, "default": 2}), "default": {"c": 1}}),
        {},
        {"a": {"c": 1, "b": 2}},
        id="in defaults",
    ),
    pytest.param(
        of(l={"type": "array", "items": of(b={**NUMBER, "default": 2})}),
        {"l": [{}, {"b": 1}]},
        {"l": [{"b": 2}, {"b": 1}]},
        id="items",
    ),
    pytest.param(
        of(m={"type": "object", "additionalProperties": of(b={**NUMBER, "default": 2})}),
        {"m": {"k": {}}},
        {"m": {"k": {"b": 2}}},
        id="map",
    ),
]


@pytest.mark.parametrize(("schema", "value", "want"), DEFAULTED)
def test_defaulting(schema, value, want):
    defaulting.fill(value, Node(schema))
    assert value == want


def test_defaults_are_copies():
    node = Node(of(a={"type": "array", "items": TEXT, "default": []}))
    first, second = {}, {}
    defaulting.fill(first, node)
    first["a"].append("x")
    defaulting.fill(second, node)
    assert second == {"a": []}


MESSAGES = [
    pytest.param(
        of(a=NUMBER),
        {"a": "x"},
        ['a: Invalid value: "string": a in body must be of type integer: "string"'],
        id="type",
    ),
    pytest.param(
        of(a={**NUMBER, "enum": [1, 2]}),
        {"a": 3},
        ['a: Unsupported value: 3: supported values: "1", "2"'],
        id="enum",
    ),
    pytest.param(
        {**of(a=of(b=TEXT)), "required": ["z"]}, {"a": {}}, ["z: Required value"], id="required at the root"
    ),
    pytest.param(
        of(a={"type": "number", "maximum": 1.5, "exclusiveMaximum": True}),
        {"a": 1.5},
        ["a: Invalid value: 1.5: a in body should be less than 1.5"],
        id="exclusive maximum",
    ),
    pytest.param(
        of(a={**TEXT, "format": "ipv6"}),
        {"a": "1.2.3.4"},
        ['a: Invalid value: "1.2.3.4": a in body must be of type ipv6: "1.2.3.4"'],
        id="format",
    ),
    pytest.param(
        of(a={"type": "object", "additionalProperties": NUMBER}),
        {"a": {"k": "x"}},
        ['a.k: Invalid value: "string": a.k in body must be of type integer: "string"'],
        id="additional properties",
    ),
    pytest.param(
        of(a={**TEXT, "allOf": [{"minLength": 2}, {"maxLength": 0}]}),
        {"a": "x"},
        [
            '<nil>: Invalid value: "": "a" must validate all the schemas (allOf). None validated',
            'a: Invalid value: "x": a in body should be at least 2 chars long',
            "a: Too long: may not be more than 0 bytes",
        ],
        id="all of",
    ),
    pytest.param(of(a={**TEXT, "nullable": True}), {"a": None}, [], id="nullable"),
    pytest.param(
        of(a={**NUMBER, "maximum": 10000000}),
        {"a": 20000000},
        ["a: Invalid value: 20000000: a in body should be less than or equal to 10000000"],
        id="bounds of whole numbers",
    ),
    pytest.param(
        of(a={"type": "number", "minimum": 0.5}), {"a": 0}, [], id="bounds of whole numbers are whole"
    ),
    pytest.param(
        of(a={"type": "number", "maximum": 10000000.5}),
        {"a": 20000000.75},
        ["a: Invalid value: 2.000000075e+07: a in body should be less than or equal to 1.00000005e+07"],
        id="bounds of fractions",
    ),
    pytest.param(
        of(a={**NUMBER, "format": "int32"}),
        {"a": 3000000000},
        ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in a'],
        id="more than 32 bits",
    ),
    pytest.param(
        of(a={**NUMBER, "multipleOf": -2}),
        {"a": 4},
        ["a: Invalid value: -2: factor MultipleOf declared for a must be positive: -2"],
        id="a negative factor",
    ),
    pytest.param(
        of(a={**TEXT, "format": "date"}),
        {"a": 5},
        ['a: Invalid value: "int64": a in body must be of type date: "int64"'],
        id="a format of another type",
    ),
    pytest.param(
        of(a={"type": "object", "additionalProperties": False}),
        {"a": {"b": 1}},
        ['a: Invalid value: "b": a.b in body is a forbidden property'],
        id="closed",
    ),
]


@pytest.mark.parametrize(("schema", "value", "want"), MESSAGES)
def test_messages(schema, value, want):
    assert sorted(messages(schema, value)) == sorted(want)


@pytest.mark.skipif(not SCENARIOS.exists(), reason="needs the recordings in ../shared")
def test_messages_as_recorded():
    steps = json.loads((SCENARIOS / "crd-schema.json").read_text())["steps"]
    schema = VersionSchema(steps[0]["body"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    checked = 0
    for step in steps:
        body, expected = step.get("body"), step["expect"].get("body")
        if step["method"] != "POST" or not isinstance(body, dict) or body["kind"] != "Box":
            continue
        obj = copy.deepcopy(body)
        schema.normalize(obj)
        found = schema.schema_errors(obj) + schema.embedded_errors(obj) + schema.list_errors(obj, None)
        shown = fielderrors.aggregate(found) if found else ""
        refused = isinstance(expected, dict) and expected.get("kind") == "Status"
        assert shown == (expected["message"].partition(" is invalid: ")[2] if refused else ""), step["id"]
        if not refused and isinstance(expected, dict):
            assert obj.get("spec") == expected.get("spec"), step["id"]
        checked += 1
    assert checked > 40


# -- properties --------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2)
    | st.sampled_from(["", "a", "b", "1.2.3.4"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 1, "pattern": "^a"},
        {"type": "string", "enum": ["a", "b"], "default": "a"},
        {"type": "string", "format": "ipv4", "nullable": True},
        {"type": "integer", "minimum": 0, "default": 1},
        {"type": "integer", "format": "int32", "multipleOf": 2},
        {"type": "number", "maximum": 1},
        {"type": "boolean"},
        {"x-kubernetes-int-or-string": True},
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "string", "not": {"enum": ["b"]}},
        {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda properties, required: {
                "type": "object",
                "properties": properties,
                "required": sorted(required),
            },
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            st.sets(st.sampled_from("ab"), max_size=1),
        )
        | st.builds(
            lambda items, most: {"type": "array", "items": items, "maxItems": most}, inner, st.integers(0, 3)
        )
    ),
    max_leaves=6,
)
ROOTS = st.dictionaries(st.sampled_from("abc"), SCHEMAS, max_size=3).map(
    lambda properties: {"type": "object", "properties": properties}
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(ROOTS, OBJECTS)
def test_the_quick_test_and_the_explanation_agree(schema, value):
    validator = Validator(schema)
    test = accepts(validator)
    assert callable(test)
    assert test(value) == validator.validate(value).valid


@given(ROOTS, OBJECTS)
def test_pruning_and_defaulting_settle_at_once(schema, value):
    node = Node(schema)
    prune(value, node)
    defaulting.fill(value, node)
    once = copy.deepcopy(value)
    assert prune(value, node) == []
    defaulting.fill(value, node)
    assert value == once


@given(ROOTS, OBJECTS)
def test_an_update_that_changes_nothing_is_always_good(schema, value):
    assert ratcheting.validate_update(Validator(schema), value, copy.deepcopy(value)).valid


@given(ROOTS, OBJECTS, OBJECTS)
def test_ratcheting_only_forgives(schema, new, old):
    validator = Validator(schema)
    found = ratcheting.validate_update(validator, new, old).findings
    assert set(map(str, found)) <= set(map(str, validator.validate(new).findings))


def test_ratcheting_by_key():
    item = {**of(k=TEXT, v={**NUMBER, "minimum": 10}), "required": ["k"]}
    schema = of(
        l={
            "type": "array",
            "items": item,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
        },
        s={"type": "array", "items": {**NUMBER, "minimum": 10}},
    )
    old = {"l": [{"k": "a", "v": 1}, {"k": "b", "v": 2}], "s": [1]}
    new = {"l": [{"k": "b", "v": 2}, {"k": "a", "v": 3}], "s": [1, 20]}
    found = ratcheting.validate_update(Validator(schema), new, old).findings
    # the item that moved is let pass, the changed one is not; items of other lists cannot be told apart
    assert [f.name for f in found] == ["l[1].v", "s[0]"]


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ({"s": ["a", "b"]}, []),
        ({"s": ["a", "b", "a", "a"]}, ['s[2]: Duplicate value: "a"']),
        ({"m": [{"k": 1, "v": 1}, {"k": 1, "v": 2}]}, ['m[1]: Duplicate value: {"k":1}']),
        ({"m": [{"k": 1}, {"k": "1"}]}, []),
    ],
)
def test_duplicates(value, want):
    schema = of(
        s={"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
        m={
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": of(k={}, v={}),
        },
    )
    assert [str(e) for e in listtypes.errors(value, Node(schema))] == want


def test_unknown_formats_are_not_looked_at():
    assert strformats.check_of("nope") is None
    assert messages(of(a={**TEXT, "format": "nope"}), {"a": "x"}) == []
