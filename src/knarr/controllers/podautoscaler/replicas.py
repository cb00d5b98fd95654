"""How many replicas a metric asks for: what is used, divided by what should be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

from knarr.controllers.podautoscaler.metrics import PodMetric
from knarr.controllers.podautoscaler.words import Uncomputable
from knarr.controllers.pods import condition, is_ready
from knarr.meta import times
from knarr.meta.labels import Selector
from knarr.meta.quantity import Quantity

MAX_INT32 = 2**31 - 1
#: how far from its target a metric may be before anything is done
TOLERANCE = 0.1
#: a pod's CPU is not trusted while it starts
CPU_START_SECONDS = 300.0
#: a pod that became unready so soon after its start has never been ready
FIRST_READINESS_SECONDS = 30.0
NO_PODS = "no pods returned by selector while calculating replica count"


class Tolerances(NamedTuple):
    """Shares of the target that a metric may be below and above it."""

    down: float = TOLERANCE
    up: float = TOLERANCE

    def cover(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Target(NamedTuple):
    """What is scaled, as it is `now` (epoch seconds)."""

    namespace: str
    spec_replicas: int
    status_replicas: int
    selector: Selector
    pods: Sequence[Any]
    tolerances: Tolerances
    now: float


class Proposal(NamedTuple):
    """`used` in thousandths, per pod where the target is; `percent` of the requests, where that is the target."""

    replicas: int
    used: int
    percent: int | None = None


@dataclass
class Groups:
    """The pods by what can be said of them."""

    ready: int = 0
    unready: set[str] = field(default_factory=set)
    #: of which there is no metric
    missing: set[str] = field(default_factory=set)
    #: on their way out, or failed
    ignored: set[str] = field(default_factory=set)


def _heard(target: Target, metrics: dict[str, PodMetric], resource: str) -> Groups:
    """The groups of the pods; only metrics that count are left. Raises Uncomputable where none are."""
    if not target.pods:
        raise Uncomputable(NO_PODS)
    groups = group(target.pods, metrics, resource, target.now)
    _forget(metrics, groups.ignored | groups.unready)
    if not metrics:
        raise Uncomputable("did not receive metrics for any ready pods")
    return groups


def of_utilization(
    target: Target, wanted_percent: int, metrics: dict[str, PodMetric], resource: str, container: str
) -> Proposal:
    """By the share of their requests that the pods use; a pod of which nothing is known counts against a change."""
    groups = _heard(target, metrics, resource)
    requests = requests_of(target.pods, container, resource)
    ratio, percent, average = _utilization(metrics, requests, wanted_percent)
    assumed = max(100, wanted_percent)
    fallback = {name: requests[name] * assumed // 100 for name in groups.missing}

    def again() -> float:
        return _utilization(metrics, requests, wanted_percent)[0]

    return Proposal(_settle(target, ratio, groups, metrics, fallback, again), average, percent)


def of_average(target: Target, wanted: int, metrics: dict[str, PodMetric], resource: str) -> Proposal:
    """By what the pods use on average. `resource` is "" for metrics that are no resource."""
    groups = _heard(target, metrics, resource)

    def usage() -> int:
        return _quotient(sum(metric.value for metric in metrics.values()), len(metrics))

    used = usage()
    fallback = dict.fromkeys(groups.missing, wanted)
    replicas = _settle(target, used / wanted, groups, metrics, fallback, lambda: usage() / wanted)
    return Proposal(replicas, used)


def of_value(target: Target, used: int, wanted: int) -> Proposal:
    """By one number for all pods together, in proportion to those that are ready."""
    ratio = used / wanted
    if not target.spec_replicas:
        return Proposal(ceil(ratio), used)
    if target.tolerances.cover(ratio):
        return Proposal(target.spec_replicas, used)
    if not target.pods:
        raise Uncomputable(f"unable to calculate ready pods: {NO_PODS}")
    ready = sum(pod.status.phase == "Running" and is_ready(pod) for pod in target.pods)
    return Proposal(min(MAX_INT32, ceil(ratio * ready)), used)


def of_share(target: Target, used: int, each: int) -> Proposal:
    """By one number for all pods together that should come to `each` for each of those that the status counts."""
    there = proposed = target.status_replicas
    if not there or not target.tolerances.cover(used / (each * there)):
        proposed = min(MAX_INT32, ceil(used / each))
    return Proposal(proposed, ceil(used / there) if there else 0)


def _settle(
    target: Target,
    ratio: float,
    groups: Groups,
    metrics: dict[str, PodMetric],
    fallback: Mapping[str, int],
    again: Callable[[], float],
) -> int:
    """The replicas for a ratio of usage; `again` computes it anew when unknown pods were entered in `metrics`."""
    current, tolerances = target.spec_replicas, target.tolerances
    grows_with_unready = bool(groups.unready) and ratio > 1.0
    if not grows_with_unready and not groups.missing:
        return current if tolerances.cover(ratio) else ceil(ratio * groups.ready)
    if ratio < 1.0:
        metrics.update((name, PodMetric(fallback[name])) for name in groups.missing)
    elif ratio > 1.0:
        metrics.update((name, PodMetric(0)) for name in groups.missing)
    if grows_with_unready:
        metrics.update((name, PodMetric(0)) for name in groups.unready)
    careful = again()
    if tolerances.cover(careful) or (careful - 1.0) * (ratio - 1.0) < 0:
        return current
    wanted = ceil(careful * len(metrics))
    # more pods in the count must not turn the direction around
    return current if (careful < 1.0 and wanted > current) or (careful > 1.0 and wanted < current) else wanted


def _utilization(
    metrics: Mapping[str, PodMetric], requests: Mapping[str, int], wanted_percent: int
) -> tuple[float, int, int]:
    """(ratio to the target, percent, average in thousandths)."""
    known = [(metric.value, requests[name]) for name, metric in metrics.items() if name in requests]
    used, requested = sum(pair[0] for pair in known), sum(pair[1] for pair in known)
    if not requested:
        raise Uncomputable("no metrics returned matched known pods")
    percent = _quotient(used * 100, requested)
    return percent / wanted_percent, percent, _quotient(used, len(known))


def _quotient(number: int, divisor: int) -> int:
    """As Go divides: towards zero."""
    return number // divisor if number >= 0 else -(-number // divisor)


def _forget(metrics: dict[str, PodMetric], names: Iterable[str]) -> None:
    for name in names:
        metrics.pop(name, None)


def group(pods: Iterable[Any], metrics: Mapping[str, PodMetric], resource: str, now: float) -> Groups:
    groups = Groups()
    for pod in pods:
        name, phase = pod.metadata.name, pod.status.phase
        if pod.metadata.deletionTimestamp is not None or phase == "Failed":
            groups.ignored.add(name)
        elif phase == "Pending":
            groups.unready.add(name)
        elif name not in metrics:
            groups.missing.add(name)
        elif resource == "cpu" and not _cpu_counts(pod, metrics[name], now):
            groups.unready.add(name)
        else:
            groups.ready += 1
    return groups


def _cpu_counts(pod: Any, metric: PodMetric, now: float) -> bool:
    """What a pod uses to start says nothing of what it will use."""
    ready = condition(pod, "Ready")
    if ready is None or not pod.status.startTime:
        return False
    started, changed = (
        times.parse(pod.status.startTime),
        times.parse(ready.lastTransitionTime or pod.status.startTime),
    )
    if started + CPU_START_SECONDS > now:
        return ready.status != "False" and metric.at >= changed + metric.window
    return ready.status != "False" or started + FIRST_READINESS_SECONDS <= changed


def requests_of(pods: Iterable[Any], container: str, resource: str) -> dict[str, int]:
    """By the pods' names, in thousandths: of a container, else of the pod, else of all its containers."""
    return {pod.metadata.name: _request(pod, container, resource) for pod in pods}


def _request(pod: Any, container: str, resource: str) -> int:
    name, total = pod.metadata.name, 0
    own = pod.spec.resources.requests if pod.spec.resources is not None else {}
    if own and not container:
        if resource not in own:
            raise Uncomputable(f"missing pod-level request for {resource} in Pod {name}")
        return Quantity.parse(own[resource]).milli
    sidecars = [c for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    for one in (*pod.spec.containers, *sidecars):
        if container not in ("", one.name):
            continue
        requests = one.resources.requests if one.resources is not None else {}
        if resource not in requests:
            raise Uncomputable(f"missing request for {resource} in container {one.name} of Pod {name}")
        total += Quantity.parse(requests[resource]).milli
        if container:
            return total
    if container:
        raise Uncomputable(f"container {container} not found in Pod {name}")
    return total
