"""ServiceCIDRs are ready for use, and stay while Services have addresses of them (KEP-1880)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from knarr.api.catalog import BY_GVR
from knarr.client.client import Client
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.meta import times
from knarr.world import World

GROUP_VERSION = ("networking.k8s.io", "v1")
CIDRS = BY_GVR[*GROUP_VERSION, "servicecidrs"]
IP_ADDRESSES = BY_GVR[*GROUP_VERSION, "ipaddresses"]

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io")
#: API servers may hand out addresses of a range until they have heard that it goes away
DELETION_SECONDS = 10.0

READY = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
IN_USE = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": (
        "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
    ),
}


class ServiceCIDRController(KubeController):
    """Keys are ServiceCIDRs."""

    name = "service-cidr-controller"
    service_account = "service-cidrs-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.cidrs = self.watch(CIDRS, self._added, lambda _, new: self.enqueue(new), self.enqueue)
        self.addresses = self.watch(IP_ADDRESSES, self._address_changed, None, self._address_changed)

    def _added(self, cidr: Any) -> None:
        self.enqueue(cidr)
        for other in self.cidrs.indexer.list():
            if any(a.overlaps(b) for a in networks(cidr) for b in networks(other) if a.version == b.version):
                self.queue.add(key_of(other))

    def _address_changed(self, address: Any) -> None:
        """Only a range that goes away waits for its addresses."""
        going = [cidr for cidr in self.cidrs.indexer.list() if cidr["metadata"].get("deletionTimestamp")]
        for cidr in self._holding(address, going):
            self.enqueue(cidr)

    @staticmethod
    def _holding(address: Any, cidrs: list[Any]) -> list[Any]:
        """Those of `cidrs` that an address given to a Service is of."""
        if not cidrs or (address["metadata"].get("labels") or {}).get(MANAGED_BY[0]) != MANAGED_BY[1]:
            return []
        ip = ipaddress.ip_address(address["metadata"]["name"])
        return [cidr for cidr in cidrs if holds(cidr, ip)]

    async def reconcile(self, key: Key) -> Requeue | None:
        cidr = self.cidrs.indexer.get(key)
        if cidr is None:
            return None
        metadata = cidr["metadata"]
        finalizers = metadata.get("finalizers") or []
        if deleted := metadata.get("deletionTimestamp"):
            if not self._may_go(cidr):
                await self._condition(cidr, IN_USE)
                return None
            if (left := times.parse(deleted) + DELETION_SECONDS - self.clock.now()) > 0:
                return Requeue(left)
            if FINALIZER in finalizers:
                await self._finalizers(key.name, {"$deleteFromPrimitiveList/finalizers": [FINALIZER]})
            return None
        if FINALIZER not in finalizers:
            await self._finalizers(key.name, {"finalizers": [FINALIZER]})
        await self._condition(cidr, READY)
        return None

    def _may_go(self, cidr: Any) -> bool:
        """Every address is of another ServiceCIDR too."""
        cidrs = self.cidrs.indexer.list()
        others = [other for other in cidrs if key_of(other) != key_of(cidr)]
        if all(any(contains(other, network) for other in others) for network in networks(cidr)):
            return True
        return not any(
            [key_of(holder) for holder in self._holding(address, cidrs)] == [key_of(cidr)]
            for address in self.addresses.indexer.list()
        )

    async def _finalizers(self, name: str, patch: dict[str, Any]) -> None:
        await self.client.patch(CIDRS, name, body={"metadata": patch}, kind="strategic")

    async def _condition(self, cidr: Any, wanted: dict[str, str]) -> None:
        for known in (cidr.get("status") or {}).get("conditions") or ():
            if {key: known.get(key, "") for key in wanted} == wanted:
                return
        condition = {**wanted, "lastTransitionTime": times.format(self.clock.now())}
        body = {
            "apiVersion": CIDRS.api_version,
            "kind": CIDRS.kind,
            "metadata": {"name": cidr["metadata"]["name"]},
            "status": {"conditions": [condition]},
        }
        await self.client.apply(body, self.name, force=True, resource=CIDRS, subresource="status")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def networks(cidr: Any) -> Iterator[Network]:
    for text in cidr["spec"].get("cidrs") or ():
        yield ipaddress.ip_network(text)


def contains(cidr: Any, network: Network) -> bool:
    return any(
        own.overlaps(network) and own.prefixlen <= network.prefixlen
        for own in networks(cidr)
        if own.version == network.version
    )


def holds(cidr: Any, ip: Address) -> bool:
    """Whether an address can be given to a Service: not the network's own, nor that of broadcasts."""
    return any(ip in own and ip not in unusable(own) for own in networks(cidr))


def unusable(network: Network) -> Iterable[Address]:
    if network.version == 4:
        return (network.network_address, network.broadcast_address)
    return (network.network_address,)
