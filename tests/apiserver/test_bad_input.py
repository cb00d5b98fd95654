"""What a server on a network meets: broken requests, broken TLS, clients that hang up or hang.

Each gets a clear answer or a clean close; the log holds no traceback, and everybody else is served as before.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from knarr.api import protobuf
from knarr.apiserver import http
from knarr.testing import TestCluster

SECONDS_MAX = 10.0
#: each line ten of the one before
BILLION_LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 10)) for letter in range(98, 108)
)
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """An API server alone."""
    cluster = TestCluster(tmp_path_factory.mktemp("bad"), controllers=False, scheduler=False, nodes=0)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(autouse=True)
def undisturbed(server: TestCluster, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Around every test: another client, connected all along, is answered; nothing is logged as a fault."""
    other = Client(server)
    assert other.get("/readyz").body == b"ok"
    yield
    assert other.get("/readyz").body == b"ok"
    other.close()
    time.sleep(0.02)  # what a hang-up leads to has been logged by now
    faults = [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert not faults, [record.getMessage() for record in faults]


class Answer:
    def __init__(self, code: int, headers: dict[str, str], body: bytes) -> None:
        self.code, self.headers, self.body = code, headers, body

    @property
    def status(self) -> dict[str, Any]:
        """The Status in the body."""
        found = json.loads(self.body)
        assert found["kind"] == "Status", found
        return found


class Client:
    """A TLS connection, and bytes."""

    def __init__(self, server: TestCluster) -> None:
        self.token = server.token
        host, port = server.url.removeprefix("https://").split(":")
        self.address = (host, int(port))
        raw = socket.create_connection(self.address, SECONDS_MAX)
        self.socket = TLS.wrap_socket(raw)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self, method: str, path: str, **headers: str) -> bytes:
        """With the administrator's token."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def get(self, path: str, **headers: str) -> Answer:
        self.send(self.head("GET", path, **headers))
        return self.answer()

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        headers = {"Content_Type": "application/json", **headers}
        self.send(self.head("POST", path, Content_Length=str(len(body)), **headers) + body)
        return self.answer()

    def answer(self) -> Answer:
        file = self.socket.makefile("rb")
        code = int(file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if "content-length" in headers:
            body = file.read(int(headers["content-length"]))
        else:
            body = b""
            while size := int(file.readline(), 16):
                body += file.read(size)
                file.readline()
            file.readline()
        return Answer(code, headers, body)

    def closed(self) -> bool:
        """Whether the server ended the connection, and said no more."""
        try:
            return self.socket.recv(65536) == b""
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def client(server: TestCluster) -> Iterator[Client]:
    made = Client(server)
    yield made
    made.close()


# -- no HTTP --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"\x00\x01\x02\x03" * 100,
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS in TLS
    ],
)
def test_malformed_requests(client, request_):
    client.send(request_)
    assert client.answer().code == 400
    assert client.closed()


def test_a_request_that_smuggles_another_is_refused(client):
    client.send(
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n"
    )
    assert client.answer().code == 400


def test_huge_header(client):
    client.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (http.HEAD_BYTES_MAX + 1) + b"\r\n\r\n")
    assert client.answer().code == 431
    assert client.closed()


def test_a_header_without_end(client):
    """Not collected for ever."""
    try:
        for _ in range(100):
            client.send(b"x" * 65536)
            time.sleep(0)
    except (ConnectionError, ssl.SSLError):
        return
    assert client.closed() or client.closed()


# -- bad bodies -----------------------------------------------------------------------------------------------


def test_huge_body(client):
    body = b'{"data":"' + b"x" * http.BODY_BYTES_MAX + b'"}'
    answer = client.post(CONFIG_MAPS, body)
    assert answer.code == 413
    assert answer.status["reason"] == "RequestEntityTooLarge"
    assert client.closed()


def test_huge_chunked_body(client):
    client.send(
        client.head("POST", CONFIG_MAPS, Transfer_Encoding="chunked", Content_Type="application/json")
    )
    chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    try:
        for _ in range(http.BODY_BYTES_MAX // 65536 + 2):
            client.send(chunk)
        client.send(b"0\r\n\r\n")
    except (ConnectionError, ssl.SSLError):
        pass  # refused before it was all sent: that is as good
    assert client.answer().code == 413


@pytest.mark.parametrize(
    ("body", "headers", "code", "reason"),
    [
        (b"{", {}, 400, "BadRequest"),
        (b"", {}, 400, "BadRequest"),
        (b"null", {}, 422, "Invalid"),
        (b"[]", {}, 400, "BadRequest"),
        (b'"text"', {}, 400, "BadRequest"),
        (b"\xff\xfe\x00", {}, 400, "BadRequest"),
        (b'{"kind":"ConfigMap","apiVersion":"v1","data":{"a":1}}', {}, 400, "BadRequest"),
        (b'{"kind":"Nonsense","apiVersion":"v1"}', {}, 400, "BadRequest"),
        (b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}', {}, 400, "BadRequest"),
        (b'{"kind":"ConfigMap","apiVersion":"v1"}', {}, 422, "Invalid"),
        (b"[" * 100_000, {}, 400, "BadRequest"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, {}, 400, "BadRequest"),
        (b"a: [", {"Content_Type": "application/yaml"}, 400, "BadRequest"),
        (b"[" * 200_000, {"Content_Type": "application/yaml"}, 400, "BadRequest"),
        (b"- " * 200_000, {"Content_Type": "application/yaml"}, 400, "BadRequest"),
        (b"{a: " * 200_000 + b"}" * 200_000, {"Content_Type": "application/yaml"}, 400, "BadRequest"),
        (BILLION_LAUGHS, {"Content_Type": "application/yaml"}, 400, "BadRequest"),
        (b"a: &a [*a]", {"Content_Type": "application/yaml"}, 400, "BadRequest"),
        (b"[" * 20_000, {"Content_Type": "application/yaml"}, 400, "BadRequest"),
        (b"k8s\x00\xff\xff", {"Content_Type": "application/vnd.kubernetes.protobuf"}, 400, "BadRequest"),
        (b"{}", {"Content_Type": "image/png"}, 415, "UnsupportedMediaType"),
        (b"{}", {"Content_Type": "application/json; x"}, 415, "UnsupportedMediaType"),
        (b'{"kind":"ConfigMap","apiVersion":"v1"}', {"Content_Type": ""}, 422, "Invalid"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else None,
)
def test_bad_bodies_get_a_status(client, body, headers, code, reason):
    answer = client.post(CONFIG_MAPS, body, **headers)
    assert (answer.code, answer.status["reason"]) == (code, reason)
    assert answer.status["status"] == "Failure"
    assert answer.status["message"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nonsense", 404),
        ("/apis/nonsense/v1/things", 404),
        ("/api/v1/nonsense", 404),
        ("/api/v1/namespaces/default/pods/nobody", 404),
        ("/api/v1/pods?limit=many", 400),
        ("/api/v1/pods?labelSelector=%3D%3D", 400),
        ("/api/v1/pods?fieldSelector=spec.nonsense%3D1", 400),
        ("/api/v1/pods?resourceVersion=old", 400),
        ("/api/v1/pods?continue=nonsense", 400),
        ("/api/v1/pods?watch=1&resourceVersion=-5", 500),
        ("/api/v1/pods?timeoutSeconds=soon&watch=1", 400),
    ],
)
def test_bad_addresses_get_a_status(client, path, code):
    answer = client.get(path)
    assert answer.code == code
    if path in ("/nonsense", "/apis/nonsense/v1/things"):
        assert answer.body == b"404 page not found\n"
    else:
        assert answer.status["code"] == code


@pytest.mark.parametrize(
    "path", ["/%00", "/%ff%fe", "/..%2f..%2fetc/passwd", "//", "/api/v1/namespaces/%2e%2e/pods/x"]
)
def test_strange_paths_are_only_strange(client, path):
    assert client.get(path).code in (200, 301, 400, 404)


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 20_000, ""])
def test_bad_tokens(server, client, token):
    client.token = token
    answer = client.get("/api/v1/secrets")
    assert answer.code in (401, 403)
    assert answer.status["reason"] in ("Unauthorized", "Forbidden")


# -- broken TLS -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hello",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff",
        b"\x16\x03\x01\xff\xff" + b"\x00" * 1000,
        b"\x80\x2e\x01\x00\x02",
        b"",
    ],
)
def test_broken_hello(server, client, hello):
    with socket.create_connection(client.address, SECONDS_MAX) as raw:
        raw.sendall(hello)
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(SECONDS_MAX)
        try:
            while raw.recv(4096):
                pass
        except ConnectionError:
            pass


def test_a_certificate_of_another_authority(server, client, tmp_path):
    from knarr.auth.pki import PKI
    from knarr.world import World

    world = World()
    stranger = PKI(None, world.clock, world.chance).admin
    (tmp_path / "pair.pem").write_text(stranger.certificate + stranger.key)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tmp_path / "pair.pem")
    # under TLS 1.3 the refusal comes with the first read
    with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(client.address) as raw:
        wrapped = context.wrap_socket(raw)
        wrapped.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        if not wrapped.recv(100):
            raise ConnectionError


# -- clients that go, or stay and say nothing -----------------------------------------------------------------


def test_hanging_up_in_a_body(server, client):
    client.send(
        client.head("POST", CONFIG_MAPS, Content_Length="1000", Content_Type="application/json") + b'{"kind":'
    )
    client.socket.close()
    assert "items" in json.loads(Client(server).get(CONFIG_MAPS).body)


def test_hanging_up_before_the_answer(server):
    """What was sent whole is done, whether or not anybody waits for the answer."""
    for number in range(20):
        leaving = Client(server)
        body = json.dumps(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"left-{number}"}}
        ).encode()
        leaving.send(
            leaving.head("POST", CONFIG_MAPS, Content_Length=str(len(body)), Content_Type="application/json")
            + body
        )
        leaving.close()
    other = Client(server)
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        names = [item["metadata"]["name"] for item in json.loads(other.get(CONFIG_MAPS).body)["items"]]
        if sum(name.startswith("left-") for name in names) == 20 or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    other.close()
    assert sum(name.startswith("left-") for name in names) == 20


def test_hanging_up_in_a_watch(server):
    watchers = [Client(server) for _ in range(10)]
    for watcher in watchers:
        watcher.send(watcher.head("GET", f"{CONFIG_MAPS}?watch=1"))
        assert b"200 OK" in watcher.socket.recv(4096)
    for number, watcher in enumerate(watchers):
        if number % 2:
            watcher.socket.shutdown(socket.SHUT_WR) if number % 4 == 1 else watcher.socket.close()
        else:  # not even a goodbye
            watcher.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
            watcher.socket.close()
    writer = Client(server)
    body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "w-"}}).encode()
    assert [writer.post(CONFIG_MAPS, body).code for _ in range(20)] == [201] * 20
    writer.close()


def test_a_watcher_that_does_not_read(server):
    """It is cut off at a bound; writers do not notice."""
    lazy = Client(server)
    lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.send(lazy.head("GET", f"{CONFIG_MAPS}?watch=1"))
    writer = Client(server)
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": "big-"},
        "data": {"a": "x" * 500_000},
    }
    assert [writer.post(CONFIG_MAPS, json.dumps(obj).encode()).code for _ in range(30)] == [201] * 30
    writer.send(writer.head("DELETE", CONFIG_MAPS))
    assert writer.answer().code == 200
    writer.close()
    lazy.close()


def test_slow_requests_hold_nobody_up(server):
    """A hundred clients that send a byte and wait."""
    slow = [Client(server) for _ in range(100)]
    for number, one in enumerate(slow):
        one.send((b"GET /readyz HT", b"GET /readyz HTTP/1.1\r\nHo")[number % 2])
    quick = Client(server)
    before = time.monotonic()
    for _ in range(50):
        assert quick.get("/readyz").code == 200
    assert time.monotonic() - before < SECONDS_MAX
    for one in slow[:10]:
        one.send(b"TP/1.1\r\nHost: x\r\n\r\n" if slow.index(one) % 2 == 0 else b"st: x\r\n\r\n")
        assert one.answer().code == 200  # late, but served
    for one in [*slow, quick]:
        one.close()


@pytest.mark.parametrize(
    "begun", [b"G", b"GET /readyz HTTP/1.1\r\nHost: x\r\n", b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"]
)
def test_a_request_that_never_ends_is_ended(cluster_factory, begun):
    """However its bytes trickle; and a connection that is used in between has all the time it wants."""
    alone = cluster_factory(virtual_time=True, controllers=False, scheduler=False, nodes=0)
    slow, patient = Client(alone), Client(alone)
    assert patient.get("/readyz").code == 200
    slow.send(begun)
    alone.advance(http.READ_SECONDS / 2)
    slow.send(b"x")
    patient.send(b"GET /rea")
    alone.advance(http.READ_SECONDS / 2 + 1)
    assert slow.closed()
    patient.send(b"dyz HTTP/1.1\r\n\r\n")
    assert patient.answer().code == 200
    alone.advance(http.IDLE_SECONDS - 10)
    assert patient.get("/readyz").code == 200
    alone.advance(http.IDLE_SECONDS + 1)
    assert patient.closed()
    slow.close()


def test_many_connections(server):
    many = [Client(server) for _ in range(300)]
    for one in many:
        one.send(one.head("GET", "/readyz"))
    assert {one.answer().code for one in many} == {200}
    for one in many:
        one.close()


def test_pipelined_requests_are_answered_in_order(client):
    count = http.PIPELINED_MAX * 3
    client.send(b"".join(client.head("GET", f"/api/v1/namespaces/n{number}") for number in range(count)))
    file = client.socket.makefile("rb")
    named = []
    for _ in range(count):
        length = 0
        while line := file.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        named.append(json.loads(file.read(length))["details"]["name"])
    assert named == [f"n{number}" for number in range(count)]


UNKNOWN_FIELD = '"a" is not a known field selector: only "metadata.name", "metadata.namespace"'
UNKNOWN_SLICE_FIELD = "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: a"
PATHS = [
    # path, code, kind or message: escapes are decoded before anything is looked for
    ("/api%2Fv1", 200, "APIResourceList"),
    ("/%61pi/v1", 200, "APIResourceList"),
    ("/api/v1/namespaces/default%2Fconfigmaps", 200, "ConfigMapList"),
    ("/api/v1/namespaces/default/configmaps/a%2Fb", 404, "the server could not find the requested resource"),
    ("/api/v1/namespaces/default/configmaps/..", 400, "Name parameter invalid: \"..\": may not be '..'"),
    ("/api/v1/componentstatuses/x", 500, "Component not found: x"),
    ("/api/v1/componentstatuses?fieldSelector=a=b", 400, UNKNOWN_FIELD),
    ("/apis/resource.k8s.io/v1/resourceslices?fieldSelector=a=b", 400, UNKNOWN_SLICE_FIELD),
    ("/api/v1/nodes/a%25b", 400, "Name parameter invalid: \"a%b\": may not contain '%'"),
    ("/api/v1/namespaces/default/namespaces", 404, "the server could not find the requested resource"),
    (
        "/api/v1/namespaces/default/namespaces/kube-system",
        404,
        "the server could not find the requested resource",
    ),
]


@pytest.mark.parametrize(("path", "code", "said"), PATHS)
def test_odd_paths(serve, path, code, said):
    answer = serve.get(path)
    assert answer.status == code and said in (answer.json["kind"], answer.json.get("message"))


def test_reviews_are_in_the_namespace_of_their_path(serve):
    path = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
    spec = {"user": "u", "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}
    made = serve("POST", path, {"spec": spec})
    assert (made.status, made.json["metadata"]["namespace"]) == (201, "default")
    elsewhere = serve("POST", path, {"metadata": {"namespace": "kube-system"}, "spec": spec})
    assert (elsewhere.status, elsewhere.json["message"]) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )
    for query, said in (
        ("timeout=", 'time: invalid duration ""'),
        ("timeout=x", 'time: invalid duration "x"'),
    ):
        answer = serve.get(f"/api/v1/nodes?{query}")
        message = f"invalid timeout specified in the request URL - {said}"
        assert (answer.status, answer.json["message"]) == (400, message)


#: a value in a body, and what Go reads
TEXTS = [
    (b"a\xff\xe2\x82b", "a\ufffd\ufffd\ufffdb"),
    (b"a\\ud800b", "a\ufffdb"),
    (b"\\\\ud800 \\udc00\\ud83d\\ude00", "\\ud800 \ufffd\U0001f600"),
    ("é €".encode(), "é €"),
]


@pytest.mark.parametrize(("sent", "read"), TEXTS)
def test_texts_that_are_no_unicode_are_read_all_the_same(serve, namespace, sent, read):
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    body = b'{"metadata": {"name": "a", "labels": null, "finalizers": []}, "data": {"k": "%s"}}' % sent
    assert serve("POST", maps, body).json["data"] == {"k": read}
    for kind in ("merge-patch", "strategic-merge-patch"):
        patch = b'{"data": {"k": null, "%s": "%s"}}' % (kind.encode(), sent)
        patched = serve("PATCH", f"{maps}/a", patch, Content_Type=f"application/{kind}+json")
        assert patched.json["data"][kind] == read
    patch = b'[{"op": "add", "path": "/data/j", "value": "%s"}]' % sent
    patched = serve("PATCH", f"{maps}/a", patch, Content_Type="application/json-patch+json")
    assert patched.json["data"]["j"] == read
    if b"\\" not in sent:
        made = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "b"},
            "data": {"k": "X" * len(sent)},
        }
        message = protobuf.encode(made).replace(b"X" * len(sent), sent)
        made = serve("POST", maps, message, Content_Type="application/vnd.kubernetes.protobuf").json
        assert made["data"] == {"k": read}
    deleted = serve("DELETE", f"{maps}/a", b'{"preconditions": {"uid": "%s"}}' % sent)
    assert deleted.status == 409 and read in json.dumps(deleted.json, ensure_ascii=False).replace(
        "\\\\", "\\"
    )


def test_yaml_that_is_no_unicode_is_refused(serve, namespace):
    for sent, said in (
        (b"\xff", "invalid leading UTF-8 octet"),
        (b"\x01", "control characters are not allowed"),
    ):
        body = b'kind: ConfigMap\napiVersion: v1\ndata: {k: "%s"}' % sent
        answer = serve(
            "POST", f"/api/v1/namespaces/{namespace}/configmaps", body, Content_Type="application/yaml"
        )
        assert answer.status == 400 and f": yaml: {said} (" in answer.json["message"]
