"""Addresses and node ports of Services: taken before a service is stored, given back when it is gone.

Every cluster IP is also an IPAddress object (KEP-1880), written before the service, as Kubernetes does.
"""

from __future__ import annotations

import asyncio
import contextlib

from knarr.api.core import serviceaddresses as rules
from knarr.meta import errors
from knarr.meta.fielderrors import FieldError
from knarr.registry.allocator import AddressRange, Full, PortRange
from knarr.registry.context import Request
from knarr.registry.registry import Registry
from knarr.registry.storage import Object

NODE_PORTS = (30000, 32767)
MANAGED_BY = "ipallocator.k8s.io"


class ServiceHook:
    """The side effects of writing Services."""

    def __init__(
        self, registry: Registry, cidrs: tuple[str, ...], node_ports: tuple[int, int] = NODE_PORTS
    ) -> None:
        self._registry = registry
        chance = registry.world.chance
        self._addresses = {r.family: r for r in (AddressRange(cidr, chance) for cidr in cidrs)}
        self._families = list(self._addresses)
        self._ports = PortRange(*node_ports, chance)
        self._tasks: set[asyncio.Task[None]] = set()
        #: what was taken for a service that is not stored yet, by the object's identity
        self._held: dict[int, tuple[list[str], list[int]]] = {}
        # The `kubernetes` service will want the first address of the first range, whoever comes before it.
        self.first_address = next(iter(self._addresses.values())).first

    def load(self) -> None:
        """Take what stored services hold; at start."""
        for service in self._registry.list("", "services"):
            spec = service["spec"]
            for ip in spec.get("clusterIPs") or ():
                self._take(ip)
            for port in rules.released_node_ports(None, service):
                self._ports.take(port)

    def _take(self, ip: str) -> None:
        for addresses in self._addresses.values():
            if ip != "None":
                addresses.take(ip)

    # -- the hook ------------------------------------------------------------------------------------------

    async def before_create(self, request: Request, service: Object) -> None:
        await self._allocate(request, service, None)

    async def before_update(self, request: Request, service: Object, old: Object) -> None:
        if request.subresource == "":
            await self._allocate(request, service, old)

    def undo(self, service: Object) -> None:
        """The write did not happen (refused, lost a race, or only a dry run)."""
        addresses, ports = self._held.pop(id(service), ([], []))
        self._give_back(addresses, ports)

    def done(self, service: Object, old: Object | None) -> None:
        """The write is durable: what the old service held alone is free."""
        self._held.pop(id(service), None)
        if old is not None:
            self._give_back(rules.released_cluster_ips(service, old), rules.released_node_ports(service, old))

    def after_delete(self, service: Object) -> None:
        self._give_back(rules.released_cluster_ips(None, service), rules.released_node_ports(None, service))

    # -- taking --------------------------------------------------------------------------------------------

    async def _allocate(self, request: Request, service: Object, old: Object | None) -> None:
        addresses: list[str] = []
        ports: list[int] = []
        self._held[id(service)] = (addresses, ports)
        try:
            found = self._assign(service, old, addresses, ports)
            if found:
                name = service["metadata"].get("name", "")
                raise errors.invalid("", "Service", name, found)
            if not request.dry_run:
                for ip in addresses:
                    await self._write_address(service, ip)
        except BaseException:
            self.undo(service)
            raise

    def _assign(
        self, service: Object, old: Object | None, addresses: list[str], ports: list[int]
    ) -> list[FieldError]:
        """Fill in what the service needs; what was taken is appended to the two lists."""

        def take(family: str, ip: str) -> str | None:
            problem = self._addresses[family].take(ip)
            if problem is None:
                addresses.append(ip)
            return problem

        def take_any(family: str) -> str:
            try:
                ip = self._addresses[family].take_any()
            except Full:
                raise errors.internal("failed to allocate a serviceIP: range is full") from None
            addresses.append(ip)
            return ip

        def take_port(port: int) -> str | None:
            problem = self._ports.take(port)
            if problem is None:
                ports.append(port)
            return problem

        def take_any_port() -> int:
            try:
                port = self._ports.take_any()
            except Full:
                raise errors.internal("failed to allocate a nodePort: range is full") from None
            ports.append(port)
            return port

        if old is not None:
            rules.patch_allocated_values(service, old)
        rules.normalize_cluster_ips(service, old)
        return (
            rules.init_ip_families(service, old, self._families)
            or rules.allocate_cluster_ips(service, old, take, take_any)
            or rules.allocate_node_ports(service, old, take_port, take_any_port)
        )

    # -- giving back ---------------------------------------------------------------------------------------

    def _give_back(self, addresses: list[str], ports: list[int]) -> None:
        for port in ports:
            self._ports.release(port)
        for ip in addresses:
            for range_ in self._addresses.values():
                range_.release(ip)
            task = asyncio.ensure_future(self._delete_address(ip))
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
                "networking.k8s.io",
                "ipaddresses",
                {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "IPAddress",
                    "metadata": {"name": ip, "labels": labels},
                    "spec": {"parentRef": parent},
                },
            )

    async def _delete_address(self, ip: str) -> None:
        storage = self._registry.storage("networking.k8s.io", "ipaddresses")
        await storage.store.delete(storage.key("", ip))
