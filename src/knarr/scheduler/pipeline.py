"""Many small requests at once, but not more than so many: binds, conditions, evictions."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


class Pipeline:
    """Runs jobs in the order in which they came, `parallel` of them at a time; its tasks live only while there is
    work. `room` is how a producer waits while more than `waiting_max` are queued: nothing is ever dropped."""

    def __init__(self, name: str, parallel: int = 128, waiting_max: int = 4096) -> None:
        self._name = name
        self._parallel = parallel
        self._waiting_max = waiting_max
        self._jobs: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()

    def put(self, job: Job) -> None:
        """Never waits."""
        self._jobs.append(job)
        if len(self._jobs) > self._waiting_max:
            self._room.clear()
        if len(self._tasks) < self._parallel:
            task = asyncio.get_running_loop().create_task(self._work(), name=self._name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    async def room(self) -> None:
        """Until no more than `waiting_max` jobs wait."""
        await self._room.wait()

    async def _work(self) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            if len(self._jobs) <= self._waiting_max:
                self._room.set()
            try:
                await job()
            except Exception:
                log.exception("%s: a job failed", self._name)

    async def idle(self) -> None:
        """Until all jobs put so far are done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancel what runs, drop what waits."""
        self._jobs.clear()
        self._room.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
