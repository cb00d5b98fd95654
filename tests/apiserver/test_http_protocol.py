"""HTTP/1.1 as clients use it: connections kept, requests in a row, bodies in pieces, interim answers."""

from __future__ import annotations

import json
import threading

import pytest

from knarr.apiserver import http
from knarr.apiserver.http import parse_query

from .conftest import Server, configmap

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()[-40:].strip("-")


def test_a_connection_serves_one_request_after_another(serve: Server):
    with serve.wire() as wire:
        for _ in range(20):
            wire.send(serve.request("GET", "/api/v1/namespaces/default"))
            assert wire.answer().json["metadata"]["name"] == "default"


def test_requests_sent_at_once_are_answered_in_order(serve: Server):
    paths = [f"/api/v1/namespaces/{'default' if n % 3 else 'absent'}" for n in range(60)]
    with serve.wire() as wire:
        wire.send(b"".join(serve.request("GET", path) for path in paths))
        assert [wire.answer().status for _ in paths] == [200 if n % 3 else 404 for n in range(60)]


def test_writes_sent_at_once_happen_one_after_another(serve: Server, name):
    """Each would fail had the one before it not happened."""
    steps = [
        ("POST", CONFIGMAPS, configmap(name, n="0"), {}),
        (
            "PATCH",
            f"{CONFIGMAPS}/{name}",
            [
                {"op": "test", "path": "/data/n", "value": "0"},
                {"op": "replace", "path": "/data/n", "value": "1"},
            ],
            {"Content_Type": "application/json-patch+json"},
        ),
        (
            "PATCH",
            f"{CONFIGMAPS}/{name}",
            [{"op": "test", "path": "/data/n", "value": "1"}],
            {"Content_Type": "application/json-patch+json"},
        ),
        ("DELETE", f"{CONFIGMAPS}/{name}", None, {}),
        ("GET", f"{CONFIGMAPS}/{name}", None, {}),
    ]
    with serve.wire() as wire:
        wire.send(b"".join(serve.request(m, p, b, **h) for m, p, b, h in steps))
        assert [wire.answer().status for _ in steps] == [201, 200, 200, 200, 404]


def test_a_body_in_chunks(serve: Server, name):
    body = json.dumps(configmap(name, a="b")).encode()
    head = serve.head("POST", CONFIGMAPS, None, Transfer_Encoding="chunked", Content_Type="application/json")
    with serve.wire() as wire:
        wire.send(head)
        for start in range(0, len(body), 7):
            wire.send(http.chunk(body[start : start + 7]))
        wire.send(b"0\r\n\r\n")
        assert wire.answer().status == 201
        wire.send(serve.request("DELETE", f"{CONFIGMAPS}/{name}"))
        assert wire.answer().status == 200


def test_a_request_byte_by_byte(serve: Server):
    with serve.wire() as wire:
        for byte in serve.request("GET", "/healthz"):
            wire.send(bytes([byte]))
        assert wire.answer().body == b"ok"


def test_a_client_that_asks_before_it_sends(serve: Server, name):
    body = json.dumps(configmap(name)).encode()
    with serve.wire() as wire:
        wire.send(
            serve.head("POST", CONFIGMAPS, len(body), Expect="100-continue", Content_Type="application/json")
        )
        assert wire.line() == b"HTTP/1.1 100 Continue" and wire.line() == b""
        wire.send(body)
        assert wire.answer().status == 201
    assert serve("DELETE", f"{CONFIGMAPS}/{name}").status == 200


def test_head_says_what_get_would_and_sends_nothing(serve: Server):
    got = serve.get("/healthz")
    with serve.wire() as wire:
        wire.send(serve.request("HEAD", "/healthz") + serve.request("GET", "/healthz"))
        head = wire.answer(bodyless=True)
        assert (head.status, head.headers["content-length"]) == (200, got.headers["content-length"])
        assert wire.answer().body == b"ok"


@pytest.mark.parametrize(
    ("version", "header", "kept"),
    [("1.1", "", True), ("1.1", "close", False), ("1.0", "", False), ("1.0", "keep-alive", True)],
)
def test_who_ends_a_connection(serve: Server, version, header, kept):
    request = serve.request("GET", "/healthz", Connection=header).replace(
        b"HTTP/1.1", f"HTTP/{version}".encode()
    )
    with serve.wire() as wire:
        wire.send(request)
        answer = wire.answer()
        assert answer.status == 200
        assert (answer.headers.get("connection") == "close") != kept
        if kept:
            wire.send(request)
            assert wire.answer().status == 200
        else:
            assert wire.closed()


def test_a_method_nobody_has_does_not_end_the_connection(serve: Server):
    with serve.wire() as wire:
        wire.send(serve.request("FROB", "/api/v1/namespaces"))
        assert wire.answer().status == 405
        wire.send(serve.request("GET", "/healthz"))
        assert wire.answer().status == 200


def test_what_is_no_http_is_told_so_after_the_answers_before_it(serve: Server):
    with serve.wire() as wire:
        wire.send(serve.request("GET", "/api/v1/namespaces/default") * 3 + b"nonsense\r\n\r\n")
        assert [wire.answer().status for _ in range(4)] == [200, 200, 200, 400]
        assert wire.closed()


def test_a_body_that_is_too_large_is_refused_and_the_connection_ends(serve: Server):
    body = b"x" * (http.BODY_BYTES_MAX + 1)
    with serve.wire() as wire:
        wire.send(serve.request("POST", CONFIGMAPS, body))
        answer = wire.answer()
        assert answer.status == 413 and answer.json["reason"] == "RequestEntityTooLarge"
        assert wire.closed()


def test_the_largest_body_is_read(serve: Server):
    body = b"x" * http.BODY_BYTES_MAX
    assert serve("POST", CONFIGMAPS, body).status == 400


def test_a_slow_client_delays_nobody(serve: Server):
    with serve.wire() as slow:
        slow.send(serve.request("GET", "/healthz")[:30])
        for _ in range(5):
            assert serve.get("/healthz").status == 200
        slow.send(serve.request("GET", "/healthz")[30:])
        assert slow.answer().status == 200


def test_a_client_that_does_not_read_its_answer_delays_nobody(serve: Server, name):
    serve("POST", CONFIGMAPS, configmap(name, big="x" * 900_000))
    with serve.wire() as deaf:
        deaf.send(serve.request("GET", f"{CONFIGMAPS}/{name}") * 12)
        for _ in range(5):
            assert serve.get("/healthz").status == 200
        assert all(len(deaf.answer().body) > 900_000 for _ in range(12))
    serve("DELETE", f"{CONFIGMAPS}/{name}")


def test_a_write_happens_though_its_client_hangs_up(serve: Server, name):
    with serve.wire() as wire:
        wire.send(serve.request("POST", CONFIGMAPS, configmap(name)))
    # a later write is answered after an earlier one was begun
    for _ in range(50):
        if serve.get(f"{CONFIGMAPS}/{name}").status == 200:
            break
    else:
        raise AssertionError("the write was lost")
    serve("DELETE", f"{CONFIGMAPS}/{name}")


def test_many_connections_at_once(serve: Server):
    codes: list[int] = []

    def client() -> None:
        with serve.wire() as wire:
            for _ in range(5):
                wire.send(serve.request("GET", "/api/v1/namespaces/default"))
                codes.append(wire.answer().status)

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 100


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "1"}),
        ("a", {"a": ""}),
        ("&&a=&", {"a": ""}),
        ("a=%26%3D&b=x+y", {"a": "&=", "b": "x y"}),
        ("labelSelector=a%20in%20(b,c)", {"labelSelector": "a in (b,c)"}),
        ("a=b=c", {"a": "b=c"}),
        ("%61=1", {"a": "1"}),
        ("a=%zz&b=1%&c=2", {"c": "2"}),
        ("a=1;b=2&c=3", {"c": "3"}),
        ("a=%3B", {"a": ";"}),
    ],
)
def test_queries(text, pairs):
    assert dict(parse_query(text)) == pairs


def test_answers_are_private_and_say_which_flow_they_were_in(serve: Server):
    answer = serve.get("/api/v1/namespaces/default")
    assert answer.headers["cache-control"] == "no-cache, private"
    assert len(answer.headers["x-kubernetes-pf-flowschema-uid"]) == 36
    assert len(answer.headers["x-kubernetes-pf-prioritylevel-uid"]) == 36


def test_warnings_are_headers(serve: Server, name):
    answer = serve(
        "POST", f"{CONFIGMAPS}?dryRun=All", {**configmap(name), "unknown": 1, "two\nlines": 2, "größe": 3}
    )
    assert [value.encode("latin-1").decode() for value in answer.values("warning")] == [
        '299 - "unknown field \\"unknown\\""',
        '299 - "unknown field \\"two lines\\""',
        '299 - "unknown field \\"größe\\""',
    ]


PATHS = [
    # request line's target, code, what the answer is: a kind of object, a text or nothing
    ("/api/v1/namespaces/", 200, "NamespaceList"),
    ("/api/v1/namespaces/def%61ult", 200, "Namespace"),
    ("/apis/apps/", 200, "APIGroup"),
    ("/version/", 200, '"gitVersion": "v1.36'),
    ("/index.html", 200, '"/readyz"'),
    ("/healthz/", 404, "404 page not found\n"),
    ("/metrics/", 404, "404 page not found\n"),
    ("//api/v1/pods", 404, "404 page not found\n"),
    ("/api//v1/pods", 404, "Status"),
    ("/api/v1//pods", 404, "Status"),
    ("/api/v1/../v1/pods", 404, "Status"),
    ("/api/v1/namespaces/default/pods/a%2Fb", 404, "Status"),
    ("/api/v1/pods?limit=%zz", 200, "PodList"),
    ("/api/v1/pods?limit=many;limit=1", 200, "PodList"),
    ("http://somewhere.example/api/v1/pods?limit=1", 200, "PodList"),
    ("https://somewhere.example", 200, '"/readyz"'),
    ("*", 404, "404 page not found\n"),
]


@pytest.mark.parametrize(("target", "code", "what"), PATHS)
def test_targets(serve: Server, target, code, what):
    answer = serve.get(target)
    assert answer.status == code
    if what[0].isupper():
        assert answer.json["kind"] == what
    else:
        assert what in answer.body.decode()


@pytest.mark.parametrize("target", ["/api/v1/pods/%", "/%zz", "/version%2", "/%"])
def test_a_broken_escape_is_no_http(serve: Server, target):
    with serve.wire() as wire:
        wire.send(
            serve.request("GET", "/version") + serve.request("GET", target) + serve.request("GET", "/apis")
        )
        assert wire.answer().json["major"] == "1"
        refused = wire.answer()
        assert (refused.status, refused.body) == (400, b"400 Bad Request")
        assert wire.closed()


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("OPTIONS", "*", 200),
        ("OPTIONS", "/api/v1/pods", 405),
        ("HEAD", "/api/v1/pods", 405),
        ("HEAD", "/healthz", 200),
        ("TRACE", "/api/v1/pods", 405),
        ("POST", "/version", 405),
        ("PUT", "/api/v1/pods", 405),
        ("DELETE", "/openid/v1/jwks", 405),
    ],
)
def test_methods(serve: Server, method, path, code):
    answer = serve(method, path)
    assert answer.status == code
    if code == 405 and method != "HEAD":
        assert answer.json["reason"] == "MethodNotAllowed"
