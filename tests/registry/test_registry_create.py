"""Create: naming, placing, defaulting, what is refused, what is undone."""

from __future__ import annotations

import pytest

from .conftest import CONFIGMAPS, PODS, configmap, pod


def test_a_new_object_has_what_the_server_fills_in(api, run):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        metadata = made["metadata"]
        assert metadata["name"] == "a" and metadata["namespace"] == "n"
        assert metadata["creationTimestamp"] == "2027-01-15T08:00:00Z"
        assert len(metadata["uid"]) == 36
        assert int(metadata["resourceVersion"]) == api.store.revision
        (entry,) = metadata["managedFields"]
        assert (entry["manager"], entry["operation"]) == ("tests", "Update")
        assert await api("GET", f"{CONFIGMAPS}/a") == made

    run(main())


def test_what_a_client_says_of_the_servers_fields_is_dropped(api, run):
    async def main():
        sent = configmap("a")
        sent["metadata"] |= {
            "uid": "mine",
            "creationTimestamp": "2001-01-01T00:00:00Z",
            "deletionTimestamp": "2001-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 3,
            "selfLink": "/x",
        }
        metadata = (await api("POST", CONFIGMAPS, sent))["metadata"]
        assert metadata["uid"] != "mine" and metadata["creationTimestamp"].startswith("2027")
        assert not {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"} & set(metadata)
        assert "f:metadata" not in metadata["managedFields"][0]["fieldsV1"]

    run(main())


REFUSED = [
    # body, query, code, message
    ({**configmap("a"), "metadata": {}}, {}, 422, "Required value: name or generateName is required"),
    (configmap("A_b"), {}, 422, "a lowercase RFC 1123 subdomain must consist"),
    (
        {**configmap("a"), "metadata": {"name": "a", "namespace": "other"}},
        {},
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    (
        {**configmap("a"), "metadata": {"name": "a", "resourceVersion": "5"}},
        {},
        500,
        "resourceVersion should not be set on objects to be created",
    ),
    (pod("a"), {}, 400, "unknown conversion"),
    ({**configmap("a"), "kind": "Nope"}, {}, 400, 'no kind "Nope" is registered for version "v1"'),
    ({**configmap("a"), "data": {"a": 1}}, {}, 400, "cannot unmarshal number into Go struct field"),
    ({**configmap("a"), "dataa": {}}, {"fieldValidation": "Strict"}, 400, 'unknown field "dataa"'),
    (b'{"kind":', {}, 400, "unexpected end of JSON input"),
    (b"[]", {}, 400, "cannot unmarshal array into Go value"),
    (configmap("a"), {"dryRun": "Some"}, 422, 'Unsupported value: ["Some"]'),
    (configmap("a"), {"fieldManager": "x" * 129}, 422, "may not be more than 128 bytes"),
    (configmap("a"), {"fieldValidation": "Maybe"}, 422, 'supported values: "", "Ignore", "Strict", "Warn"'),
]


@pytest.mark.parametrize(("body", "query", "code", "message"), REFUSED)
def test_refused(api, run, body, query, code, message):
    async def main():
        error = await api.refused("POST", CONFIGMAPS, body, **query)
        assert (error.code, message in error.status["message"]) == (code, True), error.status["message"]
        assert api.store.revision == 1

    run(main())


def test_unknown_and_repeated_fields_are_warned_of(api, run):
    async def main():
        body = (
            b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"x":1,"data":{"k":"1","k":"2"}}'
        )
        made = await api("POST", CONFIGMAPS, body)
        assert made["data"] == {"k": "2"} and "x" not in made
        assert api.warnings == ['unknown field "x"', 'duplicate field "data.k"']
        await api("DELETE", f"{CONFIGMAPS}/a")
        await api("POST", CONFIGMAPS, body, fieldValidation="Ignore")
        assert api.warnings == []

    run(main())


def test_generated_names_are_drawn_until_one_is_free(api, run, monkeypatch):
    drawn = iter(["aaaaa", "aaaaa", "bbbbb"])
    monkeypatch.setattr(type(api.world.chance), "suffix", lambda self, length=5: next(drawn))

    async def main():
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
        first = await api("POST", CONFIGMAPS, body)
        second = await api("POST", CONFIGMAPS, body)
        assert (first["metadata"]["name"], second["metadata"]["name"]) == ("x-aaaaa", "x-bbbbb")

    run(main())


def test_generated_names_give_up_in_the_end(api, run, monkeypatch):
    monkeypatch.setattr(type(api.world.chance), "suffix", lambda self, length=5: "aaaaa")

    async def main():
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
        await api("POST", CONFIGMAPS, body)
        error = await api.refused("POST", CONFIGMAPS, body)
        assert error.code == 409 and "was not able to generate a unique name" in error.status["message"]
        assert error.status["details"]["retryAfterSeconds"] == 1

    run(main())


def test_a_name_that_is_taken(api, run):
    async def main():
        await api("POST", CONFIGMAPS, {**configmap("a"), "metadata": {"name": "a", "finalizers": ["x.y/z"]}})
        error = await api.refused("POST", CONFIGMAPS, configmap("a"))
        assert error.status["message"] == 'configmaps "a" already exists'
        await api("DELETE", f"{CONFIGMAPS}/a")
        error = await api.refused("POST", CONFIGMAPS, configmap("a"))
        assert error.status["message"] == 'object is being deleted: configmaps "a" already exists'
        error = await api.refused("POST", CONFIGMAPS, configmap("a"), dryRun="All")
        assert error.status["message"] == 'object is being deleted: configmaps "a" already exists'

    run(main())


def test_who_sends_an_empty_list_owns_it_though_it_is_stored_as_null(api, run):
    async def main():
        path = "/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles"
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "a"}}
        made = await api("POST", path, {**role, "rules": []})
        assert made["rules"] is None
        assert made["metadata"]["managedFields"][0]["fieldsV1"] == {"f:rules": {}}
        made = await api("POST", path, {**role, "metadata": {"name": "b"}})
        assert made["rules"] is None and "managedFields" not in made["metadata"]

    run(main())


def test_yaml_bodies_are_read_as_go_reads_them(api, run):
    async def main():
        text = b"kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a\ndata:\n  a: 'y'\n  a: b\n  t: 2001-01-01\n"
        made = await api("POST", CONFIGMAPS, text, "application/yaml")
        assert made["data"] == {"a": "b", "t": "2001-01-01"}
        assert api.warnings == ['line 7: key "a" already set in map']
        error = await api.refused("POST", CONFIGMAPS, text, "application/yaml", fieldValidation="Strict")
        assert error.status["message"].endswith(
            'strict decoding error: yaml: unmarshal errors:\n  line 7: key "a" already set in map'
        )
        error = await api.refused(
            "POST", CONFIGMAPS, text.replace(b"name: a", b"name: y"), "application/yaml"
        )
        assert (
            "cannot unmarshal bool into Go struct field ObjectMeta.metadata.name" in error.status["message"]
        )

    run(main())


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/json-patch+json"])
def test_other_media_types_are_refused(api, run, content_type):
    async def main():
        error = await api.refused("POST", CONFIGMAPS, configmap("a"), content_type)
        assert (error.code, error.reason) == (415, "UnsupportedMediaType")

    run(main())


WRITES = [
    ("POST", CONFIGMAPS, configmap("new"), "application/json"),
    ("POST", "/api/v1/namespaces/n/services", None, "application/json"),
    ("PUT", f"{CONFIGMAPS}/old", configmap("old", b="2"), "application/json"),
    ("PATCH", f"{CONFIGMAPS}/old", {"data": {"b": "2"}}, "application/merge-patch+json"),
    ("PATCH", f"{CONFIGMAPS}/old", {"data": {"b": "2"}}, "application/strategic-merge-patch+json"),
    (
        "PATCH",
        f"{CONFIGMAPS}/old",
        [{"op": "add", "path": "/data/b", "value": "2"}],
        "application/json-patch+json",
    ),
    ("DELETE", f"{CONFIGMAPS}/old", None, "application/json"),
    ("DELETE", CONFIGMAPS, None, "application/json"),
    ("DELETE", f"{PODS}/bound", None, "application/json"),
]


@pytest.mark.parametrize(("method", "path", "body", "content_type"), WRITES)
def test_a_dry_run_answers_and_writes_nothing(api, run, method, path, body, content_type):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]},
    }

    async def main():
        await api("POST", CONFIGMAPS, configmap("old"))
        await api("POST", PODS, pod("bound", node="node"))
        before, taken = api.store.revision, len(api.services._ports.numbers)
        answer = await api(
            method, path, body or (service if method == "POST" else None), content_type, dryRun="All"
        )
        assert answer["kind"] in ("ConfigMap", "Service", "Status", "ConfigMapList", "Pod")
        assert api.store.revision == before
        assert len(api.services._ports.numbers) == taken
        real = await api(method, path, body or (service if method == "POST" else None), content_type)
        assert api.store.revision > before, real

    run(main())
