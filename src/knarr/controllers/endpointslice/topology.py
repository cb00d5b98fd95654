"""Topology aware routing (KEP-2433): each zone gets endpoints in proportion to the cpu of its nodes.

For services with the annotation `service.kubernetes.io/topology-mode: Auto`. Endpoints are first meant for their own
zone; then zones with more than their share give some to those with less. Where no zone could be served without
overloading its endpoints by more than a fifth, nobody gets hints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from knarr.api.scheme import evolve
from knarr.api.types import discovery_v1
from knarr.controllers.endpointslice.desired import Identity, Ports, identity
from knarr.controllers.endpointslice.reconcile import Draft
from knarr.meta.quantity import Quantity

#: the older annotation counts where both are there
ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
ZONE = "topology.kubernetes.io/zone"
EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
OVERLOAD = 0.2

ENABLED = "Topology Aware Hints has been enabled"
DISABLED = "Topology Aware Hints has been disabled"
NODES_UNKNOWN = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
NO_ZONE = "One or more endpoints do not have a zone specified"
NO_HINTS = "No hints allocated for zones"
FEW_ENDPOINTS = "Insufficient number of endpoints"
OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"

#: endpoints that are meant for a zone
Counts = dict[str, int]


class Impossible(Exception):
    """No hints can be given; its message is for an event."""


class Share(NamedTuple):
    """How many endpoints a zone should have."""

    minimum: int
    maximum: int
    desired: float


def wanted(service: Any) -> bool:
    """The service asks for hints by zone."""
    annotations = service.metadata.annotations
    for name in ANNOTATIONS:
        if name in annotations:
            return annotations[name] in ("Auto", "auto")
    return False


# -- nodes -----------------------------------------------------------------------------------------------------


def is_ready(node: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def cpu_ratios(nodes: Iterable[Any]) -> dict[str, float] | None:
    """Which part of the cluster's cpu is in each zone; None where that cannot be said, or there is one zone only."""
    cpu: dict[str, int] = {}
    for node in nodes:
        labels = node.metadata.labels
        if any(label in labels for label in EXCLUDED) or not is_ready(node):
            continue
        zone = labels.get(ZONE)
        amount = Quantity.parse(node.status.allocatable.get("cpu", "0")).milli
        if not zone or not amount:
            return None
        cpu[zone] = cpu.get(zone, 0) + amount
    total = sum(cpu.values())
    return {zone: amount / total for zone, amount in cpu.items()} if len(cpu) > 1 else None


def shares(ratios: Mapping[str, float] | None, count: int) -> dict[str, Share]:
    """Of `count` endpoints. Raises Impossible."""
    if ratios is None:
        raise Impossible(NODES_UNKNOWN)
    numbers = f"({count} endpoints, {len(ratios)} zones)"
    if len(ratios) > count:
        raise Impossible(f"{FEW_ENDPOINTS} {numbers}")
    minimum = {zone: _minimum(ratio * count) for zone, ratio in ratios.items()}
    rest = count - sum(minimum.values())
    if rest < 0:
        raise Impossible(f"{OVERLOADED} {numbers}")
    return {
        zone: Share(minimum[zone], minimum[zone] + rest, max(ratio * count, minimum[zone]))
        for zone, ratio in ratios.items()
    }


def _minimum(desired: float) -> int:
    return math.ceil(desired * (1 / (1 + OVERLOAD)))


def is_overloaded(counts: Counts, ratios: Mapping[str, float] | None) -> bool:
    """A zone has fewer endpoints than it takes."""
    if not counts:
        return False
    if not ratios:
        return True
    total = sum(counts.values())
    return any(zone not in counts or counts[zone] < _minimum(total * ratio) for zone, ratio in ratios.items())


# -- hints -----------------------------------------------------------------------------------------------------


def keep_hints(groups: Mapping[Ports, dict[Identity, Any]], slices: Sequence[Any]) -> None:
    """Desired endpoints start with the hints that they have: moving one costs a write and its clients a detour."""
    for piece in slices:
        group = groups.get(tuple(piece.ports))
        for old in piece.endpoints if group else ():
            name = identity(old)
            if old.hints is not None and group is not None and name in group and group[name].conditions.ready:
                group[name] = evolve(group[name], hints=old.hints)


def add_hints(
    drafts: Sequence[Draft], unchanged: Sequence[Any], ratios: Mapping[str, float] | None
) -> tuple[Counts, list[Draft]]:
    """Give every ready endpoint of one address family a zone; (endpoints by zone, slices to be written besides).

    `drafts` are changed in place. Raises Impossible.
    """
    total = sum(_ready(draft.endpoints) for draft in drafts) + sum(_ready(p.endpoints) for p in unchanged)
    targets = shares(ratios, total)
    counts: Counts = {}
    more: list[Draft] = []
    for piece in unchanged:
        found = _hints_of(piece, counts, targets)
        if found is None:
            more.append(_draft_of(piece))
        else:
            _add(counts, found)
    mine = [*drafts, *more]
    for draft in mine:
        for i, endpoint in enumerate(draft.endpoints):
            if not endpoint.conditions.ready:
                continue
            if not endpoint.zone:
                raise Impossible(NO_ZONE)
            _add(counts, {endpoint.zone: 1})
            draft.endpoints[i] = _meant_for(endpoint, endpoint.zone)
    _redistribute(mine, counts, *_gifts(targets, counts))
    if not counts:
        raise Impossible(NO_HINTS)
    return counts, more


def remove_hints(drafts: Sequence[Draft], unchanged: Sequence[Any]) -> list[Draft]:
    """Take all hints away; slices to be written besides `drafts`."""
    more = [_draft_of(p) for p in unchanged if any(e.hints is not None for e in p.endpoints)]
    for draft in (*drafts, *more):
        draft.endpoints[:] = [e if e.hints is None else evolve(e, hints=None) for e in draft.endpoints]
    return more


def _draft_of(piece: Any) -> Draft:
    return Draft(piece.addressType, tuple(piece.ports), list(piece.endpoints), piece)


def _meant_for(endpoint: Any, zone: str) -> Any:
    hints = discovery_v1.EndpointHints(forZones=(discovery_v1.ForZone(name=zone),))
    return endpoint if endpoint.hints == hints else evolve(endpoint, hints=hints)


def _ready(endpoints: Iterable[Any]) -> int:
    return sum(bool(endpoint.conditions.ready) for endpoint in endpoints)


def _add(counts: Counts, more: Mapping[str, int]) -> None:
    for zone, count in more.items():
        counts[zone] = counts.get(zone, 0) + count


def _hints_of(piece: Any, counts: Counts, targets: Mapping[str, Share]) -> Counts | None:
    """What a slice gives to each zone; None where that will not do any more."""
    found: Counts = {}
    for endpoint in piece.endpoints:
        if not endpoint.conditions.ready:
            continue
        zones = [hint.name for hint in endpoint.hints.forZones] if endpoint.hints is not None else []
        if not zones or any(zone not in targets for zone in zones):
            return None
        for zone in zones:
            _add(found, {zone: 1})
    fits = all(count + counts.get(zone, 0) <= targets[zone].maximum for zone, count in found.items())
    return found if fits else None


def _gifts(targets: Mapping[str, Share], counts: Counts) -> tuple[Counts, Counts]:
    """How many endpoints each zone gives, and how many each receives."""
    surplus = {zone: counts.get(zone, 0) - share.desired for zone, share in sorted(targets.items())}
    giving: Counts = {}
    receiving: Counts = {}
    while True:
        giver = max(surplus, key=lambda zone: surplus[zone])
        taker = min(surplus, key=lambda zone: surplus[zone])
        give, take = surplus[giver], -surplus[taker]
        if (give < 1 and take < 1) or give < 0.5 or take < 0.5:
            return giving, receiving
        _add(giving, {giver: 1})
        _add(receiving, {taker: 1})
        surplus[giver] -= 1
        surplus[taker] += 1


def _redistribute(drafts: Sequence[Draft], counts: Counts, giving: Counts, receiving: Counts) -> None:
    for draft in drafts:
        for i, endpoint in enumerate(draft.endpoints):
            if not endpoint.conditions.ready or not giving.get(endpoint.zone):
                continue
            taker = next((zone for zone, count in receiving.items() if count), None)
            if taker is None:
                return
            draft.endpoints[i] = _meant_for(endpoint, taker)
            giving[endpoint.zone] -= 1
            receiving[taker] -= 1
            _add(counts, {taker: 1, endpoint.zone: -1})
