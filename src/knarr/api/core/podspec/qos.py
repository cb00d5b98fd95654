"""A pod's quality of service class, from what its containers ask for."""

from __future__ import annotations

from typing import Any

from knarr.meta.quantity import Quantity

Spec = dict[str, Any]
_COMPUTE = ("cpu", "memory")
_NOTHING: dict[str, Any] = {}


def qos_class(spec: Spec) -> str:
    """Guaranteed when cpu and memory are limited everywhere to just what is requested, BestEffort when neither is
    mentioned, else Burstable. Resources of the pod as a whole count instead of its containers' where they are set."""
    own = spec.get("resources")
    if own and (own.get("limits") or own.get("requests")):
        holders = [spec]
    else:
        holders = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    asks_for_any, guaranteed = False, True
    requested: set[str] = set()
    for holder in holders:
        resources = holder.get("resources") or _NOTHING
        limits, requests = resources.get("limits") or _NOTHING, resources.get("requests") or _NOTHING
        for name in _COMPUTE:
            limit, request = limits.get(name, "0"), requests.get(name, "0")
            if request != "0":
                requested.add(name)
            if limit != "0" or request != "0":
                asks_for_any = True
            if limit == "0":
                guaranteed = False
    if not asks_for_any:
        return "BestEffort"
    if guaranteed and len(requested) == len(_COMPUTE) and _requests_equal_limits(holders):
        return "Guaranteed"
    return "Burstable"


def _requests_equal_limits(holders: list[Spec]) -> bool:
    if all(
        h["resources"]["limits"].get(n) == h["resources"].get("requests", {}).get(n)
        for h in holders
        for n in _COMPUTE
    ):
        return True
    return all(_sum(holders, "requests", n) == _sum(holders, "limits", n) for n in _COMPUTE)


def _sum(holders: list[Spec], which: str, name: str) -> int:
    return sum(Quantity.parse(h["resources"].get(which, {}).get(name, "0")).nanos for h in holders)
