"""The queue as a story: each line is `<second> <what happens> -> <what is seen>`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from knarr.scheduler.queue.events import ASSIGNED_POD, NODE, POD, Action, ClusterEvent
from knarr.scheduler.queue.nominator import Nominator
from knarr.scheduler.queue.queue import SchedulingQueue
from knarr.scheduler.queue.queued import QueuedPod


def make_pod(name: str, gates: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(
        metadata=SimpleNamespace(uid=name, name=name),
        spec=SimpleNamespace(schedulerName="s", schedulingGates=gates),
    )


def make_class(name: str, priority: int = 0) -> Any:
    return SimpleNamespace(id=hash((name, priority)), name=name, priority=priority)


class Story:
    """A queue whose plugins are `fit` (woken by node and pod events) and `taints` (woken by node events)."""

    def __init__(self, **options: Any) -> None:
        self.queue = SchedulingQueue(self._key, self._hint, self._gate, **options)
        self.popped: dict[str, QueuedPod] = {}
        self.asked = 0

    @staticmethod
    def _key(queued: QueuedPod) -> tuple[Any, ...]:
        return -queued.priority, queued.since

    def _hint(self, profile: str, rejected_by: tuple[str, ...], cls: Any, event: ClusterEvent) -> bool:
        self.asked += 1
        wakes = {"fit": (NODE, ASSIGNED_POD, POD), "taints": (NODE,)}
        return any(event.resource in wakes[plugin] for plugin in rejected_by)

    @staticmethod
    def _gate(pod: Any) -> str | None:
        return f"gated by {pod.spec.schedulingGates}" if pod.spec.schedulingGates else None

    def tell(self, line: str) -> None:
        told, _, expected = line.partition("->")
        second, verb, *words = told.split()
        now = float(second)
        seen = getattr(self, f"do_{verb}")(now, *words)
        if expected:
            assert seen == expected.strip(), line

    def do_add(self, now: float, name: str, priority: str = "0", gate: str = "") -> None:
        self.queue.add(make_pod(name, (gate,) if gate else ()), make_class(name, int(priority)), now)

    def do_pop(self, now: float) -> str:
        queued = self.queue.pop(now)
        if queued is None:
            return "nothing"
        self.popped[queued.uid] = queued
        return queued.uid

    def do_reject(self, now: float, name: str, *plugins: str) -> None:
        self.queue.reject(self.popped[name], plugins, now)

    def do_fail(self, now: float, name: str) -> None:
        self.queue.fail(self.popped[name], now)

    def do_done(self, now: float, name: str) -> None:
        self.queue.done(self.popped[name])

    def do_remove(self, now: float, name: str) -> None:
        self.queue.remove(name)

    def do_event(self, now: float, resource: str) -> str:
        return str(self.queue.move(ClusterEvent(resource, Action.ADD), now))

    def do_ungate(self, now: float, name: str) -> None:
        found = self.queue.get(name)
        assert found is not None
        self.queue.update(make_pod(name), found.cls, None, now)

    def do_change(self, now: float, name: str) -> None:
        found = self.queue.get(name)
        assert found is not None
        self.queue.update(make_pod(name), found.cls, ClusterEvent(POD, Action.POD_LABEL), now)

    def do_priority(self, now: float, name: str, priority: str) -> None:
        self.queue.update(make_pod(name), make_class(name, int(priority)), None, now)

    def do_flush(self, now: float) -> None:
        self.queue.flush(now)

    def do_counts(self, now: float) -> str:
        return " ".join(f"{place}={count}" for place, count in self.queue.counts().items() if count)

    def do_next(self, now: float) -> str:
        return f"{self.queue.next_at()}"


STORIES = {
    "important first, then the one that waits longest": """
        0 add a
        1 add b
        2 add c 10
        3 pop -> c
        3 pop -> a
        3 pop -> b
        3 pop -> nothing
    """,
    "equal in all: in the order of arrival": """
        0 add b
        0 add a
        0 pop -> b
        0 pop -> a
    """,
    "a change of priority moves a pod": """
        0 add a 1
        0 add b 2
        0 priority a 3
        0 pop -> a
    """,
    "a rejected pod sleeps until an event of its plugin": """
        0 add a
        0 pop -> a
        0 reject a taints
        5 event AssignedPod -> 0
        5 pop -> nothing
        5 event Node -> 1
        5 pop -> a
    """,
    "several plugins: any of them wakes": """
        0 add a
        0 pop -> a
        0 reject a fit taints
        5 event AssignedPod -> 1
        5 counts -> active=1
    """,
    "one that wakes early is backing off, and is popped only because nothing else is there": """
        0 add a
        0 add b
        0 pop -> a
        0 reject a fit
        0.5 event Node -> 1
        0.5 counts -> active=1 backoff=1
        0.5 pop -> b
        0.5 pop -> a
    """,
    "backoff doubles up to ten seconds": """
        0 add a
        0 pop -> a
        0 fail a
        0 next -> 1.0
        0.9 pop -> nothing
        1 pop -> a
        1 fail a
        1 next -> 3.0
        3 pop -> a
        3 fail a
        3 next -> 7.0
        7 pop -> a
        7 fail a
        7 next -> 15.0
        15 pop -> a
        15 fail a
        15 next -> 25.0
        25 pop -> a
        25 fail a
        25 next -> 35.0
    """,
    "no plugin to blame: an error, never popped early": """
        0 add a
        0 pop -> a
        0 reject a
        0.5 pop -> nothing
        0.5 counts -> backoff=1
        1 pop -> a
    """,
    "five minutes without an event": """
        0 add a
        0 pop -> a
        0 reject a taints
        0 next -> 300.0
        299.9 pop -> nothing
        300 pop -> a
    """,
    "gates": """
        0 add a 0 example.com/g
        0 pop -> nothing
        0 counts -> gated=1
        9 event Node -> 0
        9 ungate a
        9 pop -> a
    """,
    "a pod's own change wakes it if that may help": """
        0 add a
        0 add b
        0 pop -> a
        0 pop -> b
        0 reject a fit
        0 reject b taints
        9 change a
        9 change b
        9 counts -> active=1 unschedulable=1
        9 pop -> a
    """,
    "a pod that is deleted is nowhere": """
        0 add a
        0 add b
        0 add c
        0 add d 0 example.com/g
        0 pop -> a
        0 reject a fit
        0 pop -> b
        0 fail b
        0 remove a
        0 remove b
        0 remove c
        0 remove d
        0 counts ->
        500 pop -> nothing
    """,
    "deleted while it was tried": """
        0 add a
        0 pop -> a
        0 remove a
        0 reject a fit
        0 counts ->
        0 fail a
        0 counts ->
    """,
    "added twice is there once": """
        0 add a
        1 add a
        1 pop -> a
        1 pop -> nothing
    """,
}


@pytest.mark.parametrize("title", STORIES)
def test_stories(title: str) -> None:
    story = Story()
    for line in STORIES[title].strip().splitlines():
        story.tell(line)


def test_without_early_pops_a_backoff_is_waited_out() -> None:
    story = Story(pop_from_backoff=False)
    for line in (
        "0 add a",
        "0 pop -> a",
        "0 reject a fit",
        "0.2 event Node -> 1",
        "0.9 pop -> nothing",
        "1 pop -> a",
    ):
        story.tell(line)


def test_equal_pods_are_judged_once_per_event() -> None:
    story = Story()
    cls = make_class("same")
    for index in range(100):
        story.queue.add(make_pod(f"p{index}"), cls, 0)
    for _ in range(100):
        queued = story.queue.pop(0)
        assert queued is not None
        story.popped[queued.uid] = queued
    for queued in story.popped.values():
        story.queue.reject(queued, ("taints",), 0)
    assert story.queue.move(ClusterEvent(NODE, Action.ADD), 10) == 100
    assert story.asked == 1


def test_nominees_stand_in_the_way_of_the_less_important_only() -> None:
    nominator = Nominator()
    low, high = make_class("low", 1), make_class("high", 5)
    nominator.nominate("a", high, "n1")
    nominator.nominate("b", low, "n1")
    assert [n.uid for n in nominator.against("x", 3)] == ["a"]
    assert [n.uid for n in nominator.against("x", 5)] == ["a"]
    assert nominator.against("a", 5) == []
    assert [n.uid for n in nominator.below("n1", 5)] == ["b"]
    nominator.nominate("a", high, "")
    assert not nominator.against("x", 0) or [n.uid for n in nominator.against("x", 0)] == ["b"]
    assert nominator.node_of("a") == ""
