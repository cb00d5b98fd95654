"""Lists: at a revision, in pages, by selectors; compared with a model that remembers every state."""

from __future__ import annotations

import asyncio
import base64

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.meta.errors import StatusError

from .conftest import CONFIGMAPS, MERGE, PODS, configmap, in_new_world, pod


def names(answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


async def fill(api, count: int) -> None:
    for number in range(count):
        await api("POST", CONFIGMAPS, configmap(f"c{number:02}", {"odd": str(number % 2)}))


def test_a_list_carries_its_revision_and_items_without_types(api, run):
    async def main():
        await fill(api, 2)
        answer = await api("GET", CONFIGMAPS)
        assert answer["kind"] == "ConfigMapList" and answer["apiVersion"] == "v1"
        assert answer["metadata"] == {"resourceVersion": str(api.store.revision)}
        assert all(not {"kind", "apiVersion"} & set(item) for item in answer["items"])
        single = await api("GET", f"{CONFIGMAPS}/c01")
        assert answer["items"][1] == {k: v for k, v in single.items() if k not in ("kind", "apiVersion")}

    run(main())


def test_pages_are_of_one_revision_whatever_is_written_meanwhile(api, run):
    async def main():
        await fill(api, 10)
        first = await api("GET", CONFIGMAPS, limit="4")
        assert names(first) == ["c00", "c01", "c02", "c03"]
        assert first["metadata"]["remainingItemCount"] == 6
        await api("DELETE", f"{CONFIGMAPS}/c05")
        await api("POST", CONFIGMAPS, configmap("c045"))
        await api("PATCH", f"{CONFIGMAPS}/c06", {"data": {"new": "1"}}, MERGE)
        second = await api("GET", CONFIGMAPS, limit="4", **{"continue": first["metadata"]["continue"]})
        assert names(second) == ["c04", "c05", "c06", "c07"]
        assert second["items"][2]["data"] == {"a": "1"}
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert second["metadata"]["remainingItemCount"] == 2
        last = await api("GET", CONFIGMAPS, limit="4", **{"continue": second["metadata"]["continue"]})
        assert names(last) == ["c08", "c09"]
        assert set(last["metadata"]) == {"resourceVersion"}

    run(main())


def test_with_a_selector_nobody_counts_the_rest(api, run):
    async def main():
        await fill(api, 9)
        first = await api("GET", CONFIGMAPS, limit="2", labelSelector="odd=0")
        assert names(first) == ["c00", "c02"]
        assert "remainingItemCount" not in first["metadata"]
        rest = await api(
            "GET", CONFIGMAPS, labelSelector="odd=0", **{"continue": first["metadata"]["continue"]}
        )
        assert names(rest) == ["c04", "c06", "c08"]

    run(main())


def test_a_page_of_what_was_compacted_is_gone_and_shows_a_way_on(api, run):
    async def main():
        await fill(api, 6)
        first = await api("GET", CONFIGMAPS, limit="2")
        await api("DELETE", f"{CONFIGMAPS}/c03")
        await api.store.compact(api.store.revision)
        error = await api.refused("GET", CONFIGMAPS, limit="2", **{"continue": first["metadata"]["continue"]})
        assert (error.code, error.reason) == (410, "Expired")
        assert "The provided continue parameter is too old" in error.status["message"]
        token = error.status["metadata"]["continue"]
        inconsistent = await api("GET", CONFIGMAPS, limit="2", **{"continue": token})
        assert names(inconsistent) == ["c02", "c04"]
        error = await api.refused("GET", CONFIGMAPS, resourceVersion="3", resourceVersionMatch="Exact")
        assert (error.code, error.status["message"]) == (
            410,
            "The resourceVersion for the provided list is too old.",
        )

    run(main())


def test_a_list_waits_for_a_revision_that_comes(api, run):
    async def main():
        await fill(api, 1)
        future = str(api.store.revision + 2)
        waiting = asyncio.ensure_future(api("GET", CONFIGMAPS, resourceVersion=future))
        await asyncio.sleep(1)
        assert not waiting.done()
        await api("POST", CONFIGMAPS, configmap("x"))
        await api("POST", CONFIGMAPS, configmap("y"))
        assert names(await waiting) == ["c00", "x", "y"]

    run(main())


@pytest.mark.parametrize(
    "query", [{}, {"resourceVersionMatch": "NotOlderThan"}, {"resourceVersionMatch": "Exact"}]
)
def test_a_revision_that_never_comes(api, run, query):
    async def main():
        await fill(api, 1)
        error = await api.refused("GET", CONFIGMAPS, resourceVersion="99999", **query)
        assert error.code == 504
        assert (
            error.status["message"]
            == f"Timeout: Too large resource version: 99999, current: {api.store.revision}"
        )
        assert error.status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert error.status["details"]["retryAfterSeconds"] == 1
        error = await api.refused("GET", f"{CONFIGMAPS}/c00", resourceVersion="99999")
        assert error.code == 504

    run(main())


def token(**fields) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")


REFUSED = [
    ({"resourceVersion": "abc"}, 400, 'invalid resource version: resourceVersion: Invalid value: "abc"'),
    ({"resourceVersionMatch": "Exact"}, 422, "forbidden unless resourceVersion is provided"),
    ({"resourceVersion": "1", "resourceVersionMatch": "Nope"}, 422, 'Unsupported value: "Nope"'),
    ({"resourceVersion": "0", "resourceVersionMatch": "Exact"}, 422, 'is forbidden for resourceVersion "0"'),
    ({"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
    ({"labelSelector": "a in"}, 400, "unable to parse requirement"),
    ({"fieldSelector": "spec.x=1"}, 400, '"spec.x" is not a known field selector'),
    ({"fieldSelector": "metadata.name"}, 400, "invalid selector"),
    ({"limit": ""}, 400, 'strconv.ParseInt: parsing "": invalid syntax'),
    ({"limit": "1_0"}, 400, 'strconv.ParseInt: parsing "1_0": invalid syntax'),
    ({"limit": "9" * 20}, 400, "value out of range"),
    ({"timeoutSeconds": "y", "labelSelector": "=", "limit": "x"}, 400, 'strconv.ParseInt: parsing "y"'),
    ({"resourceVersion": "9" * 20}, 400, "value out of range"),
    ({"limit": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ({"continue": "garbage"}, 400, "invalid character '\\u0081' looking for beginning of value"),
    ({"continue": "a!b"}, 400, "illegal base64 data at input byte 1"),
    ({"continue": token(v="v1")}, 400, "server does not recognize this encoded version v1"),
    ({"continue": token(v="meta.k8s.io/v1", start="a")}, 400, "incorrect encoded start resourceVersion"),
    ({"continue": token(v="meta.k8s.io/v1", rv=5)}, 400, "encoded start key empty"),
    ({"continue": token(v="meta.k8s.io/v1", rv=5, start="../x")}, 400, "continue key is not valid: ../x"),
    (
        {"continue": token(v="meta.k8s.io/v1", rv=5, start="a"), "resourceVersion": "5"},
        400,
        "not allowed when using continue",
    ),
    (
        {"continue": "x", "resourceVersion": "5", "resourceVersionMatch": "Exact"},
        422,
        "forbidden when continue is provided",
    ),
]


@pytest.mark.parametrize(("query", "code", "message"), REFUSED)
def test_refused(api, run, query, code, message):
    async def main():
        error = await api.refused("GET", CONFIGMAPS, **query)
        assert error.code == code and message in error.status["message"], error.status["message"]

    run(main())


def test_fields_that_a_kind_selects_by(api, run):
    async def main():
        for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1")):
            await api("POST", PODS, pod(name, node=node))
        await api("PATCH", f"{PODS}/c/status", {"status": {"phase": "Running"}}, MERGE)
        for selector, wanted in (
            ("spec.nodeName=n1", ["a", "c"]),
            ("spec.nodeName!=n1", ["b"]),
            ("spec.host=n1", ["a", "c"]),
            ("status.phase=Running", ["c"]),
            ("spec.nodeName=n1,status.phase=Pending", ["a"]),
            ("metadata.name=b", ["b"]),
            ("metadata.namespace=m", []),
        ):
            assert names(await api("GET", PODS, fieldSelector=selector)) == wanted, selector
        error = await api.refused("GET", PODS, fieldSelector="spec.x=1")
        assert error.status["message"] == "field label not supported: spec.x"
        error = await api.refused("GET", "/api/v1/nodes", fieldSelector="metadata.namespace=")
        assert error.status["message"] == "field label not supported: metadata.namespace"
        await api("GET", "/api/v1/persistentvolumes", fieldSelector="metadata.namespace=")

    run(main())


# -- against a model --------------------------------------------------------------------------------------

NAMES = st.sampled_from([f"x{n}" for n in range(8)])
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "delete"]), NAMES, st.sampled_from("ab")), max_size=25
)


async def write(api, step, states) -> None:
    """One write, and what the namespace held at each revision after it."""
    action, name, label = step
    before = states[max(states)]
    if action == "delete":
        if name in before:
            await api("DELETE", f"{CONFIGMAPS}/{name}")
            before = {k: v for k, v in before.items() if k != name}
    elif name in before:
        await api("PUT", f"{CONFIGMAPS}/{name}", configmap(name, {"l": label}, step=label))
        before = {**before, name: label}
    else:
        await api("POST", CONFIGMAPS, configmap(name, {"l": label}, step=label))
        before = {**before, name: label}
    states[api.store.revision] = before


def contents(answer) -> list[tuple[str, str]]:
    return [(i["metadata"]["name"], i["data"]["step"]) for i in answer["items"]]


@settings(max_examples=40, deadline=None)
@given(STEPS, st.data())
def test_every_revision_can_be_listed_as_it_was(steps, data):
    async def main(api):
        states = {api.store.revision: {}}
        for step in steps:
            await write(api, step, states)
        for revision, state in states.items():
            if revision == 1:
                continue  # before anything was written
            answer = await api("GET", CONFIGMAPS, resourceVersion=str(revision), resourceVersionMatch="Exact")
            assert contents(answer) == sorted(state.items())
            assert answer["metadata"]["resourceVersion"] == str(revision)
        newest = sorted(states[max(states)].items())
        for query in ({}, {"resourceVersion": "0"}, {"resourceVersion": "1"}):
            assert contents(await api("GET", CONFIGMAPS, **query)) == newest
        label = data.draw(st.sampled_from("ab"))
        answer = await api("GET", CONFIGMAPS, labelSelector=f"l={label}")
        assert contents(answer) == [item for item in newest if item[1] == label]

    in_new_world(main)


@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS, st.integers(1, 4), st.sampled_from(["", "l=a", "l!=a"]))
def test_pages_together_are_the_state_of_the_first(steps, meanwhile, limit, selector):
    async def main(api):
        states = {api.store.revision: {}}
        for step in steps:
            await write(api, step, states)
        query = {"limit": str(limit), **({"labelSelector": selector} if selector else {})}
        more = iter(meanwhile)
        found, token, count = [], "", None
        begin = states[max(states)]
        while True:
            page = await api("GET", CONFIGMAPS, **query, **({"continue": token} if token else {}))
            assert len(page["items"]) <= limit
            found += contents(page)
            metadata = page["metadata"]
            if count is not None:
                assert count == len(page["items"]) + metadata.get("remainingItemCount", 0)
            count = metadata.get("remainingItemCount")
            token = metadata.get("continue", "")
            if not token:
                break
            if (step := next(more, None)) is not None:
                await write(api, step, states)
        matches = {"": lambda v: True, "l=a": lambda v: v == "a", "l!=a": lambda v: v != "a"}[selector]
        assert found == sorted(item for item in begin.items() if matches(item[1]))

    in_new_world(main)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_no_token_makes_a_list_fail_otherwise_than_by_a_clear_refusal(text):
    async def main(api):
        await api("POST", CONFIGMAPS, configmap("a"))
        try:
            await api("GET", CONFIGMAPS, limit="1", **{"continue": text})
        except StatusError as error:
            assert error.code in (400, 410) and "continue" in error.status["message"]
        else:
            assert text == ""

    in_new_world(main)
