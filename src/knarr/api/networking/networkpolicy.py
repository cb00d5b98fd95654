"""NetworkPolicy: who may talk to a group of pods, and to whom they may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import addresses, labels, names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required

TYPES = ("Ingress", "Egress")
PROTOCOLS = ("TCP", "UDP", "SCTP")
#: direction in the spec, name of its peers
DIRECTIONS = (("ingress", "from"), ("egress", "to"))


class NetworkPolicy(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column("Pod-Selector", doc="networking.v1.NetworkPolicySpec.podSelector"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("podSelector", {})
        for direction, _ in DIRECTIONS:
            for rule in spec.get(direction) or ():
                for port in rule.get("ports") or ():
                    port.setdefault("protocol", "TCP")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def validate(self, obj: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"], ())

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"], {cidr for _, cidr in _cidrs(old["spec"])})

    def warnings_on_create(self, obj: Object) -> list[str]:
        return [said for path, cidr in _cidrs(obj["spec"]) for said in addresses.cidr_warnings(path, cidr)]

    def cells(self, obj: Object, now: float) -> list[Any]:
        selector = labels.format_label_selector(obj["spec"].get("podSelector"))
        return [obj["metadata"]["name"], selector, printing.age(obj, now)]


def _peers(spec: Object) -> Iterator[tuple[str, Object]]:
    """Paths and peers of both directions."""
    for direction, key in DIRECTIONS:
        for i, rule in enumerate(spec.get(direction) or ()):
            for j, peer in enumerate(rule.get(key) or ()):
                yield f"spec.{direction}[{i}].{key}[{j}]", peer


def _cidrs(spec: Object) -> Iterator[tuple[str, str]]:
    for path, peer in _peers(spec):
        block = peer.get("ipBlock")
        if block is None:
            continue
        yield f"{path}.ipBlock.cidr", block.get("cidr", "")
        for i, cidr in enumerate(block.get("except") or ()):
            yield f"{path}.ipBlock.except[{i}]", cidr


def _spec_errors(spec: Object, known: Any) -> list[FieldError]:
    errors = labels.validate_label_selector(spec["podSelector"], "spec.podSelector")
    for direction, key in DIRECTIONS:
        for i, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{i}]"
            for j, port in enumerate(rule.get("ports") or ()):
                errors += _port_errors(port, f"{path}.ports[{j}]")
            for j, peer in enumerate(rule.get(key) or ()):
                errors += _peer_errors(peer, f"{path}.{key}[{j}]", known)
    types = spec["policyTypes"]
    if len(types) > len(TYPES):
        errors.append(invalid("spec.policyTypes", types, "may not specify more than two policyTypes"))
        return errors
    for i, kind in enumerate(types):
        errors += checks.one_of(f"spec.policyTypes[{i}]", kind, TYPES)
    return errors


def _port_errors(port: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    number, end = port.get("port"), port.get("endPort")
    if port["protocol"] not in PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", port["protocol"], PROTOCOLS))
    where = f"{path}.endPort"
    if number is None:
        if end is not None:
            errors.append(invalid(where, end, "may not be specified when `port` is not specified"))
    elif isinstance(number, int):
        errors += checks.port_number(f"{path}.port", number)
        if end is not None:
            if end < number:
                # the message shows the port, not the end
                errors.append(invalid(where, number, "must be greater than or equal to `port`"))
            errors += checks.port_number(where, end)
    else:
        if end is not None:
            errors.append(invalid(where, end, "may not be specified when `port` is non-numeric"))
        errors += checks.invalids(f"{path}.port", number, names.is_port_name(number))
    return errors


def _peer_errors(peer: Object, path: str, known: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    given = 0
    for key in ("podSelector", "namespaceSelector"):
        if key in peer:
            given += 1
            errors += labels.validate_label_selector(peer[key], f"{path}.{key}")
    if "ipBlock" in peer:
        errors += _block_errors(peer["ipBlock"], f"{path}.ipBlock", known)
        if given:
            errors.append(forbidden(path, "may not specify both ipBlock and another peer"))
    elif not given:
        errors.append(required(path, "must specify a peer"))
    return errors


def _block_errors(block: Object, path: str, known: Any) -> list[FieldError]:
    cidr = block.get("cidr", "")
    if not cidr:
        return [required(f"{path}.cidr")]
    errors = checks.cidr(f"{path}.cidr", cidr, known)
    parsed = addresses.parse_cidr(cidr)
    if parsed is None:
        return errors
    for i, inner in enumerate(block.get("except") or ()):
        where = f"{path}.except[{i}]"
        errors += checks.cidr(where, inner, known)
        part = addresses.parse_cidr(inner)
        if part is None:
            continue
        if part[1].network_address not in parsed[1] or parsed[1].prefixlen >= part[1].prefixlen:
            errors.append(invalid(where, inner, "must be a strict subset of `cidr`"))
    return errors
