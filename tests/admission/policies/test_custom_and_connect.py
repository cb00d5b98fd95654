"""Policies on what has no code of its own: custom resources, their scales, and connections."""

from __future__ import annotations

import asyncio

import pytest

from knarr.apiserver import requestinfo
from knarr.meta.errors import StatusError

from .conftest import rules, valid

GROUP = "sea.example.com"
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def of(**properties):
    return {"type": "object", "properties": properties}


SAILS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {**of(name=TEXT, area={**NUMBER, "default": 7}), "required": ["name"]},
}
SPEC = of(crew=NUMBER, flags={"type": "array", "items": TEXT}, sails=SAILS, port=TEXT)


def boats(*versions):
    """rules for boats in these versions."""
    return {"apiGroups": [GROUP], "apiVersions": list(versions), "resources": ["boats"]}


@pytest.fixture
def sea(api):
    """Serves boats in v1 and v2; `sail(**spec)` stores one in version 2 unless told otherwise."""

    async def define():
        scale = {"specReplicasPath": ".spec.crew", "statusReplicasPath": ".status.crew"}
        versions = [
            {
                "name": name,
                "served": True,
                "storage": name == "v1",
                "schema": {"openAPIV3Schema": of(spec=SPEC, status=of(crew=NUMBER))},
                "subresources": {"status": {}, "scale": scale},
            }
            for name in ("v1", "v2")
        ]
        for plural, kind in ("boats", "Boat"), ("docks", "Dock"):
            names = {"plural": plural, "kind": kind}
            spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": versions}
            body = {"metadata": {"name": f"{plural}.{GROUP}"}, "spec": spec}
            await api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
        await asyncio.sleep(1)
        await api.namespace()

    async def sail(version="v2", **spec):
        body = {"apiVersion": f"{GROUP}/{version}", "kind": "Boat", "metadata": {"name": "b"}, "spec": spec}
        return await api("POST", f"/apis/{GROUP}/{version}/namespaces/ns/boats", body)

    return define, sail


def test_custom_resources_in_the_version_of_the_policy(api, sea, run):
    define, sail = sea

    async def main():
        await define()
        await api.policy(
            matchConstraints=rules(boats("v1")),
            validations=valid(
                {
                    "expression": "object.spec.crew > 1",
                    "messageExpression": "object.apiVersion + ' ' + request.kind.version + ' ' + "
                    "request.requestKind.version + ' ' + request.resource.version",
                }
            ),
        )
        with pytest.raises(StatusError, match=f"denied request: {GROUP}/v1 v1 v2 v1"):
            await sail(crew=1)
        assert (await sail(crew=2))["apiVersion"] == f"{GROUP}/v2"

    run(main())


def test_other_resources_of_the_group_are_not_meant(api, sea, run):
    define, sail = sea

    async def main():
        await define()
        await api.policy(matchConstraints=rules(boats("v1")), validations=valid("false"))
        with pytest.raises(StatusError):
            await sail()
        body = {"apiVersion": f"{GROUP}/v2", "kind": "Dock", "metadata": {"name": "d"}}
        await api("POST", f"/apis/{GROUP}/v2/namespaces/ns/docks", body)

    run(main())


def test_exact_policies_are_not_for_other_versions(api, sea, run):
    define, sail = sea

    async def main():
        await define()
        await api.policy(matchConstraints=rules(boats("v1"), matchPolicy="Exact"), validations=valid("false"))
        await sail()
        with pytest.raises(StatusError):
            await sail("v1")

    run(main())


def test_apply_configurations_follow_the_schema(api, sea, run):
    """Lists that are maps merge by key, defaults are filled in."""
    define, sail = sea

    async def main():
        await define()
        await api.mutation(
            "Object{spec: Object.spec{crew: 2, sails: ["
            "Object.spec.sails{name: 'jib', area: 3}, Object.spec.sails{name: 'main'}]}}",
            matchConstraints=rules(boats("v1")),
        )
        made = await sail(crew=1, sails=[{"name": "jib", "area": 1}, {"name": "top"}], port="x")
        assert made["spec"] == {
            "crew": 2,
            "port": "x",
            "sails": [{"name": "jib", "area": 3}, {"name": "top", "area": 7}, {"name": "main", "area": 7}],
        }
        assert made["apiVersion"] == f"{GROUP}/v2"

    run(main())


@pytest.mark.parametrize(
    ("mutation", "why"),
    [
        (
            "Object{spec: Object.spec{flags: ['a']}}",
            "may not mutate atomic arrays, maps or structs: .spec.flags",
        ),
        ("Object{spec: Object.spec{keel: 1}}", ".spec.keel: field not declared in schema"),
        (["[JSONPatch{op: 'add', path: '/spec/crew', value: 'many'}]"], 'spec.crew: Invalid value: "string"'),
    ],
)
def test_what_the_schema_does_not_allow(api, sea, run, mutation, why):
    define, sail = sea

    async def main():
        await define()
        await api.mutation(mutation, matchConstraints=rules(boats("v1")))
        with pytest.raises(StatusError) as found:
            await sail()
        assert why in found.value.message

    run(main())


def test_what_a_json_patch_adds_beyond_the_schema_is_pruned(api, sea, run):
    define, sail = sea

    async def main():
        await define()
        patch = "[JSONPatch{op: 'add', path: '/spec/keel', value: 1}]"
        await api.mutation([patch], matchConstraints=rules(boats("v1")))
        assert (await sail(crew=1))["spec"] == {"crew": 1}

    run(main())


def test_scales_of_custom_resources(api, sea, run):
    define, sail = sea

    async def main():
        await define()
        await sail(crew=1)
        scales = {**boats("v2"), "resources": ["boats/scale"]}
        await api.policy(
            matchConstraints=rules(scales),
            validations=valid(
                "object.kind == 'Scale' && object.spec.replicas < 5 && oldObject.spec.replicas == 1"
            ),
        )
        path, merge = f"/apis/{GROUP}/v1/namespaces/ns/boats/b", "application/merge-patch+json"
        with pytest.raises(StatusError):
            await api("PATCH", f"{path}/scale", {"spec": {"replicas": 5}}, merge)
        await api("PATCH", f"{path}/scale", {"spec": {"replicas": 4}}, merge)
        assert (await api("GET", path))["spec"] == {"crew": 4}

    run(main())


# -- connections -------------------------------------------------------------------------------------------

EXEC = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec"]}


async def connect(api, **options):
    """The options of `kubectl exec` after admission."""
    request = requestinfo.parse("POST", "/api/v1/namespaces/ns/pods/p/exec", {})
    request.user = api.user
    obj = {"apiVersion": "v1", "kind": "PodExecOptions", **options}
    review = api.registry.admission.open(request, "CONNECT", ("", "v1", "PodExecOptions"), obj, None, {})
    if review is not None:
        await review.admit()
        await review.validate()
    return obj


def test_connections(api, run):
    async def main():
        await api.namespace()
        await api.policy(
            matchConstraints=rules(EXEC, operations=("CONNECT",)),
            validations=valid(
                {
                    "expression": "oldObject == null && !object.command.exists(c, c == 'rm')",
                    "messageExpression": "request.userInfo.username + ' may not rm in ' + request.name",
                }
            ),
        )
        await api.mutation(
            ["[JSONPatch{op: 'add', path: '/command/0', value: 'nice'}]"],
            matchConstraints=rules(EXEC, operations=("CONNECT",)),
        )
        assert (await connect(api, command=["ls"]))["command"] == ["nice", "ls"]
        with pytest.raises(StatusError, match="jane may not rm in p") as found:
            await connect(api, command=["rm", "x"])
        assert found.value.code == 422

    run(main())


def test_options_of_connections_have_no_schema(api, run):
    async def main():
        await api.namespace()
        await api.mutation("Object{tty: true}", matchConstraints=rules(EXEC, operations=("CONNECT",)))
        with pytest.raises(StatusError, match="no corresponding type for /v1, Kind=PodExecOptions"):
            await connect(api, command=["ls"])

    run(main())
