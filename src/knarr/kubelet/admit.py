"""A kubelet's own look at a new pod: does it belong on this node, and is there room?

Most pods pass: the scheduler went by the same rules. Pods that name their node themselves, and those that lost a race,
are rejected here, with the reasons and messages of v1.36.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from knarr.api.core.nodechoice import chosen
from knarr.api.core.podrequests import (
    ANY_ADDRESS,
    CPU,
    MEMORY,
    PODS,
    STORAGE,
    Amounts,
    amount,
    host_ports,
    pod_requests,
)
from knarr.api.core.taints import tolerates

#: (reason, message)
Rejection = tuple[str, str]
Port = tuple[str, str, int]

REJECTED = "Pod was rejected: "
#: what a shortage of is told before one of others
FIRST = (CPU, MEMORY, STORAGE)
OS_LABEL = "kubernetes.io/os"
WRONG_OS_LABEL = (
    "PodOSSelectorNodeLabelDoesNotMatch",
    "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
)
WRONG_OS = ("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")


@dataclass(slots=True)
class Room:
    """What the active pods of one node have taken."""

    total: Amounts = field(default_factory=dict)
    _pods: dict[str, tuple[Amounts, tuple[Port, ...]]] = field(default_factory=dict)

    def take(self, pod: Any) -> None:
        """For this pod; again after its requests have changed."""
        self.give_back(pod.metadata.uid)
        asked = pod_requests(pod.spec)
        self._pods[pod.metadata.uid] = asked, host_ports(pod.spec.containers)
        for resource, value in asked.items():
            self.total[resource] = self.total.get(resource, 0) + value

    def give_back(self, uid: str) -> None:
        """It has ended; nothing where it had taken nothing."""
        asked, _ = self._pods.pop(uid, ({}, ()))
        for resource, value in asked.items():
            self.total[resource] -= value

    def rejection(self, pod: Any, node: Any) -> Rejection | None:
        """Why the pod may not run on this Node; None where it may."""
        system = node.status.nodeInfo.operatingSystem if node.status.nodeInfo is not None else "linux"
        if pod.metadata.labels and pod.metadata.labels.get(OS_LABEL, system) != system:
            return WRONG_OS_LABEL
        if pod.spec.os is not None and pod.spec.os.name != system:
            return WRONG_OS
        return next(self._failures(pod, node), None)

    def _failures(self, pod: Any, node: Any) -> Iterator[Rejection]:
        yield from self._shortages(pod, node.status.allocatable)
        if not chosen(pod.spec)(node):
            yield _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
        wanted = host_ports(pod.spec.containers)
        if wanted and any(_conflict(a, b) for _, taken in self._pods.values() for a in wanted for b in taken):
            yield _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
        for taint in node.spec.taints:
            if taint.effect == "NoExecute" and not any(tolerates(t, taint) for t in pod.spec.tolerations):
                yield _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")

    def _shortages(self, pod: Any, allocatable: Any) -> Iterator[Rejection]:
        """Resources that the node does not know are somebody else's to count (dynamic resource allocation)."""
        places = amount(PODS, allocatable.get(PODS, "0"))
        if len(self._pods) + 1 > places:
            yield _short(PODS, 1, len(self._pods), places)
        asked = pod_requests(pod.spec)
        for resource in sorted(asked, key=_order):
            capacity = amount(resource, allocatable.get(resource, "0"))
            used = self.total.get(resource, 0)
            known = resource in allocatable or "/" not in resource
            if known and asked[resource] > 0 and asked[resource] > capacity - used:
                yield _short(resource, asked[resource], used, capacity)


def _order(resource: str) -> tuple[int, str]:
    return (FIRST.index(resource) if resource in FIRST else len(FIRST)), resource


def _short(resource: str, requested: int, used: int, capacity: int) -> Rejection:
    message = (
        f"Node didn't have enough resource: {resource},"
        f" requested: {requested}, used: {used}, capacity: {capacity}"
    )
    return f"OutOf{resource}", message


def _predicate(name: str, why: str) -> Rejection:
    return name, f"Predicate {name} failed: {why}"


def _conflict(a: Port, b: Port) -> bool:
    """Same protocol and port, and addresses that overlap."""
    return a[1:] == b[1:] and (a[0] == b[0] or ANY_ADDRESS in (a[0], b[0]))
