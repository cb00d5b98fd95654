"""A conversion webhook over HTTPS, seen by clients: watches, tables and metadata of the version they ask for."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.store.memory import MemoryStore
from knarr.world import World
from tests.egress.servers import Authority, Seen, WebServer

BOATS = "/apis/example.com/{}/namespaces/default/boats"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = {"Content-Type": "application/merge-patch+json"}


def schema(**fields: str) -> Any:
    spec = {"type": "object", "properties": {name: {"type": kind} for name, kind in fields.items()}}
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}


def definition(bundle: str, port: int) -> Any:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "boats", "kind": "Boat"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": schema(hostPort="string")},
                {
                    "name": "v2",
                    "served": True,
                    "storage": False,
                    "schema": schema(host="string", port="string"),
                    "selectableFields": [{"jsonPath": ".spec.host"}],
                    "additionalPrinterColumns": [
                        {"name": "Host", "type": "string", "jsonPath": ".spec.host"}
                    ],
                },
            ],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"url": f"https://localhost:{port}/convert", "caBundle": bundle},
                    "conversionReviewVersions": ["v1"],
                },
            },
        },
    }


def convert(obj: Any, version: str) -> Any:
    obj["apiVersion"], spec = version, obj.get("spec", {})
    if version.endswith("v2") and "hostPort" in spec:
        spec["host"], _, spec["port"] = spec.pop("hostPort").partition(":")
    elif version.endswith("v1") and "host" in spec:
        spec["hostPort"] = f"{spec.pop('host')}:{spec.pop('port', '')}"
    return obj


class Webhook:
    def __init__(self) -> None:
        self.down, self.delay = False, 0.0
        #: objects that an answer lacks
        self.lost = 0

    async def __call__(self, seen: Seen) -> Any:
        review = json.loads(seen.body)
        request = review["request"]
        if self.down:
            return 500, {"content-type": "text/plain"}, b"no"
        await asyncio.sleep(self.delay)
        objects = [convert(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        review["response"] = {
            "uid": request["uid"],
            "result": {"status": "Success"},
            "convertedObjects": objects[self.lost :],
        }
        del review["request"]
        return 200, {}, json.dumps(review).encode()


class Server:
    def __init__(self, plane: ControlPlane, session: aiohttp.ClientSession, web: WebServer) -> None:
        self.session, self.url, self.web = session, plane.url, web

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
            return answer.status, json.loads(await answer.read())

    async def boat(self, name: str, host: str, **metadata: Any) -> None:
        metadata = {"name": name, **metadata}
        body = {
            "apiVersion": "example.com/v1",
            "kind": "Boat",
            "metadata": metadata,
            "spec": {"hostPort": host},
        }
        assert (await self("POST", BOATS.format("v1"), body))[0] == 201

    async def change(self, name: str, host: str) -> None:
        path = f"{BOATS.format('v1')}/{name}"
        assert (await self("PATCH", path, {"spec": {"hostPort": host}}, **MERGE))[0] == 200

    async def watch(
        self, query: str, count: int, during: Callable[[], Awaitable[None]], **headers: str
    ) -> Any:
        """The first events of a watch of v2 during which something happens."""
        events: list[Any] = []
        url = f"{self.url}{BOATS.format('v2')}?watch=true{query}"
        async with self.session.get(url, headers=headers) as answer:
            assert answer.status == 200
            task = asyncio.ensure_future(during())
            while len(events) < count and (line := await answer.content.readline()):
                events.append(json.loads(line))
            await task
        return events


async def nothing() -> None:
    pass


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("converters")


def play(story: Callable[[Server, Webhook], Awaitable[None]], authority: Authority) -> None:
    async def main() -> None:
        world, webhook = World(), Webhook()
        plane = ControlPlane(Config(admin_token="T"), world, MemoryStore(world))
        await plane.start()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context), headers={"Authorization": "Bearer T"}
                ) as session,
                WebServer(authority.context("localhost"), webhook) as web,
            ):
                server = Server(plane, session, web)
                assert (await server("POST", DEFINITIONS, definition(authority.bundle, web.port)))[0] == 201
                for _ in range(100):
                    async with session.get(server.url + BOATS.format("v2")) as answer:
                        if answer.status == 200:
                            break
                    await asyncio.sleep(0.02)
                await story(server, webhook)
        finally:
            await plane.stop()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_watches_are_in_the_version_that_is_asked_for(authority: Authority) -> None:
    async def story(server: Server, webhook: Webhook) -> None:
        await server.boat("a", "x:1")

        async def happen() -> None:
            webhook.delay = 0.05
            await server.change("a", "x:2")
            await server.boat("b", "y:1")
            await server("DELETE", f"{BOATS.format('v1')}/a")

        events = await server.watch(
            "&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 5, happen
        )
        shown = [(e["type"], e["object"]["apiVersion"], e["object"].get("spec")) for e in events]
        v2 = "example.com/v2"
        assert shown == [
            ("ADDED", v2, {"host": "x", "port": "1"}),
            ("BOOKMARK", v2, None),
            ("MODIFIED", v2, {"host": "x", "port": "2"}),
            ("ADDED", v2, {"host": "y", "port": "1"}),
            ("DELETED", v2, {"host": "x", "port": "2"}),
        ]
        versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
        assert versions == sorted(versions)
        calls = len(server.web.seen)
        again = await server.watch(f"&resourceVersion={versions[1]}", 3, nothing)
        assert [e["object"] for e in again] == [e["object"] for e in events[2:]]
        assert len(server.web.seen) == calls, "what was converted is remembered"

    play(story, authority)


def test_selectors_go_by_that_version_too(authority: Authority) -> None:
    async def story(server: Server, webhook: Webhook) -> None:
        await server.boat("a", "x:1")
        await server.boat("b", "y:1")

        async def happen() -> None:
            await server.change("b", "x:1")
            await server.change("b", "x:2")
            await server.change("a", "z:1")

        events = await server.watch("&fieldSelector=spec.host%3Dx", 4, happen)
        assert [
            (e["type"], e["object"]["metadata"]["name"], e["object"]["spec"]["port"]) for e in events
        ] == [
            ("ADDED", "a", "1"),
            ("ADDED", "b", "1"),
            ("MODIFIED", "b", "2"),
            ("DELETED", "a", "1"),
        ]
        _, document = await server("GET", "/openapi/v3/apis/example.com/v2")
        boat = document["components"]["schemas"]["com.example.v2.Boat"]
        assert boat["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.host"}]
        _, document = await server("GET", "/openapi/v2")
        assert "x-kubernetes-selectable-fields" in document["definitions"]["com.example.v2.Boat"]
        assert "x-kubernetes-selectable-fields" not in document["definitions"]["com.example.v1.Boat"]

    play(story, authority)


def test_tables_and_metadata(authority: Authority) -> None:
    async def story(server: Server, webhook: Webhook) -> None:
        await server.boat("a", "x:1")
        table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        _, found = await server("GET", BOATS.format("v2"), **table)
        assert [row["cells"] for row in found["rows"]] == [["a", "x"]]
        (event,) = await server.watch("", 1, nothing, **table)
        assert event["object"]["rows"][0]["cells"] == ["a", "x"]
        partial = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
        (event,) = await server.watch("", 1, nothing, **partial)
        assert event["object"]["kind"] == "PartialObjectMetadata"
        assert "spec" not in event["object"] and event["object"]["metadata"]["name"] == "a"

    play(story, authority)


def test_a_webhook_behind_a_service(authority: Authority) -> None:
    async def story(server: Server, webhook: Webhook) -> None:
        context = authority.context("converter.default.svc")
        async with WebServer(context, webhook) as web:
            spec = {"type": "ExternalName", "externalName": "localhost"}
            service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "converter"}, "spec": spec}
            assert (await server("POST", "/api/v1/namespaces/default/services", service))[0] == 201
            place = {"namespace": "default", "name": "converter", "port": web.port, "path": "/crd"}
            client = {"url": None, "service": place, "caBundle": authority.bundle}
            patch = {"spec": {"conversion": {"webhook": {"clientConfig": client}}}}
            code, answer = await server("PATCH", f"{DEFINITIONS}/boats.example.com", patch, **MERGE)
            assert code == 200, answer
            await server.boat("a", "x:1")
            _, boat = await server("GET", f"{BOATS.format('v2')}/a")
            assert boat["spec"] == {"host": "x", "port": "1"}
            assert [seen.url for seen in web.seen] == ["/crd?timeout=30s"]
            assert web.seen[0].headers["host"] == f"converter.default.svc:{web.port}"
            await server("DELETE", "/api/v1/namespaces/default/services/converter")
            # connections that are open serve on, in Kubernetes too
            web.hang_up()
            await server.change("a", "x:2")
            code, status = await server("GET", f"{BOATS.format('v2')}/a")
            what = f'Post "https://converter.default.svc:{web.port}/crd?timeout=30s"'
            message = f'conversion webhook for example.com/v1, Kind=Boat failed: {what}: service "converter" not found'
            assert (code, status["message"]) == (500, message)

    play(story, authority)


def test_a_watch_ends_with_the_webhooks_failure(authority: Authority) -> None:
    async def story(server: Server, webhook: Webhook) -> None:
        await server.boat("a", "x:1")

        async def happen() -> None:
            await asyncio.sleep(0.1)
            webhook.down = True
            await server.change("a", "x:2")

        added, error = await server.watch("", 3, happen)
        assert (added["type"], error["type"]) == ("ADDED", "ERROR")
        status = error["object"]
        assert (status["code"], status["reason"]) == (500, "InternalError")
        what = "conversion webhook for example.com/v1, Kind=Boat failed"
        why = 'an error on the server ("no") has prevented the request from succeeding'
        assert status["message"] == f"{what}: {why}"
        code, status = await server("GET", f"{BOATS.format('v2')}/a")
        assert (code, status["message"], status.get("reason")) == (500, f"{what}: {why}", None)

    play(story, authority)


def test_what_metrics_tell(authority: Authority) -> None:
    async def story(server: Server, webhook: Webhook) -> None:
        for name in "abc":
            await server.boat(name, "x:1")
        path = BOATS.format("v2")
        assert (await server("GET", f"{path}/a"))[0] == 200
        webhook.lost = 1
        assert (await server("GET", f"{path}/b"))[0] == 500
        webhook.down = True
        assert (await server("GET", f"{path}/c"))[0] == 500
        async with server.session.get(f"{server.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        calls = {line for line in lines if line.startswith("apiserver_conversion_webhook_request_total{")}
        labels = (
            'failure_type="",result="success"',
            'failure_type="conversion_webhook_call_failure",result="failure"',
            'failure_type="conversion_webhook_partial_response_failure",result="failure"',
        )
        assert calls == {f"apiserver_conversion_webhook_request_total{{{label}}} 1" for label in labels}
        name = "apiserver_crd_conversion_webhook_duration_seconds_count"
        versions = 'crd_name="boats.example.com",from_version="v1",succeeded="%s",to_version="v2"'
        assert f"{name}{{{versions % 'true'}}} 1" in lines
        assert f"{name}{{{versions % 'false'}}} 2" in lines

    play(story, authority)
