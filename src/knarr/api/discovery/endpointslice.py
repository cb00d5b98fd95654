"""EndpointSlice: up to 1000 endpoints of one address type that share their ports."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import UNSET
from knarr.meta import addresses, labels, names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, not_supported, required, too_many

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
ENDPOINTS_MAX = 1000
ADDRESSES_MAX = 100
PORTS_MAX = 20000
TOPOLOGY_LABELS_MAX = 16
ZONE_HINTS_MAX = 8
NODE_HINTS_MAX = 8
NODE_LABEL = "kubernetes.io/hostname"
SHOWN_MAX = 3
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
#: who manages slices and writes addresses as they should be
CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


class EndpointSlice(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column("AddressType", doc="discovery.v1.EndpointSlice.addressType"),
        Column("Ports", doc="discovery.v1.EndpointSlice.ports"),
        Column("Endpoints", doc="discovery.v1.EndpointSlice.endpoints"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("addressType", "")
        for port in obj.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")
        for endpoint in obj.get("endpoints") or ():
            endpoint.setdefault("addresses", None)
            endpoint.setdefault("conditions", {})
        # empty lists are stored as none, and none is shown
        obj["endpoints"] = obj.get("endpoints") or None
        obj["ports"] = obj.get("ports") or None

    def validate(self, obj: Object) -> list[FieldError]:
        return validate(obj, ())

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        _drop_topology(obj)

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        """Labels count for the generation, the rest of metadata does not."""
        if obj["endpoints"] != old["endpoints"]:
            _drop_topology(obj)
        self.count_generation(obj, old)
        before, after = old["metadata"], obj["metadata"]
        if (before.get("labels") or {}) != (after.get("labels") or {}):
            after["generation"] = before.get("generation", 0) + 1

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        known = {
            address for endpoint in old.get("endpoints") or () for address in endpoint["addresses"] or ()
        }
        return validate(obj, known) + checks.unchanged("addressType", obj["addressType"], old["addressType"])

    def warnings_on_create(self, obj: Object) -> list[str]:
        if obj["addressType"] == "FQDN":
            return ["spec.addressType: FQDN endpoints are deprecated"]
        said: list[str] = []
        if (obj["metadata"].get("labels") or {}).get(MANAGED_BY) in CONTROLLERS:
            return said
        for i, endpoint in enumerate(obj["endpoints"] or ()):
            for j, address in enumerate(endpoint["addresses"] or ()):
                said += addresses.ip_warning(f"endpoints[{i}].addresses[{j}]", address)
        return said

    def cells(self, obj: Object, now: float) -> list[Any]:
        ports = [_port_text(port) for port in obj["ports"] or ()]
        points = [address for endpoint in obj["endpoints"] or () for address in endpoint["addresses"] or ()]
        return [
            obj["metadata"]["name"],
            obj["addressType"],
            printing.shorten(ports, len(ports), SHOWN_MAX) or UNSET,
            printing.shorten(points, len(points), SHOWN_MAX) or UNSET,
            printing.age(obj, now),
        ]


def _drop_topology(obj: Object) -> None:
    """A field of v1beta1 that v1 shows but does not take."""
    for endpoint in obj["endpoints"] or ():
        endpoint.pop("deprecatedTopology", None)


def _port_text(port: Object) -> str:
    return str(port["port"]) if "port" in port else port.get("name") or "*" if "name" in port else "*"


def validate(obj: Object, known: Any) -> list[FieldError]:
    """`known`: addresses that were stored before and need not be judged again."""
    kind, endpoints, ports = obj["addressType"], obj["endpoints"] or (), obj["ports"] or ()
    if not kind:
        errors = [required("addressType")]
    else:
        errors = checks.one_of("addressType", kind, ADDRESS_TYPES)
    errors += _endpoints_errors(endpoints, kind, known)
    errors += _ports_errors(ports)
    return errors


def _endpoints_errors(endpoints: Any, kind: str, known: Any) -> list[FieldError]:
    if len(endpoints) > ENDPOINTS_MAX:
        return [too_many("endpoints", len(endpoints), ENDPOINTS_MAX)]
    errors: list[FieldError] = []
    for i, endpoint in enumerate(endpoints):
        path = f"endpoints[{i}]"
        errors += _addresses_errors(endpoint["addresses"] or (), kind, path, known)
        if "nodeName" in endpoint:
            errors += checks.dns_subdomain(f"{path}.nodeName", endpoint["nodeName"])
        if "deprecatedTopology" in endpoint:
            errors += _topology_errors(endpoint["deprecatedTopology"], f"{path}.deprecatedTopology")
        if "hostname" in endpoint:
            errors += checks.dns_label(f"{path}.hostname", endpoint["hostname"])
        if "hints" in endpoint:
            errors += _hints_errors(endpoint["hints"], f"{path}.hints")
    return errors


def _addresses_errors(given: Any, kind: str, path: str, known: Any) -> list[FieldError]:
    path += ".addresses"
    if not given:
        return [required(path, "must contain at least 1 address")]
    if len(given) > ADDRESSES_MAX:
        return [too_many(path, len(given), ADDRESSES_MAX)]
    errors: list[FieldError] = []
    for i, address in enumerate(given):
        where = f"{path}[{i}]"
        if kind == "FQDN":
            errors += checks.invalids(where, address, names.is_fully_qualified_domain_name(address))
        elif kind in ("IPv4", "IPv6"):
            if address in known:
                continue
            if wrong := addresses.is_ip(address):
                errors += checks.invalids(where, address, wrong)
                continue
            if f"IPv{addresses.parse_ip(address).version}" != kind:  # type: ignore[union-attr]
                # Kubernetes points at the list here
                errors.append(invalid(path, address, f"must be an {kind} address"))
            errors += checks.not_special_ip(where, address)
    return errors


def _topology_errors(topology: dict[str, str], path: str) -> list[FieldError]:
    errors = labels.validate_labels(topology, path)
    if len(topology) > TOPOLOGY_LABELS_MAX:
        errors.append(too_many(path, len(topology), TOPOLOGY_LABELS_MAX))
    if NODE_LABEL in topology:
        errors.append(invalid(f"{path}[{NODE_LABEL}]", "", "may not be specified, use nodeName instead"))
    return errors


def _hints_errors(hints: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, maximum, check in (
        ("forZones", ZONE_HINTS_MAX, names.is_label_value),
        ("forNodes", NODE_HINTS_MAX, names.is_dns1123_subdomain),
    ):
        entries = hints.get(key) or ()
        where = f"{path}.{key}"
        if len(entries) > maximum:
            errors.append(too_many(where, len(entries), maximum))
            continue
        seen: set[str] = set()
        for i, entry in enumerate(entries):
            name = entry.get("name", "")
            at = f"{where}[{i}].name"
            if name in seen:
                errors.append(duplicate(at, name))
            else:
                seen.add(name)
                errors += checks.invalids(at, name, check(name)) if name else [required(at)]
    return errors


def _ports_errors(ports: Any) -> list[FieldError]:
    if len(ports) > PORTS_MAX:
        return [too_many("ports", len(ports), PORTS_MAX)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        path, name, protocol = f"ports[{i}]", port.get("name", ""), port.get("protocol")
        if name:
            errors += checks.dns_label(f"{path}.name", name)
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        if not protocol:
            errors.append(required(f"{path}.protocol"))
        elif protocol not in PROTOCOLS:
            errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
        if "appProtocol" in port:
            errors += checks.qualified_name(f"{path}.appProtocol", port["appProtocol"])
        if "port" in port:
            errors += checks.port_number(f"{path}.port", port["port"])
    return errors
