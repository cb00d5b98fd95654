"""Pod addresses: one per pod, from the node's pod network or, where nobody gave it one, from the cluster's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

#: the first address of a network is its gateway's
SKIPPED = 2


class Exhausted(Exception):
    """No address is left in the network."""


class _Range:
    def __init__(self, cidr: str, *, backward: bool = False) -> None:
        self.backward = backward
        network = ipaddress.ip_network(cidr)
        self.base, self.size = network.network_address, network.num_addresses
        self._step = 0

    def addresses(self) -> Iterator[str]:
        """Each address once, on from where the last call stopped."""
        count = self.size - SKIPPED - 1
        for _ in range(count):
            offset, self._step = SKIPPED + self._step, (self._step + 1) % count
            yield str(self.base + (self.size - offset if self.backward else offset))


class PodAddresses:
    """Hands out the address that was free longest."""

    def __init__(self, cluster_cidr: str) -> None:
        # From its end: the nodes' networks are cut from its start, and what a pod has whose node's network was not
        # known yet must not be missing there.
        self._cluster = _Range(cluster_cidr, backward=True)
        self._ranges: dict[str, _Range] = {}
        self._used: dict[str, str] = {}
        #: the pod network of each node that has one
        self.networks: dict[str, str] = {}

    def take(self, uid: str, node: str) -> str:
        """A free address for a pod of a node. Raises Exhausted."""
        pool, cidr = self._cluster, self.networks.get(node, "")
        if cidr:
            pool = self._ranges.get(cidr) or self._ranges.setdefault(cidr, _Range(cidr))
        for address in pool.addresses():
            if address not in self._used:
                self._used[address] = uid
                return address
        raise Exhausted(f"no addresses available in {cidr or 'the cluster network'}")

    def keep(self, address: str, uid: str) -> bool:
        """A pod had this one before; False where another has it now."""
        return self._used.setdefault(address, uid) == uid

    def give_back(self, address: str, uid: str) -> None:
        if self._used.get(address) == uid:
            del self._used[address]

    def owner(self, address: str) -> str | None:
        """The uid of the pod that has it."""
        return self._used.get(address)
