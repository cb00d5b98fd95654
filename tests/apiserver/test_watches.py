"""Watches over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from knarr.api.resources import RESOURCES
from knarr.apiserver.watch import _Tables
from knarr.registry.registry import empty_object
from knarr.store.base import KV
from knarr.watchcache import Entry, WatchEvent
from knarr.watchcache.entry import Shape

from .conftest import Server, Wire, configmap

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


class Watch:
    """The events of one watch, one by one."""

    def __init__(self, wire: Wire) -> None:
        self._chunks = wire.chunks()
        self._lines: list[bytes] = []

    def next(self) -> dict[str, Any]:
        while not self._lines:
            self._lines = next(self._chunks).splitlines()
        return json.loads(self._lines.pop(0))

    def take(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next events."""
        events = [self.next() for _ in range(count)]
        return [(e["type"], e["object"]["metadata"].get("name", "")) for e in events]

    def rest(self) -> list[dict[str, Any]]:
        """What comes until the server ends it."""
        lines = self._lines + [line for chunk in self._chunks for line in chunk.splitlines()]
        return [json.loads(line) for line in lines]


@contextmanager
def watching(serve: Server, path: str, accept: str = "", **query: str) -> Iterator[Watch]:
    asked = "&".join(f"{key}={quote(value)}" for key, value in {"watch": "true", **query}.items())
    with serve.wire() as wire:
        wire.send(serve.head("GET", f"{path}?{asked}", Accept=accept))
        status, headers = wire.head()
        assert status == 200 and dict(headers)["transfer-encoding"] == "chunked"
        yield Watch(wire)


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def revision(serve: Server, path: str) -> str:
    return serve.get(path).json["metadata"]["resourceVersion"]


def test_from_now_on(serve: Server, path):
    serve("POST", path, configmap("old"))
    with watching(serve, path, resourceVersion=revision(serve, path)) as watch:
        made = serve("POST", path, configmap("a")).json
        serve("PATCH", f"{path}/a", {"data": {"x": "y"}}, Content_Type="application/merge-patch+json")
        serve("DELETE", f"{path}/a")
        events = [watch.next() for _ in range(3)]
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[0]["object"] == made
    assert events[1]["object"]["data"] == {"x": "y"}
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(set(versions))


def test_without_a_version_the_present_comes_first(serve: Server, path):
    for name in "ba":
        serve("POST", path, configmap(name))
    for query in ({}, {"resourceVersion": "0"}):
        with watching(serve, path, **query) as watch:
            assert watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
            serve("DELETE", f"{path}/a")
            assert watch.take(1) == [("DELETED", "a")]
            serve("POST", path, configmap("a"))


def test_one_by_the_old_path(serve: Server, path, namespace):
    serve("POST", path, configmap("a"))
    old = path.replace("/v1/", "/v1/watch/") + "/a"
    with watching(serve, old, fieldSelector="metadata.name=a") as watch:
        assert watch.take(1) == [("ADDED", "a")]
    answer = serve.get(f"{old}?fieldSelector=metadata.name%3Db")
    assert (answer.status, answer.json["message"]) == (
        400,
        "fieldSelector metadata.name doesn't match requested name",
    )
    with watching(serve, f"/api/v1/watch/namespaces/{namespace}") as watch:
        assert watch.take(1) == [("ADDED", namespace)]
    for nowhere in ("/api/v1/watch/componentstatuses", f"{old.replace('configmaps', 'pods')}/log"):
        assert serve.get(nowhere).status == 404
    answer = serve.get("/api/v1/componentstatuses?watch=true")
    assert answer.json["message"] == 'watch is not supported on resources of kind "componentstatuses"'


def test_from_the_past(serve: Server, path):
    before = revision(serve, path)
    serve("POST", path, configmap("a"))
    serve("DELETE", f"{path}/a")
    with watching(serve, path, resourceVersion=before) as watch:
        assert watch.take(2) == [("ADDED", "a"), ("DELETED", "a")]


def test_an_object_that_begins_or_ends_to_be_selected(serve: Server, path):
    labelled = configmap("a")
    with watching(serve, path, resourceVersion=revision(serve, path), labelSelector="l=1") as watch:
        serve("POST", path, labelled)
        for value in ("1", "1", "2", "1"):
            body = {"metadata": {"labels": {"l": value}}, "data": {"v": value}}
            serve("PATCH", f"{path}/a", body, Content_Type="application/merge-patch+json")
        serve("PATCH", f"{path}/a", {"data": {"v": "x"}}, Content_Type="application/merge-patch+json")
        serve("DELETE", f"{path}/a")
        seen = watch.take(5)
    # a second patch that changed nothing made no event
    assert [type_ for type_, _ in seen] == ["ADDED", "DELETED", "ADDED", "MODIFIED", "DELETED"]


def test_one_object(serve: Server, path):
    for name in "ab":
        serve("POST", path, configmap(name))
    with watching(serve, path, fieldSelector="metadata.name=b") as watch:
        assert watch.take(1) == [("ADDED", "b")]
        serve("DELETE", f"{path}/a")
        serve("DELETE", f"{path}/b")
        assert watch.take(1) == [("DELETED", "b")]
    # a GET of one object is no watch, whatever its query says
    serve("POST", path, configmap("b"))
    assert serve.get(f"{path}/b?watch=true").json["kind"] == "ConfigMap"


def test_the_old_way_to_ask(serve: Server, path):
    serve("POST", path, configmap("a"))
    old = path.replace("/api/v1/", "/api/v1/watch/")
    for place in (old, f"{old}/a"):
        with serve.wire() as wire:
            wire.send(serve.head("GET", place))
            assert wire.head()[0] == 200
            assert Watch(wire).take(1) == [("ADDED", "a")]


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
        {},  # from no version: this is what the server makes of it
        {"resourceVersion": "0"},
    ],
)
def test_initial_events_end_with_a_bookmark(serve: Server, path, query):
    for name in "ab":
        serve("POST", path, configmap(name))
    query = {**query, "allowWatchBookmarks": "true"}
    with watching(serve, path, **query) as watch:
        assert watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        bookmark = watch.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        serve("DELETE", f"{path}/a")
        assert watch.take(1) == [("DELETED", "a")]


def test_a_bookmark_is_an_empty_object_of_its_kind(serve: Server, namespace):
    query = {
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    with watching(serve, f"/api/v1/namespaces/{namespace}/pods", **query) as watch:
        bookmark = watch.next()["object"]
        assert {k: v for k, v in bookmark.items() if k != "metadata"} == {
            "kind": "Pod",
            "apiVersion": "v1",
            "spec": {"containers": None},
            "status": {},
        }
    with watching(serve, f"/api/v1/namespaces/{namespace}/pods", TABLE, **query) as watch:
        table = watch.next()["object"]
        assert table["rows"][0]["cells"][0] == "" and len(table["rows"][0]["cells"]) == len(
            table["columnDefinitions"]
        )


@pytest.mark.parametrize(
    "row", [r for r in RESOURCES if "watch" in r.verbs], ids=lambda r: f"{r.name}.{r.group}"
)
def test_every_kind_has_a_row_for_a_bookmark(serve: Server, row):
    """Objects of which nothing is set occur: as bookmarks."""
    plane = serve.cluster.cluster.plane
    view = plane.registry.view(row.group, row.version, row.name)
    event = WatchEvent(
        "BOOKMARK", Entry(KV(b"/x", empty_object(row)(), 0, 7, 0), Shape(b"/", False, None, False), ("", ""))
    )
    frame = json.loads(_Tables(view, "", plane.world, "v1").payload([event]).split(b"\r\n")[1])
    (found,) = frame["object"]["rows"]
    # IPAddress has a cell more than columns, in Kubernetes too
    assert len(found["cells"]) >= len(frame["object"]["columnDefinitions"]) > 0


def test_bookmarks_before_the_end(serve: Server, path):
    with watching(
        serve, path, allowWatchBookmarks="true", timeoutSeconds="1", resourceVersion=revision(serve, path)
    ) as watch:
        events = watch.rest()
    assert all(e["type"] == "BOOKMARK" for e in events)


def test_a_watch_lasts_as_long_as_asked(serve: Server, path):
    with watching(serve, path, timeoutSeconds="1") as watch:
        assert watch.rest() == []


def test_other_forms(serve: Server, path):
    serve("POST", path, configmap("a", k="v"))
    with watching(serve, path, TABLE) as watch:
        first = watch.next()["object"]
        assert first["kind"] == "Table" and first["rows"][0]["cells"][:2] == ["a", 1]
        assert [c["name"] for c in first["columnDefinitions"]] == ["Name", "Data", "Age"]
        serve("PATCH", f"{path}/a", {"data": {"l": "w"}}, Content_Type="application/merge-patch+json")
        second = watch.next()["object"]
        assert second["columnDefinitions"] is None and second["rows"][0]["cells"][:2] == ["a", 2]
    with watching(serve, path, PARTIAL) as watch:
        partial = watch.next()["object"]
        assert (partial["kind"], partial["metadata"]["name"]) == ("PartialObjectMetadata", "a")
        assert "data" not in partial
    # an event is not a list: the first one ends the watch
    with watching(serve, path, PARTIAL.replace("Metadata;", "MetadataList;"), timeoutSeconds="5") as watch:
        assert watch.rest() == []


def test_another_version_than_the_stored_one(serve: Server, namespace):
    path = f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"
    body = {
        "metadata": {"name": "a"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "targetCPUUtilizationPercentage": 7,
        },
    }
    assert serve("POST", path, body).status == 201
    for version, field in (("v1", "targetCPUUtilizationPercentage"), ("v2", "metrics")):
        with watching(serve, path.replace("/v1/", f"/{version}/")) as watch:
            seen = watch.next()["object"]
            assert seen["apiVersion"] == f"autoscaling/{version}" and field in seen["spec"]
        with watching(serve, path.replace("/v1/", f"/{version}/"), TABLE, includeObject="Object") as watch:
            assert watch.next()["object"]["rows"][0]["object"]["apiVersion"] == f"autoscaling/{version}"


REFUSED = [
    # query, accept, code, message
    ({"resourceVersion": "abc"}, "", 500, "resourceVersion: Invalid value"),
    ({"labelSelector": "a in"}, "", 400, "unable to parse requirement"),
    ({"fieldSelector": "data.x=1"}, "", 400, "is not a known field selector"),
    ({"sendInitialEvents": "true"}, "", 422, "requires setting resourceVersionMatch to NotOlderThan"),
    ({"resourceVersionMatch": "Exact"}, "", 422, "resourceVersionMatch is forbidden for watch"),
    (
        {},
        "application/yaml",
        406,
        "only the following media types are accepted: application/json;stream=watch",
    ),
    ({}, "text/html", 406, "Available representations: application/json"),
    (
        {},
        TABLE.replace("v=v1", "v=v9"),
        406,
        "accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    ),
]


@pytest.mark.parametrize(("query", "accept", "code", "message"), REFUSED)
def test_refused(serve: Server, path, query, accept, code, message):
    asked = "&".join(f"{key}={quote(value)}" for key, value in {"watch": "true", **query}.items())
    answer = serve.get(f"{path}?{asked}", accept)
    assert answer.status == code and message.encode() in answer.body.replace(b"\n  ", b" "), answer.body


def test_what_is_too_old_or_too_new_is_said_in_the_stream(serve: Server, path):
    serve("POST", path, configmap("a"))
    old = revision(serve, path)
    serve("DELETE", f"{path}/a")
    store = serve.cluster.cluster.store
    serve.cluster.run(store.compact(store.revision))
    cacher = serve.cluster.cluster.plane.registry.storage("", "configmaps").cacher

    async def forget() -> None:
        """As if more had happened since than is remembered."""
        from knarr.watchcache.ring import Ring

        cacher._ring = Ring(100, cacher.revision)

    serve.cluster.run(forget())
    with watching(serve, path, resourceVersion=old) as watch:
        (event,) = watch.rest()
        assert event["type"] == "ERROR" and event["object"]["code"] == 410
        assert "too old resource version" in event["object"]["message"]
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": "99999999",
    }
    with watching(serve, path, **query) as watch:
        (event,) = watch.rest()
        assert event["object"]["reason"] == "Timeout"
        assert "Too large resource version: 99999999" in event["object"]["message"]


def test_watchers_leave_nothing_behind(serve: Server, path):
    cacher = serve.cluster.cluster.plane.registry.storage("", "configmaps").cacher
    before = cacher.watcher_count
    wires = []
    for _ in range(5):
        wire = serve.wire()
        wire.send(serve.head("GET", f"{path}?watch=true"))
        assert wire.head()[0] == 200
        wires.append(wire)
    assert cacher.watcher_count == before + 5
    for wire in wires:
        wire.close()
    # a hang-up is seen by the loop some time after it happened
    for _ in range(1000):
        serve.get("/healthz")
        if cacher.watcher_count == before:
            return
    raise AssertionError(f"{cacher.watcher_count - before} watchers left")


def test_a_watcher_that_does_not_read_is_cut_off_and_delays_nobody(serve: Server, path, monkeypatch):
    from knarr.apiserver import watch as module

    monkeypatch.setattr(module, "UNSENT_BYTES_MAX", 1 << 20)
    cacher = serve.cluster.cluster.plane.registry.storage("", "configmaps").cacher
    before = cacher.watcher_count
    with serve.wire() as deaf:
        deaf.send(serve.head("GET", f"{path}?watch=true"))
        assert deaf.head()[0] == 200
        with watching(serve, path) as reader:
            for number in range(40):
                serve("POST", path, configmap(f"c{number}", big="x" * 500_000))
                assert reader.take(1) == [("ADDED", f"c{number}")]
                if cacher.watcher_count == before + 1:
                    break
            else:
                raise AssertionError("it was not cut off")
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                deaf._more()
                deaf._buffer = b""
    assert serve("DELETE", path).status == 200
