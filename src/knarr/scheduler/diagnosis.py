"""Why a pod fits nowhere: for people (the condition's message), for the queue (whose events may help), for preemption."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import Framework

NO_NODES = "no nodes available to schedule pods"
#: a longer note is refused by the API
NOTE_CHARACTERS_MAX = 1024


class Verdict(NamedTuple):
    """One plugin's refusal of some nodes (row numbers)."""

    plugin: str
    reason: str
    rows: Array


class Diagnosis:
    """Of one attempt. A node is refused by the first plugin that objects, for all of that plugin's reasons."""

    __slots__ = ("absent", "helpable", "nodes", "plugins", "pre_filter", "verdicts")

    def __init__(self, nodes: int) -> None:
        #: how many nodes the cluster has
        self.nodes = nodes
        self.verdicts: list[Verdict] = []
        #: what refused the pod before any node was looked at
        self.pre_filter = ""
        #: nodes that were not looked at, with the reason
        self.absent: tuple[int, str] = (0, "")
        self.plugins: tuple[str, ...] = ()
        #: nodes where removing pods may help; None where that is out of the question
        self.helpable: Array | None = None

    def counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for verdict in self.verdicts:
            found[verdict.reason] += len(verdict.rows)
        if self.absent[0]:
            found[self.absent[1]] += self.absent[0]
        return found

    def message(self, post_filter: str = "") -> str:
        """Kubernetes' sentence: `0/3 nodes are available: 1 Insufficient cpu, ... .`"""
        if not self.nodes:
            return NO_NODES
        text = f"0/{self.nodes} nodes are available:"
        if self.pre_filter:
            text += f" {self.pre_filter}."
        elif reasons := sorted(f"{count} {reason}" for reason, count in self.counts().items()):
            text += f" {', '.join(reasons)}."
        return f"{text} {post_filter}" if post_filter else text


def diagnose(framework: Framework, pod: PodClass, cluster: Cluster, among: Array | None = None) -> Diagnosis:
    """Ask every plugin about every node that no earlier plugin refused. `among`: the nodes the pod names itself."""
    nodes = cluster.nodes
    found = Diagnosis(nodes.count)
    left = nodes.present.copy()
    if among is not None:
        left &= among
        outside = nodes.count - int(left.sum())
        found.absent = (outside, "node(s) didn't satisfy plugin(s) [NodeAffinity]")
    helpable = np.zeros(nodes.size, bool)
    plugins: dict[str, None] = {"NodeAffinity": None} if found.absent[0] else {}
    for plugin in framework.applying(pod):
        refused = np.zeros(nodes.size, bool)
        hopeless = np.zeros(nodes.size, bool)
        for refusal in plugin.refusals(pod, cluster):
            rows = np.flatnonzero(refusal.nodes & left)
            if len(rows):
                found.verdicts.append(Verdict(plugin.name, refusal.reason, rows))
                refused[rows] = True
                if refusal.unresolvable:
                    hopeless[rows] = True
        if refused.any():
            plugins[plugin.name] = None
            helpable |= refused & ~hopeless
            left &= ~refused
    found.plugins = tuple(sorted(plugins))
    found.helpable = helpable
    return found


def note(message: str) -> str:
    """Cut to what an Event's note may hold."""
    return message if len(message) <= NOTE_CHARACTERS_MAX else message[: NOTE_CHARACTERS_MAX - 4] + " ..."
