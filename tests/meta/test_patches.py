"""JSON patch and merge patch as a v1.36 server applies them."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta.errors import StatusError
from knarr.meta.patch import json_patch, merge_patch

DOC: dict[str, Any] = {
    "kind": "ConfigMap",
    "metadata": {"name": "a", "labels": {"l": "1"}},
    "data": {"k": "1", "z": "9"},
    "items": [{"n": "a"}, {"n": "b"}],
    "none": None,
}


def with_(path: str, value: Any) -> dict[str, Any]:
    """DOC with one thing changed."""
    doc = copy.deepcopy(DOC)
    *parts, last = path.split(".")
    here: Any = doc
    for part in parts:
        here = here[part]
    here[last] = value
    return doc


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        ([], DOC),
        (None, DOC),
        ([{"op": "add", "path": "/data/n", "value": "new"}], with_("data.n", "new")),
        ([{"op": "add", "path": "/data/k", "value": "2"}], with_("data.k", "2")),
        ([{"op": "add", "path": "/data/k"}], with_("data.k", None)),
        ([{"op": "replace", "path": "/data/k", "value": "3"}], with_("data.k", "3")),
        ([{"op": "replace", "path": "/data/absent", "value": "3"}], with_("data.absent", "3")),
        ([{"op": "remove", "path": "/data/z"}], with_("data", {"k": "1"})),
        (
            [{"op": "copy", "from": "/data/k", "path": "/data/c"}],
            with_("data", {"k": "1", "z": "9", "c": "1"}),
        ),
        ([{"op": "move", "from": "/data/k", "path": "/data/m"}], with_("data", {"z": "9", "m": "1"})),
        (
            [{"op": "add", "path": "/data/a~1b~0c", "value": "t"}],
            with_("data", {"k": "1", "z": "9", "a/b~c": "t"}),
        ),
        ([{"op": "add", "path": "data/k", "value": "1"}], with_("k", "1")),
        ([{"op": "add", "path": "/items/-", "value": 1}], with_("items", [*DOC["items"], 1])),
        ([{"op": "add", "path": "/items/0", "value": 1}], with_("items", [1, *DOC["items"]])),
        ([{"op": "add", "path": "/items/2", "value": 1}], with_("items", [*DOC["items"], 1])),
        ([{"op": "add", "path": "/items/-1", "value": 1}], with_("items", [*DOC["items"], 1])),
        ([{"op": "remove", "path": "/items/-1"}], with_("items", [{"n": "a"}])),
        ([{"op": "replace", "path": "/items/1/n", "value": "c"}], with_("items", [{"n": "a"}, {"n": "c"}])),
        ([{"op": "replace", "path": "/items/0", "value": 1}], with_("items", [1, {"n": "b"}])),
        ([{"op": "replace", "path": "", "value": {"x": "y"}}], {"x": "y"}),
        ([{"op": "replace", "path": "", "value": 5}], DOC),
        ([{"op": "test", "path": "/data/k", "value": "1"}], DOC),
        ([{"op": "test", "path": "/data/absent", "value": None}], DOC),
        ([{"op": "test", "path": "/none"}], DOC),
        ([{"op": "test", "path": "/metadata", "value": {"labels": {"l": "1"}, "name": "a"}}], DOC),
        ([{"op": "test", "path": "", "value": DOC}], DOC),
        (
            [
                {"op": "copy", "from": "/items/0", "path": "/items/-"},
                {"op": "replace", "path": "/items/2/n", "value": "copy"},
            ],
            with_("items", [{"n": "a"}, {"n": "b"}, {"n": "copy"}]),
        ),
    ],
)
def test_json_patch(patch: Any, result: Any) -> None:
    before, sent = copy.deepcopy(DOC), copy.deepcopy(patch)
    assert json_patch.apply(DOC, patch) == result
    assert before == DOC and patch == sent


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/data/n"},
        {"op": "remove", "path": "/items/9"},
        {"op": "remove", "path": "/items/-3"},
        {"op": "remove", "path": "/items/x"},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "/items/3", "value": 1},
        {"op": "add", "path": "/nope/deeper", "value": 1},
        {"op": "add", "path": "/none/deeper", "value": 1},
        {"op": "add", "path": "/kind/deeper", "value": 1},
        {"op": "add", "path": "", "value": {}},
        {"op": "add", "value": 1},
        {"op": "replace", "path": "/items/2", "value": 1},
        {"op": "replace", "path": "/items/-", "value": 1},
        {"op": "move", "from": "/data/c", "path": "/data/m"},
        {"op": "move", "path": "/data/m"},
        {"op": "copy", "from": "/items/7", "path": "/data/m"},
        {"op": "test", "path": "/data/k", "value": "nope"},
        {"op": "test", "path": "/data/k", "value": 1},
        {"op": "test", "path": "/data/none", "value": "nope"},
        {"op": "test", "path": "/items/5", "value": None},
        {"op": "frobnicate", "path": "/data/k"},
        {"path": "/data/k"},
        None,
    ],
)
def test_json_patch_that_does_not_fit(operation: Any) -> None:
    before = copy.deepcopy(DOC)
    with pytest.raises(StatusError) as error:
        json_patch.apply(DOC, [{"op": "add", "path": "/data/early", "value": "1"}, operation])
    assert error.value.status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }
    assert before == DOC


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({}, "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("x", "json: cannot unmarshal string into Go value of type []handlers.jsonPatchOp"),
        ([1], "json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        ([{"op": 5}], "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
        ([{"path": []}], "json: cannot unmarshal array into Go struct field jsonPatchOp.path of type string"),
    ],
)
def test_what_is_no_json_patch(patch: Any, message: str) -> None:
    with pytest.raises(StatusError) as error:
        json_patch.apply(DOC, patch)
    assert (error.value.code, error.value.reason) == (400, "BadRequest")
    assert error.value.message == f"error decoding patch: {message}"


def test_limits_of_a_json_patch() -> None:
    operations = [{"op": "test", "path": "/data/k", "value": "1"}] * 10_000
    assert json_patch.apply(DOC, operations) == DOC
    with pytest.raises(StatusError) as error:
        json_patch.apply(DOC, [*operations, operations[0]])
    assert error.value.code == 413
    assert error.value.message == (
        "Request entity is too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    )
    big = {"big": "x" * 2_000_000}
    copies = [{"op": "copy", "from": "/big", "path": f"/{name}"} for name in "ab"]
    assert len(json_patch.apply(big, copies[:1])) == 2
    with pytest.raises(StatusError):
        json_patch.apply(big, copies)


def test_unknown_fields_of_operations() -> None:
    found = json_patch.unknown_fields([{"op": "add", "path": "/a", "value": 1}, {"op": "test", "foo": 1}])
    assert found == ['json patch unknown field "[1].foo"']


def test_maps_that_a_patch_went_through_are_sorted() -> None:
    """So the server's messages show them; the others keep the order of their fields."""
    result = json_patch.apply(DOC, [{"op": "add", "path": "/data/a", "value": 5}])
    assert orjson.dumps(result) == (
        b'{"data":{"a":5,"k":"1","z":"9"},"items":[{"n":"a"},{"n":"b"}],"kind":"ConfigMap",'
        b'"metadata":{"name":"a","labels":{"l":"1"}},"none":null}'
    )
    merged = merge_patch.apply({"z": {"b": 1, "a": 2}, "y": {"b": 1, "a": 2}}, {"y": {"c": 3}})
    assert orjson.dumps(merged) == b'{"y":{"a":2,"b":1,"c":3},"z":{"b":1,"a":2}}'


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
maps = st.dictionaries(st.sampled_from("abc"), documents, max_size=3)
pointers = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "2", "-"]), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": pointers},
    optional={"value": documents, "from": pointers},
)


class Refused(Exception):
    pass


def naive(doc: Any, patch: list[dict[str, Any]]) -> Any:
    """The RFC's words over deep copies, with the server's liberties."""
    for operation in patch:
        doc = copy.deepcopy(doc)
        kind, path = operation["op"], operation["path"]
        value = copy.deepcopy(operation.get("value"))
        if kind in ("move", "copy"):
            if "from" not in operation:
                raise Refused
            value = copy.deepcopy(look(doc, operation["from"]))
            if kind == "move":
                take(doc, operation["from"])
        if kind in ("add", "move", "copy"):
            put(doc, path, value)
        elif kind == "remove":
            take(doc, path)
        elif kind == "replace":
            where, key = parent(doc, path)
            if isinstance(where, list):
                key = index(where, key)
            where[key] = value
        elif orjson.dumps(look(doc, path), option=orjson.OPT_SORT_KEYS) != orjson.dumps(
            value, option=orjson.OPT_SORT_KEYS
        ):
            raise Refused
    return doc


def index(items: list[Any], key: str) -> int:
    if not key.isdigit() or int(key) >= len(items):
        raise Refused
    return int(key)


def step(where: Any, key: str) -> Any:
    if isinstance(where, dict):
        return where.get(key)
    if isinstance(where, list):
        return where[index(where, key)]
    raise Refused


def parent(doc: Any, path: str) -> tuple[Any, str]:
    *parts, key = path[1:].split("/")
    for part in parts:
        doc = step(doc, part)
    if not isinstance(doc, dict | list):
        raise Refused
    return doc, key


def look(doc: Any, path: str) -> Any:
    return step(*parent(doc, path))


def take(doc: Any, path: str) -> None:
    where, key = parent(doc, path)
    if isinstance(where, list):
        del where[index(where, key)]
    elif key not in where:
        raise Refused
    else:
        del where[key]


def put(doc: Any, path: str, value: Any) -> None:
    where, key = parent(doc, path)
    if isinstance(where, dict):
        where[key] = value
    elif key == "-" or key == str(len(where)):
        where.append(value)
    else:
        where.insert(index(where, key), value)


@given(maps, st.lists(operations, max_size=5))
def test_json_patch_does_what_a_naive_one_does(doc: Any, patch: list[dict[str, Any]]) -> None:
    before, sent = orjson.dumps(doc), orjson.dumps(patch)
    try:
        wanted = naive(doc, patch)
    except Refused:
        with pytest.raises(StatusError):
            json_patch.apply(doc, patch)
    else:
        assert same(json_patch.apply(doc, patch), wanted)
    assert (orjson.dumps(doc), orjson.dumps(patch)) == (before, sent)


def same(a: Any, b: Any) -> bool:
    return orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(b, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize(
    ("doc", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b"}, {"x": None}, {"a": "b"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": {"b": "c"}}, {"a": {}}, {"a": {"b": "c"}}),
        ({"a": {"b": "c"}}, {"a": None}, {}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({}, {"a": [None, {"b": None}]}, {"a": [None, {}]}),
        ({"a": None}, {"a": {"b": None}}, {"a": {}}),
        # the server's library does not clean a list that replaces a map
        ({"a": {"b": 1}}, {"a": [{"b": None}]}, {"a": [{"b": None}]}),
    ],
)
def test_merge_patch(doc: Any, patch: Any, result: Any) -> None:
    before, sent = copy.deepcopy(doc), copy.deepcopy(patch)
    assert merge_patch.apply(doc, patch) == result
    assert (doc, patch) == (before, sent)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (None, "Invalid JSON Patch"),
        (
            [],
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            5,
            "error decoding patch: json: cannot unmarshal number into Go value of type map[string]interface {}",
        ),
    ],
)
def test_what_is_no_merge_patch(patch: Any, message: str) -> None:
    with pytest.raises(StatusError) as error:
        merge_patch.apply({}, patch)
    assert (error.value.code, error.value.message) == (400, message)


def settled(value: Any, in_list: bool = False) -> Any:
    """Without nulls inside lists, which the server's library removes or keeps by what stands there before."""
    if isinstance(value, dict):
        return {k: settled(v, in_list) for k, v in value.items() if v is not None or not in_list}
    return [settled(v, True) for v in value] if isinstance(value, list) else value


@given(maps, maps.map(settled))
def test_a_merge_patch_twice_is_a_merge_patch_once(doc: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch.apply(doc, patch)
    assert same(merge_patch.apply(once, patch), once)


@given(maps, maps)
def test_a_merge_patch_touches_only_its_own_keys(doc: dict[str, Any], patch: dict[str, Any]) -> None:
    result = merge_patch.apply(doc, patch)
    assert all(result[key] == value for key, value in doc.items() if key not in patch)
    assert all(key in result for key, value in patch.items() if value is not None)
    assert not any(key in result for key, value in patch.items() if value is None)
