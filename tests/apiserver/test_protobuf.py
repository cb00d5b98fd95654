"""Kubernetes protobuf: recorded bytes in both directions, any object there and back, and over HTTP."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.api import protobuf, schema
from knarr.api.protobuf import ProtobufError
from knarr.api.resources import RESOURCES
from knarr.api.scheme import Strictness, scheme

from ..api.strategies import objects
from .conftest import Server

PROTOBUF = "application/vnd.kubernetes.protobuf"
SAMPLES = Path(__file__).parents[3] / "shared/protobuf/samples.json.gz"


def samples() -> list[dict[str, Any]]:
    return json.loads(gzip.decompress(SAMPLES.read_bytes())) if SAMPLES.is_file() else []


@pytest.mark.skipif(not SAMPLES.is_file(), reason="../shared/protobuf is not here")
@pytest.mark.parametrize("sample", samples(), ids=lambda s: f"{s['json']['kind']}-{s['json']['apiVersion']}")
def test_recorded_bytes(sample):
    obj = sample["json"]
    data = base64.b64decode(sample["protobuf"])
    # Go keeps the text of what it does not look into, blanks and all; here that is data, and compact.
    if obj["kind"] != "ControllerRevision":
        assert protobuf.encode(obj) == data
    api_version, kind = obj["apiVersion"], obj["kind"]
    group, _, version = api_version.rpartition("/")
    decoded, _ = scheme().normalize((group, version, kind), protobuf.decode(data), Strictness.IGNORE)
    assert decoded == scheme().normalize((group, version, kind), obj, Strictness.IGNORE)[0]


KINDS = sorted({(r.group, r.version, r.kind) for r in RESOURCES if r.kind != "CustomResourceDefinition"})


@pytest.mark.parametrize("gvk", KINDS, ids=lambda gvk: "-".join(gvk))
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_object_there_and_back(gvk, data):
    group, version, kind = gvk
    obj = data.draw(objects(schema.definition_of(*gvk)))
    obj |= {"kind": kind, "apiVersion": f"{group}/{version}" if group else version}
    wire, _ = scheme().normalize(gvk, obj, Strictness.IGNORE)
    back, _ = scheme().normalize(gvk, protobuf.decode(protobuf.encode(wire)), Strictness.IGNORE)
    assert back == wire


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers(number):
    data = protobuf.varint(number)
    value, at = protobuf.read_varint(data, 0)
    assert (protobuf.signed(value), at) == (number, len(data))
    assert len(data) <= 10


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail_otherwise_than_by_its_own_error(data):
    for body in (data, protobuf.MAGIC + data, protobuf.envelope("v1", "Pod", data)):
        try:
            protobuf.decode(body, ("v1", "Pod"))
        except ProtobufError:
            pass


def test_over_http(serve: Server, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    sent = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    answer = serve("POST", path, protobuf.encode(sent), Content_Type=PROTOBUF, Accept=PROTOBUF)
    assert (answer.status, answer.headers["content-type"]) == (201, PROTOBUF)
    made = protobuf.decode(answer.body)
    assert made["data"] == {"k": "v"} and made["metadata"]["uid"]
    as_json = serve.get(f"{path}/a").json
    got = protobuf.decode(serve.get(f"{path}/a", PROTOBUF).body)
    normal = scheme().normalize(("", "v1", "ConfigMap"), got)[0]
    assert normal == as_json
    listed = protobuf.decode(serve.get(path, PROTOBUF).body)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
    deleted = serve(
        "DELETE",
        f"{path}/a",
        protobuf.encode({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}),
        Content_Type=PROTOBUF,
        Accept=PROTOBUF,
    )
    status = protobuf.decode(deleted.body)
    assert (deleted.status, status["kind"], status["status"]) == (200, "Status", "Success")
    missing = serve.get(f"{path}/a", PROTOBUF)
    assert missing.status == 404 and protobuf.decode(missing.body)["reason"] == "NotFound"


BROKEN = [
    (b"", 400),
    (b"k8s", 400),
    (b"{}", 400),
    (protobuf.MAGIC + b"\xff\xff", 400),
    (protobuf.envelope("v1", "Pod", b""), 400),
    (protobuf.envelope("v1", "ConfigMap", b"\x0a\xff"), 400),
    (protobuf.envelope("v1", "ConfigMap", b"\x0a\x03\x0a\x01\xff"), 400),
]


@pytest.mark.parametrize(("body", "code"), BROKEN)
def test_broken_bodies_are_refused(serve: Server, body, code):
    answer = serve("POST", "/api/v1/namespaces/default/configmaps", body, Content_Type=PROTOBUF)
    assert answer.status == code and answer.json["kind"] == "Status", answer.body


def test_a_watch(serve: Server, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with serve.wire() as wire:
        wire.send(serve.head("GET", f"{path}?watch=true&timeoutSeconds=1", Accept=PROTOBUF))
        status, headers = wire.head()
        assert status == 200 and dict(headers)["content-type"] == f"{PROTOBUF};stream=watch"
        serve("POST", path, {"metadata": {"name": "a"}, "data": {"k": "v"}})
        data = b"".join(wire.chunks())
    (size,) = struct.unpack(">I", data[:4])
    assert len(data) == 4 + size
    # the event is a bare message: only the object in it has an envelope
    assert data[4:].startswith(b"\x0a\x05ADDED\x12")
    event = protobuf.read_watch_event(data[4:])
    assert (event["object"]["kind"], event["object"]["data"]) == ("ConfigMap", {"k": "v"})
