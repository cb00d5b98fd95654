"""What a pod asks for in all: the sum of its containers, or what its init containers need at their peak."""

from __future__ import annotations

from functools import partial
from typing import Any

from knarr.meta.quantity import Quantity

Object = dict[str, Any]
Resources = dict[str, Quantity]

#: resources that may be given for the pod as a whole, which then counts instead of the sum
POD_LEVEL = ("cpu", "memory")


def total(pod: Object, side: str, overhead: bool = True, held: bool = False) -> Resources:
    """`side` is "requests" or "limits"; a sidecar (an init container that restarts always) counts all the time.

    `held`: while a resize is under way a container counts for what it still has, by its status, if that is more.
    """
    spec = pod["spec"]
    of = _Held(pod, side) if held else partial(_of, side=side)
    sum_: Resources = {}
    for container in spec.get("containers") or ():
        _add(sum_, of(container))
    sidecars: Resources = {}
    peak: Resources = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            own = dict(of(container))
            _add(sum_, own)
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            own = dict(_of(container, side))
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


class _Held:
    """container -> what it counts for: the most of what it should have and what it has; a resize that cannot be is
    none."""

    def __init__(self, pod: Object, side: str) -> None:
        status = pod.get("status") or {}
        self._side = side
        self._statuses = {
            shown["name"]: shown
            for field in ("containerStatuses", "initContainerStatuses")
            for shown in status.get(field) or ()
        }
        self._infeasible = any(
            condition["type"] == "PodResizePending" and condition.get("reason") == "Infeasible"
            for condition in status.get("conditions") or ()
        )

    def __call__(self, container: Object) -> Resources:
        shown = self._statuses.get(container["name"]) or {}
        if shown.get("resources") is None:
            return _of(container, self._side)
        most = {} if self._infeasible else _of(container, self._side)
        _raise(most, _of(shown, self._side))
        if self._side == "requests":
            _raise(most, _parsed(shown.get("allocatedResources")))
        return most


def given_for_pod(spec: Object) -> bool:
    """Whether the pod as a whole asks for or is limited in anything that can be given so."""
    return any(_is_pod_level(name) for side in ("requests", "limits") for name in _of(spec, side))


def _is_pod_level(name: str) -> bool:
    return name in POD_LEVEL or name.startswith("hugepages-")


def _of(holder: Object, side: str) -> Resources:
    return _parsed((holder.get("resources") or {}).get(side))


def _parsed(quantities: Object | None) -> Resources:
    return {name: Quantity.parse(quantity) for name, quantity in (quantities or {}).items()}


def _add(into: Resources, more: Resources) -> None:
    for name, quantity in more.items():
        into[name] = into[name].add(quantity) if name in into else quantity


def _raise(into: Resources, other: Resources) -> None:
    for name, quantity in other.items():
        if name not in into or into[name].compare(quantity) < 0:
            into[name] = quantity
