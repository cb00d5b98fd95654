"""A cluster that lives in a thread of the test's process, for tests written in any style."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import subprocess
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from knarr.cluster.cluster import Cluster
from knarr.cluster.config import Config
from knarr.meta import durations
from knarr.world import LoopClock, RealClock, World, chance
from knarr.world.loop import SkippingLoop

T = TypeVar("T")
#: how long a test waits for something before it is told what it waited for
PATIENCE_SECONDS = 30.0
#: virtual time begins here, so that times in answers are the same in every run
EPOCH = 1_790_000_000.0


class TestCluster:
    """A cluster in memory behind a real port on loopback.

    `virtual_time` freezes its clock, which then moves only by `advance`; else it runs with the machine's, and `advance`
    skips ahead. `seed` makes its draws repeatable. Other settings are `cluster.config.Config`'s.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(
        self, directory: Path, *, virtual_time: bool = False, seed: int | None = None, **settings: Any
    ) -> None:
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        self.virtual_time = virtual_time
        self.config = Config(**{"name": "test", "seed": seed, **settings})
        self._loop = SkippingLoop(frozen=virtual_time)
        self._thread = threading.Thread(target=self._run, name="knarr-test-cluster", daemon=True)
        self.cluster: Cluster | None = None

    # -- life ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def start(self) -> None:
        """Returns when the whole cluster runs."""
        self._thread.start()
        self.run(self._start())

    async def _start(self) -> None:
        clock = LoopClock(self._loop, EPOCH) if self.virtual_time else _SkippedClock(self._loop)
        world = World(clock, chance(self.config.seed))
        self.cluster = Cluster(self.config, world)
        await self.cluster.start()
        await self.cluster.complete.wait()
        from knarr.cluster.access import kubeconfig_of

        self.kubeconfig.write_text(kubeconfig_of(self.cluster))

    def stop(self) -> None:
        if self.cluster is not None:
            self.run(self.cluster.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)

    # -- for tests -----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        assert self.cluster is not None
        return self.cluster.url

    @property
    def token(self) -> str:
        """A bearer token of system:masters."""
        assert self.cluster is not None
        return self.cluster.plane.token

    def run(self, coroutine: Coroutine[Any, Any, T], patience: float = PATIENCE_SECONDS) -> T:
        """Run a coroutine in the cluster's loop and wait for its result."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(patience)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise TimeoutError(f"the cluster did not finish {coroutine!r} within {patience} s") from None

    def advance(self, duration: float | str) -> None:
        """Let cluster time pass: seconds, or Go's `1h30m`. Everything due by then has happened when this returns."""
        seconds = durations.parse_go_duration(duration) if isinstance(duration, str) else duration
        self.run(self._loop.skip(seconds))

    def now(self) -> float:
        """Epoch seconds, as the cluster sees them."""
        assert self.cluster is not None
        return self.cluster.world.clock.now()

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl against the cluster; its output. Raises CalledProcessError with what it printed."""
        binary = os.environ.get("KNARR_KUBECTL", "kubectl")
        done = subprocess.run(
            [binary, f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "HOME": str(self.directory)},
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        return done.stdout + (done.stderr if not check else "")


class _SkippedClock(RealClock):
    """The machine's clock plus what was skipped."""

    def __init__(self, loop: SkippingLoop) -> None:
        self._loop = loop
        self._offset = RealClock.now() - loop.time()

    def now(self) -> float:  # type: ignore[override]
        return self._loop.time() + self._offset

    def monotonic(self) -> float:  # type: ignore[override]
        return self._loop.time()
