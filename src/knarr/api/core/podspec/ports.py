"""Ports of containers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import names
from knarr.meta.fielderrors import duplicate, invalid, not_supported, required

Spec = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")


def validate_ports(container: Spec, base: str, errors: Errors) -> None:
    seen: set[str] = set()
    for index, port in enumerate(container.get("ports", ())):
        name = port.get("name")
        if name:
            if wrong := names.is_port_name(name):
                add(errors, f"{base}.ports[{index}].name", name, wrong)
            elif name in seen:
                errors.append(duplicate(f"{base}.ports[{index}].name", name))
            else:
                seen.add(name)
        number = port.get("containerPort", 0)
        if not 1 <= number <= 65535:
            path = f"{base}.ports[{index}].containerPort"
            if not number:
                errors.append(required(path))
            else:
                add(errors, path, number, names.is_port_number(number))
        on_host = port.get("hostPort", 0)
        if on_host and not 1 <= on_host <= 65535:
            add(errors, f"{base}.ports[{index}].hostPort", on_host, names.is_port_number(on_host))
        protocol = port.get("protocol", "")
        if protocol not in PROTOCOLS:
            path = f"{base}.ports[{index}].protocol"
            errors.append(not_supported(path, protocol, PROTOCOLS) if protocol else required(path))


def validate_host_port_conflicts(containers: Iterable[Spec], base: str, errors: Errors) -> None:
    """One node cannot give the same port twice."""
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports", ())):
            if port.get("hostPort"):
                claim = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if claim in taken:
                    errors.append(duplicate(f"{base}[{index}].ports[{number}].hostPort", claim))
                taken.add(claim)


def validate_host_network_ports(spec: Spec, base: str, is_pod: bool, errors: Errors) -> None:
    """On the host's network a container's port is the host's; templates may leave it out, pods are defaulted."""
    if not spec.get("hostNetwork"):
        return
    for index, container in enumerate(spec.get("containers", ())):
        for number, port in enumerate(container.get("ports", ())):
            on_host = port.get("hostPort", 0)
            if (is_pod or on_host) and on_host != port.get("containerPort", 0):
                path = f"{base}.containers[{index}].ports[{number}].hostPort"
                errors.append(invalid(path, on_host, "must match `containerPort` when `hostNetwork` is true"))
