"""A whole cluster: store, API server, controllers, scheduler and nodes, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from knarr.auth.pki import PKIError
from knarr.client.client import Client
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.store.base import Store
from knarr.store.compactor import AutoCompactor
from knarr.world import World

log = logging.getLogger("knarr.cluster")

#: by then a new cluster has done what its first users wait for
SETTLED_SECONDS = 2.0
#: the file of the store in a data directory
DATABASE = "state.db"


class Cluster:
    """One cluster in this process. `start` returns when the API answers; the rest follows in the background."""

    def __init__(self, config: Config, world: World | None = None, store: Store | None = None) -> None:
        self.config = config
        self.world = world or World(chance=_chance(config.seed))
        self.store = store if store is not None else open_store(config, self.world, self._store_failed)
        self.plane = ControlPlane(config, self.world, self.store)
        #: set when the store can no longer write: the process should end
        self.failed: asyncio.Event = asyncio.Event()
        self._parts: list[Any] = []
        self._compactor: AutoCompactor | None = None
        self._background: asyncio.Task[None] | None = None
        #: set when controllers, scheduler and nodes run
        self.complete: asyncio.Event = asyncio.Event()

    def _store_failed(self, error: Exception) -> None:
        log.error("the store cannot write any more: %s", error)
        self.failed.set()

    @property
    def url(self) -> str:
        return self.plane.url

    def client(self, user: str = "", groups: tuple[str, ...] = (), manager: str = "knarr") -> Client:
        return self.plane.client(user, groups, manager)

    async def start(self) -> None:
        """Raises PortInUse, OpenError, PKIError."""
        await self.plane.start()
        if self.config.compaction_mode:
            self._compactor = AutoCompactor(
                self.store, self.config.compaction_mode, self.config.compaction_retention
            )
            self._compactor.start()
        self._background = asyncio.create_task(self._start_parts())

    async def _start_parts(self) -> None:
        """Controllers first: everything else may be waiting for what they make."""
        for make in self._makers():
            try:
                self._parts.append(await make())
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("a part of the cluster did not start")
        self.complete.set()
        if self.config.data_dir is not None:
            # drawn now, unless somebody needed it before: others may look for it in the directory
            await asyncio.sleep(SETTLED_SECONDS)
            try:
                await self.plane.identities.token_keys.signer()
            except PKIError as error:
                log.error("no key for service account tokens: %s", error)

    def _makers(self) -> list[Callable[[], Any]]:
        from knarr.cluster import parts

        wanted = []
        if self.config.controllers:
            wanted.append(lambda: parts.start_controllers(self))
        if self.config.scheduler:
            wanted.append(lambda: parts.start_scheduler(self))
        if self.config.nodes:
            wanted.append(lambda: parts.start_kubelets(self))
        return wanted

    async def stop(self) -> None:
        """The reverse of start; pods of the process runtime are ended with their grace."""
        await self.plane.linger()
        if self._background is not None:
            self._background.cancel()
            await asyncio.gather(self._background, return_exceptions=True)
        for part in reversed(self._parts):
            try:
                await part.stop()
            except Exception:
                log.exception("a part of the cluster did not stop cleanly")
        await self.plane.stop()
        if self._compactor is not None:
            await self._compactor.stop()
        await self.store.close()


def _chance(seed: int | None) -> Any:
    from knarr.world import chance

    return chance(seed)


def open_store(config: Config, world: World, on_failure: Callable[[Any], None]) -> Store:
    """The store of a data directory, or one in memory. Raises OpenError."""
    if config.data_dir is None:
        from knarr.store.memory import MemoryStore

        return MemoryStore(world, quota_bytes=config.quota_bytes, on_failure=on_failure)
    from knarr.store.sqlite import SqliteStore

    return SqliteStore(
        config.data_dir / DATABASE, world, quota_bytes=config.quota_bytes, on_failure=on_failure
    )
