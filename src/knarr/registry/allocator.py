"""Hands out numbers of a range: node ports, and host numbers of a service network. In memory; the objects are the truth."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from knarr.world import Chance

#: dynamic requests are served from the upper part of a range first, so that the lower is free for static ones
#: (KEP-3070, KEP-3668)
OFFSET_MIN, OFFSET_MAX, OFFSET_STEP = 16, 256, 16
PORT_OFFSET_MAX, PORT_OFFSET_STEP = 128, 32

MISMATCHED = "the provided network does not match the current range"
ALLOCATED = "provided IP is already allocated"
PORT_ALLOCATED = "provided port is already allocated"
#: how a number comes to be taken: it was asked for, or any would do
STATIC, DYNAMIC = "static", "dynamic"


class Full(Exception):
    """Nothing is left."""


class NumberRange:
    """Numbers `low` to `high`, both included; ranges that overlap share what is taken."""

    def __init__(
        self,
        low: int,
        high: int,
        chance: Chance,
        reserved_for_static: int = 0,
        taken: set[int] | None = None,
    ) -> None:
        self.low, self.high = low, high
        self._chance = chance
        self._dynamic_low = min(low + reserved_for_static, high)
        self._taken: set[int] = set() if taken is None else taken
        #: how often a number was taken, and could not be
        self.granted = {STATIC: 0, DYNAMIC: 0}
        self.refused = {STATIC: 0, DYNAMIC: 0}

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    @property
    def used(self) -> int:
        return sum(self.low <= number <= self.high for number in self._taken)

    def __contains__(self, number: int) -> bool:
        return self.low <= number <= self.high

    def take(self, number: int) -> bool:
        """False when it is taken already."""
        if number in self._taken:
            self.refused[STATIC] += 1
            return False
        self._taken.add(number)
        self.granted[STATIC] += 1
        return True

    def is_taken(self, number: int) -> bool:
        return number in self._taken

    def take_any(self, avoid: Callable[[int], bool] = lambda _: False) -> int:
        """One that is free and that `avoid` has nothing against. Raises Full."""
        for low, high in ((self._dynamic_low, self.high), (self.low, self._dynamic_low - 1)):
            size = high - low + 1
            if size <= 0:
                continue
            start = self._chance.randrange(size)
            for step in range(size):
                number = low + (start + step) % size
                if number not in self._taken and not avoid(number):
                    self._taken.add(number)
                    self.granted[DYNAMIC] += 1
                    return number
        self.refused[DYNAMIC] += 1
        raise Full

    def release(self, number: int) -> None:
        self._taken.discard(number)

    def __len__(self) -> int:
        return len(self._taken)


class AddressRange:
    """The usable addresses of a network: all but the first (and, in IPv4, the last)."""

    def __init__(self, cidr: str, chance: Chance, taken: set[int] | None = None) -> None:
        self.network = ipaddress.ip_network(cidr)
        self._base = int(self.network.network_address)
        self._last = self.network.num_addresses - (2 if self.network.version == 4 else 1)
        # more than 2**16 addresses are never handed out unasked: that would only make searches slow
        usable = min(self._last, 1 << 16)
        offset = min(max(OFFSET_MIN, usable // OFFSET_STEP), OFFSET_MAX)
        self.numbers = NumberRange(
            self._base + 1,
            self._base + max(usable, 1),
            chance,
            offset if usable > OFFSET_MIN else 0,
            taken,
        )

    @property
    def family(self) -> str:
        return f"IPv{self.network.version}"

    @property
    def first(self) -> str:
        """The address of the `kubernetes` service."""
        return str(self.network.network_address + 1)

    def __contains__(self, ip: str) -> bool:
        address = ipaddress.ip_address(ip)
        return address in self.network and 0 < int(address) - self._base <= self._last

    def take(self, ip: str) -> str | None:
        """Reserve one address; a message when that cannot be."""
        if ip not in self:
            return MISMATCHED
        return None if self.numbers.take(int(ipaddress.ip_address(ip))) else ALLOCATED

    def take_any(self, avoid: Callable[[str], bool] = lambda _: False) -> str:
        """Raises Full."""
        zero = self.network.network_address

        def text(number: int) -> str:
            return str(zero + (number - self._base))

        return text(self.numbers.take_any(lambda number: avoid(text(number))))

    def release(self, ip: str) -> None:
        address = ipaddress.ip_address(ip)
        if address in self.network:
            self.numbers.release(int(address))


class PortRange:
    """Node ports."""

    def __init__(self, low: int, high: int, chance: Chance) -> None:
        size = high - low + 1
        offset = min(max(OFFSET_MIN, size // PORT_OFFSET_STEP), PORT_OFFSET_MAX)
        self.numbers = NumberRange(low, high, chance, offset if size > OFFSET_MIN else 0)

    def take(self, port: int) -> str | None:
        if port not in self.numbers:
            low, high = self.numbers.low, self.numbers.high
            return f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
        return None if self.numbers.take(port) else PORT_ALLOCATED

    def is_taken(self, port: int) -> bool:
        return self.numbers.is_taken(port)

    def take_any(self) -> int:
        """Raises Full."""
        return self.numbers.take_any()

    def release(self, port: int) -> None:
        self.numbers.release(port)
