"""What was found for a claim, in the form of its status.allocation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.scheme import scheme
from knarr.scheduler.devices.allocator import Chosen, Solution

Wire = dict[str, Any]


def allocation(solution: Solution, node: str, share_id: Callable[[], str]) -> Wire:
    """In wire form."""
    devices: Wire = {"results": [_result(chosen, share_id) for chosen in solution.devices]}
    if configs := _configs(solution):
        devices["config"] = configs
    found: Wire = {"devices": devices}
    if (selector := _node_selector(solution, node)) is not None:
        found["nodeSelector"] = selector
    return found


def _result(chosen: Chosen, share_id: Callable[[], str]) -> Wire:
    wanted, device = chosen.wanted, chosen.candidate.device
    found: Wire = {
        "request": wanted.full_name,
        "driver": chosen.candidate.id.driver,
        "pool": chosen.candidate.id.pool,
        "device": device.name,
    }
    if wanted.admin:
        found["adminAccess"] = True
    if wanted.spec.tolerations:
        found["tolerations"] = [scheme().to_dict(t) for t in wanted.spec.tolerations]
    for key in ("bindingConditions", "bindingFailureConditions"):
        if conditions := getattr(device, key):
            found[key] = list(conditions)
    if chosen.consumed is not None:
        found["shareID"] = share_id()
        if chosen.consumed:
            found["consumedCapacity"] = {name: str(amount) for name, amount in chosen.consumed.items()}
    return found


def _configs(solution: Solution) -> list[Wire]:
    """Of the classes, each once for all requests of it, then of the claim. One that is for all requests names none."""
    found: list[Wire] = []
    of_class: dict[str, list[Wire]] = {}
    for wanted in solution.requests:
        name = wanted.device_class.metadata.name
        if name not in of_class:
            configs = [
                {"source": "FromClass", "requests": [], **_opaque(c)} for c in wanted.device_class.spec.config
            ]
            found += configs
            of_class[name] = configs
        for config in of_class[name]:
            config["requests"].append(wanted.full_name)
    for config in solution.claim.spec.devices.config:
        given: Wire = {"source": "FromClaim", "requests": list(config.requests), **_opaque(config)}
        if not config.requests:
            found.append(given)
            continue
        found += [
            {**given} for wanted in solution.requests if not set(wanted.names).isdisjoint(config.requests)
        ]
    count = len(solution.requests)
    return [{k: v for k, v in config.items() if k != "requests" or 0 < len(v) != count} for config in found]


def _opaque(config: Any) -> Wire:
    return {"opaque": scheme().to_dict(config.opaque)} if config.opaque is not None else {}


def _node_selector(solution: Solution, node: str) -> Wire | None:
    """Where the devices can be reached from; None: from everywhere."""
    term: dict[str, list[Wire]] = {"matchFields": [], "matchExpressions": []}
    for chosen in solution.devices:
        spec, device = chosen.candidate.slice, chosen.candidate.device
        place = device if spec.perDeviceNodeSelection else spec
        if place.nodeName is not None or device.bindsToNode:
            here = {"key": "metadata.name", "operator": "In", "values": [node]}
            return {"nodeSelectorTerms": [{"matchFields": [here]}]}
        for given in place.nodeSelector.nodeSelectorTerms[:1] if place.nodeSelector is not None else ():
            for key, requirements in term.items():
                for requirement in map(scheme().to_dict, getattr(given, key)):
                    if not any(_same(requirement, known) for known in requirements):
                        requirements.append(requirement)
    term = {key: requirements for key, requirements in term.items() if requirements}
    return {"nodeSelectorTerms": [term]} if term else None


def _same(a: Wire, b: Wire) -> bool:
    return (a["key"], a["operator"], set(a.get("values") or ())) == (
        b["key"],
        b["operator"],
        set(b.get("values") or ()),
    )
