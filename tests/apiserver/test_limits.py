"""Overload and the end: a server that says no keeps answering, and one that stops ends everything it began."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from knarr.apiserver.limits import InvalidSetting, Limits
from knarr.testing import TestCluster

from .conftest import Server, configmap


@pytest.fixture
def own(tmp_path) -> TestCluster:
    """A server that a test may break."""
    cluster = TestCluster(tmp_path, controllers=False, scheduler=False, nodes=0, seed=1)
    cluster.start()
    yield cluster
    cluster.stop()


def test_too_many_requests_are_told_to_come_again(own: TestCluster):
    """With one seat that is taken and no queues, the next request is refused; afterwards all is as before."""
    serve = Server(own)
    schema = {
        "metadata": {"name": "narrow"},
        "spec": {
            "priorityLevelConfiguration": {"name": "narrow"},
            "matchingPrecedence": 2,
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "eve"}}],
                    "resourceRules": [
                        {
                            "verbs": ["*"],
                            "apiGroups": ["*"],
                            "resources": ["*"],
                            "clusterScope": True,
                            "namespaces": ["*"],
                        }
                    ],
                }
            ],
        },
    }
    level = {
        "metadata": {"name": "narrow"},
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 1,
                "lendablePercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    }
    root = "/apis/flowcontrol.apiserver.k8s.io/v1"
    assert serve("POST", f"{root}/prioritylevelconfigurations", level).status == 201
    assert serve("POST", f"{root}/flowschemas", schema).status == 201
    binding = {
        "metadata": {"name": "eve"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"}],
    }
    assert serve("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).status == 201
    flow = own.cluster.plane.flow
    tickets = []

    async def fill() -> None:
        """Take every seat of the level, as requests under way would."""
        from knarr.meta.errors import StatusError
        from knarr.registry.context import Request, UserInfo

        request = Request("get", version="v1", resource="nodes", name="x", user=UserInfo("eve"))
        try:
            while True:
                tickets.append(await flow.start(request))
        except StatusError as error:
            assert error.code == 429

    async def empty() -> None:
        for ticket in tickets:
            ticket.finish()

    as_eve = {"Impersonate_User": "eve"}
    own.run(fill())
    assert tickets
    answer = serve.get("/api/v1/nodes/x", **as_eve)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.body == b"Too many requests, please try again later.\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    uids = {
        serve.get(f"{root}/{kind}/narrow").json["metadata"]["uid"]
        for kind in ("flowschemas", "prioritylevelconfigurations")
    }
    assert {
        answer.headers["x-kubernetes-pf-flowschema-uid"],
        answer.headers["x-kubernetes-pf-prioritylevel-uid"],
    } == uids
    # others are served meanwhile
    assert serve.get("/api/v1/nodes/x").status == 404
    assert (
        'apiserver_flowcontrol_rejected_requests_total{flow_schema="narrow",priority_level="narrow",reason="concurrency-limit"}'
        in serve.get("/metrics").body.decode()
    )
    own.run(empty())
    assert serve.get("/api/v1/nodes/x", **as_eve).status == 404


def test_watches_take_no_seat_while_they_last(own: TestCluster):
    serve = Server(own)
    seats = [level.queues for level in own.cluster.plane.flow.levels.values()]
    wires = []
    for _ in range(30):
        wire = serve.wire()
        wire.send(serve.head("GET", "/api/v1/configmaps?watch=true"))
        assert wire.head()[0] == 200
        wires.append(wire)
    assert serve.get("/healthz").status == 200
    assert sum(queues.seats_in_use for queues in seats) <= 1
    for wire in wires:
        wire.close()


def test_a_stopping_server_ends_watches_cleanly_and_answers_what_it_began(tmp_path):
    cluster = TestCluster(tmp_path, controllers=False, scheduler=False, nodes=0)
    cluster.start()
    serve = Server(cluster)
    gate = asyncio.Event()
    entered = threading.Event()
    plane = cluster.cluster.plane

    async def slow(x):
        entered.set()
        await gate.wait()
        plane.handler.responder.text(x, 200, "done")

    plane.handler.paths["/slow"] = slow
    idle, watch, busy = serve.wire(), serve.wire(), serve.wire()
    idle.send(serve.request("GET", "/healthz"))
    assert idle.answer().status == 200
    watch.send(serve.head("GET", "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=1"))
    assert watch.head()[0] == 200
    busy.send(serve.request("GET", "/slow"))
    assert entered.wait(10)

    stopping = asyncio.run_coroutine_threadsafe(plane.server.stop(), cluster._loop)
    # the last chunk: the client knows that nothing is missing
    assert b"".join(watch.chunks()) == b""
    assert idle.closed()
    with pytest.raises((ConnectionError, OSError)):
        serve.get("/healthz")
    cluster._loop.call_soon_threadsafe(gate.set)
    answer = busy.answer()
    assert (answer.status, answer.body) == (200, b"done")
    assert busy.closed()
    stopping.result(10)
    cluster.stop()


def test_what_was_acknowledged_before_the_stop_is_there_after_it(tmp_path):
    data = tmp_path / "data"
    settings = {"controllers": False, "scheduler": False, "nodes": 0, "data_dir": data}
    first = TestCluster(tmp_path / "a", **settings)
    first.directory.mkdir()
    first.start()
    serve = Server(first)
    made = [serve("POST", "/api/v1/namespaces/default/configmaps", configmap(f"c{n}")).json for n in range(5)]
    token = first.token
    first.stop()
    second = TestCluster(tmp_path / "b", **settings)
    second.directory.mkdir()
    second.start()
    try:
        again = Server(second)
        assert again.token == token
        listed = again.get("/api/v1/namespaces/default/configmaps").json["items"]
        assert [json.dumps(i["metadata"], sort_keys=True) for i in listed] == [
            json.dumps(m["metadata"], sort_keys=True) for m in made
        ]
    finally:
        second.stop()


# -- times ---------------------------------------------------------------------------------------------------------------


def limited(directory, **limits) -> TestCluster:
    cluster = TestCluster(
        directory,
        controllers=False,
        scheduler=False,
        nodes=0,
        seed=1,
        limits=Limits(**limits),
        virtual_time=True,
    )
    cluster.start()
    return cluster


def blocked(cluster: TestCluster) -> tuple[asyncio.Event, threading.Event]:
    """A path /slow that answers when the first is set; the second is when somebody is there."""
    gate, entered = asyncio.Event(), threading.Event()

    async def slow(x):
        entered.set()
        await gate.wait()
        cluster.cluster.plane.handler.responder.text(x, 200, "done")

    cluster.cluster.plane.handler.paths["/slow"] = slow
    return gate, entered


LATE = (
    b'{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout",'
    b'"reason":"Timeout","details":{},"code":504}\n'
)


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("", 60), ("?timeout=5s", 5), ("?timeout=0s", 60), ("?timeout=1h", 60), ("?timeout=-3s", 60)],
)
def test_requests_have_their_time(tmp_path, query, seconds):
    cluster = limited(tmp_path)
    try:
        serve, (gate, entered) = Server(cluster), blocked(cluster)
        with serve.wire() as wire:
            wire.send(serve.request("GET", f"/slow{query}"))
            assert entered.wait(10)
            cluster.advance(seconds - 1)
            assert serve.get("/healthz").status == 200
            cluster.advance(1.5)
            answer = wire.answer()
            assert (answer.status, answer.body) == (504, LATE)
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["audit-id"]
            # whoever is still at it answers nobody
            cluster._loop.call_soon_threadsafe(gate.set)
            assert wire.closed()
        text = serve.get("/metrics").body.decode()
        assert 'apiserver_request_terminations_total{code="504",component="apiserver"' in text
        assert 'subresource="/slow",verb="GET",version=""} 1' in text
    finally:
        cluster.stop()


def test_a_time_that_is_none(serve: Server):
    answer = serve.get("/api/v1/nodes?timeout=soon", Authorization="")
    # before anybody is asked who he is
    assert answer.status == 400
    assert (
        answer.json["message"]
        == 'invalid timeout specified in the request URL - time: invalid duration "soon"'
    )
    # requests that last do not mind
    assert serve.get("/api/v1/nodes?watch=true&timeoutSeconds=1&timeout=soon").status == 200


def test_watches_end_by_themselves(tmp_path):
    cluster = limited(tmp_path, min_request_timeout=100)
    try:
        serve = Server(cluster)
        with serve.wire() as wire:
            wire.send(serve.head("GET", "/api/v1/secrets?watch=true"))
            assert wire.head()[0] == 200
            handler = cluster.cluster.plane.handler
            cluster.advance(99)
            assert len(handler.lasting) == 1
            cluster.advance(101)
            assert b"".join(wire.chunks()) == b""
            assert not handler.lasting
    finally:
        cluster.stop()


def test_some_answers_close_their_connection(tmp_path):
    cluster = limited(tmp_path, goaway_chance=0.02)
    try:
        serve, closing = Server(cluster), 0
        cluster.cluster.plane.handler._goaway_chance = 0.5
        for _ in range(40):
            with serve.wire() as wire:
                wire.send(serve.request("GET", "/version"))
                closing += wire.answer().headers.get("connection") == "close"
        assert 5 < closing < 35
    finally:
        cluster.stop()


def test_events_are_kept_for_so_long(tmp_path):
    cluster = limited(tmp_path, event_ttl=600)
    try:
        serve = Server(cluster)
        event = {
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
            "reason": "Tested",
            "type": "Normal",
        }
        root = "/api/v1/namespaces/default/events"
        assert serve("POST", root, event).status == 201
        cluster.advance(590)
        assert serve.get(f"{root}/e").status == 200
        assert serve.get("/apis/events.k8s.io/v1/namespaces/default/events/e").status == 200
        # events of a minute go together
        cluster.advance(75)
        assert serve.get(f"{root}/e").status == 404
        assert serve.get("/flagz").body.count(b"event-ttl=10m0s\n") == 1
    finally:
        cluster.stop()


# -- without priority and fairness --------------------------------------------------------------------------------


def test_so_many_at_once(tmp_path):
    cluster = limited(
        tmp_path,
        enable_priority_and_fairness=False,
        max_requests_inflight=2,
        max_mutating_requests_inflight=1,
    )
    try:
        serve, anonymous = Server(cluster), {"Authorization": ""}
        handler = cluster.cluster.plane.handler
        handler.in_flight.counts[0] = 2
        answer = serve.get("/version", **anonymous)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert answer.body == b"Too many requests, please try again later.\n"
        # the other kind has its own limit, masters have none, and neither have watches
        assert serve("POST", "/version", **anonymous).status == 403
        assert serve.get("/version").status == 200
        assert serve.get("/api/v1/nodes?watch=true&timeoutSeconds=1", **anonymous).status == 403
        handler.in_flight.counts[0] = 0
        assert serve.get("/version", **anonymous).status == 200
        assert handler.in_flight.counts == [0, 0]
        text = serve.get("/metrics").body.decode()
        assert 'apiserver_dropped_requests_total{request_kind="readOnly"} 1' in text
        assert "x-kubernetes-pf-flowschema-uid" not in serve.get("/version").headers
    finally:
        cluster.stop()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"goaway_chance": 0.03}, "--goaway-chance can not be less than 0 or greater than 0.02"),
        ({"request_timeout": -1}, "--request-timeout can not be negative value"),
        ({"livez_grace_period": -1}, "--livez-grace-period can not be a negative value"),
        ({"max_requests_inflight": -1}, "--max-requests-inflight can not be negative value"),
        (
            {"shutdown_delay_duration": -1, "min_request_timeout": -1},
            "[--min-request-timeout can not be negative value, --shutdown-delay-duration can not be negative value]",
        ),
    ],
)
def test_limits_that_cannot_be(limits, message):
    with pytest.raises(InvalidSetting) as error:
        Limits(**limits).check()
    assert str(error.value) == message


# -- the end ---------------------------------------------------------------------------------------------------------------


def test_a_server_about_to_stop_is_not_ready_but_serves(tmp_path):
    cluster = limited(tmp_path, shutdown_delay_duration=30)
    serve = Server(cluster)
    stopping = asyncio.run_coroutine_threadsafe(cluster.cluster.stop(), cluster._loop)
    cluster.advance(1)
    answer = serve.get("/readyz")
    assert answer.status == 500
    assert b"[-]shutdown failed: reason withheld\n" in answer.body
    assert answer.body.endswith(b"readyz check failed\n")
    assert serve.get("/readyz/shutdown").body == b"internal server error: process is shutting down\n"
    assert serve.get("/readyz?exclude=shutdown").body == b"ok"
    assert serve.get("/livez").body == b"ok"
    assert serve.get("/api/v1/namespaces").status == 200
    cluster.advance(30)
    stopping.result(10)
    with pytest.raises(OSError):
        serve.get("/livez")
    cluster.cluster = None
    cluster.stop()


def test_a_stopping_server_says_come_back_later(tmp_path):
    """It listens until what is under way is done; only those who watch over it are served."""
    cluster = limited(tmp_path, shutdown_send_retry_after=True)
    serve, (gate, entered) = Server(cluster), blocked(cluster)
    busy = serve.wire()
    busy.send(serve.request("GET", "/slow"))
    assert entered.wait(10)
    plane = cluster.cluster.plane
    stopping = asyncio.run_coroutine_threadsafe(plane.server.stop(), cluster._loop)
    while not plane.handler.ending:
        pass
    answer = serve.get("/api/v1/namespaces")
    assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (429, "5", "close")
    assert answer.body == b"The apiserver is shutting down, please try again later.\n"
    assert serve.get("/readyz").status == 500
    assert serve.get("/livez").status == serve.get("/metrics").status == 200
    assert serve.get("/api/v1/namespaces", User_Agent="kube-apiserver/v1.36").status == 200
    cluster._loop.call_soon_threadsafe(gate.set)
    assert busy.answer().body == b"done"
    stopping.result(10)
    with pytest.raises(OSError):
        serve.get("/livez")
    cluster.stop()


def test_watches_are_ended_over_some_time(tmp_path):
    cluster = limited(tmp_path, shutdown_watch_termination_grace_period=100)
    serve = Server(cluster)
    wires = []
    for _ in range(20):
        wire = serve.wire()
        wire.send(serve.head("GET", "/api/v1/secrets?watch=true"))
        assert wire.head()[0] == 200
        wires.append(wire)
    plane = cluster.cluster.plane
    stopping = asyncio.run_coroutine_threadsafe(plane.server.stop(), cluster._loop)
    cluster.advance(50)
    left = len(plane.handler.lasting)
    assert 2 < left < 18
    cluster.advance(50)
    for wire in wires:
        assert b"".join(wire.chunks()) == b""
    cluster.advance(10)
    stopping.result(10)
    cluster.stop()


def test_what_is_not_done_yet(tmp_path):
    cluster = limited(tmp_path, livez_grace_period=60)
    try:
        serve = Server(cluster)
        cluster.cluster.plane.ready = False
        answer = serve.get("/readyz")
        assert b"[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n" in answer.body
        assert (
            serve.get("/readyz/poststarthook/rbac/bootstrap-roles").body
            == b"internal server error: not finished\n"
        )
        assert serve.get("/livez").status == 200
        assert serve.get("/healthz").status == 500
        cluster.advance(61)
        assert serve.get("/livez").status == 500
        cluster.cluster.plane.ready = True
        assert serve.get("/livez?verbose").body.endswith(b"livez check passed\n")
    finally:
        cluster.stop()


# -- what comes after an Upgrade --------------------------------------------------------------------------------------


def test_requests_after_an_upgrade_that_nobody_wants_are_served(serve: Server):
    upgrade = {"Upgrade": "h2c", "Connection": "Upgrade"}
    with serve.wire() as wire:
        wire.send(serve.request("GET", "/version", **upgrade) + serve.request("GET", "/healthz"))
        assert wire.answer().status == 200
        assert wire.answer().body == b"ok"
        wire.send(serve.request("GET", "/version", **upgrade))
        assert wire.answer().status == 200
        wire.send(serve.request("GET", "/healthz"))
        assert wire.answer().body == b"ok"


def test_what_comes_while_an_upgrade_is_decided_on_waits_for_it(own: TestCluster):
    """Bytes of the new protocol that arrive before the server has answered 101 are not taken for requests."""
    serve = Server(own)
    gate, entered, got = asyncio.Event(), threading.Event(), []

    class Echo(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            got.append(data)
            self.transport.write(data)

    async def upgrade(x):
        entered.set()
        await gate.wait()
        echo = Echo()
        transport, _, become = x.http.upgrade([("connection", "Upgrade"), ("upgrade", "echo")])
        echo.transport = transport
        become(echo)

    own.cluster.plane.handler.paths["/echo"] = upgrade
    with serve.wire() as wire:
        wire.send(serve.request("GET", "/echo", Upgrade="echo", Connection="Upgrade") + b"\x00one ")
        assert entered.wait(10)
        wire.send(b"GET two \x01\r\n\r\n")
        wire.send(b"three!")
        own.advance(0.1)
        own._loop.call_soon_threadsafe(gate.set)
        assert wire.head()[0] == 101
        assert (
            wire.exactly(len(b"\x00one GET two \x01\r\n\r\nthree!")) == b"\x00one GET two \x01\r\n\r\nthree!"
        )
        wire.send(b"four")
        assert wire.exactly(4) == b"four"
