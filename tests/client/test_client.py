"""What each method of Client puts on the wire."""

from __future__ import annotations

import asyncio
import json

import pytest

from knarr.client.client import Client, is_conflict, is_not_found, namespace_terminating
from knarr.client.codec import Partial, resource_of
from knarr.client.http import path_of
from knarr.client.inprocess import InProcess
from knarr.client.ratelimit import TokenBucket
from knarr.meta.errors import StatusError, failure

from .fakeapi import PODS, pod

APPLY = "application/apply-patch+yaml"
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}}


class Recorder:
    """An API that answers everything with an empty object."""

    def __init__(self):
        self.calls = []

    async def call(self, call):
        self.calls.append(call)
        return b'{"metadata":{"name":"d","resourceVersion":"5"},"status":{"token":"t"}}'


def the_pod():
    return pod("p", "n", uid="u")


@pytest.mark.parametrize(
    ("ask", "wire"),
    [
        (lambda c: c.get(PODS, "p", "n"), ("get", "pods", "n", "p", "", {}, None)),
        (
            lambda c: c.get(PODS, "p", "n", resource_version="0"),
            ("get", "pods", "n", "p", "", {"resourceVersion": "0"}, None),
        ),
        (
            lambda c: c.list(PODS, label_selector="a=b", limit=3, continue_="x"),
            ("list", "pods", "", "", "", {"labelSelector": "a=b", "limit": "3", "continue": "x"}, None),
        ),
        (
            lambda c: c.create(the_pod(), PODS, dry_run=True),
            ("create", "pods", "n", "", "", {"fieldManager": "me", "dryRun": "All"}, the_pod()),
        ),
        (
            lambda c: c.update(DEPLOYMENT),
            ("update", "deployments", "n", "d", "", {"fieldManager": "me"}, DEPLOYMENT),
        ),
        (
            lambda c: c.update_status(DEPLOYMENT),
            ("update", "deployments", "n", "d", "status", {"fieldManager": "me"}, DEPLOYMENT),
        ),
        (
            lambda c: c.apply(DEPLOYMENT, "you", force=True),
            ("patch", "deployments", "n", "d", "", {"fieldManager": "you", "force": "true"}, DEPLOYMENT),
        ),
        (
            lambda c: c.delete(PODS, "p", "n", propagation="Orphan", grace=0),
            (
                "delete",
                "pods",
                "n",
                "p",
                "",
                {},
                {
                    "apiVersion": "v1",
                    "kind": "DeleteOptions",
                    "propagationPolicy": "Orphan",
                    "gracePeriodSeconds": 0,
                },
            ),
        ),
        (lambda c: c.delete(PODS, "p", "n"), ("delete", "pods", "n", "p", "", {}, None)),
        (
            lambda c: c.delete(the_pod()),
            (
                "delete",
                "pods",
                "n",
                "p",
                "",
                {},
                {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u"}},
            ),
        ),
        (
            lambda c: c.delete_collection(PODS, "n", "a=b"),
            ("deletecollection", "pods", "n", "", "", {"labelSelector": "a=b"}, None),
        ),
        (
            lambda c: c.scale(resource_of(DEPLOYMENT), "d", "n", 3),
            ("patch", "deployments", "n", "d", "scale", {"fieldManager": "me"}, {"spec": {"replicas": 3}}),
        ),
        (
            lambda c: c.bind(the_pod(), "node"),
            (
                "create",
                "pods",
                "n",
                "p",
                "binding",
                {"fieldManager": "me"},
                {
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"name": "p", "namespace": "n", "uid": "u"},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": "node"},
                },
            ),
        ),
        (
            lambda c: c.evict(the_pod(), grace=5),
            (
                "create",
                "pods",
                "n",
                "p",
                "eviction",
                {"fieldManager": "me"},
                {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": "p", "namespace": "n"},
                    "deleteOptions": {"preconditions": {"uid": "u"}, "gracePeriodSeconds": 5},
                },
            ),
        ),
        (
            lambda c: c.create_token("sa", "n", ("a",), 600, the_pod()),
            (
                "create",
                "serviceaccounts",
                "n",
                "sa",
                "token",
                {},
                {
                    "apiVersion": "authentication.k8s.io/v1",
                    "kind": "TokenRequest",
                    "spec": {
                        "audiences": ["a"],
                        "expirationSeconds": 600,
                        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"},
                    },
                },
            ),
        ),
        (
            lambda c: c.logs("p", "n", "c", tailLines=5, previous=True),
            ("get", "pods", "n", "p", "log", {"container": "c", "tailLines": "5", "previous": "true"}, None),
        ),
    ],
)
def test_on_the_wire(run, world, ask, wire):
    recorder = Recorder()
    run(ask(Client(InProcess(recorder), "me", world=world)))
    (call,) = recorder.calls
    body = json.loads(call.body) if call.body else None
    resource = call.resource.name
    assert (call.verb, resource, call.namespace, call.name, call.subresource, dict(call.query), body) == wire


@pytest.mark.parametrize(
    ("kind", "body", "content_type"),
    [
        ("json", [{"op": "remove", "path": "/a"}], "application/json-patch+json"),
        ("merge", {"a": None}, "application/merge-patch+json"),
        ("strategic", {"a": 1}, "application/strategic-merge-patch+json"),
        ("apply", {"a": 1}, APPLY),
    ],
)
def test_patch_types(run, world, kind, body, content_type):
    recorder = Recorder()
    run(Client(InProcess(recorder), "me", world=world).patch(PODS, "p", "n", body, kind))
    assert (recorder.calls[0].content_type, json.loads(recorder.calls[0].body)) == (content_type, body)


def test_who_asks_is_told_to_the_server(run, world):
    recorder = Recorder()
    run(Client(InProcess(recorder, "system:node:n", ("system:nodes",)), world=world).get(PODS, "p", "n"))
    assert (recorder.calls[0].user, recorder.calls[0].groups) == ("system:node:n", ("system:nodes",))


def test_pages_cover_a_list(run, client):
    async def main():
        for number in range(7):
            await client.create(pod(f"p{number}"), PODS)
        sizes, names = [], []
        async for page in client.pages(PODS, limit=3):
            sizes.append(len(page.items))
            names += [item["metadata"]["name"] for item in page.items]
        assert sizes == [3, 3, 1]
        assert names == [f"p{number}" for number in range(7)]
        everything = await client.list(PODS)
        assert (len(everything.items), everything.resource_version) == (7, "7")
        partial = await client.list(Partial(PODS), limit=1)
        assert (partial.items[0].metadata.name, partial.continue_) == ("p0", "1")

    run(main())


def test_watch_ends_at_its_timeout(run, client, loop):
    async def main():
        await client.create(pod("a"), PODS)
        seen = [type_ async for type_, _ in client.watch(PODS, timeout_seconds=7)]
        return seen, loop.time()

    assert run(main()) == (["ADDED"], 7.0)


def test_watch_from_a_version(run, client):
    async def main():
        for name in "abc":
            await client.create(pod(name), PODS)
        return [
            obj["metadata"]["name"]
            async for _, obj in client.watch(PODS, resource_version="1", timeout_seconds=1)
        ]

    assert run(main()) == ["b", "c"]


def test_the_limiter_spreads_requests(run, api, world, loop):
    async def main():
        client = Client(InProcess(api), limiter=TokenBucket(2, 2), world=world)
        await asyncio.gather(*(client.list(PODS) for _ in range(6)))
        return loop.time()

    assert run(main()) == pytest.approx(2.0)


def test_errors_have_names():
    cause = {"reason": "NamespaceTerminating"}
    assert namespace_terminating(StatusError(failure(403, "Forbidden", "", {"causes": [cause]})))
    assert not namespace_terminating(StatusError(failure(403, "Forbidden", "")))
    assert is_conflict(StatusError(failure(409, "Conflict", "")))
    assert not is_conflict(StatusError(failure(409, "AlreadyExists", "")))
    assert is_not_found(StatusError(failure(404, "NotFound", "")))
    assert not is_not_found(ValueError())


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ((PODS, "n", "p", "log"), "/api/v1/namespaces/n/pods/p/log"),
        ((PODS,), "/api/v1/pods"),
        ((resource_of(DEPLOYMENT), "n"), "/apis/apps/v1/namespaces/n/deployments"),
        (
            (resource_of({"apiVersion": "v1", "kind": "Node"}), "ignored", "a/b"),
            "/api/v1/nodes/a%2Fb",
        ),
    ],
)
def test_paths(args, path):
    assert path_of(*args) == path


def test_an_unknown_kind_is_named():
    with pytest.raises(LookupError, match="example.com/v1 Widget"):
        resource_of({"apiVersion": "example.com/v1", "kind": "Widget"})
