"""What the process runtime holds of one pod, and where its files are."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from knarr.kubelet.process import address
from knarr.kubelet.process.container import Container
from knarr.kubelet.process.volumes import Volumes
from knarr.kubelet.runtime import PodRecord


class ProcessPod:
    """`folder` has its volumes and containers, `logs` the output of each run."""

    def __init__(self, pod: Any, pods: Path, logs: Path) -> None:
        meta = pod.metadata
        self.pod, self.folder = pod, pods / meta.uid
        self.logs = logs / "pods" / f"{meta.namespace}_{meta.name}_{meta.uid}"
        self.record = PodRecord(meta.uid)
        self.address = address.LOCALHOST
        self.volumes = Volumes()
        self.containers: dict[str, Container] = {}
        #: sandbox, starts, refreshes: all tasks on its behalf
        self.tasks: set[asyncio.Task[None]] = set()
        self.starting: dict[str, asyncio.Task[None]] = {}
        self.lock = asyncio.Lock()

    def spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def run_folder(self, container: str, attempt: int) -> Path:
        return self.folder / "containers" / container / str(attempt)

    def log_path(self, container: str, attempt: int) -> Path:
        return self.logs / container / f"{attempt}.log"
