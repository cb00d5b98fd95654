"""Addresses and node ports of Services: taken before a service is stored, given back when it is gone.

Every cluster IP is also an IPAddress object (KEP-1880), written before the service, as Kubernetes does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any

from knarr.api.core import serviceaddresses as rules
from knarr.meta import errors
from knarr.meta.metrics import Family
from knarr.registry.allocationmetrics import families
from knarr.registry.allocator import PORT_ALLOCATED, Full, PortRange
from knarr.registry.context import Request
from knarr.registry.registry import Registry
from knarr.registry.serviceranges import NETWORKING, ServiceRanges, canonical
from knarr.registry.storage import Object

NODE_PORTS = (30000, 32767)
#: what a dry run calls its first node port: none that there is
DRY_RUN_PORT = 32769
MANAGED_BY = "ipallocator.k8s.io"


class ServiceHook:
    """The side effects of writing Services."""

    def __init__(
        self, registry: Registry, cidrs: tuple[str, ...], node_ports: tuple[int, int] = NODE_PORTS
    ) -> None:
        self._registry = registry
        self._addresses = ServiceRanges(registry, cidrs)
        self._ports = PortRange(*node_ports, registry.world.chance)
        self._tasks: set[asyncio.Task[None]] = set()
        #: what was taken for a service that is not stored yet, by the object's identity
        self._held: dict[int, _Takings] = {}
        self.first_address = self._addresses.first_address

    def load(self) -> None:
        """Take what stored services hold; at start."""
        for service in self._registry.list("", "services"):
            spec = service["spec"]
            for ip in spec.get("clusterIPs") or ():
                self._addresses.occupy(ip)
            for port in rules.released_node_ports(None, service):
                self._ports.take(port)
        self._registry.subscribe(NETWORKING, "ipaddresses", self._address_changed)

    def _address_changed(self, type_: str, address: Object) -> None:
        """The IPAddress of an address that a service still has is made again."""
        if type_ != "DELETED":
            return
        parent, ip = address["spec"].get("parentRef") or {}, address["metadata"]["name"]
        if parent.get("resource") != "services" or parent.get("group"):
            return
        service = self._registry.get("", "services", parent.get("namespace", ""), parent["name"])
        held = (service or {}).get("spec", {}).get("clusterIPs") or ()
        if service is not None and any(own != "None" and canonical(own) == ip for own in held):
            self._later(self._write_address(service, ip))

    def metrics(self) -> Iterator[Family]:
        ranges = self._addresses.ready()
        return families([(str(r.network), r.numbers) for r in ranges], self._ports.numbers)

    # -- the hook ------------------------------------------------------------------------------------------

    async def before_create(self, request: Request, service: Object) -> None:
        await self._allocate(request, service, None)

    async def before_update(self, request: Request, service: Object, old: Object) -> None:
        if request.subresource == "":
            await self._allocate(request, service, old)

    def undo(self, service: Object) -> None:
        """The write did not happen (refused, lost a race, or only a dry run)."""
        held = self._held.pop(id(service), None)
        if held is not None:
            self._give_back(held.addresses, held.ports)

    def done(self, service: Object, old: Object | None) -> None:
        """The write is durable: what the old service held alone is free."""
        self._held.pop(id(service), None)
        if old is not None:
            self._give_back(rules.released_cluster_ips(service, old), rules.released_node_ports(service, old))

    def after_delete(self, service: Object) -> None:
        self._give_back(rules.released_cluster_ips(None, service), rules.released_node_ports(None, service))

    # -- taking --------------------------------------------------------------------------------------------

    async def _allocate(self, request: Request, service: Object, old: Object | None) -> None:
        if self._tasks:
            # what was given back is free only when its IPAddress is gone
            await asyncio.gather(*self._tasks, return_exceptions=True)
        takings = (_DryRun if request.dry_run else _Takings)(self._addresses, self._ports)
        self._held[id(service)] = takings
        try:
            self._assign(service, old, takings)
            for ip in takings.addresses:
                await self._write_address(service, ip)
        except BaseException:
            self.undo(service)
            raise

    def _assign(self, service: Object, old: Object | None, takings: _Takings) -> None:
        """Fill in what the service needs. Raises StatusError."""
        if old is not None:
            rules.patch_allocated_values(service, old)
        rules.normalize_cluster_ips(service, old)
        found = (
            rules.init_ip_families(service, old, self._addresses.families)
            or rules.allocate_cluster_ips(service, old, takings.address, takings.any_address)
            or rules.allocate_node_ports(service, old, takings.port, takings.any_port)
        )
        if found:
            raise errors.invalid("", "Service", service["metadata"].get("name", ""), found)

    # -- giving back ---------------------------------------------------------------------------------------

    def _give_back(self, addresses: list[str], ports: list[int]) -> None:
        for port in ports:
            self._ports.release(port)
        for ip in addresses:
            self._addresses.release(ip)
            self._later(self._delete_address(ip))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """What the next allocation waits for."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_address(self, service: Object, ip: str) -> None:
        metadata = service["metadata"]
        family = "IPv6" if ":" in ip else "IPv4"
        labels = {
            "ipaddress.kubernetes.io/ip-family": family,
            "ipaddress.kubernetes.io/managed-by": MANAGED_BY,
        }
        parent = {
            "resource": "services",
            "namespace": metadata.get("namespace", ""),
            "name": metadata.get("name", ""),
        }
        with contextlib.suppress(errors.StatusError):
            await self._registry.create(
                NETWORKING,
                "ipaddresses",
                {
                    "apiVersion": f"{NETWORKING}/v1",
                    "kind": "IPAddress",
                    "metadata": {"name": canonical(ip), "labels": labels},
                    "spec": {"parentRef": parent},
                },
            )

    async def _delete_address(self, ip: str) -> None:
        storage = self._registry.storage(NETWORKING, "ipaddresses")
        await storage.store.delete(storage.key("", canonical(ip)))


def _full(what: str) -> errors.StatusError:
    return errors.internal(f"failed to allocate a {what}: range is full")


class _Takings:
    """What one write takes: of a number that was asked for a message where that cannot be."""

    def __init__(self, ranges: ServiceRanges, node_ports: PortRange) -> None:
        self._ranges, self._node_ports = ranges, node_ports
        self.addresses: list[str] = []
        self.ports: list[int] = []

    def address(self, family: str, ip: str) -> str | None:
        problem = self._ranges.take(family, ip)
        if problem is None:
            self.addresses.append(ip)
        return problem

    def any_address(self, family: str) -> str:
        """Raises StatusError where none is left."""
        try:
            ip = self._ranges.take_any(family)
        except Full:
            raise _full("serviceIP") from None
        self.addresses.append(ip)
        return ip

    def port(self, number: int) -> str | None:
        problem = self._node_ports.take(number)
        if problem is None:
            self.ports.append(number)
        return problem

    def any_port(self, what: str) -> int:
        """Raises StatusError where none is left."""
        try:
            number = self._node_ports.take_any()
        except Full:
            raise _full(what) from None
        self.ports.append(number)
        return number


class _DryRun(_Takings):
    """Takes nothing: addresses and ports of a dry run are none that a service could have."""

    def __init__(self, ranges: ServiceRanges, node_ports: PortRange) -> None:
        super().__init__(ranges, node_ports)
        self._pretended: list[int] = []

    def address(self, family: str, ip: str) -> str | None:
        return self._ranges.pretend(family, ip)

    def any_address(self, family: str) -> str:
        try:
            return self._ranges.pretend_any(family)
        except Full:
            raise _full("serviceIP") from None

    def port(self, number: int) -> str | None:
        if self._node_ports.is_taken(number) or number in self._pretended:
            return PORT_ALLOCATED
        self._pretended.append(number)
        return None

    def any_port(self, what: str) -> int:
        self._pretended.append(max(self._pretended, default=DRY_RUN_PORT - 1) + 1)
        return self._pretended[-1]
