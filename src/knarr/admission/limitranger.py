"""LimitRanges: defaults for containers, bounds for containers, pods and volume claims."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.admission import podresources
from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.meta.fielderrors import aggregate
from knarr.meta.quantity import Quantity
from knarr.registry.reader import Reader

ANNOTATION = "kubernetes.io/limit-ranger"
#: quantities larger than this are compared whole, smaller ones in thousandths
MILLI_MAX = ((1 << 63) - 1) // 1000

Resources = dict[str, Quantity]


class LimitRanger(Plugin):
    name = "LimitRanger"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        if target.group or target.resource not in ("pods", "persistentvolumeclaims"):
            return False
        if target.resource == "pods":
            return (target.operation, target.subresource) in ((CREATE, ""), (UPDATE, "resize"))
        return target.operation in (CREATE, UPDATE) and not target.subresource

    def admit(self, a: Attributes) -> None:
        if a.request.resource != "pods" or _is_going(a):
            return
        for limit_range in self._reader.list("", "limitranges", a.namespace):
            notes = list(_apply_defaults(a.obj["spec"], limit_range))
            if notes:
                metadata = a.obj["metadata"]
                text = f"LimitRanger plugin set: {'; '.join(notes)}"
                metadata["annotations"] = (metadata.get("annotations") or {}) | {ANNOTATION: text}

    def validate(self, a: Attributes) -> None:
        if _is_going(a):
            return
        find = _pod_faults if a.request.resource == "pods" else _claim_faults
        for limit_range in self._reader.list("", "limitranges", a.namespace):
            if faults := aggregate(find(a.obj, limit_range)):
                raise a.forbidden(faults)


def _is_going(a: Attributes) -> bool:
    """What is going away must be able to lose its finalizers."""
    return a.operation == UPDATE and bool(a.old["metadata"].get("deletionTimestamp"))


def _limits(limit_range: Object) -> list[Object]:
    return limit_range["spec"].get("limits") or []


def _apply_defaults(spec: Object, limit_range: Object) -> Iterator[str]:
    """Fill in what a container does not say; yields the notes for the annotation."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for limit in _limits(limit_range):
        if limit.get("type") == "Container":
            requests |= limit.get("defaultRequest") or {}
            limits |= limit.get("default") or {}
    if not requests and not limits:
        return
    for key, word in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(key) or ():
            resources = dict(container.get("resources") or {})
            for side, defaults in (("requests", requests), ("limits", limits)):
                given = resources.get(side) or {}
                missing = {name: q for name, q in sorted(defaults.items()) if name not in given}
                if missing:
                    resources[side] = given | missing
                    yield f"{', '.join(missing)} {side[:-1]} for {word} {container['name']}"
            container["resources"] = resources


def _pod_faults(pod: Object, limit_range: Object) -> Iterator[str]:
    spec = pod["spec"]
    for limit in _limits(limit_range):
        if limit.get("type") == "Container":
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
                resources = container.get("resources") or {}
                requests, limits = (_parsed(resources.get(side)) for side in ("requests", "limits"))
                yield from _faults(limit, requests, limits)
        elif limit.get("type") == "Pod":
            requests, limits = (
                podresources.total(pod, side, overhead=False) for side in ("requests", "limits")
            )
            yield from _faults(limit, requests, limits)


def _claim_faults(claim: Object, limit_range: Object) -> Iterator[str]:
    requests = _parsed((claim["spec"].get("resources") or {}).get("requests"))
    for limit in _limits(limit_range):
        if limit.get("type") != "PersistentVolumeClaim":
            continue
        kind = limit["type"]
        for name, bound in _bounds(limit, "min"):
            yield from _minimum(kind, name, bound, requests, {})
        for name, bound in _bounds(limit, "max"):
            start = f"maximum {name} usage per {kind} is {bound}"
            if name not in requests:
                yield f"{start}.  No request is specified"
            elif requests[name].compare(bound) > 0:
                yield f"{start}, but request is {requests[name]}"


def _faults(limit: Object, requests: Resources, limits: Resources) -> Iterator[str]:
    kind = limit["type"]
    for name, bound in _bounds(limit, "min"):
        yield from _minimum(kind, name, bound, requests, limits)
    for name, bound in _bounds(limit, "max"):
        yield from _maximum(kind, name, bound, requests, limits)
    for name, bound in _bounds(limit, "maxLimitRequestRatio"):
        yield from _ratio(kind, name, bound, requests, limits)


def _minimum(kind: str, name: str, bound: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    start = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{start}.  No request is specified"
    elif requests[name].compare(bound) < 0:
        yield f"{start}, but request is {requests[name]}"
    elif name in limits and limits[name].compare(bound) < 0:
        yield f"{start}, but limit is {limits[name]}"


def _maximum(kind: str, name: str, bound: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    start = f"maximum {name} usage per {kind} is {bound}"
    if name not in limits:
        yield f"{start}.  No limit is specified"
    elif limits[name].compare(bound) > 0:
        yield f"{start}, but limit is {limits[name]}"
    elif name in requests and requests[name].compare(bound) > 0:
        yield f"{start}, but request is {requests[name]}"


def _ratio(kind: str, name: str, bound: Quantity, requests: Resources, limits: Resources) -> Iterator[str]:
    start = f"{name} max limit to request ratio per {kind} is {bound}"
    if name not in requests or requests[name].is_zero:
        yield f"{start}, but no request is specified or request is 0"
        return
    if name not in limits or limits[name].is_zero:
        yield f"{start}, but no limit is specified or limit is 0"
        return
    fine = all(q.value <= MILLI_MAX for q in (requests[name], limits[name], bound))
    request, limit = (q.milli if fine else q.value for q in (requests[name], limits[name]))
    observed = limit / request
    allowed, scaled = (bound.milli, observed * 1000) if fine else (bound.value, observed)
    if scaled > allowed:
        yield f"{start}, but provided ratio is {observed:f}"


def _bounds(limit: Object, key: str) -> list[tuple[str, Quantity]]:
    return sorted(_parsed(limit.get(key)).items())


def _parsed(quantities: dict[str, str] | None) -> Resources:
    return {name: Quantity.parse(q) for name, q in (quantities or {}).items()}
