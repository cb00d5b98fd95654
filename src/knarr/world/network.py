"""What this machine is called on its network."""

from __future__ import annotations

import socket

#: from TEST-NET-1: nobody has it, and asking for the way there sends nothing
_ELSEWHERE = ("192.0.2.1", 9)
#: where a machine has no network at all
NO_ADDRESS = "192.0.2.2"


def advertise_address() -> str:
    """The address that other machines would reach this one under; endpoints may not be loopback addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            address = probe.getsockname()[0]
        except OSError:
            return NO_ADDRESS
    return NO_ADDRESS if address.startswith("127.") else address


def family_of(host: str) -> int | None:
    """The socket family of an address in numbers; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family
    return None


def can_listen(host: str, port: int) -> bool:
    """Whether this port is free just now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
