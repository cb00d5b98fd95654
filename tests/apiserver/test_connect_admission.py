"""exec, attach, port-forward and proxies are shown to webhooks as CONNECT, and a webhook may change what is run."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.apiserver.test_streaming import PODS, Server, play
from tests.egress.servers import Authority, WebServer

GROUP = "/apis/admissionregistration.k8s.io/v1"
SERVICES, NODES = "/api/v1/namespaces/default/services", "/api/v1/nodes"


class Hook:
    """A webhook for every connection, of either kind; `response` is what it answers."""

    def __init__(
        self, server: Server, kind: str = "Validating", selector: dict[str, Any] | None = None
    ) -> None:
        self.server, self.kind, self.selector = server, kind, selector or {}
        self.asked: list[dict[str, Any]] = []
        self.response: dict[str, Any] = {"allowed": True}
        self.authority = Authority("hooks")

    async def _answer(self, seen: Any) -> Any:
        review = json.loads(seen.body)
        self.asked.append(review["request"])
        review["response"] = {"uid": review["request"]["uid"], **self.response}
        return 200, {}, json.dumps(review).encode()

    async def __aenter__(self) -> Hook:
        self.web = await WebServer(self.authority.context("127.0.0.1"), self._answer).__aenter__()
        rules = [{"operations": ["CONNECT"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]
        webhook = {
            "name": "hook.example.com",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {
                "url": f"https://127.0.0.1:{self.web.port}",
                "caBundle": self.authority.bundle,
            },
            "rules": rules,
            "namespaceSelector": self.selector,
        }
        kind = f"{self.kind}WebhookConfiguration"
        await self.server.plane.client().create(
            {
                "kind": kind,
                "apiVersion": "admissionregistration.k8s.io/v1",
                "metadata": {"name": "it"},
                "webhooks": [webhook],
            }
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.web.__aexit__()


CONNECTIONS = {
    "exec": (
        f"{PODS}/p/exec?command=ls&command=-l&stdout=true&container=c&stdin=false",
        {
            "kind": "PodExecOptions",
            "apiVersion": "v1",
            "stdout": True,
            "container": "c",
            "command": ["ls", "-l"],
        },
        ("pods", "exec", "p"),
    ),
    "attach": (
        f"{PODS}/p/attach?stdin=true&tty=true",
        {"kind": "PodAttachOptions", "apiVersion": "v1", "stdin": True, "tty": True},
        ("pods", "attach", "p"),
    ),
    "portforward": (
        f"{PODS}/p/portforward?ports=80,81",
        {"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": [80, 81]},
        ("pods", "portforward", "p"),
    ),
    "pod proxy": (
        f"{PODS}/p:80/proxy/a%20b/c/",
        {"kind": "PodProxyOptions", "apiVersion": "v1", "path": "/a b/c/"},
        ("pods", "proxy", "p:80"),
    ),
    "service proxy": (
        f"{SERVICES}/s/proxy",
        {"kind": "ServiceProxyOptions", "apiVersion": "v1"},
        ("services", "proxy", "s"),
    ),
    "node proxy": (
        f"{NODES}/n0/proxy/healthz",
        {"kind": "NodeProxyOptions", "apiVersion": "v1", "path": "/healthz"},
        ("nodes", "proxy", "n0"),
    ),
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_connections_are_shown_and_may_be_refused(name: str) -> None:
    path, options, (resource, subresource, target) = CONNECTIONS[name]

    async def story(server: Server) -> None:
        await server.pod("p")
        async with Hook(server) as hook:
            hook.response = {"allowed": False, "status": {"message": "not from here", "code": 403}}
            status, answer = await server.get(path)
            assert (status, answer["code"]) == (403, 403)
            assert (
                answer["message"] == 'admission webhook "hook.example.com" denied the request: not from here'
            )
            (request,) = hook.asked
            assert request["object"] == options
            assert request["operation"] == "CONNECT" and request["oldObject"] is request["options"] is None
            assert (request["resource"]["resource"], request["subResource"]) == (resource, subresource)
            assert request["name"] == target
            assert request["kind"] == {"group": "", "version": "v1", "kind": options["kind"]}
            assert request["dryRun"] is False

    play(story)


def test_a_webhook_may_change_the_command() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        async with Hook(server, "Mutating") as hook:
            patch = [{"op": "replace", "path": "/command", "value": ["date"]}]
            encoded = base64.b64encode(json.dumps(patch).encode()).decode()
            hook.response = {"allowed": True, "patchType": "JSONPatch", "patch": encoded}
            async with server.websocket(f"{PODS}/p/exec?command=ls&stdout=true&stderr=true") as socket:
                assert (await socket.receive_bytes())[:1] == b"\x01"
            assert server.node.asked == [("c", ["date"], False)]

    play(story)


def test_a_namespace_that_is_not_there() -> None:
    async def story(server: Server) -> None:
        async with Hook(server, selector={"matchLabels": {"x": "y"}}):
            status, answer = await server.get(f"{PODS}/p/exec?command=ls".replace("default", "absent"))
            assert (status, answer["message"]) == (404, 'namespaces "absent" not found')

    play(story)


def test_connections_have_no_dry_run() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        status, answer = await server.get(f"{PODS}/p/exec?command=ls&stdout=true&dryRun=All")
        assert (status, answer["message"]) == (400, "dryRun is not supported")

    play(story)
