"""Object metadata: what is refused, in which words, and what the server fills in."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import names, objectmeta
from knarr.world.chance import chance

GOOD: dict[str, Any] = {"name": "a", "namespace": "n"}
KEY = names.is_qualified_name("a b")[0]
SUBDOMAIN = names.is_dns1123_subdomain("Bad_")[0]
UID = "11111111-2222-3333-4444-555555555555"
POD = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": UID}
SHOWN = f'{{"apiVersion":"v1","kind":"Pod","name":"p","uid":"{UID}","controller":true}}'
NOT_QUALIFIED = "name is neither a standard finalizer name nor is it fully qualified"


def found(meta: dict[str, Any], **more: Any) -> list[str]:
    errors = objectmeta.validate({**GOOD, **meta}, True, names.is_dns1123_subdomain, **more)
    return [str(error) for error in errors]


@pytest.mark.parametrize(
    ("meta", "messages"),
    [
        ({}, []),
        ({"name": ""}, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "Bad_"}, [f'metadata.name: Invalid value: "Bad_": {SUBDOMAIN}']),
        ({"generateName": "gen-"}, []),
        (
            {"generateName": "Bad_", "name": "Bad_x"},
            [
                f'metadata.generateName: Invalid value: "Bad_": {SUBDOMAIN}',
                f'metadata.name: Invalid value: "Bad_x": {SUBDOMAIN}',
            ],
        ),
        ({"namespace": ""}, ["metadata.namespace: Required value"]),
        ({"generation": -1}, ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"]),
        ({"labels": {"a b": "c"}}, [f'metadata.labels: Invalid value: "a b": {KEY}']),
        (
            {"labels": {"a": "v" * 64}},
            [f'metadata.labels: Invalid value: "{"v" * 64}": must be no more than 63 bytes'],
        ),
        ({"annotations": {"a b": "anything"}}, [f'metadata.annotations: Invalid value: "a b": {KEY}']),
        ({"annotations": {"UP.example.com/a": "ok?"}}, []),
        ({"annotations": {"a": "x" * (256 * 1024 - 1)}}, []),
        (
            {"annotations": {"a": "x" * (256 * 1024)}},
            ["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
        ({"finalizers": ["example.com/f", "orphan", "kubernetes"]}, []),
        ({"finalizers": ["plain"]}, [f'metadata.finalizers[0]: Invalid value: "plain": {NOT_QUALIFIED}']),
        (
            {"finalizers": ["not qualified!"]},
            [
                f'metadata.finalizers: Invalid value: "not qualified!": {KEY}',
                f'metadata.finalizers[0]: Invalid value: "not qualified!": {NOT_QUALIFIED}',
            ],
        ),
        (
            {"finalizers": ["orphan", "foregroundDeletion"]},
            [
                'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
                "finalizer orphan and foregroundDeletion cannot be both set"
            ],
        ),
        (
            {"ownerReferences": [{"apiVersion": "", "kind": "", "name": "", "uid": ""}]},
            [
                'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
                'metadata.ownerReferences.kind: Invalid value: "": must not be empty',
                'metadata.ownerReferences.name: Invalid value: "": must not be empty',
                'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
            ],
        ),
        (
            {"ownerReferences": [{**POD, "apiVersion": "a/b/c"}]},
            ['metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty'],
        ),
        (
            {"ownerReferences": [{**POD, "controller": True}, {**POD, "controller": True}]},
            [
                f"metadata.ownerReferences: Invalid value: [{SHOWN},{SHOWN}]: Only one reference can have Controller "
                'set to true. Found "true" in references for Pod/p and Pod/p'
            ],
        ),
        (
            {"ownerReferences": [{**POD, "kind": "Event"}]},
            [
                f'metadata.ownerReferences: Invalid value: {{"apiVersion":"v1","kind":"Event","name":"p","uid":"{UID}"}}: '
                "/v1, Kind=Event is disallowed from being an owner"
            ],
        ),
        (
            {
                "managedFields": [
                    {"manager": "m", "operation": "Dance", "fieldsType": "FieldsV2", "subresource": "s" * 257}
                ]
            },
            [
                'metadata.managedFields[0].operation: Invalid value: "Dance": must be `Apply` or `Update`',
                'metadata.managedFields[0].fieldsType: Invalid value: "FieldsV2": must be `FieldsV1`',
                "metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes",
            ],
        ),
    ],
)
def test_validate(meta: dict[str, Any], messages: list[str]) -> None:
    assert found(meta) == messages


def test_cluster_scoped_objects_have_no_namespace() -> None:
    errors = objectmeta.validate(GOOD, False, names.path_segment_name)
    assert [str(e) for e in errors] == ["metadata.namespace: Forbidden: not allowed on this type"]


def test_custom_resources_may_have_finalizers_without_a_domain() -> None:
    assert found({"finalizers": ["plain"]}, kube_finalizers=False) == []


def test_a_name_check_may_know_of_prefixes() -> None:
    meta = {"name": "a..", "generateName": "..", "namespace": "n"}
    assert objectmeta.validate(meta, True, names.name_is_path_segment) == []


def test_field_manager() -> None:
    assert objectmeta.validate_field_manager("") == objectmeta.validate_field_manager("kubectl edit") == []
    assert [str(e) for e in objectmeta.validate_field_manager("m" * 129)] == [
        "fieldManager: Too long: may not be more than 128 bytes"
    ]
    assert [str(e) for e in objectmeta.validate_field_manager("é\x07")] == [
        'fieldManager: Invalid value: "é\\a": invalid character U+0007 (at position 2)'
    ]


STORED = {
    **GOOD,
    "uid": UID,
    "resourceVersion": "5",
    "generation": 2,
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def changed(meta: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """The findings, each of which must stand twice."""
    messages = [str(e) for e in objectmeta.validate_update(meta, old)]
    half = len(messages) // 2
    assert messages[:half] == messages[half:]
    return messages[:half]


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({}, []),
        ({"labels": {"a": "b"}, "finalizers": ["example.com/f"]}, []),
        ({"uid": "other"}, ['metadata.uid: Invalid value: "other": field is immutable']),
        ({"name": "b"}, ['metadata.name: Invalid value: "b": field is immutable']),
        ({"namespace": "m"}, ['metadata.namespace: Invalid value: "m": field is immutable']),
        (
            {"creationTimestamp": None},
            ["metadata.creationTimestamp: Invalid value: null: field is immutable"],
        ),
        (
            {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            ['metadata.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable'],
        ),
        (
            {"deletionGracePeriodSeconds": 3},
            ["metadata.deletionGracePeriodSeconds: Invalid value: 3: field is immutable"],
        ),
        ({"generation": 1}, ["metadata.generation: Invalid value: 1: must not be decremented"]),
        (
            {"resourceVersion": ""},
            ['metadata.resourceVersion: Invalid value: "": must be specified for an update'],
        ),
        ({"labels": {"a b": ""}}, [f'metadata.labels: Invalid value: "a b": {KEY}']),
    ],
)
def test_validate_update(change: dict[str, Any], messages: list[str]) -> None:
    assert changed({**STORED, **change}, STORED) == messages


def test_no_finalizer_is_added_to_what_is_being_deleted() -> None:
    old = {**STORED, "deletionTimestamp": "2026-01-02T00:00:00Z", "finalizers": ["example.com/f"]}
    assert changed({**old, "finalizers": []}, old) == []
    assert changed({**old, "finalizers": ["example.com/h", "example.com/f", "example.com/g"]}, old) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"example.com/g", "example.com/h"}'
    ]


def test_a_bare_finalizer_is_found_once_on_update() -> None:
    errors = objectmeta.validate_update({**STORED, "finalizers": ["plain"]}, STORED)
    assert [e.field for e in errors] == ["metadata.finalizers[0]"]


def test_create_fills_in_and_forgets_what_the_client_said() -> None:
    meta = {
        "name": "srv",
        "uid": "x",
        "generation": 7,
        "selfLink": "/nope",
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 3,
    }
    objectmeta.prepare_create(meta, chance(1), 0.0)
    uid = meta.pop("uid")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uid)
    assert meta == {"name": "srv", "generation": 7, "creationTimestamp": "1970-01-01T00:00:00Z"}


@given(st.text("abc-", min_size=1, max_size=100), st.integers(0, 100))
def test_generated_names(base: str, seed: int) -> None:
    meta = {"generateName": base}
    assert objectmeta.ensure_name(meta, chance(seed))
    assert re.fullmatch(re.escape(base[:58]) + "[bcdfghjklmnpqrstvwxz2456789]{5}", meta["name"])
    assert not objectmeta.ensure_name(meta, chance(seed))


def test_a_given_name_stays() -> None:
    meta = {"generateName": "gen-", "name": "fixed"}
    assert not objectmeta.ensure_name(meta, chance(1))
    assert meta["name"] == "fixed"


def test_update_keeps_what_is_the_servers() -> None:
    old = {**STORED, "deletionTimestamp": "2026-01-02T00:00:00Z", "deletionGracePeriodSeconds": 30}
    meta = {
        "name": "a",
        "namespace": "n",
        "generation": 99,
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "selfLink": "x",
    }
    objectmeta.prepare_update(meta, old)
    assert meta == {key: value for key, value in old.items() if key != "resourceVersion"}
    other = {"uid": "other"}
    objectmeta.prepare_update(other, {"uid": UID})
    assert other == {"uid": "other"}


def test_namespaces_of_the_request() -> None:
    meta: dict[str, Any] = {"namespace": "x"}
    assert objectmeta.place_in_namespace(meta, "", namespaced=False) and meta == {}
    assert objectmeta.place_in_namespace(meta, "n", namespaced=True) and meta == {"namespace": "n"}
    assert not objectmeta.place_in_namespace(meta, "m", namespaced=True)


def test_duplicate_owners() -> None:
    meta = {"ownerReferences": [dict(POD), dict(POD), {**POD, "name": "q"}]}
    assert objectmeta.owner_reference_warning(meta["ownerReferences"]) == (
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
        f"reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {UID}"
    )
    objectmeta.dedupe_owner_references(meta)
    assert [r["name"] for r in meta["ownerReferences"]] == ["p", "q"]
    assert objectmeta.owner_reference_warning([POD]) == ""
    assert objectmeta.controller_of({"ownerReferences": [POD, {**POD, "controller": True}]}) == {
        **POD,
        "controller": True,
    }
    assert objectmeta.controller_of({}) is None
