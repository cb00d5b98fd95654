"""Where the API server is, for those inside and outside of this machine."""

from __future__ import annotations

from knarr.world.network import advertise_address

#: addresses that others cannot reach this machine by
NOWHERE = ("localhost", "0.0.0.0", "::", "::1")


def advertised(host: str) -> str:
    """The address in the kubernetes service's endpoints."""
    return advertise_address() if host.startswith("127.") or host in NOWHERE else host


def on_this_machine(host: str) -> str:
    """What a server that listens at `host` is reached by from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def bracketed(host: str) -> str:
    """An address as it stands before a port."""
    return f"[{host}]" if ":" in host else host
