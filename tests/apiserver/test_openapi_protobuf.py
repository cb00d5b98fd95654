"""OpenAPI documents in gnostic's messages. That Go reads them is tested with kubectl (tests/clients)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from knarr.api.protobuf import fields_of
from knarr.apiserver.openapi import gnostic

from .conftest import Server

V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V3 = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"


def get(data: bytes, *way: int) -> list[Any]:
    """The values at the end of a way of field numbers."""
    found = [data]
    for number in way:
        found = [value for message in found for n, _, value in fields_of(message) if n == number]
    return found


def entry(data: bytes, name: str) -> bytes:
    """The value of one entry of a map's message."""
    (found,) = [pair for pair in get(data, 1) if get(pair, 1) == [name.encode()]]
    return get(found, 2)[0]


SCHEMA = {
    "description": "a thing",
    "type": "object",
    "required": ["size", "name"],
    "properties": {
        "size": {"type": "integer", "format": "int32", "minimum": -1.5, "maxLength": 3, "default": 7},
        "any": {"x-kubernetes-preserve-unknown-fields": True},
        "other": {"$ref": "#/definitions/Other"},
        "list": {"type": "array", "items": {"type": "string", "enum": ["a", "b: c"]}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "open": {"type": "object", "additionalProperties": True},
    },
    "x-kubernetes-group-version-kind": [{"group": "g", "kind": "Thing", "version": "v1"}],
    "unheard of": 1,
}


def test_a_schema_of_v2():
    data = gnostic.v2({"swagger": "2.0", "definitions": {"Thing": SCHEMA}})
    assert get(data, 1) == [b"2.0"]
    thing = entry(get(data, 9)[0], "Thing")
    assert (get(thing, 4), get(thing, 22, 1), get(thing, 19)) == (
        [b"a thing"],
        [b"object"],
        [b"size", b"name"],
    )
    ((extension,),) = [get(thing, 31)]
    assert get(extension, 1) == [b"x-kubernetes-group-version-kind"]
    assert yaml.safe_load(get(extension, 2, 2)[0]) == SCHEMA["x-kubernetes-group-version-kind"]
    properties = get(thing, 25)[0]
    size = entry(properties, "size")
    assert get(size, 9) == [b"\x00\x00\x00\x00\x00\x00\xf8\xbf"] and get(size, 11) == [3]
    assert get(size, 5, 2) == [b"7\n"] and get(size, 2) == [b"int32"]
    assert get(entry(properties, "other"), 1) == [b"#/definitions/Other"]
    items = entry(properties, "list")
    assert get(items, 23, 1, 22, 1) == [b"string"]
    assert [yaml.safe_load(text) for text in get(items, 23, 1, 20, 2)] == ["a", "b: c"]
    assert get(entry(properties, "map"), 21, 1, 22, 1) == [b"string"]
    assert get(entry(properties, "open"), 21, 2) == [1]
    assert get(entry(properties, "any"), 31, 2, 2) == [b"true\n"]


def test_a_schema_of_v3():
    properties = {
        "one": {"allOf": [{"$ref": "#/components/schemas/Other"}], "default": {}},
        "two": {"type": "boolean", "default": True, "nullable": True},
        "three": {"oneOf": [{"type": "string", "default": "x"}, {"type": "number", "default": 2}]},
    }
    document = {"openapi": "3.0.0", "components": {"schemas": {"Thing": {"properties": properties}}}}
    found = get(entry(get(gnostic.v3(document), 5, 1)[0], "Thing"), 1, 31)[0]
    assert get(entry(found, "one"), 1, 26, 2, 1) == [b"#/components/schemas/Other"]
    assert get(entry(found, "one"), 1, 33) == [b""]
    assert (get(entry(found, "two"), 1, 33, 2), get(entry(found, "two"), 1, 1)) == ([1], [1])
    assert get(entry(found, "three"), 1, 27, 1, 25) == [b"string", b"number"]
    assert get(entry(found, "three"), 1, 27, 1, 33, 3) == [b"x"]


@pytest.mark.parametrize(
    "accept", [V2, V2.replace("v2.v1", "v2@v1"), f"text/html,{V2}, application/json;q=0.5"]
)
def test_v2_over_http(serve: Server, accept: str):
    answer = serve.get("/openapi/v2", accept)
    assert (answer.status, answer.headers["content-type"]) == (200, V2)
    pod = entry(get(answer.body, 9)[0], "io.k8s.api.core.v1.Pod")
    assert b"Pod is a collection of containers" in get(pod, 4)[0]
    paths = {get(pair, 1)[0]: get(pair, 2)[0] for pair in get(answer.body, 8, 2)}
    item = paths[b"/api/v1/namespaces/{namespace}/pods/{name}"]
    assert get(item, 2, 5) == [b"readCoreV1NamespacedPod"]
    # the body of a PUT, its answers, and the parameters of the path
    assert get(item, 3, 8, 1, 1, 5, 1) == [b"#/definitions/io.k8s.api.core.v1.Pod"]
    assert b"200" in get(item, 3, 9, 1, 1)
    assert {b"name", b"namespace"} <= set(get(item, 9, 1, 2, 4, 4))
    assert answer.headers["etag"] == serve.get("/openapi/v2").headers["etag"]
    again = serve.get("/openapi/v2", accept, If_None_Match=f'W/"x", {answer.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")


def test_v3_over_http(serve: Server):
    answer = serve.get("/openapi/v3/apis/apps/v1", V3)
    assert (answer.status, answer.headers["content-type"]) == (200, V3)
    assert get(answer.body, 1) == [b"3.0.0"]
    paths = {get(pair, 1)[0]: get(pair, 2)[0] for pair in get(answer.body, 4, 1)}
    item = paths[b"/apis/apps/v1/deployments"]
    assert get(item, 4, 5) == [b"listAppsV1DeploymentForAllNamespaces"]
    assert b"application/json" in get(item, 4, 8, 2, 2, 1, 3, 1, 1)
    assert {b"watch", b"limit"} <= set(get(item, 13, 1, 1))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("", "application/json"), ("*/*", "application/json"), (f"{V2};q=0.1,*/*;q=0.2", "application/json")],
)
def test_json_where_it_is_wanted_more(serve: Server, accept: str, kind: str):
    assert serve.get("/openapi/v2", accept).headers["content-type"] == kind


@pytest.mark.parametrize("accept", ["text/html", "application/yaml", V3, "application/jsonish"])
def test_nothing_else_is_served(serve: Server, accept: str):
    assert serve.get("/openapi/v2", accept).status == 406
