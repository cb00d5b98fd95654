"""Delete: at once, with a grace period, with finalizers; and collections."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.registry.delete import FOREGROUND, ORPHAN, wanted_finalizers
from knarr.registry.options import DeleteOptions

from .conftest import CONFIGMAPS, DEPLOYMENTS, EPOCH, MERGE, PODS, configmap, deployment, pod


def test_what_a_delete_answers(api, run):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        answer = await api("DELETE", f"{CONFIGMAPS}/a")
        assert answer == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
        }
        await api("POST", PODS, pod("p"))
        assert (await api("DELETE", f"{PODS}/p"))["kind"] == "Pod"
        error = await api.refused("DELETE", f"{CONFIGMAPS}/a")
        assert error.code == 404

    run(main())


GRACE = [
    # node, phase, asked, seconds left (None: gone at once)
    ("", "", None, None),
    ("", "", 20, None),
    ("node", "", None, 30),
    ("node", "", 20, 20),
    ("node", "", 0, None),
    ("node", "", -5, 1),
    ("node", "Succeeded", None, None),
    ("node", "Failed", 20, None),
    ("node", "Running", 20, 20),
]


@pytest.mark.parametrize(("node", "phase", "asked", "left"), GRACE)
def test_a_pod_gets_its_grace_period(api, run, node, phase, asked, left):
    async def main():
        await api("POST", PODS, pod("p", node=node))
        if phase:
            await api("PATCH", f"{PODS}/p/status", {"status": {"phase": phase}}, MERGE)
        await api("DELETE", f"{PODS}/p", {} if asked is None else {"gracePeriodSeconds": asked})
        if left is None:
            assert await api.absent(f"{PODS}/p")
        else:
            metadata = (await api("GET", f"{PODS}/p"))["metadata"]
            assert metadata["deletionGracePeriodSeconds"] == left
            assert metadata["generation"] == 2

    run(main())


def test_the_grace_period_only_gets_shorter(api, run):
    async def main():
        async def seconds(asked):
            await api("DELETE", f"{PODS}/p", {} if asked is None else {"gracePeriodSeconds": asked})
            metadata = (await api("GET", f"{PODS}/p"))["metadata"]
            return (
                metadata["deletionGracePeriodSeconds"],
                metadata["deletionTimestamp"],
                metadata["generation"],
            )

        await api("POST", PODS, pod("p", node="node"))
        assert await seconds(None) == (30, "2027-01-15T08:00:30Z", 2)
        assert await seconds(31) == (30, "2027-01-15T08:00:30Z", 2)
        assert await seconds(60) == (30, "2027-01-15T08:00:30Z", 2)
        assert await seconds(None) == (30, "2027-01-15T08:00:30Z", 2)
        assert await seconds(10) == (10, "2027-01-15T08:00:10Z", 2)
        await asyncio.sleep(8)
        # five seconds from the first delete are over already
        assert (await seconds(5))[0] == 1
        await api("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        assert await api.absent(f"{PODS}/p")

    run(main())
    assert api.world.clock.now() >= EPOCH + 8


@pytest.mark.parametrize("seconds", [2**31, 10**10, 2**62, 2**63 - 1])
def test_a_grace_period_of_centuries(api, run, seconds):
    """Goes round as Go's durations do; it breaks nothing."""

    async def main():
        await api("POST", PODS, pod("p", node="node"))
        await api("DELETE", f"{PODS}/p", {"gracePeriodSeconds": seconds})
        metadata = (await api("GET", f"{PODS}/p"))["metadata"]
        assert metadata["deletionGracePeriodSeconds"] == seconds
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["deletionTimestamp"])
        await api("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 5})
        assert (await api("GET", f"{PODS}/p"))["metadata"]["deletionGracePeriodSeconds"] in (1, 5)
        await api("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        assert await api.absent(f"{PODS}/p")

    run(main())


def test_a_node_that_is_quicker_with_a_grace_period_of_zero(api, run, monkeypatch):
    """Between the mark and the removal the kubelet may have removed the pod: that is no 404."""

    async def main():
        await api("POST", PODS, pod("p", node="node"))
        storage = api.registry.storage("", "pods")
        put = api.store.put

        async def put_and_lose(key, *args, **kwargs):
            kv = await put(key, *args, **kwargs)
            await api.store.delete(key, expect=kv.mod_revision)
            return kv

        monkeypatch.setattr(storage.store, "put", put_and_lose)
        answer = await api("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        assert answer["metadata"]["deletionGracePeriodSeconds"] == 0
        assert await api.absent(f"{PODS}/p")

    run(main())


PRECONDITIONS = [
    ({"uid": "other"}, "the UID in the precondition (other) does not match the UID in record"),
    ({"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match"),
]


@pytest.mark.parametrize(("preconditions", "message"), PRECONDITIONS)
def test_preconditions(api, run, preconditions, message):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        error = await api.refused("DELETE", f"{CONFIGMAPS}/a", {"preconditions": preconditions})
        assert error.code == 409 and message in error.status["message"]
        metadata = made["metadata"]
        right = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        await api("DELETE", f"{CONFIGMAPS}/a", {"preconditions": right})
        assert await api.absent(f"{CONFIGMAPS}/a")
        await api("POST", DEPLOYMENTS, deployment("d"))
        error = await api.refused("DELETE", f"{DEPLOYMENTS}/d", {"preconditions": preconditions})
        assert f'cannot be fulfilled on Deployment.apps "d": {message}' in error.status["message"]

    run(main())


PROPAGATION = [
    # options, finalizers that stay (None: gone at once)
    ({}, None),
    ({"propagationPolicy": "Background"}, None),
    ({"propagationPolicy": "Foreground"}, [FOREGROUND]),
    ({"propagationPolicy": "Orphan"}, [ORPHAN]),
    ({"orphanDependents": True}, [ORPHAN]),
    ({"orphanDependents": False}, None),
]


@pytest.mark.parametrize(("options", "finalizers"), PROPAGATION)
@pytest.mark.parametrize("by_query", [False, True])
def test_propagation(api, run, options, finalizers, by_query):
    async def main():
        await api("POST", DEPLOYMENTS, deployment("a"))
        if by_query:
            query = {
                key: str(value).lower() if value in (True, False) else value for key, value in options.items()
            }
            await api("DELETE", f"{DEPLOYMENTS}/a", None, **query)
        else:
            await api("DELETE", f"{DEPLOYMENTS}/a", options)
        if finalizers is None:
            assert await api.absent(f"{DEPLOYMENTS}/a")
        else:
            metadata = (await api("GET", f"{DEPLOYMENTS}/a"))["metadata"]
            assert metadata["finalizers"] == finalizers and "deletionTimestamp" in metadata
            # the garbage collector takes its finalizer away
            await api("PATCH", f"{DEPLOYMENTS}/a", {"metadata": {"finalizers": None}}, MERGE)
            assert await api.absent(f"{DEPLOYMENTS}/a")

    run(main())


BAD_OPTIONS = [
    ({"propagationPolicy": "Sideways"}, 422, 'Unsupported value: "Sideways"'),
    ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "cannot be both set"),
    ({"dryRun": ["Some"]}, 422, 'Unsupported value: ["Some"]'),
    ({"kind": "Pod", "apiVersion": "v1"}, 400, 'no kind "Pod" is registered for version "v1"'),
    ({"propagationPolicy": ""}, 422, 'Unsupported value: ""'),
    ({"preconditions": {"uid": ""}}, 409, "the UID in the precondition () does not match"),
    ({"gracePeriodSeconds": "x"}, 400, "Go struct field DeleteOptions.gracePeriodSeconds of type int64"),
    (b"  ", 400, "unexpected end of JSON input"),
    (b"{", 400, "unexpected end of JSON input"),
    (b"[1]", 400, "cannot unmarshal array"),
]


@pytest.mark.parametrize(("options", "code", "message"), BAD_OPTIONS)
def test_options_that_make_no_sense(api, run, options, code, message):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        error = await api.refused("DELETE", f"{CONFIGMAPS}/a", options)
        assert error.code == code and message in error.status["message"], error.status
        assert not await api.absent(f"{CONFIGMAPS}/a")

    run(main())


def test_a_body_wins_over_the_query_however_little_it_says(api, run):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        await api("DELETE", f"{CONFIGMAPS}/a?dryRun=All")
        await api("DELETE", f"{CONFIGMAPS}/a?dryRun=All", b"{}")
        assert await api.absent(f"{CONFIGMAPS}/a")

    run(main())


def test_deletes_that_race_succeed_once(api, run):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        answers = await asyncio.gather(
            *(api.result("DELETE", f"{CONFIGMAPS}/a") for _ in range(10)), return_exceptions=True
        )
        codes = sorted(getattr(a, "code", 0) for a in answers)
        assert codes == [200] + [404] * 9

    run(main())


def test_a_delete_that_meets_a_write_tries_again(api, run):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        writes = [api("PATCH", f"{CONFIGMAPS}/a", {"data": {f"k{n}": "1"}}, MERGE) for n in range(5)]
        answers = await asyncio.gather(*writes, api("DELETE", f"{CONFIGMAPS}/a"), return_exceptions=True)
        assert answers[-1]["status"] == "Success"
        assert await api.absent(f"{CONFIGMAPS}/a")

    run(main())


def test_a_collection_is_deleted_as_it_would_be_listed(api, run):
    async def main():
        for number in range(12):
            labels = {"odd": str(number % 2)}
            await api("POST", CONFIGMAPS, configmap(f"c{number:02}", labels))
        await api("POST", CONFIGMAPS.replace("/n/", "/m/"), configmap("other", {"odd": "1"}))
        answer = await api(
            "DELETE", CONFIGMAPS, None, labelSelector="odd=1", fieldSelector="metadata.name!=c03"
        )
        assert [i["metadata"]["name"] for i in answer["items"]] == ["c01", "c05", "c07", "c09", "c11"]
        left = await api("GET", CONFIGMAPS)
        assert [i["metadata"]["name"] for i in left["items"]] == [
            "c00",
            "c02",
            "c03",
            "c04",
            "c06",
            "c08",
            "c10",
        ]
        assert not await api.absent(f"{CONFIGMAPS.replace('/n/', '/m/')}/other")
        error = await api.refused("DELETE", "/api/v1/configmaps")
        assert error.code == 405

    run(main())


def test_a_collection_with_finalizers_waits(api, run):
    async def main():
        held = configmap("held")
        held["metadata"]["finalizers"] = ["x.y/z"]
        await api("POST", CONFIGMAPS, held)
        await api("POST", CONFIGMAPS, configmap("free"))
        await api("DELETE", CONFIGMAPS)
        (left,) = (await api("GET", CONFIGMAPS))["items"]
        assert left["metadata"]["name"] == "held" and "deletionTimestamp" in left["metadata"]

    run(main())


def test_a_collection_that_shrinks_meanwhile_is_no_error(api, run):
    async def main():
        for number in range(30):
            await api("POST", CONFIGMAPS, configmap(f"c{number:02}"))
        both = (api("DELETE", CONFIGMAPS), api("DELETE", CONFIGMAPS))
        single = [api("DELETE", f"{CONFIGMAPS}/c{n:02}") for n in range(0, 30, 3)]
        answers = await asyncio.gather(*single, *both, return_exceptions=True)
        assert {getattr(a, "code", 200) for a in answers} <= {200, 404}
        assert all(a["kind"] == "ConfigMapList" for a in answers[-2:])
        assert (await api("GET", CONFIGMAPS))["items"] == []

    run(main())


def test_system_priority_classes_stay(api, run):
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"

    async def main():
        name = "system-node-critical"
        if await api.absent(f"{classes}/{name}"):
            await api("POST", classes, {"metadata": {"name": name}, "value": 2000001000})
        error = await api.refused("DELETE", f"{classes}/{name}")
        words = "this is a system priority class and cannot be deleted"
        told = f'priorityclasses.scheduling.k8s.io "{name}" is forbidden: {words}'
        assert (error.code, error.status["message"]) == (403, told)
        await api("POST", classes, {"metadata": {"name": "mine"}, "value": 1})
        await api("DELETE", f"{classes}/mine")

    run(main())


class _Plain:
    orphans_by_default = False


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["a/b", "c/d", ORPHAN, FOREGROUND]), unique=True),
    st.sampled_from(["", "Orphan", "Foreground", "Background"]),
    st.sampled_from([None, True, False]),
)
def test_a_delete_touches_no_finalizer_but_garbage_collections(before, policy, orphan):
    options = DeleteOptions(propagation_policy="" if orphan is not None else policy, orphan_dependents=orphan)
    after = wanted_finalizers(_Plain, {"finalizers": before}, options)
    own = (ORPHAN, FOREGROUND)
    assert [f for f in after if f not in own] == [f for f in before if f not in own]
    assert len(set(after) & set(own)) <= max(1, len(set(before) & set(own)))
    # asking again changes nothing more
    assert wanted_finalizers(_Plain, {"finalizers": after}, options) == after
