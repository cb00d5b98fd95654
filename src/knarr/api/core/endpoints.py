"""Endpoints: addresses and ports behind a Service (deprecated; EndpointSlices replace them)."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import NONE
from knarr.meta import addresses
from knarr.meta.fielderrors import FieldError, required

PROTOCOLS = ("SCTP", "TCP", "UDP")
SHOWN_MAX = 3
#: and the controller that writes addresses as they should be
MANAGED_BY = ("endpoints.kubernetes.io/managed-by", "endpoint-controller")


class Endpoints(Kind):
    #: said on every request for this kind
    deprecation = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    allow_create_on_update = True
    columns = (
        NAME,
        Column("Endpoints", doc="core.v1.Endpoints.subsets"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                port.setdefault("protocol", "TCP")

    def validate(self, obj: Object) -> list[FieldError]:
        return _validate(obj, ())

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _validate(obj, {ip for _, ip in _ips(old)})

    def warnings_on_create(self, obj: Object) -> list[str]:
        if MANAGED_BY in (obj["metadata"].get("labels") or {}).items():
            return []
        return [said for path, ip in _ips(obj) for said in addresses.ip_warning(f"{path}.ip", ip)]

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], _shown(obj.get("subsets")), printing.age(obj, now)]


def _ips(endpoints: Object) -> list[tuple[str, str]]:
    """Paths and addresses."""
    return [
        (f"subsets[{i}].{key}[{j}]", address.get("ip", ""))
        for i, subset in enumerate(endpoints.get("subsets") or ())
        for key in ("addresses", "notReadyAddresses")
        for j, address in enumerate(subset.get(key) or ())
    ]


def _validate(endpoints: Object, known: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, subset in enumerate(endpoints.get("subsets") or ()):
        path = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for key in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(key) or ()):
                errors += _address_errors(address, f"{path}.{key}[{j}]", known)
        ports = subset.get("ports") or ()
        for j, port in enumerate(ports):
            errors += _port_errors(port, len(ports) > 1, f"{path}.ports[{j}]")
    return errors


def _address_errors(address: Object, path: str, known: Any) -> list[FieldError]:
    ip = address.get("ip", "")
    errors = checks.ip(f"{path}.ip", ip, known)
    if address.get("hostname"):
        errors += checks.dns_label(f"{path}.hostname", address["hostname"])
    if "nodeName" in address:
        errors += checks.dns_subdomain(f"{path}.nodeName", address["nodeName"])
    return errors + checks.not_special_ip(f"{path}.ip", ip)


def _port_errors(port: Object, needs_name: bool, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name, protocol = port.get("name"), port.get("protocol")
    if name:
        errors += checks.dns_label(f"{path}.name", name)
    elif needs_name:
        errors.append(required(f"{path}.name"))
    errors += checks.port_number(f"{path}.port", port.get("port", 0))
    errors += (
        checks.one_of(f"{path}.protocol", protocol, PROTOCOLS) if protocol else [required(f"{path}.protocol")]
    )
    if "appProtocol" in port:
        errors += checks.qualified_name(f"{path}.appProtocol", port["appProtocol"])
    return errors


def _shown(subsets: Any) -> str:
    if not subsets:
        return NONE
    points = []
    for subset in subsets:
        ips = [address.get("ip", "") for address in subset.get("addresses") or ()]
        ports = subset.get("ports")
        if not ports:
            points += ips
        for port in ports or ():
            points += [
                f"[{ip}]:{port.get('port', 0)}" if ":" in ip else f"{ip}:{port.get('port', 0)}" for ip in ips
            ]
    return printing.shorten(points, len(points), SHOWN_MAX)
