"""Aggregation: a small extension API server, as metrics-server is one, behind a service of the cluster."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from knarr.apiserver.aggregation import documents, order, swagger
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.store.memory import MemoryStore
from knarr.world import World
from tests.egress.servers import Authority

GROUP, VERSION = "metrics.example.com", "v1beta1"
ROOT = f"/apis/{GROUP}/{VERSION}"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAME = f"{VERSION}.{GROUP}"
RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [
        {
            "name": "nodes",
            "singularName": "",
            "namespaced": False,
            "kind": "NodeMetrics",
            "verbs": ["get", "list"],
        },
        {
            "name": "pods/scale",
            "singularName": "",
            "namespaced": True,
            "kind": "Scale",
            "group": "autoscaling",
            "version": "v1",
            "verbs": ["get"],
        },
        {
            "name": "pods",
            "singularName": "pod",
            "namespaced": True,
            "kind": "PodMetrics",
            "shortNames": ["pm"],
            "verbs": ["get", "list", "watch", "create", "delete"],
        },
    ],
}
METRICS = {
    "kind": "NodeMetrics",
    "apiVersion": f"{GROUP}/{VERSION}",
    "metadata": {"name": "n0"},
    "usage": {"cpu": "1"},
}
SWAGGER = {
    "swagger": "2.0",
    "paths": {
        f"{ROOT}/nodes": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/Node"}}}}},
        "/version/": {},
    },
    "definitions": {
        "Node": {"type": "object", "properties": {"x": {"$ref": "#/definitions/X"}}},
        "X": {"type": "string"},
        "Unused": {},
    },
}
V3 = {"openapi": "3.0.0", "paths": {f"{ROOT}/nodes": {}}}


class Extension:
    """Speaks HTTP over TLS, wants the front proxy's certificate, and keeps what it was asked."""

    def __init__(self, authority: Authority, clients: str, *names: str) -> None:
        self._context = authority.context(*(names or ("metrics.default.svc",)))
        self._context.load_verify_locations(cadata=clients)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self.heads: list[str] = []
        self.port = self.connections = 0
        #: how many a connection serves after the first; then it is closed, without a word
        self.further_requests = 0
        self.broken = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Extension]:
        with closing(await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)) as listener:
            self.port = listener.sockets[0].getsockname()[1]
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve_one(reader, writer)
            for _ in range(self.further_requests):
                await self._serve_one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        path = target.partition("?")[0]
        if path.startswith(f"{ROOT}/"):
            self.heads.append(head)
        await self._answer(method, path, target, head, reader, writer)

    async def _answer(self, method: str, path: str, target: str, head: str, reader: Any, writer: Any) -> None:
        if self.broken:
            reply(writer, 500, b"broken", "text/plain")
        elif path == f"{ROOT}/nodes/n0" and method == "GET":
            reply(writer, 200, json.dumps(METRICS).encode())
        elif path == f"{ROOT}/namespaces/default/pods" and "watch=true" in target:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for n in range(3):
                line = (
                    json.dumps({"type": "ADDED", "object": {"metadata": {"name": f"p{n}"}}}).encode() + b"\n"
                )
                writer.write(b"%x\r\n%b\r\n" % (len(line), line))
                await writer.drain()
                await reader.read(1) if n == 2 else await asyncio.sleep(0.05)
        elif path == f"{ROOT}/echo":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            while data := await reader.read(100):
                writer.write(data.upper())
        elif path == f"{ROOT}/namespaces/default/pods" and method == "GET":
            reply(writer, 200, json.dumps({"metadata": {"resourceVersion": "7"}, "items": []}).encode())
        elif path.startswith(f"{ROOT}/namespaces/"):
            size = next(
                (
                    int(line.split(":")[1])
                    for line in head.lower().split("\r\n")
                    if line.startswith("content-length")
                ),
                0,
            )
            body = await reader.readexactly(size)
            reply(
                writer,
                201 if method == "POST" else 200,
                json.dumps({"method": method, "body": body.decode()}).encode(),
            )
        elif path == ROOT:
            reply(writer, 200, json.dumps(RESOURCES).encode())
        elif path == "/openapi/v2":
            reply(writer, 200, json.dumps(SWAGGER).encode(), etag='"1"')
        elif path == "/openapi/v3":
            url = f"/openapi/v3{ROOT}?hash=1"
            reply(writer, 200, json.dumps({"paths": {ROOT[1:]: {"serverRelativeURL": url}}}).encode())
        elif path == f"/openapi/v3{ROOT}":
            reply(writer, 200, json.dumps(V3).encode())
        else:
            reply(writer, 404, b"404 page not found\n", "text/plain")


def reply(writer: Any, code: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(
        f"HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
        + body
    )


class Server:
    """A control plane and a session as its administrator."""

    def __init__(self, plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self.plane, self.session, self.url = plane, session, plane.url

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
            data = await answer.read()
            kind = answer.headers.get("content-type", "")
            return answer.status, json.loads(data) if "json" in kind or data[:1] == b"{" else data.decode()

    async def service(
        self, port: int = 443, endpoint: int | None = None, name: str = "metrics", **spec: Any
    ) -> None:
        ports = [{"name": "https", "port": port, "protocol": "TCP"}]
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": ports, **spec},
        }
        code, answer = await self("POST", "/api/v1/namespaces/default/services", body)
        assert code == 201, answer
        if endpoint is not None:
            await self.slice(endpoint, name)

    async def slice(self, port: int, name: str = "metrics", ready: bool = True) -> None:
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            # loopback is no endpoint's address: the registry would refuse it
            "endpoints": [{"addresses": ["10.1.1.1"], "conditions": {"ready": ready}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        code, answer = await self("POST", path, body)
        if code == 409:
            code, answer = await self("PUT", f"{path}/{name}", body)
        assert code in (200, 201), answer

    async def register(self, bundle: str = "", port: int = 443, **spec: Any) -> None:
        spec = {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 2000,
            "versionPriority": 10,
            "service": {"namespace": "default", "name": "metrics", "port": port},
            **({"caBundle": bundle} if bundle else {}),
            **spec,
        }
        body = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{spec['version']}.{spec['group']}"},
            "spec": spec,
        }
        code, answer = await self("POST", APISERVICES, body)
        assert code == 201, answer

    async def available(self, reason: str, name: str = NAME) -> dict[str, Any]:
        """Wait for a condition with that reason."""
        found: Any = None
        for _ in range(200):
            _, service = await self("GET", f"{APISERVICES}/{name}")
            found = next(iter((service.get("status") or {}).get("conditions") or ()), {})
            if found.get("reason") == reason:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"still {found}")


Story = Callable[[Server, Extension], Awaitable[None]]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("extensions")


def play(story: Story, authority: Authority, *names: str) -> None:
    async def main() -> None:
        world = World()
        plane = ControlPlane(Config(admin_token="T"), world, MemoryStore(world))
        await plane.start()
        extension = Extension(authority, plane.pki.front_proxy_ca.certificate, *names)
        # the test has no network of its own: endpoints are found on loopback
        plane.surface.aggregation.extensions._resolve = on_loopback(
            plane.surface.aggregation.extensions._resolve
        )
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=context)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer T"}) as session,
                extension.serving(),
            ):
                await story(Server(plane, session), extension)
        finally:
            await plane.stop()

    asyncio.run(asyncio.wait_for(main(), 20))


def on_loopback(resolve: Any) -> Any:
    async def elsewhere(namespace: str, name: str, port: int) -> Any:
        route = await resolve(namespace, name, port)
        return route._replace(addresses=tuple(("127.0.0.1", port) for _, port in route.addresses))

    return elsewhere


def test_requests_go_to_the_extension_server_in_the_users_name(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        await server.service(endpoint=extension.port)
        await server.register(authority.bundle)
        condition = await server.available("Passed")
        assert (condition["status"], condition["message"]) == ("True", "all checks passed")
        assert await server("GET", f"{ROOT}/nodes/n0") == (200, METRICS)
        head = extension.heads[-1].lower()
        assert head.startswith(f"get {ROOT}/nodes/n0 http/1.1")
        assert "x-remote-user: admin\r\n" in head and "x-remote-group: system:masters\r\n" in head
        assert "authorization" not in head
        headers = {"Impersonate-User": "jane", "Impersonate-Group": "devs", "X-Remote-User": "root"}
        extra = {"Impersonate-Extra-acme.io%2Fscopes": "view", "Impersonate-Uid": "u1"}
        code, refused = await server("GET", f"{ROOT}/nodes/n0", **headers)
        assert code == 403 and 'User "jane" cannot get resource "nodes" in API group' in refused["message"]
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "devs"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "devs"}],
        }
        await server("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", role)
        assert (await server("GET", f"{ROOT}/nodes/n0", **headers, **extra))[0] == 200
        head = extension.heads[-1].lower()
        for line in ("user: jane", "uid: u1", "group: devs", "extra-acme.io%2fscopes: view"):
            assert f"x-remote-{line}\r\n" in head
        assert "impersonate" not in head and "root" not in head
        for method, code in (("POST", 201), ("PUT", 200), ("PATCH", 200), ("DELETE", 200)):
            found = await server(method, f"{ROOT}/namespaces/default/pods/p", {"a": 1})
            assert found == (code, {"method": method, "body": '{"a": 1}'})
        assert (await server("GET", f"{ROOT}/absent"))[0] == 404

    play(story, authority)


@pytest.mark.parametrize("further", [0, 3, 1000])
def test_connections_serve_many_reads(authority: Authority, further: int) -> None:
    """However many requests the other side answers on one of them; a write is never sent twice."""

    async def story(server: Server, extension: Extension) -> None:
        extension.further_requests = further
        await server.service(endpoint=extension.port)
        await server.register(authority.bundle)
        await server.available("Passed")
        await asyncio.sleep(0.1)  # documents have been fetched
        before, asked = extension.connections, len(extension.heads)
        for _ in range(8):
            assert await server("GET", f"{ROOT}/nodes/n0") == (200, METRICS)
            assert (await server("GET", f"{ROOT}/nope"))[0] == 404
        made = extension.connections - before
        assert made >= 16 if further == 0 else made <= 16 / (further + 1) + 2
        code, answer = await server("POST", f"{ROOT}/namespaces/default/pods", {"a": 1})
        assert (code, answer["method"]) == (201, "POST")
        assert extension.connections > before + made
        assert len(extension.heads) == asked + 17

    play(story, authority)


def test_watches_and_upgrades_are_streams(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        await server.service(endpoint=extension.port)
        await server.register(authority.bundle)
        await server.available("Passed")
        names = []
        url = f"{server.url}{ROOT}/namespaces/default/pods?watch=true"
        async with server.session.get(url) as answer:
            while len(names) < 3:
                names.append(json.loads(await answer.content.readline())["object"]["metadata"]["name"])
        assert names == ["p0", "p1", "p2"]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, port = server.url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(
            f"GET {ROOT}/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer T\r\n"
            "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        # a tunnel is not limited in time as a request is
        assert len(server.plane.handler.deadlines) == 0
        assert "x-remote-user: admin" in extension.heads[-1].lower()
        writer.close()

    play(story, authority)


def test_discovery_and_openapi_of_both(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        await server.service(endpoint=extension.port)
        await server.register(authority.bundle)
        await server.available("Passed")
        _, groups = await server("GET", "/apis")
        names = [group["name"] for group in groups["groups"]]
        assert names[0] == "apiregistration.k8s.io" and names[-1] == GROUP
        _, group = await server("GET", f"/apis/{GROUP}")
        assert group["preferredVersion"] == {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        assert await server("GET", ROOT) == (200, RESOURCES)
        accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        for _ in range(100):
            _, found = await server("GET", "/apis", **accept)
            version = found["items"][-1]["versions"][0]
            if version["freshness"] == "Current":
                break
            await asyncio.sleep(0.02)
        assert [r["resource"] for r in version["resources"]] == ["nodes", "pods"]
        assert version["resources"][1]["subresources"] == [
            {
                "subresource": "scale",
                "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                "verbs": ["get"],
            }
        ]
        for _ in range(100):
            _, index = await server("GET", "/openapi/v3")
            _, swagger = await server("GET", "/openapi/v2")
            if ROOT[1:] in index["paths"] and f"{ROOT}/nodes" in swagger["paths"]:
                break
            await asyncio.sleep(0.02)
        assert await server("GET", index["paths"][ROOT[1:]]["serverRelativeURL"]) == (200, V3)
        assert swagger["definitions"]["Node"] and swagger["definitions"]["X"] == {"type": "string"}
        assert "Unused" not in swagger["definitions"] and "/api/v1/nodes" in swagger["paths"]
        _, paths = await server("GET", "/")
        assert {f"/apis/{GROUP}", ROOT} <= set(paths["paths"])
        await server("DELETE", f"{APISERVICES}/{NAME}")
        _, groups = await server("GET", "/apis")
        assert GROUP not in [group["name"] for group in groups["groups"]]
        assert (await server("GET", f"{ROOT}/nodes/n0"))[0] == 404
        _, swagger = await server("GET", "/openapi/v2")
        assert f"{ROOT}/nodes" not in swagger["paths"]

    play(story, authority)


def test_why_a_service_is_not_available(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        await server.register(authority.bundle)
        found = await server.available("ServiceNotFound")
        assert (found["status"], found["message"]) == ("False", 'service/metrics in "default" is not present')
        assert await server("GET", f"{ROOT}/nodes/n0") == (503, "service unavailable\n")
        await server.service(444)
        found = await server.available("ServicePortError")
        assert found["message"] == 'service/metrics in "default" is not listening on port 443'
        await server("DELETE", "/api/v1/namespaces/default/services/metrics")
        await server.service()
        found = await server.available("EndpointsNotFound")
        assert found["message"] == 'cannot find endpointslices for service/metrics in "default"'
        await server.slice(extension.port, ready=False)
        found = await server.available("MissingEndpoints")
        message = 'endpointslices for service/metrics in "default" have no addresses with port name "https"'
        assert found["message"] == message
        extension.broken = True
        await server.slice(extension.port)
        found = await server.available("FailedDiscoveryCheck")
        _, service = await server("GET", "/api/v1/namespaces/default/services/metrics")
        url = f"https://{service['spec']['clusterIP']}:443{ROOT}"
        assert found["message"] == f"failing or missing response from {url}: bad status from {url}: 500"
        assert await server("GET", f"{ROOT}/nodes/n0") == (503, "service unavailable\n")
        since = found["lastTransitionTime"]
        extension.broken = False
        await server(
            "PATCH",
            f"{APISERVICES}/{NAME}",
            {"metadata": {"labels": {"a": "b"}}},
            **{"Content-Type": "application/merge-patch+json"},
        )
        found = await server.available("Passed")
        assert found["status"] == "True" and found["lastTransitionTime"] >= since
        _, text = await server("GET", "/metrics")
        assert f'aggregator_unavailable_apiservice{{name="{NAME}"}} 0' in text
        assert await server("GET", f"{ROOT}/nodes/n0") == (200, METRICS)

    play(story, authority)


@pytest.mark.parametrize(
    ("bundle", "names", "message"),
    [
        (False, (), "x509: certificate signed by unknown authority"),
        (
            True,
            ("other.default.svc",),
            "x509: certificate is valid for other.default.svc, not metrics.default.svc",
        ),
    ],
)
def test_the_servers_certificate_is_verified(
    authority: Authority, bundle: bool, names: tuple[str, ...], message: str
) -> None:
    async def story(server: Server, extension: Extension) -> None:
        await server.service(endpoint=extension.port)
        await server.register(authority.bundle if bundle else Authority("stranger").bundle)
        # the condition does not depend on it
        await server.available("Passed")
        code, text = await server("GET", f"{ROOT}/nodes/n0")
        assert (code, text) == (
            503,
            f"error trying to reach service: tls: failed to verify certificate: {message}\n",
        )

    play(story, authority, *names)


def test_insecure_and_external_name(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        await server.service(extension.port, type="ExternalName", externalName="localhost")
        await server.register(insecureSkipTLSVerify=True, port=extension.port)
        await server.available("Passed")
        assert await server("GET", f"{ROOT}/nodes/n0") == (200, METRICS)

    play(story, authority, "unrelated.example.com")


def test_controllers_reach_other_servers_objects(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        from knarr.api.resources import Resource
        from knarr.client.codec import Partial
        from knarr.client.informer import SharedInformers
        from knarr.controllers.served import discover
        from knarr.meta.errors import StatusError

        client = server.plane.client("system:kube-controller-manager", ("system:authenticated",))
        service = {"spec": {"group": GROUP, "version": VERSION, "service": {"name": "metrics"}}}
        found = await discover(client, [], [service])
        assert set(found.failures) == {f"{GROUP}/{VERSION}"}
        await server.service(endpoint=extension.port)
        await server.register(authority.bundle)
        await server.available("Passed")
        found = await discover(client, [], [service])
        row = next(row for row in found.rows if row.group == GROUP)
        assert (row.name, row.kind, row.namespaced) == ("pods", "PodMetrics", True)
        with pytest.raises(StatusError):
            await client.get(Resource(GROUP, VERSION, "absent", "Absent", "", False, ("get",)), "x")
        informers = SharedInformers(client)
        informer = informers.of(Partial(row), namespace="default")
        informer.start()
        await informer.wait_for_sync()
        for _ in range(100):
            if len(informer.indexer) == 3:
                break
            await asyncio.sleep(0.02)
        assert {obj.metadata.name for obj in informer.indexer.list()} == {"p0", "p1", "p2"}
        assert any(
            "x-remote-user: system:kube-controller-manager" in head.lower() for head in extension.heads
        )
        await informer.stop()

    play(story, authority)


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat"},
        "versions": [
            {
                "name": name,
                "served": True,
                "storage": name == "v1",
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
            for name in ("v1", "v2")
        ],
    },
}


def test_custom_groups_have_apiservices_that_stay(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        await server("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
        await server.available("Local", "v1.example.com")
        await server.available("Local", "v2.example.com")
        _, made = await server("GET", f"{APISERVICES}/v1.example.com")
        assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
        assert made["spec"] == {
            "group": "example.com",
            "version": "v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 100,
        }
        # deleting one is undone, changing one too
        await server("DELETE", f"{APISERVICES}/v1.example.com")
        await server.available("Local", "v1.example.com")
        merge = {"Content-Type": "application/merge-patch+json"}
        await server("PATCH", f"{APISERVICES}/v2.example.com", {"spec": {"versionPriority": 7}}, **merge)
        for _ in range(100):
            _, found = await server("GET", f"{APISERVICES}/v2.example.com")
            if found["spec"]["versionPriority"] == 100:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError(found)
        await server("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.example.com")
        for _ in range(100):
            codes = [(await server("GET", f"{APISERVICES}/{v}.example.com"))[0] for v in ("v1", "v2")]
            if codes == [404, 404]:
                break
            await asyncio.sleep(0.02)
        assert codes == [404, 404]

    play(story, authority)


def test_who_may_be_believed_is_told_and_kept(authority: Authority) -> None:
    async def story(server: Server, extension: Extension) -> None:
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"

        async def data() -> Any:
            for _ in range(100):
                code, found = await server("GET", path)
                if code == 200 and "requestheader-allowed-names" in (found.get("data") or {}):
                    return found["data"]
                await asyncio.sleep(0.02)
            raise AssertionError(found)

        found = await data()
        pki = server.plane.pki
        assert found["client-ca-file"] == pki.ca.certificate
        assert found["requestheader-client-ca-file"] == pki.front_proxy_ca.certificate
        assert found["requestheader-username-headers"] == '["X-Remote-User"]'
        assert found["requestheader-allowed-names"] == '["front-proxy-client"]'
        await server("DELETE", path)
        assert await data() == found
        merge = {"Content-Type": "application/merge-patch+json"}
        await server("PATCH", path, {"data": {"requestheader-allowed-names": '["other"]'}}, **merge)
        await asyncio.sleep(0.1)
        assert (await data())["requestheader-allowed-names"] == '["other","front-proxy-client"]'

    play(story, authority)


@pytest.mark.parametrize("name", ["kubernetes-admin", "front-proxy-client"])
def test_nobody_elses_word_is_believed(authority: Authority, tmp_path: Path, name: str) -> None:
    async def story(server: Server, extension: Extension) -> None:
        pki = server.plane.pki
        pair = pki.admin if name == "kubernetes-admin" else pki.client(name, ["system:masters"])
        file = tmp_path / "pair.pem"
        file.write_text(pair.certificate + pair.key)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(file)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        url = f"{server.url}/apis/authentication.k8s.io/v1/selfsubjectreviews"
        headers = {"X-Remote-User": "jane", "X-Remote-Group": "devs"}
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.post(url, json=body, headers=headers) as answer,
        ):
            assert (await answer.json())["status"]["userInfo"]["username"] == name

    play(story, authority)


@pytest.mark.parametrize(
    ("headers", "code", "user"),
    [
        (
            {"X-Remote-User": "jane", "X-Remote-Group": "devs"},
            201,
            ("jane", ["devs", "system:authenticated"]),
        ),
        (
            {"X-Remote-Uid": "7", "X-Remote-User": "jo", "X-Remote-Extra-Scopes": "a"},
            201,
            ("jo", ["system:authenticated"]),
        ),
        ({}, 401, None),
        ({"X-Remote-Group": "system:masters"}, 401, None),
    ],
)
def test_a_front_proxys_word_is_believed(
    authority: Authority, tmp_path: Path, headers: dict[str, str], code: int, user: Any
) -> None:
    async def story(server: Server, extension: Extension) -> None:
        pair = server.plane.pki.front_proxy_client
        file = tmp_path / "pair.pem"
        file.write_text(pair.certificate + pair.key)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(file)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        url = f"{server.url}/apis/authentication.k8s.io/v1/selfsubjectreviews"
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(url, json=body, headers=headers) as answer,
        ):
            assert answer.status == code
            if user is not None:
                info = (await answer.json())["status"]["userInfo"]
                assert (info["username"], info["groups"]) == user
                assert info.get("uid") == headers.get("X-Remote-Uid")
        # without that certificate the headers are nothing
        async with server.session.post(url, json=body, headers=headers) as answer:
            assert (await answer.json())["status"]["userInfo"]["username"] == "admin"

    play(story, authority)


METRICS_ROOT = "/apis/metrics.k8s.io/v1beta1"


class MetricsServer(Extension):
    """As much of metrics-server as `kubectl top` looks at."""

    async def _answer(self, method: str, path: str, target: str, head: str, reader: Any, writer: Any) -> None:
        kind = {"apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}}
        times = {"timestamp": "2026-01-01T00:00:00Z", "window": "30s"}
        usage = {"cpu": "250m", "memory": "512Mi"}
        if path == METRICS_ROOT:
            rows = [("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True)]
            listed = [
                {
                    "name": name,
                    "singularName": "",
                    "namespaced": namespaced,
                    "kind": of,
                    "verbs": ["get", "list"],
                }
                for name, of, namespaced in rows
            ]
            group_version = "metrics.k8s.io/v1beta1"
            body = {"kind": "APIResourceList", "groupVersion": group_version, "resources": listed}
            reply(writer, 200, json.dumps(body).encode())
        elif path == f"{METRICS_ROOT}/nodes":
            items = [{"metadata": {"name": "n0"}, **times, "usage": usage}]
            reply(writer, 200, json.dumps({"kind": "NodeMetricsList", **kind, "items": items}).encode())
        elif path == f"{METRICS_ROOT}/namespaces/default/pods":
            containers = [{"name": "c", "usage": usage}]
            items = [{"metadata": {"name": "p", "namespace": "default"}, **times, "containers": containers}]
            reply(writer, 200, json.dumps({"kind": "PodMetricsList", **kind, "items": items}).encode())
        else:
            reply(writer, 404, b"404 page not found\n", "text/plain")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_top(authority: Authority, tmp_path: Path) -> None:
    async def story(server: Server, _: Extension) -> None:
        async def kubectl(*words: str) -> str:
            access = ("--server", server.url, "--token", "T", "--insecure-skip-tls-verify")
            environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "KUBECONFIG": os.devnull}
            process = await asyncio.create_subprocess_exec(
                "kubectl", *access, *words, env=environment, stdout=-1, stderr=asyncio.subprocess.STDOUT
            )
            out, _ = await process.communicate()
            return out.decode()

        assert "Metrics API not available" in await kubectl("top", "nodes")
        extension = MetricsServer(authority, server.plane.pki.front_proxy_ca.certificate)
        async with extension.serving():
            await server.service(endpoint=extension.port)
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n0"}}
            await server("POST", "/api/v1/nodes", node)
            resources = {"cpu": "1", "memory": "1Gi"}
            status = {"status": {"allocatable": resources, "capacity": resources}}
            merge = {"Content-Type": "application/merge-patch+json"}
            await server("PATCH", "/api/v1/nodes/n0/status", status, **merge)
            await server.register(authority.bundle, group="metrics.k8s.io")
            await server.available("Passed", "v1beta1.metrics.k8s.io")
            raw = json.loads(await kubectl("get", "--raw", f"{METRICS_ROOT}/nodes"))
            assert raw["items"][0]["usage"]["cpu"] == "250m"
            header, row = (await kubectl("top", "nodes")).splitlines()
            assert row.split() == ["n0", "250m", "25%", "512Mi", "50%"], header
            assert (await kubectl("top", "pods", "--no-headers")).split() == ["p", "250m", "512Mi"]
            assert "nodes" in await kubectl("api-resources", "--api-group", "metrics.k8s.io")
            (line,) = (
                await kubectl("get", "apiservices", "v1beta1.metrics.k8s.io", "--no-headers")
            ).splitlines()
            assert line.split()[:3] == ["v1beta1.metrics.k8s.io", "default/metrics", "True"]

    play(story, authority)


def test_the_order_of_groups_and_versions() -> None:
    rows = [
        order.Ranked("b.io", "v1", 1000, 100),
        order.Ranked("a.io", "v2", 1000, 100),
        order.Ranked("a.io", "v10", 1000, 100),
        order.Ranked("c.io", "v1", 2000, 1),
        order.Ranked("c.io", "v1beta1", 1500, 5),
    ]
    found = order.grouped(rows)
    assert list(found) == ["c.io", "b.io", "a.io"]
    assert found["a.io"] == ["v10", "v2"] and found["c.io"] == ["v1beta1", "v1"]
    assert list(order.grouped(rows, aggregated=True)) == ["c.io", "a.io", "b.io"]


def test_openapi_v3_of_a_server_that_knows_v2_only() -> None:
    schema = {"$ref": "#/definitions/X"}
    operation = {
        "operationId": "create",
        "consumes": ["application/json"],
        "produces": ["application/json", "application/yaml"],
        "schemes": ["https"],
        "parameters": [
            {"name": "body", "in": "body", "required": True, "schema": schema},
            {"name": "limit", "in": "query", "type": "integer", "description": "how many"},
        ],
        "responses": {"200": {"description": "OK", "schema": schema}, "401": {"description": "no"}},
    }
    path = [{"name": "namespace", "in": "path", "type": "string", "required": True}]
    document = {
        "paths": {"/p": {"post": operation, "parameters": path}},
        "definitions": {"X": {"items": schema}},
    }
    found = swagger.as_v3(document)
    new = {"schema": {"$ref": "#/components/schemas/X"}}
    assert found["components"]["schemas"] == {"X": {"items": new["schema"]}}
    assert found["paths"]["/p"] == {
        "post": {
            "operationId": "create",
            "parameters": [
                {"name": "limit", "in": "query", "description": "how many", "schema": {"type": "integer"}}
            ],
            "requestBody": {"content": {"application/json": new}, "required": True},
            "responses": {
                "200": {"description": "OK", "content": {"application/json": new, "application/yaml": new}},
                "401": {"description": "no"},
            },
        },
        "parameters": [{"name": "namespace", "in": "path", "required": True, "schema": {"type": "string"}}],
    }


def test_definitions_of_two_servers_with_one_name() -> None:
    ours = {"paths": {}, "definitions": {"X": {"type": "string"}, "Same": {}}}
    refers = {"get": {"schema": {"$ref": "#/definitions/X"}}}
    theirs = {"paths": {"/p": refers}, "definitions": {"X": {"type": "integer"}, "Same": {}}}
    documents.merge_v2(ours, [theirs])
    assert ours["definitions"] == {"X": {"type": "string"}, "Same": {}, "X_v2": {"type": "integer"}}
    assert ours["paths"]["/p"]["get"]["schema"]["$ref"] == "#/definitions/X_v2"
