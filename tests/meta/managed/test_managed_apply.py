"""Server-side apply: merging, conflicts, giving up fields."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given

from knarr.meta.errors import StatusError
from knarr.meta.managed import (
    UNTYPED,
    FieldManager,
    elements,
    fieldset,
    invalid_type,
    schema_of,
    schema_of_crd,
)

from .managed_shapes import DEFINITIONS, flatten, specs, steady, thing

EARLY, NOW, LATE = "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
MANAGER = FieldManager(
    schema_of(DEFINITIONS, "Thing"), "v1", lambda subresource: () if subresource else (("status",),)
)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply(
    live: dict[str, Any],
    spec: dict[str, Any] | None,
    who: str = "alice",
    force: bool = False,
    now: str = NOW,
    subresource: str = "",
    **metadata: Any,
) -> dict[str, Any]:
    """The result of an apply, with what went in unharmed."""
    config = thing(spec, **metadata)
    before = copy.deepcopy((live, config))
    result = MANAGER.apply(live, config, who, force, subresource, now)
    assert (live, config) == before
    return result


def update(live: dict[str, Any], spec: dict[str, Any], who: str = "updater") -> dict[str, Any]:
    new = {**copy.deepcopy(live), "spec": spec}
    MANAGER.update(live, new, who, "", NOW)
    return new


def owned(value: dict[str, Any]) -> dict[str, list[str]]:
    return {
        e["manager"]: list(map(elements.describe, fieldset.paths(e["fieldsV1"])))
        for e in value["metadata"].get("managedFields", [])
    }


def refused(*args: Any, **more: Any) -> dict[str, Any]:
    with pytest.raises(StatusError) as e:
        apply(*args, **more)
    return e.value.status


# -- merging -------------------------------------------------------------------------------------------------------


def test_an_apply_creates_and_owns_what_it_says():
    result = apply(
        {}, {"boxes": [{"name": "a", "inner": {"a": 1}}], "struct": {}, "set": ["x"], "map": {"k": "v"}}
    )
    assert result["metadata"].pop("managedFields") == [
        {
            "manager": "alice",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:boxes": {'k:{"name":"a"}': {".": {}, "f:inner": {"f:a": {}}, "f:name": {}}},
                    "f:map": {"f:k": {}},
                    "f:set": {'v:"x"': {}},
                    "f:struct": {},
                }
            },
        }
    ]
    assert result == thing(
        {"boxes": [{"name": "a", "inner": {"a": 1}}], "struct": {}, "set": ["x"], "map": {"k": "v"}}
    )


def test_a_key_that_is_left_out_has_its_default():
    live = apply({}, {"ports": [{"port": 80, "protocol": "TCP", "label": "x"}]}, "bob")
    result = apply(live, {"ports": [{"port": 80}]})
    assert result["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "label": "x"}]
    assert owned(result)["alice"] == [
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].port',
    ]


ORDERS = [
    # live, applied, result: the applied order holds, the rest stays where it stood
    ("abc", "x", "abcx"),
    ("abc", "ca", "bca"),
    ("abc", "cxa", "bcxa"),
    ("ab", "xb", "axb"),
    ("abcd", "db", "acdb"),
    ("", "ba", "ba"),
    ("ab", "ab", "ab"),
    ("ab", "axb", "axb"),
    ("acb", "bxa", "cbxa"),
]


@pytest.mark.parametrize(("live", "applied", "result"), ORDERS)
def test_items_keep_the_applied_order_among_the_live_ones(live, applied, result):
    def boxes(names: str) -> list[dict[str, str]]:
        return [{"name": name} for name in names]

    before = apply({}, {"boxes": boxes(live)}, "bob") if live else thing({})
    assert "".join(b["name"] for b in apply(before, {"boxes": boxes(applied)})["spec"]["boxes"]) == result
    before = apply({}, {"set": list(live)}, "bob") if live else thing({})
    assert "".join(apply(before, {"set": list(applied)})["spec"]["set"]) == result


def test_items_that_are_there_twice_give_way_to_the_applied_one():
    live = thing({"boxes": [{"name": "a", "size": 1}, {"name": "b"}, {"name": "a", "size": 2}]}, uid="u")
    assert apply(live, {"boxes": [{"name": "a"}]}, force=True)["spec"]["boxes"] == [
        {"name": "a"},
        {"name": "b"},
    ]


def test_null_replaces_scalars_and_is_no_container():
    live = update(apply({}, {}), {"text": "x", "map": {"k": "v"}, "boxes": [{"name": "a"}]})
    result = apply(live, {"text": None, "map": None, "boxes": None}, force=True)
    assert result["spec"] == {"text": None, "map": {"k": "v"}, "boxes": [{"name": "a"}]}


# -- giving up ---------------------------------------------------------------------------------------------------


def test_what_an_applier_no_longer_says_goes():
    live = apply(
        {},
        {
            "text": "x",
            "boxes": [{"name": "a", "size": 1}, {"name": "b"}],
            "struct": {"a": 1},
            "map": {"k": "v"},
        },
    )
    result = apply(live, {"boxes": [{"name": "a"}]})
    assert result["spec"] == {"boxes": [{"name": "a"}]}
    assert owned(result) == {"alice": ['.spec.boxes[name="a"]', '.spec.boxes[name="a"].name']}


def test_what_others_own_stays():
    live = apply(
        apply({}, {"text": "x", "number": 1, "map": {"k": "v"}}), {"text": "x", "map": {"l": "w"}}, "bob"
    )
    result = apply(live, {})
    assert result["spec"] == {"text": "x", "map": {"l": "w"}}
    assert owned(result) == {"alice": [".spec"], "bob": [".spec.map.l", ".spec.text"]}


def test_what_an_updater_added_to_an_item_goes_with_the_item():
    live = apply({}, {"boxes": [{"name": "a"}, {"name": "b"}]})
    live = update(live, {"boxes": [{"name": "a", "size": 7}, {"name": "b", "size": 8}]})
    result = apply(live, {"boxes": [{"name": "b"}]})
    assert result["spec"]["boxes"] == [{"name": "b", "size": 8}]
    assert owned(result)["updater"] == ['.spec.boxes[name="b"].size']


def test_defaults_of_an_item_go_with_the_item():
    live = apply({}, {"boxes": [{"name": "a"}, {"name": "b"}]})
    live["spec"]["boxes"][0]["size"] = 5  # defaulting writes after the fields were recorded
    assert apply(live, {"boxes": [{"name": "b"}]})["spec"]["boxes"] == [{"name": "b"}]


def test_atomic_fields_are_given_up_as_a_whole():
    live = apply({}, {"whole": {"a": 1}, "atomicList": ["x"], "atomicMap": {"k": "v"}, "number": 1})
    assert apply(live, {"number": 1})["spec"] == {"number": 1}


def test_an_apply_of_nothing_leaves_no_entry():
    assert "managedFields" not in apply(apply({}, {"text": "x"}), None)["metadata"]


def test_metadata_is_applied_and_given_up_too():
    live = apply({}, None, labels={"a": "1"}, finalizers=["f"])
    assert owned(live) == {"alice": ['.metadata.finalizers[="f"]', ".metadata.labels.a"]}
    assert apply(live, None)["metadata"] == {"name": "t"}


# -- conflicts -------------------------------------------------------------------------------------------------------


def test_a_field_of_an_applier_is_a_conflict():
    live = apply({}, {"boxes": [{"name": "a", "size": 1}]})
    assert refused(live, {"boxes": [{"name": "a", "size": 2}]}, "bob") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Apply failed with 1 conflict: conflict with "alice": .spec.boxes[name="a"].size',
        "reason": "Conflict",
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "alice"',
                    "field": '.spec.boxes[name="a"].size',
                }
            ]
        },
        "code": 409,
    }


def test_several_conflicts_are_listed_by_manager_and_caused_by_field():
    live = update(apply({}, {"text": "x", "number": 1}), {"text": "x", "number": 1, "flag": True})
    status = refused(live, {"text": "y", "number": 2, "flag": False}, "bob")
    assert status["message"] == (
        'Apply failed with 3 conflicts: conflicts with "alice":\n- .spec.number\n- .spec.text\n'
        'conflicts with "updater" using v1:\n- .spec.flag'
    )
    assert [c["field"] for c in status["details"]["causes"]] == [".spec.flag", ".spec.number", ".spec.text"]


def test_a_subresource_is_named_in_the_conflict():
    live = apply(apply({}, {}), None, "bob", subresource="status")
    live["status"] = {"phase": "A"}
    live = MANAGER.apply(live, {**thing(), "status": {"phase": "A"}}, "bob", True, "status", NOW)
    with pytest.raises(StatusError, match='conflict with "bob" with subresource "status": .status.phase'):
        MANAGER.apply(live, {**thing(), "status": {"phase": "B"}}, "carol", False, "status", NOW)


def test_force_takes_the_field():
    live = apply({}, {"text": "x", "number": 1})
    result = apply(live, {"text": "y"}, "bob", force=True)
    assert result["spec"] == {"text": "y", "number": 1}
    assert owned(result) == {"alice": [".spec.number"], "bob": [".spec.text"]}


def test_the_same_value_is_shared():
    live = apply({}, {"text": "x"}, now=EARLY)
    result = apply(live, {"text": "x"}, "bob")
    assert owned(result) == {"alice": [".spec.text"], "bob": [".spec.text"]}
    # nothing changed in the object, so the new entry has no time
    assert [
        e.get("time") for e in sorted(result["metadata"]["managedFields"], key=lambda e: e["manager"])
    ] == [EARLY, None]


def test_an_apply_that_changes_nothing_keeps_its_time():
    live = apply({}, {"text": "x"}, now=EARLY)
    assert apply(live, {"text": "x"}, now=LATE) == live
    changed = apply(live, {"text": "y"}, now=LATE)
    assert changed["metadata"]["managedFields"][0]["time"] == LATE


def test_what_was_there_before_the_first_apply_has_an_owner_of_its_own():
    live = thing({"text": "x", "number": 1}, uid="u")
    assert refused(live, {"text": "y"})["message"] == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .spec.text'
    )
    result = apply(live, {"text": "x"})
    assert owned(result) == {"alice": [".spec.text"], "before-first-apply": [".spec.number", ".spec.text"]}


def test_status_is_merged_and_not_owned_through_the_main_endpoint():
    result = MANAGER.apply({}, {**thing({"text": "x"}), "status": {"phase": "P"}}, "alice", False, "", NOW)
    assert owned(result) == {"alice": [".spec.text"]}


# -- refusals ----------------------------------------------------------------------------------------------------


def test_entries_must_not_be_applied():
    status = refused({}, {}, managedFields=[])
    assert (status["code"], status["message"]) == (400, "metadata.managedFields must be nil")
    assert "managedFields" not in apply({}, None, managedFields=None)["metadata"]


def test_another_version_is_refused():
    with pytest.raises(StatusError, match="Specified patch version: v2, expected: v1"):
        MANAGER.apply({}, {**thing(), "apiVersion": "v2"}, "alice", False, "", NOW)
    assert (
        invalid_type({"apiVersion": "v1", "kind": "Secret"}).message
        == "invalid object type: /v1, Kind=Secret"
    )
    assert invalid_type({}).message == "invalid object type: /, Kind="


def test_what_does_not_fit_the_schema_is_refused():
    status = refused({}, {"boxes": [{"name": "a"}, {"name": "a"}]}, namespace="n")
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'failed to create typed patch object (n/t; /v1, Kind=Thing): .spec.boxes: duplicate entries for key [name="a"]',
        "code": 500,
    }


def test_a_live_object_that_cannot_be_walked_is_an_error_and_no_traceback():
    live = thing(
        {"boxes": [{"size": 1}]}, managedFields=apply({}, {"text": "x"})["metadata"]["managedFields"]
    )
    assert refused(live, {"boxes": [{"name": "a"}]})["code"] == 500


# -- from client-side apply ---------------------------------------------------------------------------------------


def client_side(spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    config = thing(spec, annotations={})
    live = thing(spec, annotations={LAST_APPLIED: json.dumps(config) + "\n", **annotations})
    MANAGER.update(None, live, "kubectl-client-side-apply", "", EARLY)
    return live


def test_kubectl_takes_over_what_it_applied_client_side():
    result = apply(client_side({"text": "x", "number": 1}), {"text": "y"}, "kubectl")
    assert result["spec"] == {"text": "y", "number": 1}
    assert owned(result)["kubectl"] == [".spec.text"]
    assert json.loads(result["metadata"]["annotations"][LAST_APPLIED]) == thing({"text": "y"})


def test_kubectl_does_not_take_what_others_changed_since():
    live = update(client_side({"text": "x"}), {"text": "changed"})
    assert (
        'conflict with "updater" using v1: .spec.text' in refused(live, {"text": "y"}, "kubectl")["message"]
    )


def test_other_managers_do_not_take_part():
    live = client_side({"text": "x"})
    assert refused(live, {"text": "y"}, "argocd")["reason"] == "Conflict"
    assert apply(live, {"flag": True}, "argocd")["metadata"]["annotations"] == live["metadata"]["annotations"]


def test_an_annotation_that_cannot_be_read_allows_nothing():
    live = thing({"text": "x"}, annotations={LAST_APPLIED: "{"})
    MANAGER.update(None, live, "someone", "", EARLY)
    assert refused(live, {"text": "y"}, "kubectl")["reason"] == "Conflict"


# -- custom resources ---------------------------------------------------------------------------------------------


def test_free_form_objects_are_merged_by_their_shape():
    manager = FieldManager(UNTYPED, "v1")

    def run(live: dict[str, Any], spec: Any, who: str) -> dict[str, Any]:
        return manager.apply(live, thing(spec), who, True, "", NOW)

    live = run({}, {"a": {"b": 1}, "l": [1, 2], "s": "x"}, "alice")
    result = run(live, {"a": {"c": 2}, "l": [3], "s": {"now": "a map"}}, "bob")
    assert result["spec"] == {"a": {"b": 1, "c": 2}, "l": [3], "s": {"now": "a map"}}
    assert owned(result)["bob"] == [".spec", ".spec.a", ".spec.a.c", ".spec.l", ".spec.s", ".spec.s.now"]


def test_custom_schemas_have_lists_maps_defaults_and_embedded_objects():
    schema = schema_of_crd(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "intstr": {"x-kubernetes-int-or-string": True},
                        "when": {"type": "string", "format": "date-time"},
                        "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        "object": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object", "properties": {"x": {"type": "number"}}}}},
                        "items": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["k"],
                            "items": {"type": "object", "properties": {"k": {"type": "string", "default": "d"}, "v": {"type": "integer"}}},
                        },
                    },
                }
            },
        }
    )  # fmt: skip
    manager = FieldManager(schema, "v1")
    spec = {
        "intstr": "50%",
        "when": "2026-01-01T00:00:00Z",
        "kept": {"any": {"thing": 1}},
        "object": {"apiVersion": "v1", "kind": "X", "metadata": {"labels": {"l": "1"}}, "spec": {"x": 1.5}},
        "items": [{"v": 1}],
    }
    assert owned(manager.apply({}, thing(spec), "alice", False, "", NOW))["alice"] == [
        ".spec.intstr",
        ".spec.items[k=\"d\"]",
        ".spec.items[k=\"d\"].v",
        ".spec.kept.any",
        ".spec.kept.any.thing",
        ".spec.object.apiVersion",
        ".spec.object.kind",
        ".spec.object.metadata.labels.l",
        ".spec.object.spec.x",
        ".spec.when",
    ]  # fmt: skip


# -- properties ---------------------------------------------------------------------------------------------------


@steady
@given(specs)
def test_applying_twice_is_applying_once(spec):
    once = apply({}, spec, now=EARLY)
    assert apply(once, spec, now=LATE) == once


@steady
@given(specs, specs)
def test_forced_an_apply_holds_afterwards_and_others_keep_what_is_not_in_its_way(first, second):
    result = apply(apply({}, first), second, "bob", force=True)
    flat, wanted = flatten(result["spec"]), flatten(second)
    assert {path: flat[path] for path in wanted} == wanted
    before = flatten(first)
    assert {path: flat[path] for path in before if path not in wanted} == {
        path: value for path, value in before.items() if path not in wanted
    }
    entries = {e["manager"]: e["fieldsV1"] for e in result["metadata"]["managedFields"]}
    for path in fieldset.paths(fieldset.intersection(entries.get("alice", {}), entries["bob"])):
        assert before[path[1:]] == wanted[path[1:]]


@steady
@given(specs, specs)
def test_a_conflict_is_exactly_a_shared_path_with_another_value(first, second):
    before, wanted = flatten(first), flatten(second)
    fields = {elements.describe(p) for p in before.keys() & wanted.keys() if before[p] != wanted[p]}
    live = apply({}, first)
    if fields:
        causes = refused(live, second, "bob")["details"]["causes"]
        assert {c["field"] for c in causes} == {".spec" + field for field in fields}
    else:
        apply(live, second, "bob")


@steady
@given(specs, specs)
def test_giving_everything_up_leaves_what_the_other_applied(first, second):
    live = apply(apply({}, first), second, "bob", force=True)
    left = apply(live, None)
    assert flatten(left["spec"]) == flatten(second)
    assert list(owned(left)) == ["bob"]
