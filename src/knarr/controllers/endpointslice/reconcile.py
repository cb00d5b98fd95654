"""Which slices to write so that they hold the endpoints they should, touching as few as possible.

The algorithm is KEP-752's: endpoints stay in the slice they are in; room in slices that change anyway is filled
first; what is left goes into the unchanged slice that it fills best, or into new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from knarr.controllers.endpointslice.desired import Identity, Ports, identity

ENDPOINTS_MAX = 100


@dataclass
class Draft:
    """A slice as it should be; `old` is None for a new one."""

    family: str
    ports: Ports
    endpoints: list[Any]
    old: Any = None


@dataclass
class Plan:
    """What is to be written."""

    create: list[Draft] = field(default_factory=list)
    update: list[Draft] = field(default_factory=list)
    delete: list[Any] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.create or self.update or self.delete)


def plan(
    slices: Sequence[Any],
    desired: Mapping[str, Mapping[Ports, Mapping[Identity, Any]]],
    labels: Mapping[str, str],
    endpoints_max: int = ENDPOINTS_MAX,
    placeholder: bool = True,
) -> Plan:
    """`slices`: all that are there; `desired`: by address family, then ports; `labels`: what each slice should have.

    With `placeholder` a family without endpoints has one empty slice.
    """
    result = Plan(delete=[s for s in slices if s.addressType not in desired])
    for family, groups in desired.items():
        mine = [s for s in slices if s.addressType == family]
        part = plan_family(family, mine, groups, labels, endpoints_max, placeholder)
        result.create += part.create
        result.update += part.update
        result.delete += part.delete
    return result


def plan_family(
    family: str,
    slices: Sequence[Any],
    groups: Mapping[Ports, Mapping[Identity, Any]],
    labels: Mapping[str, str],
    endpoints_max: int,
    placeholder: bool,
) -> Plan:
    by_ports: dict[Ports, list[Any]] = {}
    for piece in slices:
        by_ports.setdefault(tuple(piece.ports), []).append(piece)
    result = Plan()
    for ports, wanted in groups.items():
        fill(result, family, ports, by_ports.pop(ports, []), dict(wanted), labels, endpoints_max)
    for unwanted in by_ports.values():
        result.delete += unwanted
    if placeholder and len(slices) == len(result.delete) and not result.create:
        keep_placeholder(result, family, labels)
    recycle(result)
    return result


def fill(
    result: Plan,
    family: str,
    ports: Ports,
    slices: Sequence[Any],
    wanted: dict[Identity, Any],
    labels: Mapping[str, str],
    endpoints_max: int,
) -> None:
    """Slices of the same ports; `wanted` is used up."""
    unchanged: list[Any] = []
    changed: list[Draft] = []
    for piece in slices:
        kept, differs = [], False
        for old in piece.endpoints:
            if (new := wanted.pop(identity(old), None)) is not None:
                kept.append(new)
                differs = differs or new != old
        if not kept:
            result.delete.append(piece)
        elif differs or len(kept) != len(piece.endpoints) or piece.metadata.labels != labels:
            changed.append(Draft(family, ports, kept, piece))
        else:
            unchanged.append(piece)

    rest = list(wanted.values())
    # the fullest first: few slices stay half full
    for draft in sorted(changed, key=lambda draft: -len(draft.endpoints)):
        _pour(rest, draft, endpoints_max)
    while rest:
        best = _best_fit(unchanged, len(rest), endpoints_max)
        if best is not None:
            unchanged.remove(best)
            draft = Draft(family, ports, list(best.endpoints), best)
            changed.append(draft)
        else:
            draft = Draft(family, ports, [])
            result.create.append(draft)
        _pour(rest, draft, endpoints_max)
    result.update += changed


def _pour(rest: list[Any], draft: Draft, endpoints_max: int) -> None:
    room = endpoints_max - len(draft.endpoints)
    if room > 0:
        draft.endpoints += rest[:room]
        del rest[:room]


def _best_fit(unchanged: Sequence[Any], count: int, endpoints_max: int) -> Any | None:
    """The slice in which so many endpoints leave the least room; None where they fit nowhere."""
    fitting = [s for s in unchanged if len(s.endpoints) + count <= endpoints_max]
    if count >= endpoints_max or not fitting:
        return None
    return max(fitting, key=lambda piece: len(piece.endpoints))


def keep_placeholder(result: Plan, family: str, labels: Mapping[str, str]) -> None:
    """Every service has a slice, if only an empty one."""
    if len(result.delete) == 1 and is_placeholder(result.delete[0], labels):
        result.delete.clear()
    else:
        result.create.append(Draft(family, (), []))


def is_placeholder(piece: Any, labels: Mapping[str, str]) -> bool:
    return not piece.endpoints and not piece.ports and piece.metadata.labels == labels


def recycle(result: Plan) -> None:
    """Rather than delete one slice and create another, change the one into the other."""
    while result.create and result.delete:
        draft = result.create.pop()
        draft.old = result.delete.pop(0)
        result.update.append(draft)
