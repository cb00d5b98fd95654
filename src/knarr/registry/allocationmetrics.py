"""What /metrics tells of the addresses and node ports of Services, under kube-apiserver's names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.meta.metrics import Family, Labels, Sample
from knarr.registry.allocator import NumberRange

ADDRESSES, PORTS = "kube_apiserver_clusterip_allocator", "kube_apiserver_nodeport_allocator"


def families(addresses: Iterable[tuple[str, NumberRange]], ports: NumberRange) -> Iterator[Family]:
    """`addresses` are the numbers of each network, by its CIDR."""
    yield from _of(ADDRESSES, "ips", [({"cidr": cidr}, numbers) for cidr, numbers in addresses])
    yield from _of(PORTS, "ports", [({}, ports)])


def _of(prefix: str, what: str, ranges: list[tuple[Labels, NumberRange]]) -> Iterator[Family]:
    used: list[Sample] = [("", labels, numbers.used) for labels, numbers in ranges]
    yield Family(f"{prefix}_allocated_{what}", "gauge", "How many are taken.", used)
    free: list[Sample] = [("", labels, numbers.size - numbers.used) for labels, numbers in ranges]
    yield Family(f"{prefix}_available_{what}", "gauge", "How many are free.", free)
    for name, words, counted in (
        ("allocation_total", "How often one was taken.", "granted"),
        ("allocation_errors_total", "How often none could be.", "refused"),
    ):
        samples: list[Sample] = [
            ("", {**labels, "scope": scope}, count)
            for labels, numbers in ranges
            for scope, count in getattr(numbers, counted).items()
        ]
        yield Family(f"{prefix}_{name}", "counter", words, samples)
