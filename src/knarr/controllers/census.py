"""What the pods of a set are like, each pod looked at once per change.

A set of 10,000 pods is reconciled for every few of them that become ready; looking at all of them anew each time was a
quarter of the cost of bringing such a set up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from knarr.client.objects import controller_of
from knarr.controllers.pods import condition, is_active, is_terminating
from knarr.meta import times
from knarr.meta.labels import Selector


@dataclass(slots=True, eq=False)
class Facts:
    """One revision of one pod, as its set sees it."""

    #: held, so that no other object can take its identity while we know it by that
    pod: Any
    active: bool
    terminating: bool
    #: controlled by the set
    owned: bool
    #: selected by the set
    matches: bool
    #: has all the labels of the template
    fully_labeled: bool
    ready: bool
    #: text of the time since when it is (not) ready; "" where it does not say
    ready_since: str


class Observed(NamedTuple):
    """What the pods of a set are like."""

    fully_labeled: int
    ready: int
    available: int
    #: seconds until the next ready pod counts as available; None if none waits for that
    next_available: float | None


class Census:
    """The facts of a set's candidates; good for one generation of the set."""

    def __init__(self, owner: Any, selector: Selector) -> None:
        self.generation = owner.metadata.generation
        self.uid = owner.metadata.uid
        self._selector = selector
        self._labels = owner.spec.template.metadata.labels.items()
        self._known: dict[int, Facts] = {}

    def is_of(self, owner: Any) -> bool:
        return owner.metadata.generation == self.generation and owner.metadata.uid == self.uid

    def take(self, candidates: Iterable[Any]) -> list[Facts]:
        """Facts in the order of `candidates`; of others nothing is remembered."""
        before = self._known
        found = [before.get(id(pod)) or self._look(pod) for pod in candidates]
        self._known = {id(facts.pod): facts for facts in found}
        return found

    def observe(self, pods: Iterable[Any], min_ready_seconds: int, now: float) -> Observed:
        """Sum up some of the candidates of the last census."""
        known = self._known
        counted = [known[id(pod)] for pod in pods]
        ready = [facts for facts in counted if facts.ready]
        waits = (
            [_wait(facts.ready_since, min_ready_seconds, now) for facts in ready] if min_ready_seconds else []
        )
        return Observed(
            sum([facts.fully_labeled for facts in counted]),
            len(ready),
            waits.count(0.0) if min_ready_seconds else len(ready),
            min((wait for wait in waits if wait), default=None),
        )

    def _look(self, pod: Any) -> Facts:
        ref = controller_of(pod)
        labels = pod.metadata.labels
        ready = condition(pod, "Ready")
        return Facts(
            pod,
            is_active(pod),
            is_terminating(pod),
            ref is not None and ref.uid == self.uid,
            self._selector.matches(labels),
            self._labels <= labels.items(),
            ready is not None and ready.status == "True",
            ready.lastTransitionTime or "" if ready is not None else "",
        )


def all_settled(active: Sequence[Facts]) -> bool:
    """Nothing to adopt and nothing to release."""
    return all(facts.owned and facts.matches for facts in active)


def _wait(ready_since: str, min_ready_seconds: int, now: float) -> float:
    """Seconds for which a ready pod still has to stay ready."""
    since = times.parse(ready_since) if ready_since else now
    return max(0.0, since + min_ready_seconds - now)
