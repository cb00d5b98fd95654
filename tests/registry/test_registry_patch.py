"""PATCH: each type of patch, what it makes of an object, and what cannot be one."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from knarr.meta.errors import StatusError

from .conftest import (
    APPLY,
    CONFIGMAPS,
    DEPLOYMENTS,
    JSON_PATCH,
    MERGE,
    PODS,
    STRATEGIC,
    configmap,
    deployment,
)


def test_patches_that_race_all_arrive(api, run):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        patches = [api("PATCH", f"{CONFIGMAPS}/a", {"data": {f"k{n}": str(n)}}, MERGE) for n in range(40)]
        await asyncio.gather(*patches)
        data = (await api("GET", f"{CONFIGMAPS}/a"))["data"]
        assert data == {"a": "1", **{f"k{n}": str(n) for n in range(40)}}

    run(main())


def test_an_increment_by_test_and_replace_loses_no_step(api, run):
    """Each patch says which value it saw: of those that saw the same, one wins and the others are told."""

    async def main():
        await api("POST", CONFIGMAPS, configmap("a", n="0"))

        async def add_one():
            while True:
                seen = (await api("GET", f"{CONFIGMAPS}/a"))["data"]["n"]
                operations = [
                    {"op": "test", "path": "/data/n", "value": seen},
                    {"op": "replace", "path": "/data/n", "value": str(int(seen) + 1)},
                ]
                try:
                    return await api("PATCH", f"{CONFIGMAPS}/a", operations, JSON_PATCH)
                except StatusError as error:
                    assert error.code == 422

        await asyncio.gather(*(add_one() for _ in range(15)))
        assert (await api("GET", f"{CONFIGMAPS}/a"))["data"]["n"] == "15"

    run(main())


# -- the four patch types ---------------------------------------------------------------------------------

CHANGES = [
    (MERGE, {"data": {"b": "2", "a": None}}),
    (STRATEGIC, {"data": {"b": "2", "a": None}}),
    (JSON_PATCH, [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "2"}]),
]


@pytest.mark.parametrize(("content_type", "patch"), CHANGES)
def test_each_patch_type_changes_what_it_says(api, run, content_type, patch):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a", a="1", z="3"))
        after = await api("PATCH", f"{CONFIGMAPS}/a", patch, content_type)
        assert after["data"] == {"b": "2", "z": "3"}
        error = await api.refused("PATCH", f"{CONFIGMAPS}/absent", patch, content_type)
        assert error.code == 404

    run(main())


def test_apply_creates_owns_and_gives_up(api, run):
    async def main():
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a"},
            "data": {"a": "1", "b": "2"},
        }
        result = await api.result("PATCH", f"{CONFIGMAPS}/a", config, APPLY, fieldManager="alice")
        assert result.code == 201
        error = await api.refused(
            "PATCH", f"{CONFIGMAPS}/a", {**config, "data": {"a": "9"}}, APPLY, fieldManager="bob"
        )
        assert error.code == 409 and 'conflict with "alice": .data.a' in error.status["message"]
        after = await api(
            "PATCH",
            f"{CONFIGMAPS}/a",
            {**config, "data": {"a": "9"}},
            APPLY,
            fieldManager="bob",
            force="true",
        )
        assert after["data"] == {"a": "9", "b": "2"}
        after = await api("PATCH", f"{CONFIGMAPS}/a", {**config, "data": {}}, APPLY, fieldManager="alice")
        assert after["data"] == {"a": "9"}
        error = await api.refused("PATCH", f"{CONFIGMAPS}/a", config, APPLY)
        assert "is required for apply patch" in error.status["message"]
        error = await api.refused("PATCH", f"{CONFIGMAPS}/a", {}, MERGE, force="true")
        assert "may not be specified for non-apply patch" in error.status["message"]

    run(main())


def test_an_apply_with_a_repeated_key(api, run):
    async def main():
        text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: b\n  a: c\n"
        error = await api.refused(
            "PATCH", f"{CONFIGMAPS}/a", text, APPLY, fieldManager="m", fieldValidation="Strict"
        )
        assert error.status["message"] == (
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            '  line 7: key "a" already set in map'
        )
        made = await api("PATCH", f"{CONFIGMAPS}/a", text, APPLY, fieldManager="m")
        assert made["data"] == {"a": "c"} and api.warnings == ['line 7: key "a" already set in map']

    run(main())


def shown_of(made: dict, **changes) -> str:
    """The object in Go's order, as messages about a patch show it."""
    metadata = made["metadata"]
    order = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "managedFields")
    (entry,) = metadata["managedFields"]
    fields = ("manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1")
    shown = {
        "apiVersion": "v1",
        "data": made["data"],
        "kind": "ConfigMap",
        "metadata": {key: metadata[key] for key in order}
        | {"managedFields": [{k: entry[k] for k in fields}]},
        **changes,
    }
    return orjson.dumps(dict(sorted(shown.items()))).decode()


BAD = [
    # type, patch, query, what is shown (changes of the object, or a text), complaint
    (
        MERGE,
        {"data": "x"},
        {},
        {"data": "x"},
        "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string",
    ),
    (
        MERGE,
        {"foo": 1},
        {"fieldValidation": "Strict"},
        {"foo": 1},
        'strict decoding error: unknown field "foo"',
    ),
    (
        MERGE,
        b'{"data":{"a":"1","a":"1"}}',
        {"fieldValidation": "Strict"},
        {},
        'strict decoding error: duplicate field "data.a"',
    ),
    (
        MERGE,
        {"apiVersion": "v9"},
        {},
        {"apiVersion": "v9"},
        'no kind "ConfigMap" is registered for version "v9" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    ),
    (
        JSON_PATCH,
        [{"op": "add", "path": "/foo", "value": 1}],
        {"fieldValidation": "Strict"},
        {"foo": 1},
        'strict decoding error: unknown field "foo"',
    ),
    (STRATEGIC, {"data": [1]}, {}, "map[data:[1]]", "cannot restore map from slice"),
    (STRATEGIC, {"immutable": "x"}, {}, "map[immutable:x]", "cannot convert string to bool"),
    (
        STRATEGIC,
        {"metadata": {"labels": {"a": 1}}},
        {},
        "map[metadata:map[labels:map[a:1]]]",
        "cannot convert int64 to string",
    ),
    (
        STRATEGIC,
        {"foo": 1},
        {"fieldValidation": "Strict"},
        "map[foo:1]",
        'strict decoding error: unknown field "foo"',
    ),
]


@pytest.mark.parametrize(("content_type", "patch", "query", "shown", "complaint"), BAD)
def test_a_patch_whose_result_is_no_such_object(api, run, content_type, patch, query, shown, complaint):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        error = await api.refused("PATCH", f"{CONFIGMAPS}/a", patch, content_type, **query)
        text = shown if isinstance(shown, str) else shown_of(made, **shown)
        (cause,) = error.status["details"]["causes"]
        assert error.code == 422 and cause["field"] == "patch"
        quoted = orjson.dumps(text).decode()
        assert cause["message"] == f"Invalid value: {quoted}: {complaint}"
        assert await api("GET", f"{CONFIGMAPS}/a") == made

    run(main())


def test_what_strict_decoding_finds_in_a_patch_is_warned_of(api, run):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        for content_type, patch, warnings in (
            (MERGE, b'{"data":{"k":"v","k":"v"},"x":1}', ['duplicate field "data.k"', 'unknown field "x"']),
            (STRATEGIC, b'{"data":{"k":"w","k":"w"}}', ['duplicate field "data.k"']),
            (
                JSON_PATCH,
                b'[{"op":"test","path":"/data/k","value":"w","why":1}]',
                ['json patch unknown field "[0].why"'],
            ),
        ):
            await api("PATCH", f"{CONFIGMAPS}/a", patch, content_type)
            assert api.warnings == warnings

    run(main())


UNREADABLE = [
    # type, patch, fieldValidation, code, message
    (
        JSON_PATCH,
        [5],
        "",
        400,
        "error decoding patch: json: cannot unmarshal number into Go value of type handlers.",
    ),
    (
        JSON_PATCH,
        [5],
        "Ignore",
        400,
        "json: cannot unmarshal number into Go value of type jsonpatch.Operation",
    ),
    (JSON_PATCH, {}, "Ignore", 400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
    (JSON_PATCH, [{"op": "add", "path": 5}], "Ignore", 422, "the server rejected our request"),
    (MERGE, b"{", "Ignore", 400, "Invalid JSON Patch"),
    (MERGE, 5, "Ignore", 400, "Invalid JSON Patch"),
    (
        MERGE,
        [1],
        "Ignore",
        422,
        "json parse error: json: cannot unmarshal array into Go value of type struct {",
    ),
    (MERGE, {"kind": 5}, "", 422, "cannot unmarshal number into Go struct field .kind of type string"),
    (MERGE, {"apiVersion": "a/b/c"}, "", 422, "unexpected GroupVersion string: a/b/c"),
    (MERGE, {"apiVersion": None}, "", 400, "name must be provided"),
    (MERGE, {"apiVersion": None}, "Strict", 422, 'strict decoding error: unknown field "data"'),
]


@pytest.mark.parametrize(("content_type", "patch", "validation", "code", "message"), UNREADABLE)
def test_a_patch_that_cannot_be_read(api, run, content_type, patch, validation, code, message):
    async def main():
        query = {"fieldValidation": validation} if validation else {}
        error = await api.refused("PATCH", f"{CONFIGMAPS}/a", patch, content_type, **query)
        assert error.code == 404, "what is not there is told first"
        await api("POST", CONFIGMAPS, configmap("a"))
        error = await api.refused("PATCH", f"{CONFIGMAPS}/a", patch, content_type, **query)
        assert error.code == code and message in error.status["message"], error.status["message"]

    run(main())


@pytest.mark.parametrize("depth", [700, 1000, 2000])
@pytest.mark.parametrize("content_type", [JSON_PATCH, MERGE, STRATEGIC, APPLY])
def test_a_patch_that_is_too_deep(api, run, content_type, depth):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        body = b'{"a":' * depth + b"1" + b"}" * depth
        error = await api.refused("PATCH", f"{CONFIGMAPS}/a", body, content_type, fieldManager="m")
        assert error.code == 400 and error.message.endswith("exceeded max depth"), error.message

    run(main())


def test_a_patch_need_not_name_the_kind(api, run):
    """A strategic one is never asked what it is."""

    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        for content_type, patch in (
            (MERGE, {"kind": None}),
            (JSON_PATCH, [{"op": "remove", "path": "/kind"}]),
            (STRATEGIC, {"kind": "Secret", "apiVersion": "v9"}),
        ):
            assert await api("PATCH", f"{CONFIGMAPS}/a", patch, content_type) == made

    run(main())


def test_what_has_no_fraction_is_a_whole_number_to_patches_that_are_no_json(api, run):
    async def main():
        await api("POST", DEPLOYMENTS, deployment("a"))
        text = b'{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"replicas":2e0}}'
        for content_type, query in ((STRATEGIC, {}), (APPLY, {"fieldManager": "m", "force": "true"})):
            after = await api("PATCH", f"{DEPLOYMENTS}/a?dryRun=All", text, content_type, **query)
            assert after["spec"]["replicas"] == 2
        error = await api.refused("PATCH", f"{DEPLOYMENTS}/a", text, MERGE)
        assert "json: cannot unmarshal number" in error.message

    run(main())


def test_an_apply_that_the_schema_lets_pass_and_the_type_does_not(api, run):
    async def main():
        config = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"priority": 1.5}}
        error = await api.refused("PATCH", f"{PODS}/a", config, APPLY, fieldManager="m")
        assert (error.code, error.status["message"]) == (
            500,
            "failed to convert new object (/a; /v1, Kind=Pod) to proper version: unable to convert unstructured"
            " object to /v1, Kind=Pod: cannot convert float64 to int32",
        )

    run(main())


TYPES = [
    ("application/json", 415, "415: Unsupported Media Type"),
    ("text/plain", 415, "415: Unsupported Media Type"),
    ("application/json-patch+xml", 415, "415: Unsupported Media Type"),
]


@pytest.mark.parametrize(("content_type", "code", "message"), TYPES)
def test_what_is_no_patch_type(api, run, content_type, code, message):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        error = await api.refused("PATCH", f"{CONFIGMAPS}/a", {}, content_type)
        assert (error.code, error.status["message"]) == (code, message)

    run(main())
