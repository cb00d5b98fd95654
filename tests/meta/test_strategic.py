"""Strategic merge patch: lists as maps, directives, order, and the server's words for what does not fit."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta.errors import StatusError
from knarr.meta.patch import strategic


class Field(NamedTuple):
    kind: str
    ref: str | None = None
    patch_strategy: tuple[str, ...] = ()
    merge_key: str | None = None


class Schema:
    """A pod's shape in small."""

    definitions = {
        "v1.Pod": {"metadata": Field("object", "v1.Meta"), "spec": Field("object", "v1.Spec")},
        "v1.Meta": {
            "name": Field("scalar"),
            "labels": Field("map"),
            "finalizers": Field("list", None, ("merge",)),
            "owners": Field("list", "v1.Owner", ("merge",), "uid"),
        },
        "v1.Spec": {
            "containers": Field("list", "v1.Container", ("merge",), "name"),
            "volumes": Field("list", "v1.Volume", ("merge", "retainKeys"), "name"),
            "tolerations": Field("list", "v1.Toleration"),
            "security": Field("object", "v1.Security"),
            "atomic": Field("object", "v1.Security", ("replace",)),
            "extra": Field("map"),
            "keyless": Field("list", "v1.Toleration", ("merge",)),
        },
        "v1.Container": {
            "name": Field("scalar"),
            "image": Field("scalar"),
            "args": Field("list"),
            "env": Field("list", "v1.Env", ("merge",), "name"),
            "ports": Field("list", "v1.Port", ("merge",), "containerPort"),
        },
        "v1.Volume": {
            "name": Field("scalar"),
            "empty": Field("object"),
            "host": Field("object", "v1.Security"),
        },
        "v1.Env": {"name": Field("scalar"), "value": Field("scalar")},
        "v1.Port": {"containerPort": Field("scalar"), "name": Field("scalar")},
        "v1.Owner": {"uid": Field("scalar"), "controller": Field("scalar")},
        "v1.Toleration": {"key": Field("scalar")},
        "v1.Security": {"user": Field("scalar"), "group": Field("scalar"), "path": Field("scalar")},
    }

    def field(self, definition: str, name: str) -> Field | None:
        return self.definitions[definition].get(name)


SPEC: dict[str, Any] = {
    "containers": [
        {
            "name": "a",
            "image": "1",
            "args": ["x", "y"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "ports": [{"containerPort": 80}, {"containerPort": 81}],
        },
        {"name": "b", "image": "1"},
    ],
    "volumes": [{"name": "v", "empty": {}}, {"name": "w", "host": {"path": "/w"}}],
    "tolerations": [{"key": "t"}],
    "security": {"user": 1, "group": 2},
    "atomic": {"user": 1, "group": 2},
}
META: dict[str, Any] = {"name": "p", "labels": {"l": "1"}, "finalizers": ["a", "b"], "owners": [{"uid": "u"}]}
A, B = SPEC["containers"]


def apply(patch: Any, doc: dict[str, Any] = SPEC, definition: str = "v1.Spec") -> Any:
    before, sent = copy.deepcopy(doc), copy.deepcopy(patch)
    try:
        return strategic.apply(doc, patch, definition, Schema())
    finally:
        assert (doc, patch) == (before, sent)


@pytest.mark.parametrize(
    ("patch", "field", "result"),
    [
        ({"containers": [{"name": "a", "image": "2"}]}, "containers", [{**A, "image": "2"}, B]),
        ({"containers": [{"name": "c", "image": "3"}]}, "containers", [{"name": "c", "image": "3"}, A, B]),
        (
            {"containers": [{"name": "b", "image": "2"}, {"name": "a"}]},
            "containers",
            [{"name": "b", "image": "2"}, A],
        ),
        (
            {"containers": [{"name": "a", "env": [{"name": "B", "value": "22"}, {"name": "C"}]}]},
            "containers",
            [{**A, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "22"}, {"name": "C"}]}, B],
        ),
        (
            {
                "containers": [
                    {"name": "a", "ports": [{"containerPort": 80, "name": "h"}, {"containerPort": 82}]}
                ]
            },
            "containers",
            [
                {
                    **A,
                    "ports": [
                        {"containerPort": 80, "name": "h"},
                        {"containerPort": 82},
                        {"containerPort": 81},
                    ],
                },
                B,
            ],
        ),
        ({"containers": [{"name": "a", "args": ["z"]}]}, "containers", [{**A, "args": ["z"]}, B]),
        (
            {"containers": [{"name": "a", "env": [{"name": "A", "$patch": "delete"}]}]},
            "containers",
            [{**A, "env": [{"name": "B", "value": "2"}]}, B],
        ),
        ({"containers": [{"name": "b", "$patch": "delete"}]}, "containers", [A]),
        ({"containers": [{"name": "nope", "$patch": "delete"}]}, "containers", [A, B]),
        (
            {"containers": [{"name": "a", "args": None, "env": None, "ports": None}]},
            "containers",
            [{"name": "a", "image": "1"}, B],
        ),
        ({"containers": [{"$patch": "replace"}, {"name": "only"}]}, "containers", [{"name": "only"}]),
        ({"volumes": [{"$patch": "replace"}]}, "volumes", []),
        (
            {"volumes": [{"name": "v", "host": {"path": "/x"}}]},
            "volumes",
            [{"name": "v", "empty": {}, "host": {"path": "/x"}}, SPEC["volumes"][1]],
        ),
        (
            {"volumes": [{"$retainKeys": ["name", "host"], "name": "v", "host": {"path": "/x"}}]},
            "volumes",
            [{"name": "v", "host": {"path": "/x"}}, SPEC["volumes"][1]],
        ),
        ({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}, "containers", [B, A]),
        (
            {"$setElementOrder/containers": [{"name": "n"}, {"name": "b"}], "containers": [{"name": "n"}]},
            "containers",
            [{"name": "n"}, A, B],
        ),
        (
            {
                "$setElementOrder/containers": [{"name": "b"}],
                "containers": [{"name": "b", "image": "2"}, {"name": "a", "$patch": "delete"}],
            },
            "containers",
            [{"name": "b", "image": "2"}],
        ),
        ({"tolerations": [{"key": "u"}]}, "tolerations", [{"key": "u"}]),
        ({"security": {"group": 3}}, "security", {"user": 1, "group": 3}),
        ({"security": {"$patch": "replace", "user": 5}}, "security", {"user": 5}),
        ({"security": {"$patch": "delete"}}, "security", {}),
        ({"atomic": {"group": 3}}, "atomic", {"group": 3}),
        ({"security": 5}, "security", 5),
        ({"security": None}, "security", None),
        ({"zzz": 1}, "zzz", 1),
        # what meets nothing to merge with: nulls and directives have nothing to do
        ({"extra": {"a": None, "b": {"c": None}}}, "extra", {"b": {}}),
        ({"extra": {"$patch": "replace", "a": 1}}, "extra", None),
        ({"extra": {"a": {"$patch": "delete"}, "b": [{"$patch": "replace"}, 1]}}, "extra", {"b": [1]}),
        ({}, "containers", [A, B]),
        (None, "containers", [A, B]),
    ],
)
def test_merges(patch: Any, field: str, result: Any) -> None:
    assert apply(patch).get(field) == result


@pytest.mark.parametrize(
    ("patch", "field", "result"),
    [
        ({"labels": {"l": None, "x": "y"}}, "labels", {"x": "y"}),
        ({"labels": {"$patch": "replace", "only": "me"}}, "labels", {"only": "me"}),
        ({"finalizers": ["c"]}, "finalizers", ["c", "a", "b"]),
        ({"finalizers": ["b", "b"]}, "finalizers", ["a", "b"]),
        ({"finalizers": ["b", "a"]}, "finalizers", ["b", "a"]),
        ({"$deleteFromPrimitiveList/finalizers": ["a"]}, "finalizers", ["b"]),
        ({"$setElementOrder/finalizers": ["b", "a"]}, "finalizers", ["b", "a"]),
        (
            {
                "$setElementOrder/finalizers": ["c", "b"],
                "$deleteFromPrimitiveList/finalizers": ["a"],
                "finalizers": ["c"],
            },
            "finalizers",
            ["c", "b"],
        ),
        ({"finalizers": None}, "finalizers", None),
        ({"owners": [{"uid": "u", "controller": True}]}, "owners", [{"uid": "u", "controller": True}]),
        ({"owners": [{"uid": "u", "$patch": "delete"}]}, "owners", []),
    ],
)
def test_merges_metadata(patch: Any, field: str, result: Any) -> None:
    assert apply(patch, META, "v1.Meta").get(field) == result


def test_a_list_to_delete_from_that_is_absent() -> None:
    assert apply({"$deleteFromPrimitiveList/finalizers": ["a"]}, {}, "v1.Meta") == {}


def test_lists_that_only_the_patch_has_are_put_in_order() -> None:
    patch = {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
        "containers": [{"name": "b"}, {"name": "a"}],
    }
    assert apply(patch, {}) == {"containers": [{"name": "b"}, {"name": "a"}]}
    assert apply({"$setElementOrder/containers": [{"name": "b"}]}, {}) == {}


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        ([], 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (
            {"volumes": [{"$retainKeys": ["name"], "name": "v", "host": {}}]},
            400,
            "invalid patch format of retainKeys",
        ),
        ({"security": {"$retainKeys": "user"}}, 400, "invalid patch format of retainKeys"),
        ({"$setElementOrderX": []}, 400, "invalid patch format of setElementOrder list"),
        ({"$deleteFromPrimitiveList": []}, 400, "invalid patch format of primitive list"),
        (
            {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "zzz", "image": "n"}]},
            500,
            "The order in patch list:\n[map[image:n name:zzz]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
        ),
        (
            {
                "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                "containers": [{"name": "a"}, {"name": "b"}],
            },
            500,
            "The order in patch list:\n[map[name:a] map[name:b]]\n doesn't match $setElementOrder list:\n"
            "[map[name:b] map[name:a]]\n",
        ),
        (
            {"$setElementOrder/containers": "a"},
            500,
            "expected a []interface {}, but received a string",
        ),
        (
            {"$setElementOrder/nope": []},
            500,
            'unable to find api field in struct Spec for the json field "nope"',
        ),
        (
            {"containers": [{"image": "x"}]},
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            {"containers": [{"name": "a", "$patch": "explode"}]},
            500,
            "unknown patch type: explode in map: map[$patch:explode name:a]",
        ),
        (
            {"containers": [{"image": "x", "$patch": "delete"}]},
            500,
            "map: map[$patch:delete image:x] does not contain declared merge key: name",
        ),
        (
            {"security": {"$patch": "merge", "user": 1}},
            500,
            "unknown patch type: merge in map: map[$patch:merge user:1]",
        ),
        ({"containers": [{"$patch": "merge"}]}, 500, "merging lists cannot yet be specified in the patch"),
        (
            {"containers": ["a"]},
            500,
            None,
        ),
        ({"containers": [["a"]]}, 500, None),
    ],
)
def test_refused(patch: Any, code: int, message: str | None) -> None:
    with pytest.raises(StatusError) as error:
        apply(patch)
    assert error.value.code == code
    assert error.value.reason == ("" if code == 500 else "BadRequest")
    if message is None:
        assert error.value.message.startswith("list element types are not identical: [[map[args:[x y] ")
    else:
        assert error.value.message == message


def test_lists_of_lists() -> None:
    with pytest.raises(StatusError) as error:
        apply({"finalizers": [["a"]]}, {"finalizers": [["b"]]}, "v1.Meta")
    assert error.value.code == 422


def test_lists_without_a_merge_key() -> None:
    with pytest.raises(StatusError) as error:
        apply({"keyless": [{"key": "a"}]}, {"keyless": [{"key": "b"}]})
    assert error.value.message == "cannot merge lists without merge key for struct"


def test_maps_inside_maps() -> None:
    with pytest.raises(StatusError) as error:
        apply({"labels": {"a": {"b": 1}}}, {"labels": {"a": {}}}, "v1.Meta")
    assert error.value.message == "merging an object in json but data type is not struct, instead is: map"


def test_how_a_patch_is_shown() -> None:
    assert strategic.patch_text({"data": [1], "a": None}) == "map[a:<nil> data:[1]]"


values = st.sampled_from(["1", "2", "3"])
names = st.sampled_from("abcde")


def keyed(key: str, **more: st.SearchStrategy) -> st.SearchStrategy:
    element = st.fixed_dictionaries({key: names}, optional=more)
    return st.lists(element, max_size=4, unique_by=lambda e: e[key])


containers = keyed("name", image=values, args=st.lists(values, max_size=2), env=keyed("name", value=values))
specs = st.fixed_dictionaries(
    {},
    optional={
        "containers": containers,
        "security": st.dictionaries(st.sampled_from(["user", "group"]), values),
    },
)


@st.composite
def patches(draw: st.DrawFn) -> dict[str, Any]:
    """A patch whose elements are merged or deleted, never both."""
    patch = copy.deepcopy(draw(specs))
    known = {element["name"] for element in patch.get("containers", ())}
    gone = draw(st.sets(names, max_size=2)) - known
    if gone:
        patch["containers"] = patch.get("containers", []) + [
            {"name": n, "$patch": "delete"} for n in sorted(gone)
        ]
    return patch


def same(a: Any, b: Any) -> bool:
    return orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(b, option=orjson.OPT_SORT_KEYS)


@given(specs, patches())
def test_a_patch_twice_is_a_patch_once(doc: dict[str, Any], patch: dict[str, Any]) -> None:
    once = apply(patch, doc)
    assert same(apply(patch, once), once)


@given(specs, patches())
def test_lists_are_merged_like_maps(doc: dict[str, Any], patch: dict[str, Any]) -> None:
    """Seen as maps by name, the result is what a merge of maps gives."""
    wanted = {c["name"]: dict(c) for c in doc.get("containers", ())}
    for element in patch.get("containers", ()):
        name = element["name"]
        if element.get("$patch") == "delete":
            wanted.pop(name, None)
            continue
        old = wanted.setdefault(name, {"name": name})
        env = {e["name"]: e for e in old.get("env", ())}
        for variable in element.get("env", ()):
            env[variable["name"]] = {**env.get(variable["name"], {}), **variable}
        old.update({k: v for k, v in element.items() if k != "env"})
        if "env" in element:
            old["env"] = list(env.values())
    found = {c["name"]: c for c in apply(patch, doc).get("containers", ())}
    assert found.keys() == wanted.keys()
    for name, container in found.items():
        by_name = [
            sorted(c.pop("env", []), key=lambda e: e["name"]) for c in (dict(container), dict(wanted[name]))
        ]
        assert same(*by_name)
        assert same({**container, "env": 0}, {**wanted[name], "env": 0})


@given(specs, st.permutations(list("abcde")), st.integers(0, 5))
def test_elements_stand_in_the_order_the_patch_sets(
    doc: dict[str, Any], order: list[str], count: int
) -> None:
    order = order[:count]
    before = [c["name"] for c in doc.get("containers", ())]
    patch = {"$setElementOrder/containers": [{"name": n} for n in order]}
    if "containers" in doc and not before:
        with pytest.raises(StatusError, match="^no elements in any of the given slices$"):
            apply(patch, doc)
        return
    after = [c["name"] for c in apply(patch, doc).get("containers", ())]
    assert sorted(after) == sorted(before)
    assert [n for n in after if n in order] == [n for n in order if n in before]
    assert [n for n in after if n not in order] == [n for n in before if n not in order]
