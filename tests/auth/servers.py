"""A control plane on a port, with a client, in the test's own loop."""

from __future__ import annotations

import asyncio

import aiohttp

from knarr.auth.configuration.settings import AuthenticationSettings, AuthorizationSettings
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.store.memory import MemoryStore
from knarr.world import World
from knarr.world.chance import chance

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


class Server:
    """A control plane on a port and a client for it."""

    def __init__(self, authentication, authorization):
        self.world = World(chance=chance(5))
        config = Config(
            admin_token="T",
            authentication=AuthenticationSettings(**authentication),
            authorization=AuthorizationSettings(**authorization),
        )
        self.plane = ControlPlane(config, self.world, MemoryStore(self.world))

    async def __aenter__(self):
        await self.plane.start()
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))
        return self

    async def __aexit__(self, *error):
        await self.session.close()
        await self.plane.stop()

    async def call(self, method, path, token="", body=None, **headers):
        """(status, body), the body decoded where it is JSON."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with self.session.request(method, self.plane.url + path, json=body, headers=headers) as answer:
            kind = answer.headers.get("Content-Type", "")
            self.warning = answer.headers.get("Warning", "")
            return answer.status, await (answer.json() if "json" in kind else answer.text())

    async def who(self, token):
        """The user behind a token: the name and the groups, or the status."""
        body = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        status, found = await self.call("POST", REVIEW, token, body)
        if status != 201:
            return status
        user = found["status"]["userInfo"]
        return user["username"], [g for g in user.get("groups", ()) if g != "system:authenticated"]

    async def rules(self, token, **headers):
        body = {
            "kind": "SelfSubjectRulesReview",
            "apiVersion": "authorization.k8s.io/v1",
            "spec": {"namespace": "default"},
        }
        return (await self.call("POST", RULES, token, body, **headers))[1]["status"]


def with_server(test, authentication=None, authorization=None):
    async def run():
        async with Server(authentication or {}, authorization or {}) as server:
            return await test(server)

    return asyncio.run(run())
