"""What differs between two objects, and which paths an object holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from knarr.meta.managed import UNTYPED, elements, fieldset, schema_of, schema_of_crd
from knarr.meta.managed.node import Findings, ItemError

from .managed_shapes import DEFINITIONS, flatten, specs, steady

SPEC = schema_of(DEFINITIONS, "Spec").root


def paths(tree: dict[str, Any] | None) -> set[tuple[str, ...]]:
    return set(fieldset.paths(tree or {}))


@steady
@given(specs, specs)
def test_a_difference_is_that_of_the_flattened_objects(old, new):
    before, after = flatten(old), flatten(new)
    added, removed, modified = SPEC.compare(old, new) or (None, None, None) if old != new else (None,) * 3
    assert paths(added) == after.keys() - before.keys()
    assert paths(removed) == before.keys() - after.keys()
    assert paths(modified) == {path for path in before.keys() & after.keys() if before[path] != after[path]}


@steady
@given(specs)
def test_an_applier_wants_all_leaves_and_items(spec):
    flat = flatten(spec)
    wanted = {
        path
        for path, value in flat.items()
        # of containers, only list items and entries of maps are wanted themselves
        if value is not ... or path[-1][0] == "k"
    }
    assert paths(SPEC.fieldset(spec)) == wanted


NULL_AND_EMPTY = [
    # old, new, added, removed, modified
    ({"boxes": None}, {"boxes": [{"name": "a"}]}, [".boxes[name=\"a\"]", ".boxes[name=\"a\"].name"], [], []),
    ({"boxes": []}, {"boxes": [{"name": "a"}]}, [".boxes[name=\"a\"]", ".boxes[name=\"a\"].name"], [], []),
    ({}, {"boxes": []}, [".boxes"], [], []),
    ({"boxes": None}, {"boxes": []}, [], [], [".boxes"]),
    ({"boxes": [{"name": "a"}]}, {"boxes": []}, [], [".boxes[name=\"a\"]", ".boxes[name=\"a\"].name"], []),
    ({"struct": {}}, {"struct": {"a": 1}}, [".struct.a"], [], []),
    ({"struct": None}, {"struct": {}}, [], [], [".struct"]),
    ({"struct": {"a": 1}}, {"struct": None}, [], [".struct.a"], []),
    ({"map": {"k": "v"}}, {}, [], [".map", ".map.k"], []),
    ({"atomicList": None}, {"atomicList": ["x"]}, [], [], [".atomicList"]),
    ({"whole": {"a": 1}}, {"whole": {"a": 2}}, [], [], [".whole"]),
    ({"number": None}, {"number": 1}, [], [], [".number"]),
    ({"ports": [{"port": 1}]}, {"ports": [{"port": 1, "protocol": "TCP"}]}, [".ports[port=1,protocol=\"TCP\"].protocol"], [], []),
]  # fmt: skip


def described(tree: dict[str, Any] | None) -> list[str]:
    return [elements.describe(path) for path in fieldset.paths(tree or {})]


@pytest.mark.parametrize(("old", "new", "added", "removed", "modified"), NULL_AND_EMPTY)
def test_null_and_empty_are_values_of_their_own(old, new, added, removed, modified):
    assert list(map(described, SPEC.compare(old, new))) == [added, removed, modified]


A, B, C = ({"name": "a", "size": size} for size in (1, 2, 3))
TWICE = [
    ([A, B], [A, B], [], [], []),
    ([A, B], [A, C], [], [], ['.boxes[name="a"]']),
    ([A], [A, B], ['.boxes[name="a"]'], ['.boxes[name="a"]', '.boxes[name="a"].name', '.boxes[name="a"].size'], []),
    ([A, B], [A], ['.boxes[name="a"]', '.boxes[name="a"].name', '.boxes[name="a"].size'], ['.boxes[name="a"]'], []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "added", "removed", "modified"), TWICE)
def test_items_that_are_there_twice_are_known_by_their_key(old, new, added, removed, modified):
    diff = SPEC.compare({"boxes": old}, {"boxes": new, "text": "x"})
    assert [described(diff[0]), described(diff[1]), described(diff[2])] == [
        [*added, ".text"],
        removed,
        modified,
    ]


def test_an_item_without_its_key_cannot_be_compared():
    with pytest.raises(ItemError, match='omits key field "name"'):
        SPEC.compare({"boxes": [A]}, {"boxes": [{"size": 1}]})


FREE_FORM = [
    ({"a": 1}, {"a": True}, [], [], [".a"]),
    ({"a": 1}, {"a": 1.0}, [], [], []),
    ({"a": {"b": 1}}, {"a": {"b": 1, "c": {"d": 1}}}, [".a.c", ".a.c.d"], [], []),
    ({"a": [1]}, {"a": [1, 2]}, [], [], [".a"]),
    ({"a": 1}, {"a": {"b": 1}}, [".a.b"], [], [".a"]),
    ({"a": {"b": 1}}, {"a": [1]}, [], [".a.b"], [".a"]),
    ({"a": {"b": 1}}, {"a": None}, [], [".a.b"], []),
    ({"a": None}, {"a": {"b": 1}}, [".a.b"], [], []),
    ({"a": {}}, {"a": None}, [], [], [".a"]),
    ({"a": {"b": 1}}, {"a": {}}, [], [".a.b"], []),
]


@pytest.mark.parametrize(("old", "new", "added", "removed", "modified"), FREE_FORM)
def test_free_form_data_is_owned_by_its_shape(old, new, added, removed, modified):
    assert list(map(described, UNTYPED.root.compare(old, new) or ({},) * 3)) == [added, removed, modified]


def test_truth_is_not_one_even_below_typed_fields():
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = schema_of_crd(
        {"type": "object", "properties": {"spec": {"type": "object", "properties": {"any": free}}}}
    )
    diff = schema.root.compare({"spec": {"any": {"x": 1}}}, {"spec": {"any": {"x": True}, "y": 1}})
    assert described(diff[2]) == [".spec.any.x"]


FINDINGS = [
    ({"text": 5}, ".text: expected string, got &value.valueUnstructured{Value:5}"),
    ({"text": {"b": [1.5, None, True]}}, '.text: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"b":[]interface {}{1.5, interface {}(nil), true}}}'),
    ({"number": "x"}, ".number: expected numeric (int or float), got string"),
    ({"number": True}, ".number: expected numeric (int or float), got bool"),
    ({"flag": {"a": 1}}, ".flag: expected boolean, got &{map[a:1]}"),
    ({"struct": [1]}, ".struct: expected map, got &{[1]}"),
    ({"boxes": {"a": None}}, ".boxes: expected list, got &{map[a:<nil>]}"),
    ({"boxes": [A, A]}, '.boxes: duplicate entries for key [name="a"]'),
    ({"set": ["x", "x"]}, '.set: duplicate entries for key [="x"]'),
    ({"set": [None]}, ".set: element 0: associative list without keys has an element that's an explicit null"),
    ({"boxes": [A, {"size": 1}]}, '.boxes: element 1: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)'),
    ({"boxes": [{"name": "a", "inner": {"a": "x"}}]}, '.boxes[name="a"].inner.a: expected numeric (int or float), got string'),
    ({"atomicList": ["a", 1]}, ".atomicList[1]: expected string, got &value.valueUnstructured{Value:1}"),
    ({"huh": 1}, ".huh: field not declared in schema"),
    ({"number": "x", "text": 1}, "errors:\n  .number: expected numeric (int or float), got string\n  .text: expected string, got &value.valueUnstructured{Value:1}"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), FINDINGS)
def test_what_does_not_fit_the_schema_is_said_in_kubernetes_words(value, message):
    findings = Findings()
    SPEC.validate(value, findings)
    assert str(findings) == message


@steady
@given(specs)
def test_what_fits_the_schema_has_no_findings(spec):
    findings = Findings()
    SPEC.validate(spec, findings)
    assert not findings


def test_null_fits_anywhere():
    findings = Findings()
    SPEC.validate(dict.fromkeys(("number", "flag", "text", "struct", "map", "set", "boxes"), None), findings)
    assert not findings
