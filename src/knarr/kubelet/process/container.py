"""One run of a container: from its command to its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from knarr.kubelet.process import cgroups, leftovers, logfile
from knarr.kubelet.process.child import DRAIN_SECONDS, READ_BYTES, Child, launch
from knarr.kubelet.runtime import EXITED, ContainerRecord

#: terminationMessagePath: what of it is kept
MESSAGE_BYTES_MAX = 4096
#: pieces of output an attached client may be behind before it is let go
ATTACHED_PIECES_MAX = 256
STREAMS = {1: "stdout", 2: "stderr"}

Output = tuple[int, bytes]


class Container:
    """A running container. `ended(self)` is called once, after its record says how."""

    def __init__(
        self,
        spec: Any,
        record: ContainerRecord,
        folder: Path,
        log: logfile.LogWriter,
        now: Callable[[], float],
        cgroup: Path | None = None,
        message_file: Path | None = None,
    ) -> None:
        self.spec, self.record, self.folder, self.log = spec, record, folder, log
        self._now, self._cgroup, self._message_file = now, cgroup, message_file
        self.child: Child | None = None
        self._attached: list[asyncio.Queue[Output | None]] = []
        self._deadline = 0.0
        self._killer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted_dead = False

    # -- starting -----------------------------------------------------------------------------------------------

    async def launch(self, spec: dict[str, Any]) -> None:
        """Returns when the command runs. Raises LaunchError."""
        tty = bool(self.spec.tty)
        self.child = await launch(spec, self.folder, stdin=bool(self.spec.stdin), tty=tty)
        leftovers.remember(self.folder, self.child.pid)

    def watch(self, ended: Callable[[Container], None]) -> None:
        """From now on its end is noticed."""
        self._task = asyncio.get_running_loop().create_task(
            self._run(ended), name=f"container {self.record.name}"
        )

    async def _run(self, ended: Callable[[Container], None]) -> None:
        child = self.child
        assert child is not None
        pumps = [
            asyncio.ensure_future(self._pump(channel, stream))
            for channel, stream in child.outputs()
            if stream
        ]
        code = await child.wait()
        # what the command has started ends with it
        leftovers.kill_session(child.pid, signal.SIGKILL)
        if pumps:
            _, late = await asyncio.wait(pumps, timeout=DRAIN_SECONDS)
            for pump in late:
                pump.cancel()
        child.close()
        self._finish(code)
        ended(self)

    async def _pump(self, channel: int, stream: Any) -> None:
        while data := await stream.read(READ_BYTES):
            self.log.add(STREAMS[channel], data)
            for queue in list(self._attached):
                try:
                    queue.put_nowait((channel, data))
                except asyncio.QueueFull:
                    self._attached.remove(queue)

    # -- ending -------------------------------------------------------------------------------------------------

    def kill(self, grace_seconds: float) -> None:
        """TERM (or the container's own signal) now, KILL later; asking again may only bring KILL forward."""
        loop = asyncio.get_running_loop()
        if self.child is None or self.child.ended:
            return
        deadline = loop.time() + grace_seconds
        if not self._wanted_dead:
            self._wanted_dead = True
            leftovers.kill_session(self.child.pid, self._stop_signal())
        elif deadline >= self._deadline:
            return
        self._deadline = deadline
        if self._killer is not None:
            self._killer.cancel()
        self._killer = loop.call_later(grace_seconds, self._kill_now)

    def _kill_now(self) -> None:
        if self.child is not None and not self.child.ended:
            leftovers.kill_session(self.child.pid, signal.SIGKILL)

    def _stop_signal(self) -> int:
        lifecycle = getattr(self.spec, "lifecycle", None)
        name = getattr(lifecycle, "stopSignal", None) if lifecycle is not None else None
        return getattr(signal, name, signal.SIGTERM) if name else signal.SIGTERM

    def _finish(self, code: int) -> None:
        if self._killer is not None:
            self._killer.cancel()
        leftovers.forget(self.folder)
        self.log.close()
        record = self.record
        record.exit_code, record.finished_at = code, self._now()
        if self._cgroup is not None:
            if cgroups.oom_kills(self._cgroup):
                record.reason = "OOMKilled"
            cgroups.remove(self._cgroup)
        record.message = self._message(code)
        record.state = EXITED
        for queue in self._attached:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)

    def _message(self, code: int) -> str:
        text = ""
        if self._message_file is not None:
            with contextlib.suppress(OSError), self._message_file.open("rb") as file:
                text = file.read(MESSAGE_BYTES_MAX).decode("utf-8", "replace")
        if not text and code and self.spec.terminationMessagePolicy == "FallbackToLogsOnError":
            text = logfile.last_lines(self.log.path)
        return text

    async def wait(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    # -- attaching ----------------------------------------------------------------------------------------------

    def attach(self) -> asyncio.Queue[Output | None]:
        """Output from now on; None is the end."""
        queue: asyncio.Queue[Output | None] = asyncio.Queue(ATTACHED_PIECES_MAX)
        self._attached.append(queue)
        return queue

    def detach(self, queue: asyncio.Queue[Output | None]) -> None:
        if queue in self._attached:
            self._attached.remove(queue)
