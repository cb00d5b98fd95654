"""Overload and the end: a server that says no keeps answering, and one that stops ends everything it began."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

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
