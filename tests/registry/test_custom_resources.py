"""Custom resources from their definition to their end: served, named, converted, scaled, emptied."""

import asyncio

import orjson
import pytest

from knarr.meta.errors import PathNotFound
from knarr.registry.custom import jsonpath
from knarr.registry.custom.establish import CLEANUP, CustomResources
from knarr.registry.local import LocalAPI
from knarr.registry.operations import Operations
from knarr.registry.registry import Registry

from .conftest import APPLY, JSON_PATCH, MERGE

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "example.com"
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def of(**properties):
    return {"type": "object", "properties": properties}


SPEC = of(size={**NUMBER, "default": 1, "minimum": 0}, color=TEXT, replicas=NUMBER)
STATUS = of(ready=NUMBER, selector=TEXT)
SCHEMA = of(spec=SPEC, status=STATUS)


def version(name="v1", storage=True, schema=None, **more):
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": SCHEMA if schema is None else schema},
        **more,
    }


def definition(plural="boats", kind="Boat", versions=None, names=None, **spec):
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **(names or {})},
            "versions": versions or [version()],
            **spec,
        },
    }


def path(plural="boats", served="v1"):
    return f"/apis/{GROUP}/{served}/namespaces/n/{plural}"


def boat(name="a", served="v1", kind="Boat", **parts):
    return {"apiVersion": f"{GROUP}/{served}", "kind": kind, "metadata": {"name": name}, **parts}


def conditions(crd):
    return {c["type"]: (c["status"], c["reason"]) for c in crd.get("status", {}).get("conditions", ())}


@pytest.fixture
def custom(api, loop):
    """The API with custom resources, and `define(body)`, which waits until they are served."""
    resources = CustomResources(api.operations)
    resources.start()

    async def define(body):
        await api("POST", CRDS, body)
        await asyncio.sleep(1)
        return await api("GET", f"{CRDS}/{body['metadata']['name']}")

    return define


def test_a_definition_is_established_and_served(api, custom, run):
    async def main():
        crd = await custom(definition())
        assert conditions(crd) == {
            "NamesAccepted": ("True", "NoConflicts"),
            "Established": ("True", "InitialNamesAccepted"),
        }
        names = {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"}
        assert crd["status"]["acceptedNames"] == crd["spec"]["names"] == names
        assert crd["status"]["storedVersions"] == ["v1"]
        made = await api("POST", path(), boat(spec={"color": "red", "sails": 2}))
        assert made["spec"] == {"color": "red", "size": 1}
        assert made["metadata"]["generation"] == 1
        listed = await api("GET", path())
        assert (listed["kind"], listed["apiVersion"]) == ("BoatList", "example.com/v1")
        assert listed["items"] == [made]

    run(main())


@pytest.mark.parametrize(
    ("validation", "code", "warnings"),
    [("Strict", 400, []), ("Warn", 201, ['unknown field "spec.sails"']), ("Ignore", 201, [])],
)
def test_unknown_fields(api, custom, run, validation, code, warnings):
    async def main():
        await custom(definition())
        body = boat(spec={"sails": 2})
        if code == 400:
            error = await api.refused("POST", path(), body, fieldValidation=validation)
            assert error.code == code and 'unknown field "spec.sails"' in error.message
        else:
            await api("POST", path(), body, fieldValidation=validation)
            assert [str(w) for w in api.warnings] == warnings

    run(main())


def test_keys_that_yaml_repeats(api, custom, run):
    text = (
        b"apiVersion: example.com/v1\nkind: Boat\nmetadata: {name: a}\nspec:\n  color: red\n  color: blue\n"
    )
    complaint = 'line 6: key "color" already set in map'

    async def main():
        await custom(definition())
        error = await api.refused("POST", path(), text, "application/yaml", fieldValidation="Strict")
        assert error.message.endswith(f"strict decoding error: yaml: unmarshal errors:\n  {complaint}")
        made = await api("POST", path(), text, "application/yaml")
        assert made["spec"]["color"] == "blue"
        assert api.warnings == [complaint]

    run(main())


def test_every_way_to_change(api, custom, run):
    async def main():
        await custom(definition())
        made = await api("POST", path(), boat(spec={"size": 1}))
        made["spec"]["size"] = 2
        replaced = await api("PUT", f"{path()}/a", made)
        assert (replaced["spec"]["size"], replaced["metadata"]["generation"]) == (2, 2)
        assert (await api("PATCH", f"{path()}/a", {"spec": {"size": 3}}, MERGE))["spec"]["size"] == 3
        patch = [{"op": "replace", "path": "/spec/size", "value": 4}]
        assert (await api("PATCH", f"{path()}/a", patch, JSON_PATCH))["spec"]["size"] == 4
        applied = boat(spec={"color": "red"})
        answer = await api("PATCH", f"{path()}/a", applied, APPLY, fieldManager="m")
        assert answer["spec"] == {"size": 4, "color": "red"}
        assert any(e["operation"] == "Apply" for e in answer["metadata"]["managedFields"])
        error = await api.refused("PATCH", f"{path()}/a", {}, "application/strategic-merge-patch+json")
        assert error.code == 415
        error = await api.refused("PATCH", f"{path()}/a", {"spec": {"size": -1}}, MERGE)
        assert error.code == 422
        assert (
            "spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 0"
            in error.message
        )

    run(main())


OTHER_TYPES = [
    # what becomes of the type, code, message
    ({"kind": None}, 422, "Object 'Kind' is missing in '{"),
    ({"kind": "Raft"}, 422, 'Raft.example.com "a" is invalid: kind: Invalid value: "Raft": must be Boat'),
    ({"kind": 5}, 422, "cannot unmarshal number into Go struct field .kind of type string"),
    (
        {"apiVersion": "v1"},
        422,
        'Boat "a" is invalid: apiVersion: Invalid value: "v1": must be example.com/v1',
    ),
    ({"apiVersion": None}, 500, "Object 'apiVersion' is missing in 'unstructured object has no version'"),
]


@pytest.mark.parametrize(("patch", "code", "message"), OTHER_TYPES)
def test_a_patch_that_makes_another_kind_of_it(api, custom, run, patch, code, message):
    async def main():
        await custom(definition())
        await api("POST", path(), boat())
        error = await api.refused("PATCH", f"{path()}/a", patch, MERGE)
        assert error.code == code and message in error.status["message"], error.status["message"]
        error = await api.refused("POST", path(), {"kind": "Boat", "metadata": {"name": "b"}})
        assert (error.code, error.message) == (
            400,
            "the API version in the data () does not match the expected API version (example.com/v1)",
        )
        error = await api.refused(
            "PATCH", f"{path()}/a", [{"op": "replace", "path": "", "value": []}], JSON_PATCH
        )
        assert "couldn't get version/kind; json parse error: json: cannot unmarshal array" in error.message

    run(main())


def test_methods_that_have_no_route_of_their_own(api, custom, run):
    async def main():
        await custom(definition())
        made = await api("POST", f"{path()}/other", boat())
        assert made["metadata"]["name"] == "a", "the body names it"
        for method in ("PUT", "PATCH"):
            error = await api.refused(method, path(), boat(), MERGE)
            assert (error.code, error.message) == (400, "name must be provided")
        anywhere = path().replace("/namespaces/n", "")
        for method, place in (("GET", f"{anywhere}/a"), ("POST", anywhere), ("DELETE", anywhere)):
            with pytest.raises(PathNotFound):
                await api(method, place, boat())
        assert (await api("GET", anywhere))["items"]

    run(main())


@pytest.mark.parametrize("depth", [300, 900])
def test_what_is_too_deep(api, custom, run, depth):
    async def main():
        await custom(
            definition(
                versions=[version(schema={"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
            )
        )
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        body = b'{"apiVersion":"example.com/v1","kind":"Boat","metadata":{"name":"a"},"spec":%b}' % deep
        error = await api.refused("POST", path(), body)
        assert (error.code, error.message) == (400, "exceeded max depth")

    run(main())


def test_names_that_are_taken_are_not_served_until_they_are_free(api, custom, run):
    async def main():
        await custom(definition())
        second = await custom(definition("ships", "Boat"))
        assert conditions(second) == {
            "NamesAccepted": ("False", "ListKindConflict"),
            "Established": ("False", "NotAccepted"),
        }
        assert (await api.refused("GET", path("ships"))).code == 404
        await api("DELETE", f"{CRDS}/boats.example.com")
        await asyncio.sleep(2)
        second = await api("GET", f"{CRDS}/ships.example.com")
        assert conditions(second)["Established"][0] == "True"
        assert (await api("GET", path("ships")))["items"] == []

    run(main())


def test_deletion_empties_first(api, custom, run):
    async def main():
        await custom(definition())
        held = boat("held")
        held["metadata"]["finalizers"] = ["example.com/f"]
        await api("POST", path(), held)
        await api("POST", path(), boat("free"))
        await api("DELETE", f"{CRDS}/boats.example.com")
        await asyncio.sleep(1)
        crd = await api("GET", f"{CRDS}/boats.example.com")
        assert conditions(crd)["Terminating"] == ("True", "InstanceDeletionInProgress")
        assert crd["metadata"]["finalizers"] == [CLEANUP]
        assert [item["metadata"]["name"] for item in (await api("GET", path()))["items"]] == ["held"]
        error = await api.refused("POST", path(), boat("late"))
        assert (error.code, error.reason) == (403, "Forbidden")
        assert "create not allowed while custom resource definition is terminating" in error.message
        await api("PATCH", f"{path()}/held", {"metadata": {"finalizers": None}}, MERGE)
        await asyncio.sleep(2)
        assert await api.absent(f"{CRDS}/boats.example.com")
        assert await api.absent(path())
        # The same name again has nothing of before.
        await custom(definition())
        assert (await api("GET", path()))["items"] == []

    run(main())


def test_watches_end_with_their_definition(api, custom, run):
    async def main():
        await custom(definition())
        view = api.registry.custom[GROUP, "v1", "boats"]
        seen, ended = [], []
        await LocalAPI(api.operations).subscribe(
            view.row, "", "", "", None, lambda batch: seen.extend(kind for kind, *_ in batch), ended.append
        )
        await api("POST", path(), boat())
        await api("DELETE", f"{CRDS}/boats.example.com")
        await asyncio.sleep(2)
        assert seen == ["ADDED", "DELETED"]
        assert len(ended) == 1

    run(main())


def test_versions_are_one_object(api, custom, run):
    async def main():
        versions = [
            version("v2", schema=of(spec=of(size=NUMBER, sails={**NUMBER, "default": 1}))),
            version("v1", storage=False),
        ]
        await custom(definition(versions=versions))
        made = await api("POST", path(), boat(spec={"color": "red"}))
        assert made["apiVersion"] == "example.com/v1"
        new = await api("GET", f"{path(served='v2')}/a")
        assert new["apiVersion"] == "example.com/v2"
        assert new["spec"] == {"size": 1, "sails": 1}
        assert new["metadata"]["uid"] == made["metadata"]["uid"]
        listed = await api("GET", path(served="v2"))
        assert [item["apiVersion"] for item in listed["items"]] == ["example.com/v2"]
        await api("PATCH", f"{path(served='v2')}/a", {"spec": {"size": 5}}, MERGE)
        assert (await api("GET", f"{path()}/a"))["spec"]["size"] == 5
        crd = await api("GET", f"{CRDS}/boats.example.com")
        crd["spec"]["versions"][1]["served"] = False
        await api("PUT", f"{CRDS}/boats.example.com", crd)
        assert (await api.refused("GET", f"{path()}/a")).code == 404

    run(main())


def test_a_new_schema_is_what_old_objects_are_read_with(api, custom, run):
    async def main():
        await custom(definition())
        made = await api("POST", path(), boat(spec={"color": "red"}))
        crd = await api("GET", f"{CRDS}/boats.example.com")
        properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
            "properties"
        ]
        properties["keel"] = {"type": "boolean", "default": True}
        del properties["color"]
        await api("PUT", f"{CRDS}/boats.example.com", crd)
        read = await api("GET", f"{path()}/a")
        assert read["spec"] == {"size": 1, "keel": True}
        assert read["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        assert (await api("GET", path()))["items"] == [read]

    run(main())


def test_status_and_scale(api, custom, run):
    async def main():
        scale = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.ready",
            "labelSelectorPath": ".status.selector",
        }
        await custom(definition(versions=[version(subresources={"status": {}, "scale": scale})]))
        made = await api("POST", path(), boat(spec={"replicas": 2}, status={"ready": 1}))
        assert "status" not in made
        changed = {**made, "spec": {"replicas": 9}, "status": {"ready": 1, "selector": "a=b"}}
        answer = await api("PUT", f"{path()}/a/status", changed)
        assert answer["spec"] == made["spec"] and answer["status"] == changed["status"]
        assert answer["metadata"]["generation"] == 1
        got = await api("GET", f"{path()}/a/scale")
        assert (got["kind"], got["spec"]) == ("Scale", {"replicas": 2})
        assert got["status"] == {"replicas": 1, "selector": "a=b"}
        assert (await api("PATCH", f"{path()}/a/scale", {"spec": {"replicas": 3}}, MERGE))["spec"] == {
            "replicas": 3
        }
        whole = await api("GET", f"{path()}/a")
        assert (whole["spec"]["replicas"], whole["metadata"]["generation"]) == (3, 2)
        # Without a status of its own, the status is a part as any other.
        await custom(definition("plains", "Plain"))
        plain = await api("POST", path("plains"), boat(kind="Plain", status={"ready": 1}))
        assert plain["status"] == {"ready": 1}
        assert (await api.refused("GET", f"{path('plains')}/a/status")).code == 404

    run(main())


def test_selectable_fields(api, custom, run):
    async def main():
        fields = [{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.size"}]
        await custom(definition(versions=[version(selectableFields=fields)]))
        for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
            await api("POST", path(), boat(name, spec={"color": color, "size": len(name)}))

        async def names(selector):
            listed = await api("GET", path(), fieldSelector=selector)
            return [item["metadata"]["name"] for item in listed["items"]]

        assert await names("spec.color=red") == ["a", "c"]
        assert await names("spec.color!=red,spec.size=1") == ["b"]
        assert await names("metadata.name=a") == ["a"]
        assert (await api.refused("GET", path(), fieldSelector="spec.replicas=1")).code == 400

    run(main())


def test_rules_hold_and_are_forgiven_to_what_does_not_change(api, custom, run):
    def limited(limit):
        rule = {"rule": f"self.size < {limit}", "message": "too big"}
        return of(spec={**of(size=NUMBER, color=TEXT), "x-kubernetes-validations": [rule]}, other=TEXT)

    async def main():
        await custom(definition(versions=[version(schema=limited(5))]))
        error = await api.refused("POST", path(), boat(spec={"size": 5}))
        assert error.message == 'Boat.example.com "a" is invalid: spec: Invalid value: too big'
        await api("POST", path(), boat(spec={"size": 4}))
        crd = await api("GET", f"{CRDS}/boats.example.com")
        crd["spec"]["versions"] = [version(schema=limited(3))]
        await api("PUT", f"{CRDS}/boats.example.com", crd)
        await api("PATCH", f"{path()}/a", {"other": "x"}, MERGE)
        error = await api.refused("PATCH", f"{path()}/a", {"spec": {"color": "red"}}, MERGE)
        assert error.code == 422

    run(main())


def test_a_server_started_again_serves_what_was_defined(api, custom, run):
    async def main():
        await custom(definition())
        made = await api("POST", path(), boat(spec={"color": "red"}))
        again = Registry(api.store, api.world)
        resources = CustomResources(Operations(again))
        resources.start()
        view = again.custom[GROUP, "v1", "boats"]
        (entry,) = view.storage.cacher.list()
        assert orjson.loads(entry.body)["spec"] == made["spec"]

    run(main())


OBJECT = {
    "a": {"b": 1, "c.d": 2, "l": [{"n": "x", "v": 1}, {"n": "y", "v": 2}, {"n": "x", "v": 3}]},
    "t": "text",
    "z": None,
}
PATHS = [
    (".a.b", [1]),
    (".a.b.c", []),
    (r".a.c\.d", [2]),
    ("['t']", ["text"]),
    (".a['b','c.d']", [1, 2]),
    (".a.l[0].n", ["x"]),
    (".a.l[-1].v", [3]),
    (".a.l[0:2].v", [1, 2]),
    (".a.l[::2].v", [1, 3]),
    (".a.l[*].n", ["x", "y", "x"]),
    ('.a.l[?(@.n=="x")].v', [1, 3]),
    (".a.l[?(@.v>1)].n", ["y", "x"]),
    ("..v", [1, 2, 3]),
]


@pytest.mark.parametrize(("source", "want"), PATHS)
def test_json_paths(source, want):
    assert jsonpath.compile(source)(OBJECT) == want


def test_what_the_storage_version_does_not_know_is_not_stored(api, custom, run):
    async def main():
        versions = [
            version("v1", schema=of(spec=of(a=TEXT))),
            version("v2", storage=False, schema=of(spec=of(a=TEXT, b=TEXT))),
        ]
        await custom(definition(versions=versions))
        sent = boat(served="v2", spec={"a": "1", "b": "2"})
        dry = await api("POST", path(served="v2"), sent, dryRun="All")
        made = await api("POST", path(served="v2"), sent)
        for answer in (
            dry,
            made,
            await api("GET", f"{path(served='v2')}/a"),
            await api("GET", f"{path()}/a"),
        ):
            assert answer["spec"] == {"a": "1"}
        patched = await api("PATCH", f"{path(served='v2')}/a", {"spec": {"a": "3", "b": "4"}}, MERGE)
        assert patched["spec"] == {"a": "3"}

    run(main())


def test_an_update_that_changes_nothing_moves_to_the_new_storage_version(api, custom, run):
    async def main():
        versions = [version("v1"), version("v2", storage=False)]
        crd = await custom(definition(versions=versions))
        made = await api("POST", path(), boat(spec={"color": "red"}))
        key = b"/registry/example.com/boats/n/a"
        same = await api("PUT", f"{path()}/a", made)
        assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        for v in crd["spec"]["versions"]:
            v["storage"] = v["name"] == "v2"
        crd = await api("PUT", f"{CRDS}/boats.{GROUP}", crd)
        assert crd["status"]["storedVersions"] == ["v1", "v2"]
        await asyncio.sleep(1)
        assert orjson.loads(api.store.peek(key).kvs[0].value)["apiVersion"] == "example.com/v1"
        moved = await api("PUT", f"{path()}/a", same)
        assert orjson.loads(api.store.peek(key).kvs[0].value)["apiVersion"] == "example.com/v2"
        assert moved["metadata"]["resourceVersion"] != same["metadata"]["resourceVersion"]
        assert moved["metadata"]["generation"] == 1

    run(main())


@pytest.mark.parametrize(
    ("annotation", "want"),
    [
        ("https://github.com/kubernetes/kubernetes/pull/1", ("True", "ApprovedAnnotation")),
        ("unapproved, request not yet submitted", ("False", "UnapprovedAnnotation")),
    ],
)
def test_groups_of_kubernetes_say_whether_they_were_approved(api, custom, run, annotation, want):
    async def main():
        body = definition()
        body["spec"]["group"] = "boats.k8s.io"
        metadata = {"name": "boats.boats.k8s.io", "annotations": {"api-approved.kubernetes.io": annotation}}
        crd = await custom({**body, "metadata": metadata})
        found = conditions(crd)
        assert found["KubernetesAPIApprovalPolicyConformant"] == want
        assert found["Established"][0] == "True"
        message = crd["status"]["conditions"][0]["message"]
        assert message in (f"approved in {annotation}", f'not approved: "{annotation}"')

    run(main())


def test_what_holds_up_the_end_is_told_of(api, custom, run):
    async def main():
        await custom(definition())
        held = boat()
        held["metadata"]["finalizers"] = ["example.com/hold"]
        await api("POST", path(), held)
        await api("DELETE", f"{CRDS}/boats.{GROUP}")
        seen = set()
        events = api.registry.storage("apiextensions.k8s.io", "customresourcedefinitions").cacher

        def note(batch):
            for _, entry, _ in batch:
                seen.add(conditions(entry.object).get("Terminating"))

        events.subscribe(note)
        await asyncio.sleep(200)
        assert seen >= {("True", "InstanceDeletionInProgress"), ("True", "InstanceDeletionCheck")}
        await api("PATCH", f"{path()}/a", {"metadata": {"finalizers": None}}, MERGE)
        await asyncio.sleep(5)
        assert await api.absent(f"{CRDS}/boats.{GROUP}")

    run(main())


def test_a_definition_that_serves_nothing_is_emptied_too(api, custom, run):
    async def main():
        crd = await custom(definition())
        await api("POST", path(), boat())
        crd["spec"]["versions"][0]["served"] = False
        await api("PUT", f"{CRDS}/boats.{GROUP}", crd)
        await asyncio.sleep(1)
        await api("DELETE", f"{CRDS}/boats.{GROUP}")
        await asyncio.sleep(5)
        assert await api.absent(f"{CRDS}/boats.{GROUP}")
        assert not api.store.peek(b"/registry/example.com/boats/n/a").kvs

    run(main())
