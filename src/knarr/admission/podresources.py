"""What a pod asks for in all: the sum of its containers, or what its init containers need at their peak."""

from __future__ import annotations

from typing import Any

from knarr.meta.quantity import Quantity

Object = dict[str, Any]
Resources = dict[str, Quantity]

#: resources that may be given for the pod as a whole, which then counts instead of the sum
POD_LEVEL = ("cpu", "memory")


def total(pod: Object, side: str, overhead: bool = True) -> Resources:
    """`side` is "requests" or "limits"; a sidecar (an init container that restarts always) counts all the time."""
    spec = pod["spec"]
    sum_: Resources = {}
    for container in spec.get("containers") or ():
        _add(sum_, _of(container, side))
    sidecars: Resources = {}
    peak: Resources = {}
    for container in spec.get("initContainers") or ():
        own = dict(_of(container, side))
        if container.get("restartPolicy") == "Always":
            _add(sum_, own)
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        _raise(peak, own)
    _raise(sum_, peak)
    for name, quantity in _of(spec, side).items():
        if _is_pod_level(name):
            sum_[name] = quantity
    if overhead:
        extra = {name: Quantity.parse(q) for name, q in (spec.get("overhead") or {}).items()}
        # an overhead on top of no limit would make a limit of it
        _add(sum_, {n: q for n, q in extra.items() if side == "requests" or n in sum_})
    return sum_


def given_for_pod(spec: Object) -> bool:
    """Whether the pod as a whole asks for or is limited in anything that can be given so."""
    return any(_is_pod_level(name) for side in ("requests", "limits") for name in _of(spec, side))


def _is_pod_level(name: str) -> bool:
    return name in POD_LEVEL or name.startswith("hugepages-")


def _of(holder: Object, side: str) -> Resources:
    given = (holder.get("resources") or {}).get(side) or {}
    return {name: Quantity.parse(quantity) for name, quantity in given.items()}


def _add(into: Resources, more: Resources) -> None:
    for name, quantity in more.items():
        into[name] = into[name].add(quantity) if name in into else quantity


def _raise(into: Resources, other: Resources) -> None:
    for name, quantity in other.items():
        if name not in into or into[name].compare(quantity) < 0:
            into[name] = quantity
