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


def packed(serve: Server, method: str, path: str, obj: dict[str, Any]) -> dict[str, Any]:
    """The answer's object; both ways in protobuf, as kubelets and controllers written in Go speak."""
    answer = serve(method, path, protobuf.encode(obj), Content_Type=PROTOBUF, Accept=PROTOBUF)
    found = protobuf.decode(answer.body)
    assert answer.status in (200, 201) and answer.headers["content-type"] == PROTOBUF, found
    return found


def test_subresources_and_reviews(serve: Server, namespace):
    where = f"/api/v1/namespaces/{namespace}"
    serve("POST", f"{where}/serviceaccounts", {"metadata": {"name": "default"}})
    spec = {"containers": [{"name": "c", "image": "i"}]}
    for name in ("a", "b"):
        packed(
            serve,
            "POST",
            f"{where}/pods",
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec},
        )
    binding = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}}
    said = packed(
        serve, "POST", f"{where}/pods/a/binding", {"apiVersion": "v1", "kind": "Binding", **binding}
    )
    assert said["status"] == "Success"
    pod = packed_get(serve, f"{where}/pods/a")
    assert pod["spec"]["nodeName"] == "n"
    pod["status"] = {"phase": "Running", "startTime": "2026-01-02T03:04:05Z", "qosClass": "BestEffort"}
    assert (
        packed(serve, "PUT", f"{where}/pods/a/status", pod)["status"]["startTime"] == "2026-01-02T03:04:05Z"
    )
    pod = packed_get(serve, f"{where}/pods/a")
    pod["spec"]["ephemeralContainers"] = [{"name": "look", "image": "i"}]
    seen = packed(serve, "PUT", f"{where}/pods/a/ephemeralcontainers", pod)
    assert [c["name"] for c in seen["spec"]["ephemeralContainers"]] == ["look"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "b"}}
    assert packed(serve, "POST", f"{where}/pods/b/eviction", eviction)["status"] == "Success"
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600},
    }
    made = packed(serve, "POST", f"{where}/serviceaccounts/default/token", request)
    assert made["status"]["token"].count(".") == 2
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    reviewed = packed(
        serve,
        "POST",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        {**token, "spec": {"token": made["status"]["token"]}},
    )
    assert reviewed["status"]["authenticated"] is True
    access = {"user": "nobody", "resourceAttributes": {"verb": "get", "resource": "pods"}}
    allowed = packed(
        serve,
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": access},
    )
    assert not allowed["status"].get("allowed")
    controller = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "rc"},
        "spec": {
            "replicas": 1,
            "selector": {"a": "b"},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec},
        },
    }
    packed(serve, "POST", f"{where}/replicationcontrollers", controller)
    scale = packed_get(serve, f"{where}/replicationcontrollers/rc/scale")
    scale["spec"]["replicas"] = 4
    assert packed(serve, "PUT", f"{where}/replicationcontrollers/rc/scale", scale)["spec"]["replicas"] == 4
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
    renewed = {**lease, "spec": {"holderIdentity": "me", "renewTime": "2026-01-02T03:04:05.678901Z"}}
    held = packed(serve, "POST", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", renewed)
    assert held["spec"]["renewTime"] == "2026-01-02T03:04:05.678901Z"
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "action": "Did",
        "reason": "R",
        "type": "Normal",
        "reportingController": "x.example/c",
        "reportingInstance": "i",
        "regarding": {"kind": "Pod", "namespace": namespace, "name": "a"},
    }
    packed(serve, "POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    gone = packed(serve, "DELETE", f"{where}/replicationcontrollers", options)
    assert gone["kind"] in ("ReplicationControllerList", "Status")


def packed_get(serve: Server, path: str) -> dict[str, Any]:
    return protobuf.decode(serve.get(path, PROTOBUF).body)


BROKEN = [
    (b"", 400),
    (b"k8s", 400),
    (b"{}", 400),
    (protobuf.MAGIC + b"\xff\xff", 400),
    (protobuf.envelope("v1", "Pod", b""), 400),
    (protobuf.envelope("v1", "ConfigMap", b"\x0a\xff"), 400),
    # Go's decoder does not mind text that is no UTF-8; as a name it will not do
    (protobuf.envelope("v1", "ConfigMap", b"\x0a\x03\x0a\x01\xff"), 422),
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
