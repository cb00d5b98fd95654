"""PUT and PATCH: races, preconditions, identity, status, finalizers."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from knarr.meta.errors import StatusError

from .conftest import APPLY, CONFIGMAPS, JSON_PATCH, MERGE, PODS, STRATEGIC, configmap, deployment, pod

DEPLOYMENTS = "/apis/apps/v1/namespaces/n/deployments"


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


def test_of_puts_with_one_resource_version_one_wins(api, run):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        sent = [{**made, "data": {"winner": str(n)}} for n in range(20)]
        answers = await asyncio.gather(
            *(api("PUT", f"{CONFIGMAPS}/a", body) for body in sent), return_exceptions=True
        )
        won = [a for a in answers if isinstance(a, dict)]
        lost = [a for a in answers if isinstance(a, StatusError)]
        assert len(won) == 1 and len(lost) == 19
        assert {(e.code, e.reason) for e in lost} == {(409, "Conflict")}
        assert "the object has been modified; please apply your changes" in lost[0].status["message"]
        assert (await api("GET", f"{CONFIGMAPS}/a"))["data"] == won[0]["data"]

    run(main())


def test_puts_without_a_version_all_win(api, run):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        await asyncio.gather(*(api("PUT", f"{CONFIGMAPS}/a", configmap("a", n=str(n))) for n in range(20)))
        assert list((await api("GET", f"{CONFIGMAPS}/a"))["data"]) == ["n"]

    run(main())


def test_an_update_that_changes_nothing_is_not_written(api, run):
    async def main():
        made = await api("POST", DEPLOYMENTS, deployment("a"))
        revision = api.store.revision
        for method, path, body, content_type in (
            ("PUT", "", made, "application/json"),
            ("PUT", "", deployment("a"), "application/json"),
            ("PATCH", "", {"spec": {"replicas": 1}}, MERGE),
            ("PATCH", "", {"spec": {"replicas": 1}}, STRATEGIC),
            ("PATCH", "", [{"op": "test", "path": "/spec/replicas", "value": 1}], JSON_PATCH),
            ("PATCH", "/status", {"spec": {"replicas": 7}}, MERGE),
        ):
            answer = await api(method, f"{DEPLOYMENTS}/a{path}", body, content_type)
            assert answer["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], method
        assert api.store.revision == revision

    run(main())


PRECONDITIONS = [
    # changes of the metadata sent, code, part of the message
    ({"uid": "other"}, 409, "Precondition failed: UID in precondition: other"),
    ({"resourceVersion": "1"}, 409, "the object has been modified"),
    ({"resourceVersion": "x"}, 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
    ({"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
    ({"name": ""}, 400, "the name of the object (a based on URL) was undeterminable"),
    ({"namespace": "m"}, 400, "the namespace of the provided object does not match"),
]


@pytest.mark.parametrize(("change", "code", "message"), PRECONDITIONS)
def test_a_put_of_another_object_is_refused(api, run, change, code, message):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        body = {**made, "metadata": {**made["metadata"], **change}, "data": {"x": "y"}}
        error = await api.refused("PUT", f"{CONFIGMAPS}/a", body)
        assert error.code == code and message in error.status["message"], error
        assert await api("GET", f"{CONFIGMAPS}/a") == made

    run(main())


def test_put_to_a_name_that_does_not_exist(api, run):
    async def main():
        error = await api.refused("PUT", f"{CONFIGMAPS}/a", configmap("a"))
        assert error.code == 404
        leases = "/apis/coordination.k8s.io/v1/namespaces/n/leases"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
        result = await api.result("PUT", f"{leases}/l", lease)
        assert result.code == 201
        error = await api.refused("PUT", f"{leases}/m", {**lease, "metadata": {"name": "m", "uid": "u"}})
        assert error.code == 409 and "no existing object was found" in error.status["message"]

    run(main())


def test_status_and_the_rest_have_doors_of_their_own(api, run):
    async def main():
        made = await api("POST", DEPLOYMENTS, deployment("a"))
        both = {
            **made,
            "spec": {**made["spec"], "replicas": 5},
            "status": {"replicas": 3, "readyReplicas": 3},
        }
        after = await api("PUT", f"{DEPLOYMENTS}/a", both)
        assert (after["spec"]["replicas"], after["status"]) == (5, {})
        assert after["metadata"]["generation"] == 2
        both = {
            **after,
            "spec": {**after["spec"], "replicas": 9},
            "status": {"replicas": 3, "readyReplicas": 3},
        }
        after = await api("PUT", f"{DEPLOYMENTS}/a/status", both)
        assert after["spec"]["replicas"] == 5 and after["status"]["replicas"] == 3
        assert after["metadata"]["generation"] == 2
        owners = [(e["manager"], e.get("subresource", "")) for e in after["metadata"]["managedFields"]]
        assert owners == [("tests", ""), ("tests", "status")]

    run(main())


def test_the_last_finalizer_takes_the_object_along(api, run):
    async def main():
        for path, name, body in (
            (CONFIGMAPS, "a", configmap("a")),
            (PODS, "p", pod("p", node="node")),
        ):
            body["metadata"]["finalizers"] = ["x.y/a", "x.y/b"]
            await api("POST", path, body)
            await api("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})
            left = await api("PATCH", f"{path}/{name}", {"metadata": {"finalizers": ["x.y/b"]}}, MERGE)
            assert left["metadata"]["finalizers"] == ["x.y/b"]
            error = await api.refused(
                "PATCH", f"{path}/{name}", {"metadata": {"finalizers": ["x.y/c"]}}, MERGE
            )
            assert error.code == 422 and "no new finalizers can be added" in error.status["message"]
            last = await api("PATCH", f"{path}/{name}", {"metadata": {"finalizers": None}}, MERGE)
            assert "finalizers" not in last["metadata"]
            assert await api.absent(f"{path}/{name}")

    run(main())


def test_a_finalizer_removed_before_the_delete_keeps_the_object(api, run):
    async def main():
        body = configmap("a")
        body["metadata"]["finalizers"] = ["x.y/a"]
        await api("POST", CONFIGMAPS, body)
        await api("PATCH", f"{CONFIGMAPS}/a", {"metadata": {"finalizers": []}}, MERGE)
        assert not await api.absent(f"{CONFIGMAPS}/a")

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


@pytest.mark.parametrize("sent", [[], [{}]])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_owners_are_forgotten_on_request(api, run, sent, method):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        assert made["metadata"].pop("managedFields")
        body = {**made, "metadata": {**made["metadata"], "managedFields": sent}}
        kind = ("application/json",) if method == "PUT" else (MERGE,)
        assert "managedFields" not in (await api(method, f"{CONFIGMAPS}/a", body, *kind))["metadata"]

    run(main())


OTHER_VERSIONS = [
    (DEPLOYMENTS, "apps/v1beta1", "Deployment", "apps/v1"),
    (DEPLOYMENTS, "extensions/v1beta1", "Deployment", "apps/v1"),
    (
        "/apis/autoscaling/v2/namespaces/n/horizontalpodautoscalers",
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
    ),
    ("/api/v1/namespaces/n/events", "events.k8s.io/v1", "Event", "v1"),
]


@pytest.mark.parametrize(("path", "sent", "kind", "expected"), OTHER_VERSIONS)
def test_an_object_of_another_version_than_the_paths(api, run, path, sent, kind, expected):
    async def main():
        error = await api.refused("POST", path, {"apiVersion": sent, "kind": kind, "metadata": {"name": "a"}})
        assert (error.code, error.status["message"]) == (
            400,
            f"the API version in the data ({sent}) does not match the expected API version ({expected})",
        )

    run(main())


NOT_ONE = [
    # body, content type, what is said
    (
        {"kind": "List", "apiVersion": "v1", "items": []},
        "application/json",
        "converting (v1.List) to (core.ConfigMap)",
    ),
    (
        {"kind": "Status", "apiVersion": "v1"},
        "application/json",
        "converting (v1.Status) to (core.ConfigMap)",
    ),
    (
        {"kind": "DeleteOptions", "apiVersion": "apps/v1"},
        "application/json",
        "converting (v1.DeleteOptions) to",
    ),
    (
        {"kind": "List", "apiVersion": "apps/v1"},
        "application/json",
        'no kind "List" is registered for version',
    ),
    (b"- a", "application/yaml", "(2d2061)"),
    (b"!!binary x", "application/yaml", "(212162696e6172792078)"),
    (b" {", "application/json", "unexpected end of JSON input (207b)"),
]


@pytest.mark.parametrize(("body", "content_type", "said"), NOT_ONE)
def test_what_is_no_object_of_the_path(api, run, body, content_type, said):
    async def main():
        error = await api.refused("POST", CONFIGMAPS, body, content_type)
        assert error.code == 400 and said in error.status["message"], error.status["message"]

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


OF_STATUS = [
    # kind, made first, what an applier of the status says of metadata, what of that it owns
    (DEPLOYMENTS, lambda: deployment("a"), {"labels": {"x": "y"}}, None),
    (DEPLOYMENTS, lambda: deployment("a"), {"annotations": {"x": "y"}}, {"f:annotations": {"f:x": {}}}),
    (
        PODS,
        lambda: pod("a"),
        {
            "labels": {"x": "y"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "b", "uid": "1"}],
        },
        {"f:labels": {"f:x": {}}},
    ),
]


@pytest.mark.parametrize(("path", "made", "metadata", "owned"), OF_STATUS)
def test_who_writes_the_status_owns_only_what_that_may_change(api, run, path, made, metadata, owned):
    async def main():
        obj = await api("POST", path, made())
        config = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {"name": "a", **metadata},
            "status": {"conditions": [{"type": "x", "status": "True"}]},
        }
        after = await api("PATCH", f"{path}/a/status", config, APPLY, fieldManager="m")
        (entry,) = [e for e in after["metadata"]["managedFields"] if e["manager"] == "m"]
        assert entry["fieldsV1"].get("f:metadata") == owned and "f:status" in entry["fieldsV1"]

    run(main())


def test_several_options_are_told_in_order(api, run):
    async def main():
        query = {"dryRun": "x", "fieldManager": "\x01", "fieldValidation": "y"}
        error = await api.refused("POST", CONFIGMAPS, configmap("a"), **query)
        assert [cause["field"] for cause in error.status["details"]["causes"]] == [
            "fieldManager",
            "dryRun",
            "fieldValidation",
        ]
        await api("POST", CONFIGMAPS, configmap("a"), force="true")

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


REVISIONS = "/apis/apps/v1/namespaces/n/controllerrevisions"
TIGHT, WIDE = (
    b'{"metadata":{"name":"r"},"revision":1,"data":{"x":1}}',
    b'{"metadata": {"name": "r"}, "revision": 1, "data": {"x": 1}}',
)
RAW = [
    (TIGHT, ("PATCH", b'{"revision":2}', MERGE), True),
    (TIGHT, ("PUT", TIGHT.replace(b'1,"', b'2,"'), "application/json"), True),
    (TIGHT, ("PUT", WIDE.replace(b"1, ", b"2, "), "application/json"), False),
    (WIDE, ("PATCH", b'{"revision": 2}', MERGE), False),
    (WIDE, ("PUT", WIDE.replace(b"1, ", b"2, "), "application/json"), True),
    (WIDE, ("PUT", TIGHT.replace(b'1,"', b'2,"'), "application/json"), False),
]


@pytest.mark.parametrize(("made", "change", "allowed"), RAW)
def test_data_of_a_revision_is_compared_as_it_was_sent(api, run, made, change, allowed):
    async def main():
        await api("POST", REVISIONS, made)
        method, body, content_type = change
        if allowed:
            changed = await api(method, f"{REVISIONS}/r", body, content_type)
            assert (changed["revision"], changed["data"]) == (2, {"x": 1})
        else:
            error = await api.refused(method, f"{REVISIONS}/r", body, content_type)
            (cause,) = error.status["details"]["causes"]
            assert cause["message"] == 'Invalid value: {"x":1}: field is immutable'

    run(main())


OLD_LABEL = {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}


@pytest.mark.parametrize(
    "path,given,warned",
    [
        ("/apis/apps/v1/namespaces/default/deployments", {}, (1, 1, 1)),
        ("/apis/apps/v1/namespaces/default/replicasets", {}, (1, 1, 1)),
        ("/apis/apps/v1/namespaces/default/statefulsets", {}, (1, 1, 1)),
        ("/apis/apps/v1/namespaces/default/daemonsets", {}, (1, None, 0)),
        ("/apis/apps/v1/namespaces/default/statefulsets", {"revisionHistoryLimit": -1}, (2, 2, 2)),
    ],
)
def test_templates_are_warned_of_again_when_the_generation_is_new(api, run, path, given, warned):
    async def main():
        pod = {"containers": [{"name": "c", "image": "i"}], **OLD_LABEL}
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **given}
        seen = []
        await api("POST", path, {"metadata": {"name": "w"}, "spec": spec})
        seen.append(len(api.warnings))
        if warned[1] is not None:
            await api("PATCH", f"{path}/w/scale", {"spec": {"replicas": 3}}, MERGE)
            seen.append(len(api.warnings))
        await api("PATCH", f"{path}/w", {"spec": {"minReadySeconds": 5}}, MERGE)
        seen.append(len(api.warnings))
        assert seen == [n for n in warned if n is not None]
        await api("PATCH", f"{path}/w", {"metadata": {"labels": {"x": "y"}}}, MERGE)
        assert len(api.warnings) == len(given)

    run(main())
