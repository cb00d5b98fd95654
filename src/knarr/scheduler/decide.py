"""Which node for the next pod of a class: by the class's ranking where pods of it come often, else by one look at
all nodes."""

from __future__ import annotations

from collections import OrderedDict
from zlib import crc32

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.framework import Framework
from knarr.scheduler.ranking import GROUPS_MAX, Ranking, rankable

#: rankings kept; each holds about 50 bytes per node
RANKINGS_MAX = 256
#: classes whose last decision is remembered
CLASSES_SEEN_MAX = 10_000
NO_NODE = -1
MIN_NODES_TO_SCORE = 100


class Decider:
    """Decisions of one profile. `seed` enters every draw among equally good nodes, together with the pod's uid: the
    same pod in the same cluster goes to the same node."""

    def __init__(self, framework: Framework, cluster: Cluster, seed: int = 0, rank: bool = True) -> None:
        self.framework, self.cluster = framework, cluster
        self._seed = seed & 0xFFFFFFFF
        self._rank = rank
        self._rankings: OrderedDict[int, Ranking] = OrderedDict()
        self._last_seen: dict[int, int] = {}
        #: decisions by ranking, and by looking at all nodes
        self.ranked = self.looked = 0
        self._start = 0

    def chance(self, uid: str) -> int:
        return crc32(uid.encode(), self._seed)

    def pick(self, pod: PodClass, uid: str) -> int:
        """The row of the node, or NO_NODE."""
        chance = self.chance(uid)
        ranking = self._ranking(pod) if self._rank else None
        if ranking is not None:
            self.ranked += 1
            return ranking.pick(chance)
        self.looked += 1
        return self.look(pod, chance)

    def look(self, pod: PodClass, chance: int, feasible: np.ndarray | None = None) -> int:
        """Judge all nodes (or those of `feasible`)."""
        if feasible is None:
            feasible = self.framework.feasible(pod, self.cluster)
        feasible = self._sample(feasible)
        rows = np.flatnonzero(feasible)
        if len(rows) < 2:
            return int(rows[0]) if len(rows) else NO_NODE
        scores = self.framework.scores(pod, self.cluster, feasible)[rows]
        best = rows[scores == scores.max()]
        return int(best[chance % len(best)])

    def _sample(self, feasible: np.ndarray) -> np.ndarray:
        """percentageOfNodesToScore: the first feasible nodes, beginning where the last search stopped."""
        percentage, count = self.framework.percentage_of_nodes_to_score, self.cluster.nodes.count
        if not 0 < percentage < 100 or count < MIN_NODES_TO_SCORE:
            return feasible
        wanted = max(count * percentage // 100, MIN_NODES_TO_SCORE)
        rows = np.flatnonzero(feasible)
        if len(rows) <= wanted:
            return feasible
        rows = np.roll(rows, -int(np.searchsorted(rows, self._start)))[:wanted]
        self._start = (int(rows[-1]) + 1) % len(feasible)
        sample = np.zeros(len(feasible), bool)
        sample[rows] = True
        return sample

    def _ranking(self, pod: PodClass) -> Ranking | None:
        """The class's ranking where using it costs less than one look: pods of the class follow each other closely,
        or little has changed since it was last used."""
        if pod.extended and self.cluster.from_devices(pod):
            return None
        position = self.cluster.position
        near = 40 + self.cluster.nodes.size // 120
        last = self._last_seen.get(pod.id)
        if len(self._last_seen) >= CLASSES_SEEN_MAX:
            self._last_seen.clear()
        self._last_seen[pod.id] = position
        burst = last is not None and position - last <= near
        ranking = self._rankings.get(pod.id)
        if ranking is None:
            if not burst or not rankable(self.framework, pod):
                return None
            ranking = self._rankings[pod.id] = Ranking(self.framework, self.cluster, pod)
            if len(self._rankings) > RANKINGS_MAX:
                self._rankings.popitem(last=False)
        elif not burst and position - ranking.position > near:
            return None
        self._rankings.move_to_end(pod.id)
        if len(ranking.groups) > GROUPS_MAX:
            return None
        return ranking
