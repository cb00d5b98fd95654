"""What a scheduler plugin is, and how the plugins of one profile decide together.

A plugin answers for all nodes at once. `pod` is always a class of equal pods (`PodClass`), `nodes` the columns.
What a plugin's answer depends on says how long it holds:

    NODE      the node's facts (labels, taints ...): until they change
    USAGE     also what runs on that very node: until something is bound there
    TOPOLOGY  also what runs elsewhere
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.queue.events import ClusterEvent, Interest

NODE, USAGE, TOPOLOGY = "node", "usage", "topology"
MAX_NODE_SCORE = 100
ALL = slice(None)
Rows = Any  # slice or array of row numbers


class Refusal(NamedTuple):
    """Nodes that a plugin refuses, and why."""

    nodes: Array
    reason: str
    #: removing pods from the node would not help (UnschedulableAndUnresolvable)
    unresolvable: bool = False


class Unschedulable(Exception):
    """The pod cannot run anywhere as things are, whatever the nodes look like (a PreFilter's refusal)."""

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(message)
        self.plugin, self.message = plugin, message


class Broken(Exception):
    """The pod's own objects are wrong: it is tried again like after any failure, with this text for its owner."""


class Plugin:
    """Base of all plugins: a name, and the cluster events after which a pod it refused is worth another try."""

    name: ClassVar[str] = ""
    interests: ClassVar[tuple[Interest, ...]] = ()

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        """May `event`, which is one of its interests, make a pod of the class schedulable?"""
        return True


class FilterPlugin(Plugin):
    """Says on which nodes a pod may run."""

    depends: ClassVar[str] = NODE
    reason: ClassVar[str] = ""
    unresolvable: ClassVar[bool] = False
    #: asked last, and only about the nodes that all others allow
    costly: ClassVar[bool] = False

    def applies(self, pod: PodClass) -> bool:
        """False: it has nothing to say about such pods (Skip)."""
        return True

    def pre_filter(self, pod: PodClass, cluster: Cluster) -> None:
        """Raises Unschedulable where no node can ever do."""

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array | None:
        """True where the pod may run; None: everywhere."""
        raise NotImplementedError

    def fits(self, pod: PodClass, cluster: Cluster, row: int) -> bool:
        """The same for one node."""
        mask = self.filter(pod, cluster, np.array([row]))
        return mask is None or bool(mask[0])

    def refusals(self, pod: PodClass, cluster: Cluster) -> list[Refusal]:
        """Why not: several reasons may name the same node."""
        mask = self.filter(pod, cluster)
        return [] if mask is None else [Refusal(~mask, self.reason, self.unresolvable)]


class ScorePlugin(Plugin):
    """Prefers some nodes: whole numbers from 0 to 100, as floats."""

    depends: ClassVar[str] = NODE
    #: the weight of the default profile
    weight: ClassVar[int] = 1

    def concerned(self, pod: PodClass) -> bool:
        """False: it never prefers a node for such pods (Skip)."""
        return True

    def score(
        self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL
    ) -> Array | float | None:
        """A number for every node, of which only those of `feasible` count; None: no opinion (Skip)."""
        raise NotImplementedError

    def normalize(self, raw: Array, highest: int) -> Array:
        """From raw scores, of which `highest` is the highest among the feasible nodes, to 0..100."""
        return raw

    #: raw scores need `normalize`
    normalizes: ClassVar[bool] = False


@runtime_checkable
class PreEnqueue(Protocol):
    def pre_enqueue(self, pod: Any) -> str | None:
        """Why the pod must not be tried yet; None: it may."""
        ...


@runtime_checkable
class QueueSort(Protocol):
    def sort_key(self, priority: int, since: float) -> tuple[Any, ...]:
        """Smaller is first."""
        ...


class PostFilterResult(NamedTuple):
    """`message` is added to the pod's condition; `nominated`: the node that will have room ("" clears it, None
    leaves it as it is); `work` is to be done for it."""

    message: str
    nominated: str | None = None
    work: Callable[[], Awaitable[None]] | None = None


@runtime_checkable
class PostFilter(Protocol):
    def post_filter(self, queued: Any, diagnosis: Any, framework: Framework) -> PostFilterResult:
        """What can be done for a queued pod that fits nowhere, for the reasons that the diagnosis gives."""
        ...


@runtime_checkable
class Reserve(Protocol):
    def reserve(self, pod: Any, node: str) -> None:
        """The pod was assumed on the node. Raises Unschedulable."""
        ...

    def unreserve(self, pod: Any, node: str) -> None:
        """It will not run there after all; must not fail, nor mind a pod that it does not know."""
        ...


@runtime_checkable
class Permit(Protocol):
    async def permit(self, pod: Any, node: str) -> str | None:
        """Wait as long as needed; a text refuses."""
        ...


@runtime_checkable
class PreBind(Protocol):
    def waits(self, pod: Any) -> bool:
        """May `pre_bind` take long for this pod?"""
        ...

    async def pre_bind(self, pod: Any, node: str) -> None:
        """Prepare; an exception puts the pod back into the queue."""
        ...


@runtime_checkable
class Bind(Protocol):
    async def bind(self, pod: Any, node: str) -> bool:
        """True where it did; else the next binder is asked."""
        ...


@runtime_checkable
class PostBind(Protocol):
    def post_bind(self, pod: Any, node: str) -> None:
        """The pod is bound."""
        ...


@dataclass
class Framework:
    """The plugins of one profile, in their order."""

    scheduler_name: str
    plugins: list[Plugin]
    weights: Mapping[str, int] = field(default_factory=dict)
    #: 0 and 100: look at all nodes; else stop after that share of feasible ones
    percentage_of_nodes_to_score: int = 0

    def __post_init__(self) -> None:
        self.filters = [p for p in self.plugins if isinstance(p, FilterPlugin)]
        self.scorers = [
            (p, w)
            for p in self.plugins
            if isinstance(p, ScorePlugin) and (w := self.weights.get(p.name, p.weight))
        ]
        self.by_name = {p.name: p for p in self.plugins}
        self.sort: Any = next((p for p in self.plugins if isinstance(p, QueueSort)), None)
        self.pre_enqueues = [p for p in self.plugins if isinstance(p, PreEnqueue)]
        self.post_filters = [p for p in self.plugins if isinstance(p, PostFilter)]
        self.reserves = [p for p in self.plugins if isinstance(p, Reserve)]
        self.permits = [p for p in self.plugins if isinstance(p, Permit)]
        self.pre_binds = [p for p in self.plugins if isinstance(p, PreBind)]
        self.binders = [p for p in self.plugins if isinstance(p, Bind)]
        self.post_binds = [p for p in self.plugins if isinstance(p, PostBind)]

    def applying(self, pod: PodClass) -> list[FilterPlugin]:
        return [plugin for plugin in self.filters if plugin.applies(pod)]

    def pre_filter(self, pod: PodClass, cluster: Cluster) -> None:
        """Raises Unschedulable."""
        for plugin in self.filters:
            plugin.pre_filter(pod, cluster)

    def static(self, pod: PodClass, cluster: Cluster) -> Array:
        """Where the pod may run as far as the nodes' facts decide."""
        return cluster.plan("static", pod, lambda: self._static(pod, cluster))

    def _static(self, pod: PodClass, cluster: Cluster) -> Array:
        mask = cluster.nodes.present.copy()
        for plugin in self.applying(pod):
            if plugin.depends == NODE and (may := plugin.filter(pod, cluster)) is not None:
                mask &= may
        return mask

    def feasible(self, pod: PodClass, cluster: Cluster) -> Array:
        """True for each node on which the pod may run now."""
        mask = self.static(pod, cluster).copy()
        applying = self.applying(pod)
        for plugin in applying:
            if plugin.depends == NODE or plugin.costly:
                continue
            if (may := plugin.filter(pod, cluster)) is not None:
                mask &= may
        for plugin in applying:
            if plugin.costly and len(rows := np.flatnonzero(mask)):
                mask[rows] = plugin.filter(pod, cluster, rows)
        return mask

    def fits(self, pod: PodClass, cluster: Cluster, row: int) -> bool:
        """May the pod run on this node now?"""
        return bool(self.static(pod, cluster)[row]) and all(
            plugin.fits(pod, cluster, row) for plugin in self.applying(pod) if plugin.depends != NODE
        )

    def scores(self, pod: PodClass, cluster: Cluster, feasible: Array) -> Array:
        """The weighted sum of all scores, for every node; only feasible nodes' numbers mean anything."""
        total = np.zeros(cluster.nodes.size)
        for plugin, weight in self.scorers:
            raw = plugin.score(pod, cluster, feasible)
            if raw is None:
                continue
            if plugin.normalizes:
                raw = plugin.normalize(raw, int(raw.max(where=feasible, initial=0)))  # type: ignore[union-attr]
            total += weight * raw
        return total
