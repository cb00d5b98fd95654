"""What the audit log says of requests: real ones over HTTP, and those of clients in the server's process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from knarr.api import catalog
from knarr.apiserver.audit.backends import Buffered, Failures, Truncated
from knarr.apiserver.audit.logfile import LogFile
from knarr.apiserver.audit.options import (
    AuditError,
    AuditOptions,
    Batching,
    LogOptions,
    Truncating,
    WebhookOptions,
)
from knarr.apiserver.http import BODY_BYTES_MAX
from knarr.meta.errors import StatusError
from knarr.testing import TestCluster
from knarr.world import World

from ..auth.memory_reader import LoopClock, run
from .conftest import Server, configmap

RULES = [
    {"level": "None", "nonResourceURLs": ["/livez*"]},
    {"level": "RequestResponse", "resources": [{"group": "", "resources": ["configmaps", "pods/*"]}]},
    {
        "level": "Request",
        "resources": [{"group": "", "resources": ["secrets"]}],
        "omitStages": ["RequestReceived"],
    },
    {"level": "Metadata"},
]


class Audited:
    """A server with an audit log, and what is new in that."""

    def __init__(self, directory: Path, rules: list[dict[str, Any]], **settings: Any) -> None:
        policy = directory / "policy.yaml"
        policy.write_text(yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
        self.path = directory / "audit.log"
        log = LogOptions(str(self.path), **settings.pop("log", {}))
        options = AuditOptions(str(policy), log, **settings.pop("audit", {}))
        self.cluster = TestCluster(
            directory, controllers=False, scheduler=False, nodes=0, seed=1, audit=options, **settings
        )
        self.cluster.start()
        self.serve = Server(self.cluster)
        self._read = 0
        self.serve.get("/livez")

    def new(self) -> list[dict[str, Any]]:
        """The events since the last time, without the server's own. Requests are recorded before the connection is
        served again."""
        self.serve.get("/livez")
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        fresh, self._read = lines[self._read :], len(lines)
        events = [json.loads(line) for line in fresh]
        return [event for event in events if event["user"].get("username") != "system:apiserver"]

    def one(self, stage: str = "ResponseComplete") -> dict[str, Any]:
        """The event of a stage of the one request since the last time."""
        (event,) = [event for event in self.new() if event["stage"] == stage]
        return event


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    server = Audited(tmp_path_factory.mktemp("audit"), RULES)
    yield server
    server.cluster.stop()


CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def test_a_write_from_its_arrival_to_its_answer(audited: Audited):
    answer = audited.serve("POST", CONFIGMAPS, configmap("written", key="value"))
    received, complete = audited.new()
    assert (received["stage"], complete["stage"]) == ("RequestReceived", "ResponseComplete")
    assert received["auditID"] == complete["auditID"] == answer.headers["audit-id"]
    assert list(complete) == [
        *("kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user", "sourceIPs"),
        *("userAgent", "objectRef", "responseStatus", "requestObject", "responseObject"),
        *("requestReceivedTimestamp", "stageTimestamp", "annotations"),
    ]
    assert (complete["kind"], complete["apiVersion"], complete["level"]) == (
        "Event",
        "audit.k8s.io/v1",
        "RequestResponse",
    )
    assert (complete["requestURI"], complete["verb"]) == (CONFIGMAPS, "create")
    assert complete["user"] == {
        "username": "admin",
        "uid": "admin",
        "groups": ["system:masters", "system:authenticated"],
    }
    assert (complete["sourceIPs"], complete["userAgent"]) == (["127.0.0.1"], "tests/1")
    # the name comes with the body
    where = {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
    assert received["objectRef"] == where
    assert complete["objectRef"] == {**where, "name": "written"}
    assert "responseStatus" not in received
    assert complete["responseStatus"] == {"metadata": {}, "code": 201}
    assert "requestObject" not in received
    assert complete["requestObject"]["data"] == complete["responseObject"]["data"] == {"key": "value"}
    assert "uid" not in complete["requestObject"]["metadata"]
    assert complete["responseObject"] == answer.json
    assert received["stageTimestamp"] == received["requestReceivedTimestamp"]
    assert complete["stageTimestamp"] >= complete["requestReceivedTimestamp"]
    assert len(complete["stageTimestamp"]) == len("2026-01-02T03:04:05.000006Z")
    assert complete["annotations"] == {
        "authorization.k8s.io/decision": "allow",
        "authorization.k8s.io/reason": "",
    }


def test_the_callers_own_id(audited: Audited):
    answer = audited.serve.get(f"{CONFIGMAPS}/none", Audit_ID="of-my-own")
    assert answer.headers["audit-id"] == "of-my-own"
    assert {event["auditID"] for event in audited.new()} == {"of-my-own"}


def test_every_answer_has_an_id_even_without_a_policy(serve: Server):
    ids = {
        serve.get(path, **headers).headers["audit-id"]
        for path in ("/api/v1/nodes", "/healthz", "/nowhere", "/api/v1/nodes/none")
        for headers in ({}, {"Authorization": "Bearer wrong"})
    }
    assert len(ids) == 8


def test_errors_are_told_in_full(audited: Audited):
    audited.serve.get(f"{CONFIGMAPS}/none?pretty=1")
    event = audited.one()
    assert event["requestURI"] == f"{CONFIGMAPS}/none?pretty=1"
    assert event["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "kind": "configmaps"},
        "code": 404,
    }
    assert event["responseObject"]["kind"] == "Status"


def test_representations_are_recorded_as_json(audited: Audited):
    audited.serve.get(CONFIGMAPS, "application/json;as=Table;v=v1;g=meta.k8s.io")
    assert audited.one()["responseObject"]["kind"] == "Table"
    audited.serve.get(CONFIGMAPS, "application/vnd.kubernetes.protobuf")
    assert audited.one()["responseObject"]["kind"] == "ConfigMapList"
    audited.serve.get(CONFIGMAPS, "application/yaml")
    assert audited.one()["responseObject"]["kind"] == "ConfigMapList"


def test_large_lists_too(audited: Audited):
    for number in range(120):
        audited.serve("POST", CONFIGMAPS, configmap(f"many-{number}"))
    audited.new()
    answer = audited.serve.get(CONFIGMAPS)
    assert len(answer.json["items"]) >= 120
    assert audited.one()["responseObject"] == answer.json


def test_secrets_as_the_policy_says(audited: Audited):
    """Level Request has what was sent, not what was answered; the stage that the rule omits is not there."""
    secret = {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    audited.serve("POST", "/api/v1/namespaces/default/secrets", secret)
    (event,) = audited.new()
    assert (event["level"], event["stage"]) == ("Request", "ResponseComplete")
    assert event["requestObject"]["data"] == {"password": "aHVudGVyMg=="}
    assert "responseObject" not in event


def test_metadata_has_no_objects_but_names_them(audited: Audited):
    body = {"metadata": {"name": "team", "uid": ""}}
    audited.serve("POST", "/api/v1/namespaces", body)
    event = audited.one()
    assert event["objectRef"] == {"resource": "namespaces", "name": "team", "apiVersion": "v1"}
    assert not {"requestObject", "responseObject"} & set(event)


def test_versions_and_uids_that_the_body_has(audited: Audited):
    made = audited.serve("POST", CONFIGMAPS, configmap("known")).json
    audited.new()
    audited.serve("PUT", f"{CONFIGMAPS}/known", made)
    metadata = made["metadata"]
    assert audited.one()["objectRef"] == {
        "resource": "configmaps",
        "namespace": "default",
        "name": "known",
        "uid": metadata["uid"],
        "apiVersion": "v1",
        "resourceVersion": metadata["resourceVersion"],
    }


def test_patches_and_deletions(audited: Audited):
    audited.serve("POST", CONFIGMAPS, configmap("patched"))
    audited.new()
    path = f"{CONFIGMAPS}/patched"
    audited.serve("PATCH", path, {"data": {"a": "b"}}, Content_Type="application/merge-patch+json")
    assert audited.one()["requestObject"] == {"data": {"a": "b"}}
    apply = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: patched}\n"
    audited.serve("PATCH", f"{path}?fieldManager=me", apply, Content_Type="application/apply-patch+yaml")
    assert audited.one()["requestObject"]["kind"] == "ConfigMap"
    audited.serve("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
    event = audited.one()
    assert event["requestObject"] == {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
    assert (event["responseStatus"]["status"], event["responseStatus"]["code"]) == ("Success", 200)


def test_who_is_nobody(audited: Audited):
    """A refused sender leaves one event: the beginning of the answer."""
    audited.serve.get("/api/v1/nodes", Authorization="Bearer wrong")
    (event,) = audited.new()
    assert (event["stage"], event["user"]) == ("ResponseStarted", {})
    assert event["responseStatus"]["reason"] == "Unauthorized"
    audited.serve.get("/api/v1/nodes?timeout=soon")
    (event,) = audited.new()
    assert (event["stage"], event["user"], event["responseStatus"]["code"]) == ("ResponseStarted", {}, 400)


def test_who_may_not(audited: Audited):
    audited.serve.get("/api/v1/nodes", Authorization="")
    event = audited.one()
    assert event["user"] == {"username": "system:anonymous", "groups": ["system:unauthenticated"]}
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert (event["responseStatus"]["reason"], event["responseStatus"]["code"]) == ("Forbidden", 403)
    audited.serve.get("/version", Authorization="")
    notes = audited.one()["annotations"]
    assert notes["authorization.k8s.io/decision"] == "allow"
    assert notes["authorization.k8s.io/reason"].startswith(
        'RBAC: allowed by ClusterRoleBinding "system:public-info'
    )


def test_as_somebody_else(audited: Audited):
    audited.serve.get(
        "/api/v1/nodes", Impersonate_User="jane", Impersonate_Group="a", Impersonate_Extra_Why="x"
    )
    event = audited.one()
    assert event["user"]["username"] == "admin"
    assert event["impersonatedUser"] == {
        "username": "jane",
        "groups": ["a", "system:authenticated"],
        "extra": {"why": ["x"]},
    }
    assert event["responseStatus"]["code"] == 403


def test_a_watch_has_a_beginning_and_an_end(audited: Audited):
    with audited.serve.wire() as wire:
        wire.send(audited.serve.head("GET", f"{CONFIGMAPS}?watch=true&timeoutSeconds=1&resourceVersion=1"))
        assert wire.head()[0] == 200
        begun = audited.new()
        assert [(e["verb"], e["stage"]) for e in begun] == [
            ("watch", "RequestReceived"),
            ("watch", "ResponseStarted"),
        ]
        assert begun[1]["responseStatus"] == {"metadata": {}, "code": 200}
        list(wire.chunks())
    event = audited.one()
    assert (event["verb"], event["auditID"]) == ("watch", begun[0]["auditID"])


def test_long_user_agents_are_cut(audited: Audited):
    audited.serve.get("/version", User_Agent="x" * 2000)
    assert audited.one()["userAgent"] == "x" * 1024 + "...TRUNCATED"


def test_deprecated_kinds_and_pod_security(audited: Audited):
    audited.serve.get("/api/v1/namespaces/default/endpoints")
    assert audited.one()["annotations"]["k8s.io/deprecated"] == "true"
    labels = {"pod-security.kubernetes.io/audit": "restricted"}
    audited.serve("POST", "/api/v1/namespaces", {"metadata": {"name": "safe", "labels": labels}})
    audited.serve("POST", "/api/v1/namespaces/safe/serviceaccounts", {"metadata": {"name": "default"}})
    audited.new()
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    assert audited.serve("POST", "/api/v1/namespaces/safe/pods", pod).status == 201
    notes = audited.one()["annotations"]
    assert notes["pod-security.kubernetes.io/enforce-policy"] == "privileged:latest"
    assert notes["pod-security.kubernetes.io/audit-violations"].startswith(
        'would violate PodSecurity "restricted:latest"'
    )


def test_clients_of_this_process_are_recorded_as_if_they_came_over_loopback(audited: Audited):
    user = "system:serviceaccount:kube-system:job-controller"
    client = audited.cluster.cluster.client(user, ("system:serviceaccounts",), "knarr/job")
    row = catalog.BY_GVR["", "v1", "configmaps"]

    async def use() -> None:
        request = client.transport.request
        await request("create", row, "default", body=json.dumps(configmap("inside")).encode())
        with pytest.raises(StatusError):
            await request("get", row, "default", "none")

    audited.cluster.run(use())
    events = [event for event in audited.new() if event["stage"] == "ResponseComplete"]
    assert [(e["verb"], e["responseStatus"]["code"]) for e in events] == [("create", 201), ("get", 404)]
    assert events[0]["user"] == {"username": user, "groups": ["system:serviceaccounts"]}
    assert (events[0]["sourceIPs"], events[0]["userAgent"]) == (["127.0.0.1"], "knarr/job")
    assert events[0]["requestURI"] == CONFIGMAPS
    assert events[0]["objectRef"]["name"] == events[0]["responseObject"]["metadata"]["name"] == "inside"


def test_watches_of_this_process(audited: Audited):
    client = audited.cluster.cluster.client("system:kube-scheduler")
    row = catalog.BY_GVR["", "v1", "configmaps"]

    async def use() -> None:
        subscription = await client.transport.subscribe(
            row, "", "", "", None, lambda batch: None, lambda why: None
        )
        subscription.close()

    audited.cluster.run(use())
    events = audited.new()
    assert [(e["verb"], e["stage"]) for e in events] == [
        ("watch", "RequestReceived"),
        ("watch", "ResponseStarted"),
        ("watch", "ResponseComplete"),
    ]
    assert events[0]["user"]["username"] == "system:kube-scheduler"


def test_a_panic(audited: Audited):
    async def broken(x):
        raise RuntimeError("oh no")

    handler = audited.cluster.cluster.plane.handler
    handler.paths["/broken"] = broken
    assert audited.serve.get("/broken").status == 500
    event = audited.one("Panic")
    assert event["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": "APIServer panic'd: oh no",
        "reason": "InternalError",
        "code": 500,
    }


def test_who_goes_away_while_he_is_answered_is_no_panic(audited: Audited, caplog):
    large = "x" * 100_000
    root = "/api/v1/namespaces/team/secrets"
    audited.serve("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
    for number in range(110):
        body = {"metadata": {"name": f"s{number}"}, "stringData": {"a": large}}
        assert audited.serve("POST", root, body).status == 201
    audited.new()
    with audited.serve.wire() as wire:
        wire.send(audited.serve.request("GET", root))
        assert wire.head()[0] == 200
    deadline = 200
    while not (found := audited.new()) and deadline:
        deadline -= 1
    assert [(e["verb"], e["stage"]) for e in found] == [("list", "ResponseComplete")]
    assert "panic" not in caplog.text


def test_slow_requests_tell_where_the_time_went(audited: Audited):
    handler = audited.cluster.cluster.plane.handler

    async def slow(x):
        await audited.cluster._loop.skip(0.7)
        handler.responder.text(x, 200, "at last")

    handler.paths["/slow"] = slow
    audited.serve.get("/slow")
    notes = audited.one()["annotations"]
    assert {"apiserver.latency.k8s.io/total", "apiserver.latency.k8s.io/authorization"} <= set(notes)
    assert notes["apiserver.latency.k8s.io/total"].startswith("7")
    assert notes["apiserver.latency.k8s.io/total"].endswith("ms")


def test_its_numbers(audited: Audited):
    text = audited.serve.get("/metrics").body.decode()
    assert "\napiserver_audit_event_total " in text
    assert '\napiserver_audit_level_total{level="RequestResponse"} ' in text
    assert "\napiserver_audit_requests_rejected_total 0" in text


def test_bodies_that_are_too_large(audited: Audited):
    """Who may not is told that first; both are recorded."""
    audited.new()
    huge = b"x" * (BODY_BYTES_MAX + 1)
    assert audited.serve("POST", CONFIGMAPS, huge, Authorization="").status == 403
    assert audited.one()["responseStatus"]["code"] == 403
    assert audited.serve("POST", CONFIGMAPS, huge).status == 413
    status = audited.one()["responseStatus"]
    assert (status["reason"], status["message"]) == (
        "RequestEntityTooLarge",
        f"Request entity too large: limit is {BODY_BYTES_MAX}",
    )


# -- modes and backends ------------------------------------------------------------------------------------------


def test_a_strict_log_that_cannot_be_written_stops_requests(tmp_path):
    server = Audited(tmp_path, [{"level": "Metadata", "verbs": ["list"]}], log={"mode": "blocking-strict"})
    try:
        assert server.serve.get("/api/v1/nodes").status == 200
        assert len(server.new()) == 2
        backend = server.cluster.cluster.plane.handler.auditor._backend

        def full(data: bytes) -> None:
            raise OSError("no space left on device")

        backend._sink.write = full
        answer = server.serve.get("/api/v1/nodes?limit=1")
        assert (answer.status, answer.body) == (
            500,
            b'Internal Server Error: "/api/v1/nodes?limit=1": failed to store audit event\n',
        )
        # what is not recorded is served
        assert server.serve.get("/version").status == 200
        text = server.serve.get("/metrics").body.decode()
        assert "apiserver_audit_requests_rejected_total 1" in text
        assert 'apiserver_audit_error_total{plugin="log"} 1' in text
    finally:
        server.cluster.stop()


def test_a_log_that_may_fail_does_not(tmp_path):
    server = Audited(tmp_path, [{"level": "Metadata"}], log={"format": "legacy"})
    try:
        server.serve.get("/api/v1/nodes")
        assert 'AUDIT: id="' in server.path.read_text()

        def full(data: bytes) -> None:
            raise OSError("no space left on device")

        server.cluster.cluster.plane.handler.auditor._backend._inner._sink.write = full
        assert server.serve.get("/api/v1/nodes").status == 200
    finally:
        server.cluster.stop()


class Receiver:
    """A webhook that keeps what it is sent, and fails `failures` times first."""

    def __init__(self, directory: Path, failures: int = 0) -> None:
        self.lists: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.arrived = threading.Event()
        receiver = self
        receiver.failures = failures

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.failures:
                    receiver.failures -= 1
                    self.send_error(500)
                    return
                receiver.paths.append(self.path)
                receiver.lists.append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.arrived.set()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.config = directory / "webhook.kubeconfig"
        url = f"http://127.0.0.1:{self.server.server_port}/sink"
        self.config.write_text(
            json.dumps(
                {
                    "clusters": [{"name": "c", "cluster": {"server": url}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": ""}}],
                    "current-context": "x",
                }
            )
        )


@pytest.mark.parametrize("mode", ["batch", "blocking"])
def test_a_webhook_gets_lists(tmp_path, mode):
    receiver = Receiver(tmp_path, failures=1)
    webhook = WebhookOptions(
        str(receiver.config),
        mode=mode,
        initial_backoff_seconds=0.01,
        batching=Batching(max_size=2, max_wait_seconds=0.05),
    )
    server = Audited(tmp_path, [{"level": "Metadata", "verbs": ["list"]}], audit={"webhook": webhook})
    try:
        server.serve.get("/api/v1/nodes")
        assert receiver.arrived.wait(10)
    finally:
        server.cluster.stop()
        receiver.server.shutdown()
    # what was waiting was sent before the end
    items = [item for found in receiver.lists for item in found["items"]]
    assert [item["stage"] for item in items] == ["RequestReceived", "ResponseComplete"]
    assert "kind" not in items[0]
    assert {(found["kind"], found["apiVersion"]) for found in receiver.lists} == {
        ("EventList", "audit.k8s.io/v1")
    }
    assert set(receiver.paths) == {"/sink?timeout=30s"}
    # and the file has them too
    assert len(server.path.read_text().splitlines()) == 2


def test_a_log_that_cannot_be_opened(tmp_path):
    (tmp_path / "audit.log").mkdir()
    with pytest.raises(AuditError) as error:
        Audited(tmp_path, [{"level": "None"}])
    assert str(error.value) == f"ensureLogFile: open {tmp_path}/audit.log: is a directory"


def test_a_webhook_whose_file_is_not_there(tmp_path):
    webhook = WebhookOptions(str(tmp_path / "none"))
    with pytest.raises(AuditError, match="initializing audit webhook: .*none"):
        Audited(tmp_path, [{"level": "None"}], audit={"webhook": webhook})


class Kept:
    """A backend that remembers."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []

    def send(self, events):
        self.batches.append(events)
        return True

    async def close(self) -> None:
        pass


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "auditID": str(number),
        "stage": "Panic",
        "verb": "get",
        "requestURI": "/",
        "level": "Request",
        "requestReceivedTimestamp": "2026-01-02T03:04:05.000000Z",
        **more,
    }


def test_batches_go_out_when_full_or_old_and_not_too_often():
    async def go():
        kept, failures = Kept(), Failures()
        batching = Batching(buffer_size=5, max_size=2, max_wait_seconds=10, qps=1, burst=1)
        buffered = Buffered(kept, batching, failures, World(LoopClock()))
        buffered.send([event(1)])
        await asyncio.sleep(9)
        assert kept.batches == []
        await asyncio.sleep(1.1)
        assert [len(batch) for batch in kept.batches] == [1]
        buffered.send([event(n) for n in range(4)])
        await asyncio.sleep(0.1)
        # no token is left from the ten seconds before
        assert [len(batch) for batch in kept.batches] == [1]
        await asyncio.sleep(3)
        assert [len(batch) for batch in kept.batches] == [1, 2, 2]
        # what comes while the buffer is full is lost and counted
        assert buffered.send([event(n) for n in range(7)])
        assert failures.counts == {"buffered": 2}
        await buffered.close()
        assert sum(map(len, kept.batches)) == 10
        assert not buffered.send([event(9)])

    run(go())


def test_large_events_are_cut_and_large_batches_split():
    kept, failures = Kept(), Failures()
    limits = Truncating(True, max_batch_bytes=900, max_event_bytes=400)
    large = event(1, requestObject={"data": "x" * 500}, annotations={"a": "b"})
    hopeless = event(2, level="Metadata", requestURI="/" + "x" * 500)
    assert Truncated(kept, limits, failures).send([large, hopeless, *[event(n) for n in range(3, 10)]])
    assert [len(batch) for batch in kept.batches] == [6, 2]
    cut = kept.batches[0][0]
    assert "requestObject" not in cut
    assert cut["annotations"] == {"a": "b", "audit.k8s.io/truncated": "true"}
    assert failures.counts == {"truncate": 1}


class HandClock:
    def __init__(self) -> None:
        self.time = 1_790_000_000.0

    def now(self) -> float:
        return self.time

    monotonic = now


def test_files_are_rotated_kept_and_compressed(tmp_path):
    clock = HandClock()
    path = tmp_path / "logs" / "audit.log"
    log = LogFile(str(path), clock, max_size=1, max_backups=2, max_age=1, compress=True)
    half = b"x" * 600_000 + b"\n"
    for _ in range(5):
        log.write(half)
        clock.time += 1.5
    names = sorted(entry.name for entry in path.parent.iterdir())
    assert [name for name in names if name != "audit.log"] == [
        "audit-2026-09-21T14-13-24.500.log.gz",
        "audit-2026-09-21T14-13-26.000.log.gz",
    ]
    assert path.stat().st_size == len(half)
    assert path.stat().st_mode & 0o777 == 0o600
    clock.time += 3 * 86400
    log.write(half)
    backups = [entry.name for entry in path.parent.iterdir() if entry.name != "audit.log"]
    assert len(backups) == 1
    with pytest.raises(OSError, match="exceeds maximum file size"):
        log.write(b"x" * 2_000_000)
    log.close()
    again = LogFile(str(path), clock)
    again.write(b"more\n")
    again.close()
    assert path.read_bytes().endswith(b"\nmore\n")
