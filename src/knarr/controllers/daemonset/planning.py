"""Which nodes get a pod, which pods go, and one step of a rolling update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from knarr.controllers.daemonset.eligibility import Verdict
from knarr.controllers.daemonset.newpods import is_current
from knarr.controllers.pods import is_available, is_finished, is_ready
from knarr.meta.intstr import scaled


@dataclass
class Plan:
    """`create`: names of nodes. `failed` and `succeeded` are among `delete` and are told of (pod, node)."""

    create: list[str] = field(default_factory=list)
    delete: list[Any] = field(default_factory=list)
    failed: list[tuple[Any, str]] = field(default_factory=list)
    succeeded: list[tuple[Any, str]] = field(default_factory=list)


class Look(NamedTuple):
    """A daemon set, its pods by node, what its rule says of each node (None: the node is gone), and when."""

    ds: Any
    hash: str
    pods: Mapping[str, Sequence[Any]]
    verdicts: Mapping[str, Verdict]
    now: float

    def on(self, node: str) -> list[Any]:
        """The node's pods that have no deletion under way."""
        return [pod for pod in self.pods.get(node, ()) if not pod.metadata.deletionTimestamp]

    def is_current(self, pod: Any) -> bool:
        return is_current(self.ds, pod, self.hash)

    def is_available(self, pod: Any) -> bool:
        return is_available(pod, self.ds.spec.minReadySeconds, self.now)


def by_age(pods: Iterable[Any]) -> list[Any]:
    """Those with a node first, then the oldest."""
    return sorted(
        pods,
        key=lambda pod: (not pod.spec.nodeName, pod.metadata.creationTimestamp or "", pod.metadata.name),
    )


# -- one pod per node -----------------------------------------------------------------------------------------


def keep(look: Look) -> Plan:
    """A pod where one should be, none where not, and not two."""
    todo = Plan()
    for node, verdict in look.verdicts.items():
        if verdict.stay and (node in look.pods or not verdict.start):
            _tidy(look, node, todo)
        elif verdict.start:
            todo.create.append(node)
        else:
            todo.delete += look.on(node)
    for node in look.pods:
        if node not in look.verdicts:
            # the node is gone before its pod was placed; pods with a node are the garbage collector's
            todo.delete += [pod for pod in look.on(node) if not pod.spec.nodeName]
    return todo


def _tidy(look: Look, node: str, todo: Plan) -> None:
    """Finished pods go; of several the oldest stays, while one surges into another's place both."""
    running = []
    for pod in look.on(node):
        if not is_finished(pod):
            running.append(pod)
            continue
        (todo.failed if pod.status.phase == "Failed" else todo.succeeded).append((pod, node))
        todo.delete.append(pod)
    running = by_age(running)
    if max_surge(look.ds, len(look.verdicts)) == 0:
        todo.delete += running[1:]
        return
    new = [pod for pod in running if look.is_current(pod)]
    old = [pod for pod in running if not look.is_current(pod)]
    todo.delete += new[1:] + old[1:]
    if new and old and (not is_ready(old[0]) or look.is_available(new[0])):
        todo.delete.append(old[0])


# -- rolling update -------------------------------------------------------------------------------------------


def _rolling(ds: Any) -> Any | None:
    strategy = ds.spec.updateStrategy
    return strategy.rollingUpdate if strategy.type == "RollingUpdate" else None


def max_surge(ds: Any, desired: int) -> int:
    rolling = _rolling(ds)
    if rolling is None or rolling.maxSurge is None or not desired:
        return 0
    return scaled(rolling.maxSurge, desired, True)


def max_unavailable(ds: Any, desired: int) -> int:
    rolling = _rolling(ds)
    if rolling is None or rolling.maxUnavailable is None or not desired:
        return 0
    return scaled(rolling.maxUnavailable, desired, True)


def update(look: Look) -> Plan:
    """Old pods that may be deleted now, or nodes that may get a second pod now."""
    desired = sum(verdict.start for verdict in look.verdicts.values())
    surge = max_surge(look.ds, desired)
    if surge:
        return _surge(look, surge, desired)
    return _replace(look, max(1, max_unavailable(look.ds, desired)))


def _pair(look: Look, node: str) -> tuple[Any | None, Any | None, bool]:
    """(new pod, old pod, False if there are several of a kind) of a node."""
    pods = look.on(node)
    new = [pod for pod in pods if look.is_current(pod)]
    old = [pod for pod in pods if not look.is_current(pod)]
    single = len(new) < 2 and len(old) < 2
    return (new[0] if new else None), (old[0] if old else None), single


def _replace(look: Look, most: int) -> Plan:
    """Delete old pods, those that are down first, and never have more than `most` nodes without."""
    down, candidates, unavailable = [], [], 0
    for node in look.pods:
        new, old, single = _pair(look, node)
        if not single or (new is None) == (old is None):
            unavailable += 1  # between two pods
        elif new is not None:
            unavailable += not look.is_available(new)
        elif look.is_available(old):
            candidates.append(old)
        else:
            down.append(old)
            unavailable += 1
    return Plan(delete=down + candidates[: max(0, most - unavailable)])


def _surge(look: Look, most: int, desired: int) -> Plan:
    """Create new pods beside old ones, at most `most` at a time, and delete an old one when its successor is
    available. Where no pod should be, an old one gets no successor: it goes when it is not available, or as soon as
    the wanted number is available without it."""
    todo, surging, available = Plan(), 0, 0
    candidates: list[str] = []
    stranded: list[Any] = []
    for node in look.pods:
        new, old, single = _pair(look, node)
        if not single:
            surging += 1
            continue
        here = old if old is not None else new
        up = here is not None and look.is_available(here)
        available += up
        if old is None:
            continue
        if new is not None:
            if look.is_available(new):
                todo.delete.append(old)
            else:
                surging += 1
        elif node not in look.verdicts:
            continue  # the node is gone: the garbage collector's
        elif not look.verdicts[node].start:
            (stranded if up else todo.delete).append(old)
        else:
            (candidates if up else todo.create).append(node)
    todo.delete += stranded[: max(0, available - desired)]
    todo.create += candidates[: max(0, most - surging)]
    return todo


# -- status ---------------------------------------------------------------------------------------------------


def status_of(look: Look, observed: int) -> Any:
    """By the oldest pod of each node."""
    first = {node: by_age(pods)[0] for node, pods in look.pods.items() if pods}
    wanted = [node for node, verdict in look.verdicts.items() if verdict.start]
    there = [first[node] for node in wanted if node in first]
    ready = [pod for pod in there if is_ready(pod)]
    available = sum(look.is_available(pod) for pod in ready)
    return msgspec.structs.replace(
        look.ds.status,
        desiredNumberScheduled=len(wanted),
        currentNumberScheduled=len(there),
        numberMisscheduled=sum(node in first for node, verdict in look.verdicts.items() if not verdict.start),
        numberReady=len(ready),
        numberAvailable=available,
        numberUnavailable=len(wanted) - available,
        updatedNumberScheduled=sum(look.is_current(pod) for pod in there),
        observedGeneration=observed,
    )
