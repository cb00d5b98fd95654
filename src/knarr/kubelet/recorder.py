"""Events of all nodes of a process: one recorder per node, one limit for them all."""

from __future__ import annotations

from typing import Any

from knarr.client.events import EventRecorder
from knarr.client.ratelimit import TokenBucket
from knarr.kubelet.node import ClientOf
from knarr.kubelet.words import NORMAL, field_path


class Recorders:
    """Normal events beyond the limit are dropped and counted: ten thousand pods that start at once say little new."""

    def __init__(self, client_of: ClientOf, per_second: float, burst: int) -> None:
        self._client_of = client_of
        self._bucket = TokenBucket(per_second, burst)
        self._recorders: dict[str, EventRecorder] = {}
        self.dropped = 0

    def of(self, node: str) -> EventRecorder:
        recorder = self._recorders.get(node)
        if recorder is None:
            recorder = self._recorders[node] = EventRecorder(self._client_of(node), "kubelet", node)
        return recorder

    def pod_event(self, pod: Any, type_: str, reason: str, message: str, container: str = "") -> None:
        if type_ == NORMAL and not self._bucket.try_take():
            self.dropped += 1
            return
        self.of(pod.spec.nodeName).event(pod, type_, reason, message, field_path(pod, container))

    async def flush(self) -> None:
        for recorder in self._recorders.values():
            await recorder.flush()

    async def stop(self) -> None:
        for recorder in self._recorders.values():
            await recorder.stop()
