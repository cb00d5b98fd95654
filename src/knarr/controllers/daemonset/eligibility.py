"""May a daemon set's pod run on a node? By the scheduler's own rules: name, selector, affinity, taints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from knarr.api.core.nodechoice import chosen
from knarr.api.core.taints import tolerates

#: what every daemon pod tolerates: (key, effect)
TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
TOLERATED_BY_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


class Verdict(NamedTuple):
    """`start`: a pod should be there; `stay`: one that is there may stay."""

    start: bool
    stay: bool


NOT_HERE = Verdict(False, False)


def extra_tolerations(spec: Any) -> list[tuple[str, str]]:
    return [*TOLERATED, TOLERATED_BY_HOST_NETWORK] if spec.hostNetwork else list(TOLERATED)


def compiled(ds: Any) -> Callable[[Any], Verdict]:
    """The set's rule for nodes."""
    spec = ds.spec.template.spec
    selects = chosen(spec)
    extra = set(extra_tolerations(spec))

    def tolerated(taint: Any) -> bool:
        return (taint.key, taint.effect) in extra or any(tolerates(t, taint) for t in spec.tolerations)

    def verdict(node: Any) -> Verdict:
        if spec.nodeName not in ("", node.metadata.name) or not selects(node):
            return NOT_HERE
        effects = {taint.effect for taint in node.spec.taints if not tolerated(taint)}
        return Verdict(not effects & {"NoSchedule", "NoExecute"}, "NoExecute" not in effects)

    return verdict
