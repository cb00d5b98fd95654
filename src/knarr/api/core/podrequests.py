"""What a pod asks of a node: the sums of resources the way kube-scheduler and kubelet add them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from knarr.meta.quantity import Quantity

CPU, MEMORY, STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"

#: of a host port that is taken on all addresses of its node
ANY_ADDRESS = "0.0.0.0"

Amounts = dict[str, int]


def amount(resource: str, quantity: str) -> int:
    """CPU in milli, everything else in whole units."""
    parsed = Quantity.parse(quantity)
    return parsed.milli if resource == CPU else parsed.value


def amounts(quantities: Mapping[str, str]) -> Amounts:
    return {resource: amount(resource, quantity) for resource, quantity in quantities.items()}


def pod_requests(spec: Any) -> Amounts:
    """The pod's requests by resource (without its place among the node's pods)."""
    return whole(spec, combined(spec, _asked))


def combined(spec: Any, of: Callable[[Any], Amounts]) -> Amounts:
    """Containers run together; init containers one by one, before them, beside the sidecars started so far."""
    total: Amounts = {}
    for container in spec.containers:
        _add(total, of(container))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.initContainers:
        asked = of(container)
        if container.restartPolicy == "Always":
            _add(total, asked)
            _add(sidecars, asked)
            asked = sidecars
        else:
            _add(asked, sidecars)
        _at_least(peak, asked)
    _at_least(total, peak)
    return total


def whole(spec: Any, total: Amounts) -> Amounts:
    """With pod-level requests, which stand in place of the containers', and the runtime's overhead."""
    if spec.resources is not None:
        total.update(amounts(spec.resources.requests))
    _add(total, amounts(spec.overhead))
    return total


def host_ports(containers: Iterable[Any]) -> tuple[tuple[str, str, int], ...]:
    """(address, protocol, port) of each host port."""
    found = {
        (port.hostIP or ANY_ADDRESS, port.protocol or "TCP", port.hostPort): None
        for container in containers
        for port in container.ports
        if port.hostPort
    }
    return tuple(found)


def _asked(container: Any) -> Amounts:
    return amounts(container.resources.requests) if container.resources is not None else {}


def _add(total: Amounts, more: Mapping[str, int]) -> None:
    for resource, value in more.items():
        total[resource] = total.get(resource, 0) + value


def _at_least(total: Amounts, other: Mapping[str, int]) -> None:
    for resource, value in other.items():
        if value > total.get(resource, 0):
            total[resource] = value
