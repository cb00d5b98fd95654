"""What a node runtime offers to the kubelet: the one seam between simulated nodes, processes and containers.

Every verb returns at once; what came of it stands in `status(uid)` some time after, and the runtime says so by calling
the listener's `changed(uid)`. So one worker, with no task of its own, drives pods of every runtime.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from knarr.api.nodeapi import Exit, LogOptions, Terminal
from knarr.kubelet.addresses import PodAddresses

#: the states of one run of a container
CREATED = "created"  # under way: pulling, creating, or in its postStart hook
RUNNING = "running"
EXITED = "exited"
FAILED = "failed"  # it could not be created; `reason` and `message` say why, and no attempt was used up


@dataclass(slots=True)
class ContainerRecord:
    """One run of a container. Times are epoch seconds."""

    name: str
    attempt: int
    id: str = ""
    state: str = CREATED
    image: str = ""
    image_id: str = ""
    #: the spec it was made from (its image): a change means that it must be replaced
    made_from: str = ""
    #: why it waits (FAILED) or how it ended (EXITED)
    reason: str = ""
    message: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    signal: int = 0
    #: user, group and supplemental groups it runs with
    user: tuple[int, int, tuple[int, ...]] = (0, 0, (0,))


@dataclass(slots=True)
class PodRecord:
    """What the runtime knows of one pod."""

    uid: str
    #: the sandbox stands: volumes are mounted, it has an address
    ready: bool = False
    ips: tuple[str, ...] = ()
    #: the runs of each container that are still known, oldest first, at most two
    containers: dict[str, list[ContainerRecord]] = field(default_factory=dict)

    def last(self, name: str) -> ContainerRecord | None:
        runs = self.containers.get(name)
        return runs[-1] if runs else None

    def add(self, record: ContainerRecord) -> None:
        """A new run; one that never came to be is replaced, and only the run before it is kept."""
        runs = self.containers.setdefault(record.name, [])
        if runs and runs[-1].state == FAILED:
            runs.pop()
        runs.append(record)
        del runs[:-2]

    @property
    def running(self) -> list[ContainerRecord]:
        """The runs that still have to end before the pod is gone."""
        return [
            runs[-1] for runs in self.containers.values() if runs and runs[-1].state in (CREATED, RUNNING)
        ]


@dataclass(frozen=True)
class ProbeResult:
    """One probe's answer; `output` is what an event tells of a failure. `unknown`: count it as neither."""

    success: bool
    output: str = ""
    unknown: bool = False


class Listener(Protocol):
    """The kubelet, as runtimes see it."""

    def changed(self, uid: str) -> None:
        """Something in `status(uid)` is different."""
        ...

    def event(self, pod: Any, type_: str, reason: str, message: str, container: str = "") -> None:
        """Record an event about a pod or one of its containers. Never waits."""
        ...


class Runtime(Protocol):
    """Runs the pods of this process's nodes. Pods and containers are API structs."""

    #: as in nodeInfo.containerRuntimeVersion, and the scheme of container ids
    name: str
    #: probes and hooks really run; if not, `readiness` foretells them
    real: bool
    addresses: PodAddresses

    def listen(self, listener: Listener) -> None: ...

    async def start(self, pods: Iterable[str] = ()) -> None:
        """Before the first pod: clear away what an earlier life left behind. `pods`: uids that still exist."""
        ...

    async def stop(self) -> None:
        """End everything that runs, with its grace."""
        ...

    def status(self, uid: str) -> PodRecord | None: ...

    def create_pod(self, pod: Any) -> None:
        """Make the sandbox: address, directories, volumes; take up what its status says ran before."""
        ...

    def adopt_pod(self, pod: Any) -> None:
        """Only know what its status says: it is over, or will be at once, and nothing of it starts again."""
        ...

    def update_pod(self, pod: Any) -> None:
        """Its labels, annotations or spec changed."""
        ...

    def start_container(self, pod: Any, container: Any, attempt: int) -> None: ...

    def kill_container(self, pod: Any, name: str, grace_seconds: float) -> None:
        """TERM now, KILL when the grace is over. Asking again may only shorten the grace."""
        ...

    def remove_pod(self, uid: str) -> None:
        """Everything in it has ended: give back its address and directories."""
        ...

    def readiness(self, pod: Any, container: Any) -> tuple[float, float | None]:
        """Seconds after its start when it counts as started and as ready (None: never). Not `real` ones only."""
        ...

    async def probe(self, pod: Any, container: Any, probe: Any) -> ProbeResult:
        """Run one probe, within its timeout."""
        ...

    def logs(self, pod: Any, options: LogOptions) -> AsyncIterator[bytes]: ...

    async def exec(self, pod: Any, container: str, command: list[str], terminal: Terminal) -> Exit: ...

    async def attach(self, pod: Any, container: str, terminal: Terminal) -> Exit: ...

    async def dial(self, pod: Any, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...

    def reach(self, pod: Any, port: int) -> tuple[tuple[str, int], ...]: ...
