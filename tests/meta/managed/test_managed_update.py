"""What creates, updates and patches do to managedFields."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given

from knarr.meta.managed import (
    UNTYPED,
    FieldManager,
    default_manager,
    elements,
    fieldset,
    keep_times,
    schema_of,
    schema_of_crd,
    validate_manager,
)

from .managed_shapes import DEFINITIONS, specs, steady, thing

EARLY, NOW, LATE = "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
THING = schema_of(DEFINITIONS, "Thing")


def manager(**more: Any) -> FieldManager:
    return FieldManager(
        THING, "v1", lambda subresource: (("spec",),) if subresource else (("status",),), **more
    )


def entry(name: str, fields: dict[str, Any], operation: str = "Update", **more: Any) -> dict[str, Any]:
    return {
        "manager": name,
        "operation": operation,
        "apiVersion": "v1",
        "time": EARLY,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def written(
    live: dict[str, Any] | None, new: dict[str, Any], who: str = "bob", subresource: str = "", **more: Any
) -> list[dict[str, Any]]:
    """The entries after a write, with what went in unharmed."""
    before = copy.deepcopy(live)
    new = copy.deepcopy(new)
    manager(**more).update(live, new, who, subresource, NOW)
    assert live == before
    return new["metadata"].get("managedFields", [])


def owned(entries: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {
        e["manager"] + (f"/{e['subresource']}" if "subresource" in e else ""): list(
            map(elements.describe, fieldset.paths(e["fieldsV1"]))
        )
        for e in entries
    }


def test_a_create_gives_its_manager_what_is_not_in_an_empty_object():
    new = thing(
        {"text": "x", "boxes": [{"name": "a"}], "struct": {"a": 1}},
        namespace="n",
        uid="u",
        labels={"l": "1"},
    )
    assert written(None, new) == [
        {
            "manager": "bob",
            "operation": "Update",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:l": {}}},
                "f:spec": {
                    # always written, as null when empty, so that the list itself is nobody's
                    "f:boxes": {'k:{"name":"a"}': {".": {}, "f:name": {}}},
                    "f:struct": {".": {}, "f:a": {}},
                    "f:text": {},
                },
            },
        }
    ]


def test_a_null_that_is_always_written_is_not_owned():
    assert owned(written(None, thing({"set": None, "text": "x"}))) == {"bob": [".spec.text"]}


def test_an_object_without_a_schema_is_owned_key_by_key():
    new = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "spec": {"x": {"y": [1]}}}
    FieldManager(UNTYPED, "v1").update(None, new, "bob", "", NOW)
    assert new["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:spec": {".": {}, "f:x": {".": {}, "f:y": {}}}
    }


LIVE = thing(
    {"text": "x", "number": 1}, managedFields=[entry("alice", {"f:spec": {"f:number": {}, "f:text": {}}})]
)


def test_whoever_changes_a_field_takes_it_over():
    assert written(LIVE, thing({"text": "y", "number": 1})) == [
        entry("alice", {"f:spec": {"f:number": {}}}),
        entry("bob", {"f:spec": {"f:text": {}}}, time=NOW),
    ]


def test_the_same_manager_keeps_one_entry():
    assert written(LIVE, thing({"text": "y", "number": 1, "flag": True}), "alice") == [
        entry("alice", {"f:spec": {"f:flag": {}, "f:number": {}, "f:text": {}}}, time=NOW)
    ]


def test_an_update_that_changes_nothing_leaves_time_and_owners_alone():
    assert written(LIVE, thing({"text": "x", "number": 1})) == LIVE["metadata"]["managedFields"]
    assert written(LIVE, LIVE) == LIVE["metadata"]["managedFields"]


def test_removed_fields_are_nobodys():
    assert owned(written(LIVE, thing({"number": 1}))) == {"alice": [".spec.number"]}
    assert written(LIVE, thing({})) == []


def test_an_applier_loses_what_an_update_changes():
    live = thing({"text": "x"}, managedFields=[entry("alice", {"f:spec": {"f:text": {}}}, "Apply")])
    assert written(live, thing({"text": "y"}), "alice") == [
        entry("alice", {"f:spec": {"f:text": {}}}, time=NOW)
    ]


def test_a_subresource_is_a_manager_of_its_own():
    live = {**thing({"text": "x"}, managedFields=[entry("bob", {"f:spec": {"f:text": {}}})]), "status": {}}
    new = {**thing({"text": "ignored"}), "status": {"phase": "P"}}
    assert owned(written(live, new, subresource="status")) == {
        "bob": [".spec.text"],
        "bob/status": [".status.phase"],
    }


def test_fields_that_an_endpoint_resets_are_not_recorded():
    assert owned(written(LIVE, {**LIVE, "status": {"phase": "P"}})) == {
        "alice": [".spec.number", ".spec.text"]
    }


def test_an_endpoint_may_write_some_fields_only():
    live = thing(
        {"boxes": [{"name": "a", "size": 1}], "text": "x"}, managedFields=[entry("alice", {"f:x": {}})]
    )
    new = thing({"boxes": [{"name": "a", "size": 2}], "text": "y"})
    only = lambda subresource: (("spec", "boxes", "*", "size"),)  # noqa: E731
    assert owned(written(live, new, only_fields=only))["bob"] == ['.spec.boxes[name="a"].size']


def test_deeper_resets_are_cut_out():
    fields = FieldManager(THING, "v1", lambda subresource: (("metadata", "finalizers"), ("spec", "struct")))
    new = thing({"text": "x", "struct": {"a": 1}}, finalizers=["f"], labels={"l": "1"})
    fields.update(None, new, "bob", "", NOW)
    assert owned(new["metadata"]["managedFields"]) == {
        "bob": [".metadata.labels", ".metadata.labels.l", ".spec.text"]
    }


# -- entries that clients send ------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [[], [{}]])
def test_an_empty_list_resets_all_owners(reset):
    assert written(LIVE, thing({"text": "y"}, managedFields=reset)) == []


def test_nobody_is_tracked_again_before_the_next_apply():
    assert written(thing({"text": "x"}), thing({"text": "y"})) == []


def test_valid_entries_replace_the_live_ones():
    sent = [entry("hand", {"f:spec": {"f:number": {}}}, "Apply", time="2020-01-01T01:00:00+01:00")]
    assert written(LIVE, thing({"text": "x", "number": 1}, managedFields=sent)) == [
        entry("hand", {"f:spec": {"f:number": {}}}, "Apply")
    ]


def test_elements_that_clients_spell_in_their_own_way_are_understood():
    live = thing({"boxes": [{"name": "a", "size": 1}]}, managedFields=[entry("x", {"f:spec": {}})])
    fields = {"f:spec": {"f:boxes": {'k:{ "name" : "a" }': {"f:size": {}}}}}
    new = thing({"boxes": [{"name": "a", "size": 2}]}, managedFields=[entry("hand", fields)])
    assert owned(written(live, new)) == {"bob": ['.spec.boxes[name="a"].size']}


INVALID = [
    [entry("x", {"f:a": {}}, "Delete")],
    [entry("x", {"f:a": {}}, apiVersion="")],
    [entry("x", {"f:a": {}}, fieldsType="FieldsV2")],
    [entry("x", {"fa": {}})],
    [entry("x", {"f:a": {}}, time="yesterday")],
    [entry("x", [])],
    ["x"],
    "x",
]


@pytest.mark.parametrize("sent", INVALID, ids=str)
def test_invalid_entries_leave_the_live_ones(sent):
    assert (
        written(LIVE, thing({"text": "x", "number": 1}, managedFields=sent))
        == LIVE["metadata"]["managedFields"]
    )
    assert owned(written(None, thing({"text": "x"}, managedFields=sent))) == {"bob": [".spec.text"]}


def test_subresources_do_not_let_clients_write_entries():
    new = thing({"text": "x", "number": 1}, managedFields=[entry("hand", {"f:spec": {}})])
    assert written(LIVE, new, subresource="status") == LIVE["metadata"]["managedFields"]


def test_an_object_that_cannot_be_compared_keeps_its_entries():
    new = thing({"boxes": [{"size": 1}], "text": "y"})
    assert written(LIVE, new) == LIVE["metadata"]["managedFields"]


# -- many managers --------------------------------------------------------------------------------------------


def test_entries_are_ordered_by_operation_time_name_version_and_subresource():
    entries = [
        entry("b", {"f:spec": {"f:number": {}}}),
        entry("a", {"f:spec": {"f:text": {}}}, subresource="x"),
        entry("a", {"f:spec": {"f:text": {}}}),
        entry("z", {"f:spec": {"f:text": {}}}, "Apply"),
        {k: v for k, v in entry("c", {"f:spec": {"f:text": {}}}).items() if k != "time"},
        entry("y", {"f:spec": {"f:text": {}}}, "Apply", time=NOW),
    ]
    live = thing({"text": "x", "number": 1}, managedFields=entries)
    found = written(live, thing({"text": "x", "number": 2}))
    shown = [(e["operation"], e.get("time", ""), e["manager"], e.get("subresource", "")) for e in found]
    assert shown == [
        ("Apply", EARLY, "z", ""),
        ("Apply", NOW, "y", ""),
        ("Update", "", "c", ""),
        ("Update", EARLY, "a", ""),
        ("Update", EARLY, "a", "x"),
        ("Update", NOW, "bob", ""),
    ]


def test_the_oldest_of_more_than_ten_updaters_are_merged():
    def at(i: int) -> str:
        return f"2020-01-{i + 1:02}T00:00:00Z"

    entries = [entry(f"m{i}", {"f:metadata": {"f:labels": {f"f:l{i}": {}}}}, time=at(i)) for i in range(10)]
    labels = {f"l{i}": "x" for i in range(10)}
    live = thing(
        {}, labels=labels, managedFields=[*entries, entry("applier", {"f:spec": {"f:text": {}}}, "Apply")]
    )
    found = written(live, thing({"flag": True}, labels=labels))
    updates = [e for e in found if e["operation"] == "Update"]
    assert len(updates) == 10
    assert updates[0] == entry(
        "ancient-changes", {"f:metadata": {"f:labels": {"f:l0": {}, "f:l1": {}}}}, time=at(1)
    )
    again = written(
        thing({"flag": True}, labels=labels, managedFields=found),
        thing({"flag": True, "number": 1}, labels=labels),
        "carol",
    )
    updates = [e for e in again if e["operation"] == "Update"]
    assert len(updates) == 10
    assert list(updates[0]["fieldsV1"]["f:metadata"]["f:labels"]) == ["f:l0", "f:l1", "f:l2"]


# -- versions ---------------------------------------------------------------------------------------------------


def test_entries_of_versions_that_are_no_more_go():
    live = thing(
        {"text": "x", "number": 1}, managedFields=[entry("old", {"f:spec": {"f:text": {}}}, apiVersion="v0")]
    )
    assert written(live, live) == []


def test_entries_of_other_versions_lose_what_changed_there():
    """v2 calls the text `words`."""
    other = schema_of_crd(
        {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"words": {"type": "string"}}}},
        }
    )

    def convert(value, version):
        spec = value.get("spec", {})
        return (other, {**value, "spec": {"words": spec.get("text")}}) if version == "v2" else None

    live = thing(
        {"text": "x"}, managedFields=[entry("old", {"f:spec": {".": {}, "f:words": {}}}, apiVersion="v2")]
    )
    same = written(live, thing({"text": "x"}), convert=convert)
    assert owned(same) == {"old": [".spec", ".spec.words"]}
    assert owned(written(live, thing({"text": "y"}), convert=convert)) == {
        "old": [".spec"],
        "bob": [".spec.text"],
    }


def test_a_schema_that_came_to_own_a_list_as_a_whole_hands_it_to_who_owned_items():
    def crd(list_type: str):
        items = {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": list_type}
        return schema_of_crd(
            {"type": "object", "properties": {"spec": {"type": "object", "properties": {"l": items}}}}
        )

    new = thing({"l": ["a"]})
    FieldManager(crd("set"), "v1").update(None, new, "bob", "", EARLY)
    assert owned(new["metadata"]["managedFields"])["bob"] == [".spec", ".spec.l", '.spec.l[="a"]']
    later = copy.deepcopy(new)
    FieldManager(crd("atomic"), "v1").update(new, later, "carol", "", NOW)
    assert owned(later["metadata"]["managedFields"]) == {"bob": [".spec", ".spec.l"]}


# -- the rest ------------------------------------------------------------------------------------------------------


@steady
@given(specs, specs)
def test_after_an_update_every_changed_leaf_has_its_writer_and_the_rest_its_old_owner(old, new):
    live = thing(old)
    manager().update(None, live, "alice", "", EARLY)
    later = thing(new)
    manager().update(live, later, "bob", "", NOW)
    entries = {e["manager"]: e["fieldsV1"] for e in later["metadata"].get("managedFields", [])}
    alice, bob = entries.get("alice", {}), entries.get("bob", {})
    assert not fieldset.intersection(alice, bob)
    fresh = thing(new)
    manager().update(None, fresh, "one", "", NOW)
    everything = fresh["metadata"]["managedFields"][0]["fieldsV1"]
    # what both together own is what a creator of the new object would
    leaves = set(fieldset.paths(everything))
    assert set(fieldset.paths(fieldset.union(alice, bob))) <= leaves | {("f:spec", "f:boxes")}
    assert leaves - set(fieldset.paths(fieldset.union(alice, bob))) <= {("f:spec", "f:boxes")}


def test_times_alone_are_no_change():
    new = copy.deepcopy(LIVE)
    new["metadata"]["managedFields"][0]["time"] = NOW
    keep_times(LIVE, new)
    assert new == LIVE
    changed = thing({"text": "z"}, managedFields=[{**LIVE["metadata"]["managedFields"][0], "time": NOW}])
    keep_times(LIVE, changed)
    assert changed["metadata"]["managedFields"][0]["time"] == NOW


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("kubectl/v1.36.0 (linux/amd64)", "kubectl"),
        ("Mozilla", "Mozilla"),
        ("a\x07b\tc/1", "abc"),
        ("", ""),
        ("ü" * 100, "ü" * 64),
        ("x" * 127 + "ü", "x" * 127),
    ],
)
def test_a_client_that_names_no_manager_goes_by_its_user_agent(agent, name):
    assert default_manager(agent) == name


def test_a_manager_without_any_name_is_unknown():
    assert written(None, thing({"text": "x"}), "")[0]["manager"] == "unknown"


def test_what_is_wrong_with_a_managers_name():
    assert [str(e) for e in validate_manager("x" * 129)] == [
        "fieldManager: Too long: may not be more than 128 bytes"
    ]
    assert [e.detail for e in validate_manager("ü\x07")] == ["invalid character U+0007 (at position 2)"]
    assert validate_manager("kubectl") == []
