"""Registration and heartbeats of all nodes of a process: one task, however many nodes.

Each node has a place in the renewal interval; every tick renews those whose place has come, together, so that the
store commits them together. Between ticks nothing runs, and nothing is kept that grows with time.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

from knarr.api.types import coordination_v1, core_v1
from knarr.client.client import is_already_exists, is_conflict, is_not_found
from knarr.kubelet import node as nodes
from knarr.kubelet.node import ClientOf, NodeSpec
from knarr.kubelet.settings import Settings
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

log = logging.getLogger(__name__)

#: ticks in one renewal interval
TICKS = 20
#: requests under way at once
CONCURRENCY = 64


class Heart:
    """One registered node."""

    __slots__ = ("lease", "since", "spec", "status_due", "tick", "uid")

    def __init__(self, spec: NodeSpec, uid: str, since: float, tick: int, status_due: float) -> None:
        self.spec, self.uid, self.since, self.tick, self.status_due = spec, uid, since, tick, status_due
        self.lease: Any = None


class Heartbeats:
    """`add` registers a node and keeps it alive until `remove` or `stop`."""

    def __init__(self, client_of: ClientOf, world: World, settings: Settings, runtime: str) -> None:
        self._client_of, self._settings, self._runtime = client_of, settings, runtime
        self._clock, self._chance = world.clock, world.chance
        self._hearts: dict[str, Heart] = {}
        #: the nodes of each tick
        self._ring: list[dict[str, Heart]] = [{} for _ in range(TICKS)]
        #: the tick of the next node; many register at once
        self._place = 0
        self._task: asyncio.Task[None] | None = None
        self._gate = asyncio.Semaphore(CONCURRENCY)

    @property
    def names(self) -> list[str]:
        return list(self._hearts)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="node heartbeats")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def add(self, spec: NodeSpec) -> Any:
        """Register, or take over the Node of that name; returns it. Raises StatusError where the API refuses."""
        async with self._gate:
            now = self._clock.now()
            node = await self._register(spec, now)
            tick = self._place
            self._place = (tick + 1) % TICKS
            due = now + self._settings.node_status_seconds * (0.5 + self._chance.random())
            heart = Heart(spec, node.metadata.uid, now, tick, due)
            await self._renew(heart)
            self._hearts[spec.name] = self._ring[tick][spec.name] = heart
            return node

    def remove(self, name: str) -> None:
        """No more heartbeats; the Node stays, as that of a machine which was switched off."""
        heart = self._hearts.pop(name, None)
        if heart is not None:
            self._ring[heart.tick].pop(name, None)

    async def _register(self, spec: NodeSpec, now: float) -> Any:
        body = nodes.node(spec, self._runtime, now, self._settings.version)
        client = self._client_of(spec.name)
        try:
            created = await client.create(body)
            return await client.get(core_v1.Node, created["metadata"]["name"])
        except StatusError as error:
            if not is_already_exists(error):
                raise
        await client.patch(
            core_v1.Node, spec.name, body={"metadata": {"labels": nodes.labels(spec)}}, kind="strategic"
        )
        return await client.patch(
            core_v1.Node, spec.name, body={"status": body["status"]}, kind="strategic", subresource="status"
        )

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = self._settings.lease_renew_seconds / TICKS
        due, place = loop.time(), 0
        while True:
            due += pause
            behind = loop.time() - due
            if behind > pause:
                # the machine was busy or asleep: go on from here, do not catch up
                due += math.floor(behind / pause) * pause
            await asyncio.sleep(max(0.0, due - loop.time()))
            place = (place + 1) % TICKS
            if hearts := list(self._ring[place].values()):
                await asyncio.gather(*(self._beat(heart) for heart in hearts))

    async def _beat(self, heart: Heart) -> None:
        async with self._gate:
            try:
                await self._renew(heart)
                if self._clock.now() >= heart.status_due:
                    await self._report(heart)
            except (StatusError, OSError) as error:
                log.warning("heartbeat of node %s: %s", heart.spec.name, error)
            except Exception:
                # one node's trouble must not silence the others
                log.exception("heartbeat of node %s", heart.spec.name)

    async def _renew(self, heart: Heart) -> None:
        client, now = self._client_of(heart.spec.name), self._clock.now()
        if heart.lease is not None:
            spec = {**heart.lease["spec"], "renewTime": times.format_micro(now)}
            try:
                heart.lease = await client.update({**heart.lease, "spec": spec})
                return
            except StatusError as error:
                if not (is_conflict(error) or is_not_found(error)):
                    raise
        wanted = nodes.lease(heart.spec.name, heart.uid, self._settings.lease_seconds, now)
        try:
            heart.lease = await client.create(wanted)
        except StatusError as error:
            if not is_already_exists(error):
                raise
            heart.lease = await client.patch(
                coordination_v1.Lease.__resource__,
                heart.spec.name,
                nodes.LEASE_NAMESPACE,
                {
                    "spec": wanted["spec"],
                    "metadata": {"ownerReferences": wanted["metadata"]["ownerReferences"]},
                },
            )

    async def _report(self, heart: Heart) -> None:
        """Nothing has changed but the time of the heartbeat."""
        now = self._clock.now()
        body = {"status": {"conditions": nodes.conditions(now, heart.since)}}
        await self._client_of(heart.spec.name).patch(
            core_v1.Node, heart.spec.name, body=body, kind="strategic", subresource="status"
        )
        heart.status_due = now + self._settings.node_status_seconds
