"""Resources given for the pod as a whole (KEP-2837): what they are where only a part was said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.api.core.resourcenames import is_huge_page
from knarr.meta.quantity import Quantity

Spec = dict[str, Any]
Amounts = dict[str, str]


def is_pod_level(name: str) -> bool:
    """Which resources a pod as a whole may ask for."""
    return name in ("cpu", "memory") or is_huge_page(name)


def add_amounts(total: Amounts, amounts: Amounts) -> None:
    for name, amount in amounts.items():
        total[name] = (
            str(Quantity.parse(total[name]).add(Quantity.parse(amount))) if name in total else amount
        )


def max_amounts(total: Amounts, amounts: Amounts) -> None:
    for name, amount in amounts.items():
        if name not in total or Quantity.parse(total[name]).compare(Quantity.parse(amount)) < 0:
            total[name] = amount


def is_sidecar(container: Spec) -> bool:
    return container.get("restartPolicy") == "Always"


def aggregate(spec: Spec, which: str) -> Amounts:
    """What all containers together need at one time: `which` is requests or limits.

    Init containers run one after the other beside the sidecars started so far, then the regular containers beside
    all sidecars.
    """
    total: Amounts = {}
    for container in spec.get("containers", ()):
        add_amounts(total, container.get("resources", {}).get(which, {}))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers", ()):
        need = dict(container.get("resources", {}).get(which, {}))
        if is_sidecar(container):
            add_amounts(total, need)
            add_amounts(sidecars, need)
            need = dict(sidecars)
        else:
            add_amounts(need, sidecars)
        max_amounts(peak, need)
    max_amounts(total, peak)
    return total


def default_pod_level_resources(spec: Spec) -> None:
    """Fill in the pod's own requests and limits from each other and from its containers."""
    resources = spec["resources"]
    _default_huge_page_limits(spec, resources)
    _default_requests(spec, resources)
    _default_limits(spec, resources)


def _default_huge_page_limits(spec: Spec, resources: Spec) -> None:
    if not resources.get("limits") and not resources.get("requests"):
        return
    limits = resources.get("limits", {})
    for name, amount in aggregate(spec, "limits").items():
        if is_huge_page(name) and name not in resources.get("requests", {}):
            limits.setdefault(name, amount)
    if limits:
        resources["limits"] = limits


def _default_requests(spec: Spec, resources: Spec) -> None:
    if not resources.get("limits"):
        return
    requests = resources.get("requests", {})
    for name, amount in aggregate(spec, "requests").items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, amount)
    for name, amount in resources["limits"].items():
        if is_pod_level(name):
            requests.setdefault(name, amount)
    if requests:
        resources["requests"] = requests


def _default_limits(spec: Spec, resources: Spec) -> None:
    if any(map(is_pod_level, resources.get("limits", {}))):
        return
    if not any(map(is_pod_level, resources.get("requests", {}))):
        return
    limits = resources.get("limits", {})
    for name, amount in aggregate(spec, "limits").items():
        if name in ("cpu", "memory") and _all_limit(spec, name):
            limits.setdefault(name, amount)
    if limits:
        resources["limits"] = limits


def _all_limit(spec: Spec, name: str) -> bool:
    """Every container that runs for as long as the pod has a limit, and init containers too."""
    return all(name in c.get("resources", {}).get("limits", {}) for c in _all_containers(spec))


def _all_containers(spec: Spec) -> Iterable[Spec]:
    return (*spec.get("containers", ()), *spec.get("initContainers", ()))
