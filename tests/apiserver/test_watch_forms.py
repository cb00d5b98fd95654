"""Watches in every form: protobuf, metadata only, Tables, custom resources, WebSockets."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from knarr.api import protobuf

from .conftest import Server, configmap

PROTOBUF = "application/vnd.kubernetes.protobuf"
AS_PARTIAL = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
AS_TABLE = "as=Table;g=meta.k8s.io;v=v1"
#: what client-go's metadata informers ask for
METADATA = f"{PROTOBUF};{AS_PARTIAL},application/json;{AS_PARTIAL},application/json"


@pytest.fixture(scope="module")
def boats(serve: Server) -> str:
    """The path of a custom resource's objects."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.forms.example"},
        "spec": {
            "group": "forms.example",
            "scope": "Namespaced",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    assert serve("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).status == 201
    path = "/apis/forms.example/v1/namespaces/default/boats"
    while serve.get(path).status != 200:
        pass
    boat = {"apiVersion": "forms.example/v1", "kind": "Boat", "metadata": {"name": "one"}}
    assert serve("POST", path, boat).status == 201
    return path


def frames(data: bytes) -> Iterator[dict[str, Any]]:
    """The events of a protobuf stream."""
    while data:
        (size,) = struct.unpack(">I", data[:4])
        yield protobuf.read_watch_event(data[4 : 4 + size])
        data = data[4 + size :]


def watched(serve: Server, path: str, accept: str, query: str = "") -> tuple[str, list[dict[str, Any]]]:
    """(media type, events) of a watch that ends after a second. `query`: what else is asked."""
    answer = serve.get(f"{path}?watch=1&timeoutSeconds=1{query}", accept)
    assert answer.status == 200, answer.body
    kind = answer.headers["content-type"]
    if kind == f"{PROTOBUF};stream=watch":
        return kind, list(frames(answer.body))
    return kind, [json.loads(line) for line in answer.body.splitlines()]


def test_metadata_as_protobuf(serve: Server, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = serve("POST", path, configmap("a", k="v")).json
    kind, (event,) = watched(serve, path, METADATA)
    assert kind == f"{PROTOBUF};stream=watch"
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "PartialObjectMetadata")
    assert event["object"]["apiVersion"] == "meta.k8s.io/v1"
    assert event["object"]["metadata"]["uid"] == made["metadata"]["uid"]
    one = serve.get(f"{path}/a", METADATA)
    assert one.headers["content-type"] == PROTOBUF
    assert protobuf.decode(one.body)["metadata"]["name"] == "a"
    as_list = METADATA.replace("Metadata;", "MetadataList;")
    (item,) = protobuf.decode(serve.get(path, as_list).body)["items"]
    assert item["metadata"]["name"] == "a"


def test_custom_resources_are_json_and_their_metadata_is_protobuf(serve: Server, boats: str):
    kind, (event,) = watched(serve, boats, f"{PROTOBUF},application/json")
    assert kind == "application/json" and event["object"]["kind"] == "Boat"
    kind, (event,) = watched(serve, boats, METADATA)
    assert kind == f"{PROTOBUF};stream=watch" and event["object"]["metadata"]["name"] == "one"
    assert serve.get(f"{boats}/one", METADATA).headers["content-type"] == PROTOBUF
    refused = serve.get(f"{boats}/absent", f"{PROTOBUF},application/json")
    assert (refused.status, protobuf.decode(refused.body)["reason"]) == (404, "NotFound")
    only = f"only the following media types are accepted: application/json, application/yaml, {PROTOBUF}"
    for query in ("", "?watch=1"):
        refused = serve.get(boats + query, PROTOBUF)
        assert (refused.status, protobuf.decode(refused.body)["message"]) == (406, only)


def test_tables_are_never_protobuf(serve: Server, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    serve("POST", path, configmap("a"))
    both = f"{PROTOBUF};{AS_TABLE},application/json;{AS_TABLE}"
    assert serve.get(path, both).json["kind"] == "Table"
    fallback = serve.get(path, f"{PROTOBUF};{AS_TABLE},{PROTOBUF}")
    assert protobuf.decode(fallback.body)["kind"] == "ConfigMapList"
    assert serve.get(path, f"{PROTOBUF};{AS_TABLE}").status == 406
    kind, (event,) = watched(serve, path, both)
    assert kind == "application/json" and event["object"]["kind"] == "Table"


def test_the_bookmark_that_ends_initial_events(serve: Server, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    serve("POST", path, configmap("a"))
    query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    for accept in (PROTOBUF, METADATA, "application/json"):
        _, (added, bookmark, *_) = watched(serve, path, accept, query)
        assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
        metadata = bookmark["object"]["metadata"]
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(metadata["resourceVersion"]) >= int(added["object"]["metadata"]["resourceVersion"])


def test_what_is_too_old_is_told_in_the_clients_form(serve: Server, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999999"
    _, (event,) = watched(serve, path, PROTOBUF, query)
    assert event["type"] == "ERROR"
    assert (event["object"]["kind"], event["object"]["code"]) == ("Status", 504)


# -- over a WebSocket --------------------------------------------------------------------------------------


def shaken(serve: Server, path: str, **headers: str) -> Any:
    """(wire, code, headers) of a handshake."""
    wire = serve.wire()
    fields = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Origin": "https://console.example",
        **headers,
    }
    wire.send(serve.head("GET", path, **fields))
    code, answered = wire.head()
    return wire, code, dict(answered)


def message(wire: Any) -> tuple[int, bytes]:
    """(opcode, payload) of the next frame."""
    first, size = wire.exactly(2)
    if size == 126:
        (size,) = struct.unpack(">H", wire.exactly(2))
    return first & 15, wire.exactly(size)


TEXT, BINARY, CLOSE = 1, 2, 8


@pytest.mark.parametrize("accept", ["", PROTOBUF, f"application/json;{AS_TABLE}"])
def test_every_event_is_a_message(serve: Server, namespace: str, accept: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    serve("POST", path, configmap("a"))
    wire, code, headers = shaken(
        serve,
        f"{path}?watch=1&timeoutSeconds=1",
        Accept=accept,
        Sec_WebSocket_Protocol="base64.binary.k8s.io",
    )
    with wire:
        assert code == 101 and headers["sec-websocket-protocol"] == "base64.binary.k8s.io"
        opcode, data = message(wire)
        if accept == PROTOBUF:
            event = protobuf.read_watch_event(data)
        else:
            event = json.loads(data)
        assert opcode == (BINARY if accept == PROTOBUF else TEXT)
        assert event["type"] == "ADDED"
        serve("POST", path, configmap("b"))
        assert b"ADDED" in message(wire)[1]
        assert message(wire)[0] == CLOSE


def test_a_client_that_closes_ends_its_watch(serve: Server, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    wire, code, _ = shaken(serve, f"{path}?watch=1&timeoutSeconds=600")
    with wire:
        assert code == 101
        wire.send(b"\x81\x82mask" + bytes(a ^ b for a, b in zip(b"hi", b"ma", strict=True)))  # is ignored
        wire.send(b"\x88\x80mask")
        assert message(wire)[0] == CLOSE
        assert wire.closed()


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"Origin": ""}, 403),
        ({"Sec_WebSocket_Protocol": "one, two"}, 400),
        ({"Sec_WebSocket_Version": "8"}, 400),
        ({"Accept": "text/html"}, 406),
    ],
)
def test_handshakes_that_are_refused(serve: Server, namespace: str, headers: dict[str, str], refusal: int):
    wire, code, _ = shaken(serve, f"/api/v1/namespaces/{namespace}/pods?watch=1", **headers)
    with wire:
        assert code == refusal
