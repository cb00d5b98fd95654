"""The scheduling queue: a state machine without a clock. Every method that depends on time is told it.

    add ── gated ─────────────► gated ── gates removed ──► active
     └───────────────► active ── pop ──► (an attempt) ── bound: gone
                         ▲                  ├─ fits nowhere ──► unschedulable ── an event, 5 min ─┐
                         │                  └─ error ──► error backoff                            │
                         └── in time ── backoff ◄─────────────────────── still backing off ───────┘

While nothing is active, pods are taken out of backoff early (not out of error backoff): idling helps nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.queue.events import ClusterEvent
from knarr.scheduler.queue.queued import (
    ACTIVE,
    BACKOFF,
    ERROR_BACKOFF,
    GATED,
    OUT,
    UNSCHEDULABLE,
    QueuedPod,
)

BACKOFF_SECONDS_INITIAL, BACKOFF_SECONDS_MAX = 1.0, 10.0
#: after that long without any event a pod is tried again all the same
UNSCHEDULABLE_SECONDS_MAX = 300.0

SortKey = Callable[[QueuedPod], tuple[Any, ...]]
#: (profile, plugins that refused, class, event) -> may the event help?
Hint = Callable[[str, tuple[str, ...], PodClass, ClusterEvent], bool]
#: why a pod must not be tried yet
Gate = Callable[[Any], str | None]
_Heap = list[tuple[tuple[Any, ...], int, QueuedPod]]


class SchedulingQueue:
    """See the module. `sort_key`, `hint` and `gate` are the profiles' plugins."""

    def __init__(
        self,
        sort_key: SortKey,
        hint: Hint,
        gate: Gate,
        backoff_initial: float = BACKOFF_SECONDS_INITIAL,
        backoff_max: float = BACKOFF_SECONDS_MAX,
        unschedulable_max: float = UNSCHEDULABLE_SECONDS_MAX,
        pop_from_backoff: bool = True,
    ) -> None:
        self._sort_key, self._hint, self._gate = sort_key, hint, gate
        self._backoff_initial, self._backoff_max = backoff_initial, backoff_max
        self._unschedulable_max = unschedulable_max
        self._pop_from_backoff = pop_from_backoff
        self._pods: dict[str, QueuedPod] = {}
        self._active: _Heap = []
        self._backoff: _Heap = []
        self._errors: _Heap = []
        self._gated: dict[str, QueuedPod] = {}
        #: in the order in which they came, so the first has waited longest
        self._unschedulable: dict[str, QueuedPod] = {}
        #: the same by what an event is judged by
        self._groups: dict[tuple[str, tuple[str, ...], int], dict[str, QueuedPod]] = {}
        self._tickets = 0
        self._counts = dict.fromkeys((ACTIVE, BACKOFF, ERROR_BACKOFF), 0)

    # -- looking -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, uid: str) -> bool:
        return uid in self._pods

    def get(self, uid: str) -> QueuedPod | None:
        return self._pods.get(uid)

    def counts(self) -> dict[str, int]:
        """Pods by place, as the metric pending_pods names them."""
        return {
            "active": self._counts[ACTIVE],
            "backoff": self._counts[BACKOFF] + self._counts[ERROR_BACKOFF],
            "unschedulable": len(self._unschedulable),
            "gated": len(self._gated),
        }

    def pods(self) -> list[QueuedPod]:
        return list(self._pods.values())

    # -- coming and going --------------------------------------------------------------------------------

    def add(self, pod: Any, cls: PodClass, now: float) -> QueuedPod:
        """A pod that needs a node."""
        queued = self._pods.get(pod.metadata.uid)
        if queued is not None:
            return queued
        queued = self._pods[pod.metadata.uid] = QueuedPod(pod, cls, now)
        self._admit(queued, now)
        return queued

    def _admit(self, queued: QueuedPod, now: float) -> None:
        """To the gated or the active ones."""
        queued.since = now
        queued.gate = self._gate(queued.pod)
        if queued.gate is None:
            self._push(self._active, ACTIVE, queued, self._sort_key(queued))
        else:
            queued.place = GATED
            self._gated[queued.uid] = queued

    def remove(self, uid: str) -> QueuedPod | None:
        """It was deleted, or bound by somebody."""
        queued = self._pods.pop(uid, None)
        if queued is not None:
            self._take_out(queued)
        return queued

    def pop(self, now: float) -> QueuedPod | None:
        """The next pod to try; it stays known (see `done`) but is in no place."""
        self.flush(now)
        queued = self._pop(self._active, ACTIVE)
        if queued is None and self._pop_from_backoff:
            queued = self._pop(self._backoff, BACKOFF)
        if queued is None:
            return None
        queued.attempts += 1
        if queued.initial_attempt is None:
            queued.initial_attempt = now
        return queued

    def done(self, queued: QueuedPod) -> None:
        """It has a node: forget it."""
        self._pods.pop(queued.uid, None)

    # -- failed attempts ---------------------------------------------------------------------------------

    def reject(self, queued: QueuedPod, rejected_by: tuple[str, ...], now: float) -> None:
        """It fitted nowhere. Without a plugin that knows why, that counts as an error."""
        if self._pods.get(queued.uid) is not queued:
            return  # deleted meanwhile
        if not rejected_by:
            self.fail(queued, now)
            return
        queued.since, queued.rejected_by = now, rejected_by
        queued.unschedulable += 1
        queued.errors = 0
        queued.place = UNSCHEDULABLE
        self._unschedulable[queued.uid] = queued
        self._groups.setdefault(_group(queued), {})[queued.uid] = queued

    def fail(self, queued: QueuedPod, now: float) -> None:
        """Something went wrong: try again after its backoff, never earlier."""
        if self._pods.get(queued.uid) is not queued:
            return
        queued.since = now
        queued.errors += 1
        self._push(self._errors, ERROR_BACKOFF, queued, (self._expiry(queued), *self._sort_key(queued)))

    def restore(self, queued: QueuedPod, now: float) -> None:
        """Back to the active ones: the attempt did not count."""
        if self._pods.get(queued.uid) is queued:
            self._admit(queued, now)

    def adopt(self, queued: QueuedPod) -> None:
        """Know a pod again that `done` forgot; `fail` or `reject` is to follow."""
        self._pods.setdefault(queued.uid, queued)

    def _expiry(self, queued: QueuedPod) -> float:
        """When its backoff ends: it doubles with each failure of the same sort."""
        failures = queued.errors or queued.unschedulable
        if not failures:
            return queued.since
        seconds = self._backoff_initial * 2 ** min(failures - 1, 30)
        return queued.since + min(seconds, self._backoff_max)

    # -- waking ------------------------------------------------------------------------------------------

    def move(self, event: ClusterEvent, now: float) -> int:
        """Wake the pods that the event may help; how many there were."""
        if not self._groups:
            return 0
        woken = 0
        for group, pods in list(self._groups.items()):
            some = next(iter(pods.values()))
            if self._hint(group[0], group[1], some.cls, event):
                waking = list(pods.values())
                for queued in waking:
                    self._wake(queued, now)
                woken += len(waking)
        return woken

    def _wake(self, queued: QueuedPod, now: float) -> None:
        self._take_out(queued)
        queued.gate = self._gate(queued.pod)
        if queued.gate is not None:
            queued.place = GATED
            self._gated[queued.uid] = queued
        elif self._expiry(queued) > now:
            self._back_off(queued)
        else:
            self._push(self._active, ACTIVE, queued, self._sort_key(queued))

    def _back_off(self, queued: QueuedPod) -> None:
        self._push(self._backoff, BACKOFF, queued, (self._expiry(queued), *self._sort_key(queued)))

    def reopen(self, now: float) -> int:
        """Look at the gates of pods that use claims of devices again: such a claim has changed."""
        opened = [
            queued
            for queued in self._gated.values()
            if queued.cls.resource_claims and self._gate(queued.pod) is None
        ]
        for queued in opened:
            self._take_out(queued)
            self._admit(queued, now)
        return len(opened)

    def update(self, pod: Any, cls: PodClass, event: ClusterEvent | None, now: float) -> None:
        """The pod changed; `event` says in what that matters, None if it does not."""
        queued = self._pods.get(pod.metadata.uid)
        if queued is None:
            self.add(pod, cls, now)
            return
        queued.pod = pod
        if queued.cls is not cls:
            self._reclassify(queued, cls)
        if queued.place == GATED:
            if self._gate(pod) is None:
                self._take_out(queued)
                self._admit(queued, now)
        elif queued.place == UNSCHEDULABLE and event is not None:
            if self._hint(queued.profile, queued.rejected_by, queued.cls, event):
                self._wake(queued, now)

    def _reclassify(self, queued: QueuedPod, cls: PodClass) -> None:
        if queued.place == UNSCHEDULABLE:
            self._leave_group(queued)
            queued.cls = cls
            self._groups.setdefault(_group(queued), {})[queued.uid] = queued
            return
        moved = queued.place == ACTIVE and queued.cls.priority != cls.priority
        queued.cls = cls
        if moved:
            self._take_out(queued)
            self._push(self._active, ACTIVE, queued, self._sort_key(queued))

    def flush(self, now: float) -> None:
        """Whose backoff is over, and who has waited too long for an event."""
        for heap, place in ((self._backoff, BACKOFF), (self._errors, ERROR_BACKOFF)):
            while (first := self._first(heap, place)) is not None and first[0][0] <= now:
                heappop(heap)
                queued = first[2]
                self._counts[place] -= 1
                self._push(self._active, ACTIVE, queued, self._sort_key(queued))
        while self._unschedulable:
            queued = next(iter(self._unschedulable.values()))
            if now - queued.since < self._unschedulable_max:
                break
            self._wake(queued, now)

    def next_at(self) -> float | None:
        """When `flush` will have something to do; None: never as things are."""
        times = [
            first[0][0]
            for heap, place in ((self._backoff, BACKOFF), (self._errors, ERROR_BACKOFF))
            if (first := self._first(heap, place))
        ]
        if self._unschedulable:
            times.append(next(iter(self._unschedulable.values())).since + self._unschedulable_max)
        return min(times, default=None)

    @property
    def ready(self) -> bool:
        """Would `pop` find a pod without `flush`?"""
        return bool(self._counts[ACTIVE] or (self._pop_from_backoff and self._counts[BACKOFF]))

    # -- heaps whose dead entries are dropped when they come up --------------------------------------------

    def _push(self, heap: _Heap, place: str, queued: QueuedPod, key: tuple[Any, ...]) -> None:
        self._tickets += 1
        queued.place, queued.ticket = place, self._tickets
        self._counts[place] += 1
        heappush(heap, (key, self._tickets, queued))

    def _first(self, heap: _Heap, place: str) -> tuple[tuple[Any, ...], int, QueuedPod] | None:
        while heap:
            entry = heap[0]
            if entry[2].place == place and entry[2].ticket == entry[1]:
                return entry
            heappop(heap)
        return None

    def _pop(self, heap: _Heap, place: str) -> QueuedPod | None:
        first = self._first(heap, place)
        if first is None:
            return None
        heappop(heap)
        self._counts[place] -= 1
        first[2].place = OUT
        return first[2]

    def _take_out(self, queued: QueuedPod) -> None:
        if queued.place == UNSCHEDULABLE:
            del self._unschedulable[queued.uid]
            self._leave_group(queued)
        elif queued.place == GATED:
            del self._gated[queued.uid]
        elif queued.place in self._counts:
            self._counts[queued.place] -= 1
        queued.place = OUT

    def _leave_group(self, queued: QueuedPod) -> None:
        group = _group(queued)
        pods = self._groups[group]
        del pods[queued.uid]
        if not pods:
            del self._groups[group]


def _group(queued: QueuedPod) -> tuple[str, tuple[str, ...], int]:
    return queued.profile, queued.rejected_by, queued.cls.id
