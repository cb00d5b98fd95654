"""The streaming subresources over real sockets: logs, exec, attach, port-forward and proxies, with clients of
nobody's making here (the official Python client, aiohttp's WebSocket, kubectl where there is one)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.nodeapi import Exit, LogOptions, NodeError, Terminal
from knarr.api.types import core_v1
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.store.memory import MemoryStore
from knarr.world import World

PODS = "/api/v1/namespaces/default/pods"
WEBSOCKETS = ["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "channel.k8s.io"]


class Node:
    """A node that says what it was asked; `port` is where its pods listen."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.resized: list[tuple[int, int]] = []
        self.port = 0

    async def logs(self, namespace: str, name: str, options: LogOptions) -> AsyncIterator[bytes]:
        self.asked.append(options)
        if options.previous:
            raise NodeError(f'previous terminated container "{options.container}" in pod "{name}" not found')
        yield b"one\n"
        if options.follow:
            for n in range(3):
                await asyncio.sleep(0.01)
                yield b"follow %d\n" % n

    async def exec(
        self, namespace: str, name: str, container: str, command: list[str], terminal: Terminal
    ) -> Exit:
        self.asked.append((container, command, terminal.tty))
        if command == ["missing"]:
            raise NodeError(f'container not found ("{container}")', 500)
        await terminal.write(1, b"out")
        await terminal.write(2, b"err")
        if terminal.stdin is not None:
            while data := await terminal.stdin.get():
                await terminal.write(1, b"<" + data + b">")
                if data.endswith(b"exit"):
                    break
        while not terminal.resizes.empty():
            self.resized.append(terminal.resizes.get_nowait())
        return Exit(int(command[1])) if command[0] == "exit" else Exit()

    async def attach(self, namespace: str, name: str, container: str, terminal: Terminal) -> Exit:
        await terminal.write(1, b"attached to " + container.encode())
        return Exit()

    async def dial(
        self, namespace: str, name: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if port != 80:
            raise NodeError(f"nothing listens on {port}", 500)
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def http(self, path: str, query: dict[str, str]) -> tuple[int, str, bytes]:
        return 200, "text/plain", path.encode()


class Server:
    """A control plane on a socket with one scripted node."""

    def __init__(self, plane: ControlPlane, node: Node, session: aiohttp.ClientSession) -> None:
        self.plane, self.node, self.session = plane, node, session
        self.url = plane.url

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path, params=query, allow_redirects=False) as answer:
            body = await answer.read()
            kind = answer.headers.get("content-type", "")
            return answer.status, json.loads(body) if "json" in kind else body

    @asynccontextmanager
    async def websocket(self, path: str, protocol: str = "v5.channel.k8s.io") -> Any:
        async with self.session.ws_connect(self.url + path, protocols=(protocol,)) as socket:
            yield socket

    async def pod(self, name: str, *containers: str, node: str = "n0", **more: Any) -> None:
        spec = {
            "nodeName": node,
            "containers": [{"name": c, "image": "i"} for c in containers or ("c",)],
            **more,
        }
        await self.plane.client().create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "default"},
                "spec": spec,
            }
        )


Story = Callable[[Server], Coroutine[Any, Any, None]]


def play(story: Story) -> None:
    async def main() -> None:
        world = World()
        plane = ControlPlane(Config(admin_token="T"), world, MemoryStore(world))
        await plane.start()
        client = plane.client()
        account = {"metadata": {"name": "default", "namespace": "default"}}
        await client.create({"apiVersion": "v1", "kind": "ServiceAccount", **account})
        await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n0"}})
        node = Node()
        plane.nodes.register("n0", node)
        connector = aiohttp.TCPConnector(ssl=_context())
        headers = {"Authorization": "Bearer T"}
        try:
            async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
                await story(Server(plane, node, session))
        finally:
            await plane.stop()

    asyncio.run(main())


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


# -- logs -------------------------------------------------------------------------------------------------------------


def test_logs() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        assert await server.get(f"{PODS}/p/log") == (200, b"one\n")
        assert await server.get(f"{PODS}/p/log", follow="true") == (
            200,
            b"one\nfollow 0\nfollow 1\nfollow 2\n",
        )
        await server.get(f"{PODS}/p/log", tailLines="5", timestamps="true", sinceSeconds="9", limitBytes="7")
        assert server.node.asked[-1] == LogOptions(
            "c", timestamps=True, tail_lines=5, since_seconds=9, limit_bytes=7
        )

    play(story)


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            {},
            400,
            "a container name must be specified for pod p, choose one of: [i a b]",
        ),
        ({"container": "x"}, 400, "container x is not valid for pod p"),
        (
            {"container": "a", "previous": "true"},
            400,
            'previous terminated container "a" in pod "p" not found',
        ),
        ({"container": "a", "tailLines": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            {"container": "a", "limitBytes": "0"},
            422,
            'PodLogOptions "p" is invalid: limitBytes: Invalid value: 0: must be greater than 0',
        ),
        (
            {"container": "a", "tailLines": "-1", "sinceSeconds": "0"},
            422,
            'PodLogOptions "p" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0,'
            " sinceSeconds: Invalid value: 0: must be greater than 0]",
        ),
        (
            {"container": "a", "stream": "Stdout"},
            422,
            'PodLogOptions "p" is invalid: stream: Forbidden: may not be specified',
        ),
    ],
)
def test_logs_refused(query: dict[str, str], code: int, message: str) -> None:
    async def story(server: Server) -> None:
        await server.pod("p", "a", "b", initContainers=[{"name": "i", "image": "i"}])
        status, body = await server.get(f"{PODS}/p/log", **query)
        assert (status, body["message"], body["code"]) == (code, message, code)

    play(story)


def test_pods_without_a_node_and_nodes_without_a_kubelet() -> None:
    async def story(server: Server) -> None:
        await server.pod("r", node="")
        await server.pod("q", node="elsewhere")
        assert await server.get(f"{PODS}/r/log") == (204, b"")
        status, body = await server.get(f"{PODS}/q/log")
        assert (status, body["message"]) == (404, 'pods "elsewhere" not found')
        status, body = await server.get(f"{PODS}/r/exec", command="ls", stdout="true")
        assert (status, body["message"]) == (400, "pod r does not have a host assigned")
        status, body = await server.get(f"{PODS}/r/portforward")
        assert (status, body["message"]) == (400, "pod r does not have a host assigned")
        for ports, why in (
            ("80,x", 'parsing "x": invalid syntax'),
            ("65536", 'parsing "65536": value out of range'),
        ):
            status, body = await server.get(f"{PODS}/r/portforward", ports=ports)
            assert (status, body["message"]) == (400, f"cannot convert to []int32: strconv.ParseUint: {why}")

    play(story)


# -- exec -------------------------------------------------------------------------------------------------------------


async def messages(socket: Any) -> list[tuple[int, bytes]]:
    """Everything until the server closes; empty messages left out."""
    found = []
    async for message in socket:
        if len(message.data) > 1:
            found.append((message.data[0], message.data[1:]))
    return found


@pytest.mark.parametrize("protocol", WEBSOCKETS)
def test_exec_over_websocket(protocol: str) -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        path = f"{PODS}/p/exec?command=exit&command=0&stdout=1&stderr=1"
        async with server.websocket(path, protocol) as socket:
            assert socket.protocol == protocol
            found = await messages(socket)
        assert found[:2] == [(1, b"out"), (2, b"err")]
        newer = protocol.startswith(("v4", "v5"))
        assert [json.loads(data) for channel, data in found[2:]] == (
            [{"metadata": {}, "status": "Success"}] if newer else []
        )
        assert server.node.asked[-1] == ("c", ["exit", "0"], False)

    play(story)


def test_exit_codes_and_refusals_come_over_the_error_channel() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        async with server.websocket(f"{PODS}/p/exec?command=exit&command=3&stdout=1") as socket:
            found = await messages(socket)
        assert json.loads(found[-1][1]) == {
            "metadata": {},
            "status": "Failure",
            "message": "command terminated with non-zero exit code: exit status 3",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
        }
        async with server.websocket(f"{PODS}/p/exec?command=missing&stdout=1") as socket:
            status = json.loads((await messages(socket))[-1][1])
        assert status["message"] == (
            'Internal error occurred: unable to upgrade connection: container not found ("c")'
        )
        async with server.websocket(
            f"{PODS}/p/exec?command=exit&command=3&stdout=1", "v3.channel.k8s.io"
        ) as socket:
            assert (await messages(socket))[-1] == (
                3,
                b"command terminated with non-zero exit code: exit status 3",
            )

    play(story)


def test_input_its_end_and_window_sizes() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        path = f"{PODS}/p/exec?command=cat&stdin=1&stdout=1&tty=1"
        async with server.websocket(path) as socket:
            await socket.send_bytes(b"\x04" + b'{"Width":120,"Height":40}')
            await socket.send_bytes(b"\x00" + b"hi")
            await socket.send_bytes(b"\xff\x00")
            found = await messages(socket)
        assert [data for channel, data in found if channel == 1] == [b"out", b"<hi>"]
        assert server.node.resized == [(120, 40)]
        assert not [data for channel, data in found if channel == 2]
        assert server.node.asked[-1] == ("c", ["cat"], True)

    play(story)


def test_the_base64_protocol() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        path = f"{PODS}/p/exec?command=exit&command=0&stdout=1"
        async with server.websocket(path, "base64.channel.k8s.io") as socket:
            texts = [message.data async for message in socket]
        assert texts[:2] == ["1", "1b3V0"]

    play(story)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("command=ls", "you must specify at least 1 of stdin, stdout, stderr"),
        ("command=ls&stdout=1", "Upgrade request required"),
        ("command=ls&stdout=1&container=x", "container x is not valid for pod p"),
    ],
)
def test_exec_refused(query: str, message: str) -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        async with server.session.post(f"{server.url}{PODS}/p/exec?{query}") as answer:
            body = await answer.json()
            assert (answer.status, body["message"]) == (400, message)

    play(story)


def test_unknown_protocols_and_bad_handshakes_are_refused() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with server.websocket(f"{PODS}/p/exec?command=ls&stdout=1", "v9.example.com"):
                pass
        assert refused.value.status == 400
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        async with server.session.get(
            f"{server.url}{PODS}/p/exec?command=ls&stdout=1", headers=headers
        ) as answer:
            assert answer.status == 400
        assert await server.get(f"{PODS}/p/log") == (200, b"one\n")

    play(story)


def test_a_client_that_hangs_up_ends_the_command() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        ended = asyncio.Event()

        async def forever(*args: Any) -> Exit:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()
            return Exit()

        server.node.exec = forever  # type: ignore[method-assign]
        async with server.websocket(f"{PODS}/p/exec?command=sleep&stdout=1"):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await ended.wait()

    play(story)


def test_a_websocket_needs_the_permission_to_create() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        client = server.plane.client()
        group = "rbac.authorization.k8s.io"
        rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}]
        await client.create(
            {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": rules}
        )
        await client.create(
            {
                "apiVersion": f"{group}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "r"},
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "r"},
                "subjects": [{"kind": "User", "name": "jane", "apiGroup": group}],
            }
        )
        url = f"{server.url}{PODS}/p/exec?command=ls&stdout=1"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with server.session.ws_connect(
                url, protocols=("v5.channel.k8s.io",), headers={"Impersonate-User": "jane"}
            ):
                pass
        assert refused.value.status == 403

    play(story)


def test_attach() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        async with server.websocket(f"{PODS}/p/attach?stdout=1") as socket:
            assert (await messages(socket))[0] == (1, b"attached to c")

    play(story)


# -- ports ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[None]:
    """Pods answer on port 80 with what they were sent, in capitals."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data.upper())
        writer.close()

    # (its own context manager would wait for its connections, from Python 3.12 on)
    with closing(await asyncio.start_server(serve, "127.0.0.1", 0)) as listener:
        server.node.port = listener.sockets[0].getsockname()[1]
        yield


def test_port_forward_over_channels() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        async with (
            listening(server),
            server.websocket(f"{PODS}/p/portforward?ports=80&ports=81", "v4.channel.k8s.io") as socket,
        ):
            heads = [(await socket.receive()).data for _ in range(4)]
            assert heads == [b"\x00\x50\x00", b"\x01\x50\x00", b"\x02\x51\x00", b"\x03\x51\x00"]
            assert (await socket.receive()).data == (
                b"\x03error forwarding port 81 to pod p, uid : nothing listens on 81"
            )
            await socket.send_bytes(b"\x00hello")
            assert (await socket.receive()).data == b"\x00HELLO"

    play(story)


def test_port_forward_tunnelled() -> None:
    from tests.apiserver.test_streaming_spdy import Client

    async def story(server: Server) -> None:
        await server.pod("p")
        spdy = Client()
        protocol = "SPDY/3.1+portforward.k8s.io"
        async with listening(server), server.websocket(f"{PODS}/p/portforward", protocol) as socket:
            for id_, kind in ((1, "error"), (3, "data")):
                await socket.send_bytes(spdy.syn(id_, {"streamtype": kind, "port": "80", "requestid": "0"}))
            await socket.send_bytes(spdy.data(3, b"hello"))
            seen: list[Any] = []
            while ("data", 3, b"HELLO") not in seen:
                seen += spdy.parse((await socket.receive()).data)
            await socket.send_bytes(spdy.data(3, b"", fin=True))
            while ("fin", 3, b"") not in seen:
                seen += spdy.parse((await socket.receive()).data)
            for id_, kind in ((5, "error"), (7, "data")):
                await socket.send_bytes(spdy.syn(id_, {"streamtype": kind, "port": "81", "requestid": "1"}))
            told = b""
            while b"nothing listens" not in told:
                told += b"".join(
                    d for k, i, d in spdy.parse((await socket.receive()).data) if (k, i) == ("data", 5)
                )

    play(story)


# -- proxies ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def website(server: Server) -> AsyncIterator[list[bytes]]:
    """An HTTP server in the pods; what it was asked is kept."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        if b"GET /moved" in head:
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /there?x=1\r\nContent-Length: 0\r\n\r\n")
        elif b"GET /page" in head:
            page = b'<a href="/x/">x</a><a href="http://10.244.0.2:80/y">y</a>'
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page) + page
            )
        elif b"GET /eof" in head:
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
        else:
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n\r\n"
                b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            )
        writer.close()

    with closing(await asyncio.start_server(serve, "127.0.0.1", 0)) as listener:
        server.node.port = listener.sockets[0].getsockname()[1]
        yield heads


async def address(server: Server, name: str) -> None:
    status = {"status": {"podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}]}}
    await server.plane.client().patch(core_v1.Pod, name, "default", status, subresource="status")


def test_pod_proxy() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        code, body = await server.get(f"{PODS}/p/proxy/")
        assert (code, body["message"]) == (400, "address not allowed")
        await address(server, "p")
        async with website(server) as heads:
            async with server.session.get(f"{server.url}{PODS}/p:80/proxy/a%20b/c?q=1&r") as answer:
                assert (answer.status, await answer.read()) == (200, b"abcde")
                assert answer.headers["x-mine"] == "1" and "keep-alive" not in answer.headers
            head = heads[0].decode().lower()
            assert head.startswith("get /a%20b/c?q=1&r http/1.1")
            assert "authorization" not in head
            async with server.session.get(
                f"{server.url}{PODS}/p/proxy/moved", allow_redirects=False
            ) as answer:
                assert answer.headers["location"] == f"{PODS}/p/proxy/there?x=1"
            assert await server.get(f"{PODS}/p/proxy/eof") == (200, b"until the end")
            page = f'<a href="{PODS}/p:80/proxy/x/">x</a><a href="{PODS}/p:80/proxy/y">y</a>'
            assert await server.get(f"{PODS}/p:80/proxy/page") == (200, page.encode())
        code, body = await server.get(f"{PODS}/p:81/proxy/")
        assert (code, body["reason"]) == (503, "ServiceUnavailable")

    play(story)


def test_service_proxy() -> None:
    async def story(server: Server) -> None:
        client = server.plane.client()
        services = "/api/v1/namespaces/default/services"
        ports = [{"name": "web", "port": 8080, "targetPort": 80}]
        spec = {"selector": {"app": "x"}, "ports": ports}
        await client.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "s", "namespace": "default"},
                "spec": spec,
            }
        )
        code, body = await server.get(f"{services}/s:web/proxy/")
        assert (code, body["message"]) == (404, 'services "s" not found')
        code, body = await server.get(f"{services}/s:81/proxy/")
        assert (code, body["message"]) == (503, 'no service port 81 found for service "s"')
        await server.pod("p")
        labels = {"kubernetes.io/service-name": "s"}
        endpoint = {
            "addresses": ["10.244.0.2"],
            "targetRef": {"kind": "Pod", "name": "p", "namespace": "default"},
        }
        await client.create(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": "s-1", "namespace": "default", "labels": labels},
                "addressType": "IPv4",
                "endpoints": [endpoint],
                "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
            }
        )
        async with website(server):
            for name in ("s:web", "s:8080", "http:s:web"):
                assert await server.get(f"{services}/{name}/proxy/") == (200, b"abcde")
            # a port with a name has to be named
            code, body = await server.get(f"{services}/s/proxy/")
            assert (code, body["message"]) == (503, 'no endpoints available for service "s"')

    play(story)


def test_node_proxy() -> None:
    async def story(server: Server) -> None:
        assert await server.get("/api/v1/nodes/n0/proxy/metrics/x") == (200, b"/metrics/x")
        code, body = await server.get("/api/v1/nodes/absent/proxy/")
        assert (code, body["message"]) == (404, 'nodes "absent" not found')
        assert await server.get("/api/v1/nodes/n0:10250/proxy/metrics") == (200, b"/metrics")
        url = f"{server.url}/api/v1/nodes/n0/proxy"
        async with server.session.post(f"{url}/pods") as answer:
            assert (answer.status, await answer.text()) == (405, "405: Method Not Allowed")
        async with server.session.post(f"{url}/run/default/p/c?cmd=exit%200") as answer:
            assert (answer.status, await answer.text()) == (200, "outerr")
        async with server.session.post(f"{url}/run/default/p/c?cmd=exit%203") as answer:
            assert answer.status == 500
            assert await answer.text() == "command 'exit 3' exited with 3: outerr\n"
        assert await server.get("/api/v1/nodes/n0/proxy/containerLogs/default/p/c") == (200, b"one\n")
        asked = server.node.asked[-1]
        assert (asked.container, asked.follow) == ("c", False)
        path = "/api/v1/nodes/n0/proxy/exec/default/p/c?command=exit&command=0&output=1&error=1"
        async with server.websocket(path, "v4.channel.k8s.io") as socket:
            found = await messages(socket)
        assert found[:2] == [(1, b"out"), (2, b"err")]
        async with server.session.get(f"{server.url}{path}") as answer:
            assert answer.status == 400
        async with (
            listening(server),
            server.websocket(
                "/api/v1/nodes/n0/proxy/portForward/default/p?ports=80", "v4.channel.k8s.io"
            ) as socket,
        ):
            for _ in range(2):
                await socket.receive()
            await socket.send_bytes(b"\x00hello")
            assert (await socket.receive()).data == b"\x00HELLO"

    play(story)


def test_every_method_through_the_pod_proxy() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        await address(server, "p")
        async with website(server) as heads:
            url = f"{server.url}{PODS}/p/proxy/x"
            for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                async with server.session.request(method, url, data=b"hello") as answer:
                    assert (answer.status, await answer.read()) == (200, b"abcde")
                head = heads.pop().decode().lower()
                assert head.startswith(f"{method.lower()} /x http/1.1") and "content-length: 5" in head
            sent = {
                "Impersonate-User": "",
                "X-Remote-User": "root",
                "X-Forwarded-For": "1.2.3.4",
                "X-Mine": "1",
            }
            async with server.session.get(url, headers=sent) as answer:
                assert answer.headers["cache-control"] == "no-cache, private"
            head = heads.pop().decode().lower()
            assert "x-remote-user" not in head and "impersonate" not in head and "x-mine: 1" in head
            assert "x-forwarded-for: 1.2.3.4, 127.0.0.1" in head
            assert f"x-forwarded-uri: {PODS}/p/proxy/x" in head
            async with server.session.head(url) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
            assert heads.pop().startswith(b"HEAD /x ")
            async with server.session.get(f"{server.url}{PODS}/p/proxy?a=b", allow_redirects=False) as answer:
                assert answer.status == 301
                assert answer.headers["location"] == f"{PODS}/p/proxy/?a=b"

    play(story)


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ('<A HREF="/x?a=1&amp;b">go</A>', '<a href="/P/x?a=1&amp;b">go</A>'),
        ("<img src='/i.png' alt=\"it's\"/>", '<img src="/P/i.png" alt="it&#39;s"/>'),
        ('<a href="rel">', '<a href="rel">'),
        ('<a href="//other/x"><a href="http://10.0.0.1:80/x/">', '<a href="//other/x"><a href="/P/x/">'),
        ("<script>if (a<b) '<a href=\"/x\">'</script>", "<script>if (a<b) '<a href=\"/x\">'</script>"),
        (
            '<!-- <a href="/x"> --><!DOCTYPE html><p>1 < 2</p>',
            '<!-- <a href="/x"> --><!DOCTYPE html><p>1 < 2</p>',
        ),
        ("<input disabled formaction=/x>", '<input disabled="" formaction="/P/x">'),
    ],
)
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_links_in_proxied_html(source: str, want: str, encoding: str) -> None:
    import gzip
    import zlib

    from knarr.apiserver.streaming import htmllinks

    def rewrite(url: str) -> str:
        url = url.removeprefix("http://10.0.0.1:80")
        return f"/P{url}" if url.startswith("/") and not url.startswith("//") else url

    def deflate(data: bytes) -> bytes:
        packer = zlib.compressobj(wbits=-15)
        return packer.compress(data) + packer.flush()

    pack = {"": bytes, "gzip": gzip.compress, "deflate": deflate}[encoding]
    unpack = {"": bytes, "gzip": gzip.decompress, "deflate": lambda data: zlib.decompress(data, -15)}[
        encoding
    ]
    assert unpack(htmllinks.rewritten(pack(source.encode()), encoding, rewrite)).decode() == want


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("ftp:p:80", 400, 'invalid pod request "ftp:p:80"'),
        ("a:b:c:d", 400, 'invalid pod request "a:b:c:d"'),
        ("p:http", 503, "error trying to reach service: dial tcp: lookup tcp/http: unknown port"),
        ("p:70000", 503, "error trying to reach service: dial tcp: address 70000: invalid port"),
        ("absent", 404, 'pods "absent" not found'),
    ],
)
def test_names_that_the_pod_proxy_refuses(name: str, code: int, message: str) -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        await address(server, "p")
        found, body = await server.get(f"{PODS}/{name}/proxy/")
        assert (found, body["message"]) == (code, message)

    play(story)


@given(st.text("<>/=!-\"' aA&;\u00e9\n", max_size=60))
def test_any_html_is_read_to_its_end(source: str) -> None:
    from knarr.apiserver.streaming import htmllinks

    once = htmllinks.rewritten(source.encode(), "", str)
    # what was written as tags stays what it is when it is read again
    assert htmllinks.rewritten(once, "", str) == once


def test_what_the_proxy_says_of_backends_that_do_not_answer() -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        await address(server, "p")
        answers = [b"", b"nonsense\r\n\r\n"]

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(answers[0])
            writer.close()

        async def message(name: str) -> str:
            code, body = await server.get(f"{PODS}/{name}/proxy/")
            assert (code, body["reason"]) == (503, "ServiceUnavailable")
            return body["message"].removeprefix("error trying to reach service: ")

        with closing(await asyncio.start_server(serve, "127.0.0.1", 0)) as listener:
            server.node.port = listener.sockets[0].getsockname()[1]
            assert await message("p") == "EOF"
            answers.pop(0)
            broken = "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
            assert (await message("p")).startswith(broken)
            assert await message("https:p:80") == "http: server gave HTTP response to HTTPS client"
        assert await message("p:80") == "dial tcp 10.244.0.2:80: connect: connection refused"

    play(story)


def test_upgrades_through_the_proxy() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/refuse" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
            return
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst "
        )
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    async def story(server: Server) -> None:
        await server.pod("p")
        await address(server, "p")
        with closing(await asyncio.start_server(echo, "127.0.0.1", 0)) as listener:
            server.node.port = listener.sockets[0].getsockname()[1]
            host, port = server.url.removeprefix("https://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), ssl=_context())
            writer.write(
                f"GET {PODS}/p/proxy/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer T\r\n"
                "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode()
            )
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"hello")
            assert await reader.readexactly(11) == b"first HELLO"
            writer.close()
            headers = {"Connection": "Upgrade", "Upgrade": "echo"}
            async with server.session.get(f"{server.url}{PODS}/p/proxy/refuse", headers=headers) as answer:
                assert answer.status == 500
                assert (await answer.json())["message"] == "invalid upgrade response: status code 200"

    play(story)


# -- others' clients ------------------------------------------------------------------------------------------------------


def test_the_official_python_client() -> None:
    kubernetes = pytest.importorskip("kubernetes", reason="the official Python client is not installed")
    from kubernetes.stream import portforward, stream

    async def story(server: Server) -> None:
        await server.pod("p")

        def use() -> tuple[str, str, bytes]:
            config = kubernetes.client.Configuration(host=server.url, api_key={"authorization": "Bearer T"})
            config.verify_ssl = False
            api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(config))
            text = api.read_namespaced_pod_log("p", "default")
            said = stream(
                api.connect_get_namespaced_pod_exec,
                "p",
                "default",
                command=["exit", "0"],
                stdout=True,
                stderr=True,
            )
            forward = portforward(api.connect_get_namespaced_pod_portforward, "p", "default", ports="80")
            socket = forward.socket(80)
            socket.sendall(b"hello")
            return text, said, socket.recv(100)

        async with listening(server):
            assert await asyncio.to_thread(use) == ("one\n", "outerr", b"HELLO")

    play(story)


def kubectls() -> list[str]:
    """The one that KNARR_KUBECTL names ("": none), else every one of this machine."""
    named = os.environ.get("KNARR_KUBECTL")
    if named is not None:
        return [path for path in [shutil.which(named)] if path]
    folders = ("/usr/lib/google-cloud-sdk/bin", "/usr/local/bin")
    found = sorted(str(path) for folder in folders for path in Path(folder).glob("kubectl.1.*"))
    return found or [path for path in [shutil.which("kubectl")] if path]


KUBECTLS = kubectls()


@pytest.mark.skipif(not KUBECTLS, reason="there is no kubectl on this machine")
@pytest.mark.parametrize("kubectl", KUBECTLS, ids=lambda path: Path(path).name)
def test_kubectl(kubectl: str) -> None:
    async def story(server: Server) -> None:
        await server.pod("p")
        flags = ["--server", server.url, "--token", "T", "--insecure-skip-tls-verify"]

        # a certificate from this user's own kubeconfig would be refused before the token is looked at
        environment = {**os.environ, "KUBECONFIG": os.devnull}

        async def run(*arguments: str, feed: bytes = b"") -> tuple[int | None, bytes, bytes]:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                kubectl, *flags, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
            )
            out, err = await process.communicate(feed)
            return process.returncode, out, err

        status = {"status": {"phase": "Running", "containerStatuses": [_running("c")]}}
        await server.plane.client().patch(core_v1.Pod, "p", "default", status, subresource="status")
        assert await run("logs", "p") == (0, b"one\n", b"")
        code, out, err = await run("exec", "p", "--", "exit", "3")
        assert (code, out) == (3, b"out") and err == b"errcommand terminated with exit code 3\n"
        code, out, _ = await run("exec", "-i", "p", "--", "cat", feed=b"hello exit")
        assert (code, out) == (0, b"out<hello exit>")
        async with listening(server):
            forward = await asyncio.create_subprocess_exec(
                kubectl,
                *flags,
                "port-forward",
                "p",
                ":80",
                "--address",
                "127.0.0.1",
                stdout=asyncio.subprocess.PIPE,
                env=environment,
            )
            assert forward.stdout is not None
            line = (await forward.stdout.readline()).decode()
            port = int(line.split("127.0.0.1:")[1].split()[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.read(5) == b"HELLO"
            writer.close()
            forward.terminate()
            await forward.wait()

    play(story)


def _running(name: str) -> dict[str, Any]:
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    return {"name": name, "ready": True, "restartCount": 0, "image": "i", "imageID": "", "state": state}
