"""Gives every node a part of the cluster's pod addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client, is_not_found
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta.errors import StatusError
from knarr.world import World

#: bits of the address that name the node's part, by IP version
NODE_PREFIX = {4: 24, 6: 64}


#: seconds until a node is tried again for which no network was left; a node that goes away makes room
FULL_RETRY = 30.0


class RangeFull(Exception):
    """No part is left for another node."""


class CIDRs:
    """The parts of one range, handed out in order, each to one node."""

    def __init__(self, cidr: str) -> None:
        self.range = ipaddress.ip_network(cidr)
        prefix = max(NODE_PREFIX[self.range.version], self.range.prefixlen)
        self._bits = self.range.max_prefixlen - prefix
        self._prefix = prefix
        self._count = 1 << (prefix - self.range.prefixlen)
        self._taken: set[int] = set()
        self._next = 0

    def take(self) -> str:
        """The next free part. Raises RangeFull."""
        if len(self._taken) >= self._count:
            raise RangeFull(str(self.range))
        while self._next in self._taken:
            self._next = (self._next + 1) % self._count
        number = self._next
        self._taken.add(number)
        self._next = (number + 1) % self._count
        base = int(self.range.network_address) + (number << self._bits)
        address = ipaddress.ip_address(base) if self.range.version == 4 else ipaddress.IPv6Address(base)
        return f"{address}/{self._prefix}"

    def occupy(self, cidr: str) -> None:
        """A node has it already; nothing happens for one of another range."""
        self._taken.update(self._numbers(cidr))

    def release(self, cidr: str) -> None:
        self._taken.difference_update(self._numbers(cidr))

    def _numbers(self, cidr: str) -> range:
        try:
            network = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            return range(0)
        if network.version != self.range.version or not network.overlaps(self.range):
            return range(0)
        start = int(self.range.network_address)
        first = max(0, (int(network.network_address) - start) >> self._bits)
        last = min(self._count - 1, (int(network.broadcast_address) - start) >> self._bits)
        return range(first, last + 1)


class NodeIPAMController(KubeController):
    """Keys are nodes. `pod_cidrs`: the cluster's ranges, one per IP family; without any it leaves nodes alone."""

    name = "node-ipam-controller"
    service_account = "node-controller"
    component = "cidrAllocator"
    settings = ("pod_cidrs",)

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        world: World,
        pod_cidrs: Sequence[str] = (),
    ) -> None:
        super().__init__(client, informers, world)
        self.ranges = [CIDRs(cidr) for cidr in pod_cidrs]
        self.nodes = self.watch(core_v1.Node, self._added, deleted=self._deleted)

    def _added(self, node: Any) -> None:
        if not node.spec.podCIDRs:
            self.enqueue(node)
            return
        for cidr, owner in zip(node.spec.podCIDRs, self.ranges, strict=False):
            owner.occupy(cidr)

    def _deleted(self, node: Any) -> None:
        for cidr, owner in zip(node.spec.podCIDRs, self.ranges, strict=False):
            owner.release(cidr)

    async def reconcile(self, key: Key) -> Requeue | None:
        node = self.nodes.indexer.get(key)
        if node is None or node.spec.podCIDRs or not self.ranges:
            return None
        taken: list[str] = []
        try:
            for owner in self.ranges:
                taken.append(owner.take())
            body = {"spec": {"podCIDR": taken[0], "podCIDRs": taken}}
            await self.client.patch(core_v1.Node, key.name, "", body, "strategic")
        except (RangeFull, StatusError) as error:
            for cidr, owner in zip(taken, self.ranges, strict=False):
                owner.release(cidr)
            if isinstance(error, StatusError) and is_not_found(error):
                return None
            about = {"apiVersion": "v1", "kind": "Node", "name": key.name, "uid": node.metadata.uid}
            message = f"Node {key.name} status is now: CIDRNotAvailable"
            self.events.event(about, "Normal", "CIDRNotAvailable", message)
            if isinstance(error, StatusError):
                raise
            return Requeue(after=FULL_RETRY)
        return None
