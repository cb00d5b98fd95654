"""Leader election on a Lease: of several candidates one leads, and stops before another may begin.

Clocks of different machines are never compared: a candidate takes the lease over only after *it* has seen the
record unchanged for the record's own duration, by its own monotonic clock. The leader stops when it could not
renew for `renew_deadline`, which is shorter. Times in the record are for people.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from knarr.client.client import Client, is_not_found
from knarr.client.codec import built_in
from knarr.meta import times
from knarr.meta.errors import StatusError

log = logging.getLogger(__name__)

LEASE_SECONDS, RENEW_DEADLINE_SECONDS, RETRY_SECONDS = 15, 10.0, 2.0
JITTER_FACTOR = 1.2


class LeaderElector:
    """Runs `lead` (a coroutine function) while this candidate holds the lease `namespace/name`.

    `lead` is cancelled when the lease is lost. `on_new_leader(identity)` hears of every change that is seen.
    Raises ValueError for durations that would allow two leaders.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        identity: str,
        lead: Callable[[], Awaitable[object]],
        namespace: str = "kube-system",
        lease_seconds: int = LEASE_SECONDS,
        renew_deadline: float = RENEW_DEADLINE_SECONDS,
        retry_period: float = RETRY_SECONDS,
        release_on_cancel: bool = True,
        on_new_leader: Callable[[str], None] | None = None,
    ) -> None:
        if not lease_seconds > renew_deadline:
            raise ValueError("lease_seconds must be greater than renew_deadline")
        if not renew_deadline > retry_period * JITTER_FACTOR:
            raise ValueError("renew_deadline must be greater than retry_period times the jitter factor")
        self.identity = identity
        self._client = client
        self._resource = built_in("coordination.k8s.io/v1", "Lease")
        self._name = name
        self._namespace = namespace
        self._lead = lead
        self._lease_seconds = lease_seconds
        self._renew_deadline = renew_deadline
        self._retry_period = retry_period
        self._release_on_cancel = release_on_cancel
        self._on_new_leader = on_new_leader
        self._observed: dict[str, Any] = {}  # the lease as last seen
        self._observed_at = float("-inf")  # monotonic
        self._reported = ""

    @property
    def leader(self) -> str:
        """The identity in the record as last seen; "" for none."""
        return self._spec().get("holderIdentity") or ""

    @property
    def is_leader(self) -> bool:
        return self.leader == self.identity

    async def run(self) -> None:
        """Wait for the lease, lead, and return when it is lost, `lead` has returned, or raise what it raised."""
        await self._acquire()
        leading = asyncio.ensure_future(self._lead())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((leading, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # the work has ended before the lease is given away
            for task in (leading, renewing):
                task.cancel()
            await asyncio.gather(leading, renewing, return_exceptions=True)
            if self._release_on_cancel:
                await self._release()
        if leading.done() and not leading.cancelled():
            leading.result()

    # -- the loop ----------------------------------------------------------------------------------------

    async def _acquire(self) -> None:
        while not await self._try():
            self._report()
            await asyncio.sleep(self._client.world.chance.jitter(self._retry_period, JITTER_FACTOR))
        self._report()
        log.info("%s: %s became leader", self._name, self.identity)

    async def _renew(self) -> None:
        """Returns when the lease could not be renewed for the deadline, or another has it."""
        while True:
            try:
                async with asyncio.timeout(self._renew_deadline):
                    while not await self._try():
                        self._report()
                        await asyncio.sleep(self._retry_period)
            except TimeoutError:
                log.warning(
                    "%s: %s stopped leading: the lease was not renewed in time", self._name, self.identity
                )
                return
            self._report()
            await asyncio.sleep(self._retry_period)

    async def _try(self) -> bool:
        """Acquire or renew once; False where that is not possible now."""
        try:
            return await self._acquire_or_renew()
        except StatusError as error:
            log.debug("%s: %s: %s", self._name, self.identity, error)
            return False

    async def _acquire_or_renew(self) -> bool:
        if self.is_leader and self._valid():
            # what we wrote last is most likely still there: one request instead of two
            try:
                self._observe(await self._write(self._record(self._spec()), self._observed))
                return True
            except StatusError as error:
                log.debug("%s: %s: renewing the lease as last seen: %s", self._name, self.identity, error)
        try:
            lease = await self._client.get(self._resource, self._name, self._namespace)
        except StatusError as error:
            if not is_not_found(error):
                raise
            self._observe(await self._create())
            return True
        # The resourceVersion tells whether anything was written. Seen again unchanged, the old sighting counts.
        if lease["metadata"]["resourceVersion"] != self._observed.get("metadata", {}).get("resourceVersion"):
            self._observe(lease)
        if self.leader and not self.is_leader and self._valid():
            return False
        self._observe(await self._write(self._record(self._spec()), lease))
        return True

    # -- the record --------------------------------------------------------------------------------------

    def _spec(self) -> dict[str, Any]:
        return self._observed.get("spec") or {}

    def _observe(self, lease: dict[str, Any]) -> None:
        self._observed = lease
        self._observed_at = asyncio.get_running_loop().time()

    def _valid(self) -> bool:
        """The holder may still be leading."""
        duration = self._spec().get("leaseDurationSeconds") or 0
        return self._observed_at + duration > asyncio.get_running_loop().time()

    def _record(self, old: dict[str, Any]) -> dict[str, Any]:
        """The spec by which this candidate holds the lease."""
        now = times.format_micro(self._client.world.clock.now())
        ours = old.get("holderIdentity") == self.identity
        transitions = old.get("leaseTransitions") or 0
        return {
            **old,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._lease_seconds,
            "acquireTime": old.get("acquireTime", now) if ours else now,
            "renewTime": now,
            "leaseTransitions": transitions if ours else transitions + 1,
        }

    async def _create(self) -> dict[str, Any]:
        lease = {
            "apiVersion": self._resource.api_version,
            "kind": self._resource.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {**self._record({}), "leaseTransitions": 0},
        }
        return await self._client.create(lease, self._resource)

    async def _write(self, spec: dict[str, Any], lease: dict[str, Any]) -> dict[str, Any]:
        """Replace the very lease that was read; 409 where somebody was quicker."""
        return await self._client.update({**lease, "spec": spec}, self._resource)

    async def _release(self) -> None:
        """Let the next one begin at once. Read first: a renewal that was cancelled may have been written."""
        if not self.is_leader:
            return
        try:
            async with asyncio.timeout(self._renew_deadline):
                self._observe(await self._client.get(self._resource, self._name, self._namespace))
                if self.is_leader:
                    self._observe(await self._write(self._released(), self._observed))
        except (StatusError, TimeoutError) as error:
            log.warning("%s: %s could not release the lease: %s", self._name, self.identity, error)

    def _released(self) -> dict[str, Any]:
        """A record that nobody holds and that runs out at once."""
        now = times.format_micro(self._client.world.clock.now())
        nobody = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
        return {**self._spec(), **nobody}

    def _report(self) -> None:
        if self.leader and self.leader != self._reported:
            self._reported = self.leader
            if self._on_new_leader is not None:
                self._on_new_leader(self.leader)
