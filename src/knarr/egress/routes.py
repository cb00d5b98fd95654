"""Where a Service's endpoint is, as whoever knows services says it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

Address = tuple[str, int]


class Route(NamedTuple):
    """Addresses to try in order, and the host:port that messages show."""

    addresses: tuple[Address, ...]
    shown: str


#: (namespace, service, port) -> where a ready endpoint is; raises EgressError
Resolve = Callable[[str, str, int], Awaitable["Address | Route"]]


def route_of(found: Address | Route) -> Route:
    """A bare address is a route too."""
    if isinstance(found, Route):
        return found
    host, port = found
    return Route(((host, port),), f"{host}:{port}")
