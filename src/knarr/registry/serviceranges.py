"""The networks Services get their addresses from: those of all ServiceCIDRs that are ready (KEP-1880).

An address is in use while there is an IPAddress of its name, whoever wrote that.
"""

from __future__ import annotations

from knarr.meta import addresses
from knarr.registry.allocator import ALLOCATED, MISMATCHED, AddressRange, Full
from knarr.registry.registry import Registry
from knarr.registry.storage import Object

NETWORKING = "networking.k8s.io"


def canonical(ip: str) -> str:
    """The name of the IPAddress of an address, however the service wrote it."""
    return str(addresses.parse_ip(ip))


class ServiceRanges:
    """Addresses of both families. Without any ServiceCIDR the networks of the cluster's own flag serve."""

    def __init__(self, registry: Registry, cidrs: tuple[str, ...]) -> None:
        self._registry, self._cidrs = registry, cidrs
        self._chance = registry.world.chance
        self._known: dict[str, AddressRange] = {}
        #: by family, shared by ranges that overlap
        self._taken: dict[str, set[int]] = {"IPv4": set(), "IPv6": set()}
        configured = [self._range(cidr) for cidr in cidrs]
        #: those that Services may have here, the one of Services that name none first
        self.families = [range_.family for range_ in configured]
        # The `kubernetes` service will want it, whoever comes before it.
        self.first_address = configured[0].first
        self._ready: list[AddressRange] | None = None
        self._listening = False

    def _range(self, cidr: str) -> AddressRange:
        known = self._known.get(cidr)
        if known is None:
            family = "IPv6" if ":" in cidr else "IPv4"
            known = self._known[cidr] = AddressRange(cidr, self._chance, self._taken[family])
        return known

    def _of(self, family: str) -> list[AddressRange]:
        return [range_ for range_ in self.ready() if range_.family == family]

    def ready(self) -> list[AddressRange]:
        """The networks that addresses are taken from."""
        if not self._listening:
            self._registry.subscribe(NETWORKING, "servicecidrs", self._changed)
            self._listening = True
        if self._ready is None:
            objects = list(self._registry.list(NETWORKING, "servicecidrs"))
            cidrs = [cidr for obj in objects if is_ready(obj) for cidr in obj["spec"]["cidrs"]]
            self._ready = [self._range(cidr) for cidr in dict.fromkeys(cidrs if objects else self._cidrs)]
        return self._ready

    def _changed(self, type_: str, obj: Object) -> None:
        self._ready = None

    def occupy(self, ip: str) -> None:
        """A stored service has it, whatever networks there are by now."""
        if address := addresses.parse_ip(ip):
            self._taken[f"IPv{address.version}"].add(int(address))

    def take(self, family: str, ip: str) -> str | None:
        """Reserve one address; a message when that cannot be."""
        ip = canonical(ip)
        for range_ in self._of(family):
            if ip in range_:
                return ALLOCATED if self._in_use(ip) else range_.take(ip)
        return MISMATCHED

    def take_any(self, family: str) -> str:
        """Raises Full."""
        ranges = self._of(family)
        first = self._chance.randrange(len(ranges)) if len(ranges) > 1 else 0
        for range_ in ranges[first:] + ranges[:first]:
            try:
                return range_.take_any(self._in_use)
            except Full:
                continue
        raise Full

    def release(self, ip: str) -> None:
        if address := addresses.parse_ip(ip):
            self._taken[f"IPv{address.version}"].discard(int(address))

    def _in_use(self, ip: str) -> bool:
        return self._registry.get(NETWORKING, "ipaddresses", "", ip) is not None

    # -- dry runs: nothing is looked up, as in Kubernetes ------------------------------------------------------

    def pretend(self, family: str, ip: str) -> str | None:
        """What `take` would say, but for whether the address is free."""
        ranges = self._of(family)
        if ranges and canonical(ip) not in ranges[0]:
            network = ranges[0].network
            return f"the provided IP ({ip}) is not in the valid range. The range of valid IPs is {network}"
        return None

    def pretend_any(self, family: str) -> str:
        """The first address of a network, which no service ever has. Raises Full."""
        ranges = self._of(family)
        if not ranges:
            raise Full
        return str(ranges[0].network.network_address)


def is_ready(service_cidr: Object) -> bool:
    """Not going away, and no controller says that it is not ready; there may be no controller."""
    if service_cidr["metadata"].get("deletionTimestamp"):
        return False
    for condition in service_cidr.get("status", {}).get("conditions") or ():
        if condition["type"] == "Ready":
            return condition["status"] == "True"
    return True
