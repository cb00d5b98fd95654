"""A pod in the queue."""

from __future__ import annotations

from typing import Any

from knarr.scheduler.cache.classes import PodClass

ACTIVE, BACKOFF, ERROR_BACKOFF, UNSCHEDULABLE, GATED, OUT = (
    "active",
    "backoff",
    "error backoff",
    "unschedulable",
    "gated",
    "out",
)


class QueuedPod:
    """What the queue knows of a pod. Times are epoch seconds."""

    __slots__ = (
        "attempts",
        "cls",
        "entered",
        "errors",
        "gate",
        "initial_attempt",
        "place",
        "pod",
        "rejected_by",
        "since",
        "ticket",
        "tried",
        "uid",
        "unschedulable",
    )

    def __init__(self, pod: Any, cls: PodClass, now: float) -> None:
        self.pod, self.cls = pod, cls
        self.uid: str = pod.metadata.uid
        #: when it came into its present place (backoff counts from here)
        self.since = now
        #: when it first came into the queue
        self.entered = now
        self.initial_attempt: float | None = None
        self.attempts = 0
        #: when its present attempt began
        self.tried = now
        #: how often it fitted nowhere, and how often something went wrong, in a row
        self.unschedulable = 0
        self.errors = 0
        #: names of the plugins that refused it last; empty: nobody knows why it failed
        self.rejected_by: tuple[str, ...] = ()
        #: why it must not be tried yet
        self.gate: str | None = None
        self.place = OUT
        #: which heap entry is the valid one
        self.ticket = 0

    @property
    def profile(self) -> str:
        return self.pod.spec.schedulerName

    @property
    def priority(self) -> int:
        return self.cls.priority
