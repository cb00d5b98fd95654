"""The nodes of one class of pods, kept in order, so that the next pod of the class costs only what has changed.

Nodes that look alike to everything that depends on other nodes form a group: the same zone, the same number of
counted pods on the host, the same raw preferences. Within a group only what runs on the node itself tells nodes
apart, so each group keeps its feasible nodes in buckets by that part of the score. A decision then weighs a
handful of groups, each by its best bucket; a bind moves one node from a bucket to another.

Equal, score by score, to `Framework.feasible` and `Framework.scores` (tests/scheduler/test_fuzz.py).
"""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.counters import Counter
from knarr.scheduler.cache.nodes import Array, LabelColumn
from knarr.scheduler.framework import (
    MAX_NODE_SCORE,
    NODE,
    TOPOLOGY,
    USAGE,
    FilterPlugin,
    Framework,
    ScorePlugin,
)
from knarr.scheduler.plugins import interpodaffinity, podtopologyspread
from knarr.scheduler.plugins.interpodaffinity import InterPodAffinity
from knarr.scheduler.plugins.podtopologyspread import PodTopologySpread, rounded, weight_of

#: a key with at most so many nodes per domain enters the groups by its count, not by its domain
NARROW_NODES = 8
#: more groups than that cost more than one look at all nodes
GROUPS_MAX = 256
#: from so many changed nodes on they are judged by one vector pass
BATCH_NODES = 12
#: with so many changes since the last look (and more than an eighth of the nodes) all is built anew
REBUILD_TOUCHED = 400


def rankable(framework: Framework, pod: PodClass) -> bool:
    """Can a Ranking stand for these plugins and this class?"""
    if 0 < framework.percentage_of_nodes_to_score < 100:
        return False
    known = (PodTopologySpread, InterPodAffinity)
    for plugin in framework.applying(pod):
        if plugin.depends == TOPOLOGY and not isinstance(plugin, known):
            return False
    for scorer, _ in framework.scorers:
        if scorer.depends == TOPOLOGY and not isinstance(scorer, known) and scorer.concerned(pod):
            return False
        if scorer.depends == USAGE and not hasattr(scorer, "score_row"):
            return False
    return True


class Signature(NamedTuple):
    """What a group's nodes have in common."""

    #: the domain of each key with many nodes per domain
    wide: tuple[int, ...]
    #: the counts of hard and of soft spread constraints over keys with few nodes per domain
    hard: tuple[int, ...]
    soft: tuple[int, ...]
    #: the weighted counts of preferences over such keys
    preferred: int
    #: required affinity over such keys is met
    together: bool
    #: raw scores that are normalized over all feasible nodes
    raw: tuple[int, ...]
    #: lacks a key of a soft constraint
    ignored: bool


class Group:
    """Feasible nodes of one signature: buckets by score; `top` is the best of them."""

    __slots__ = ("buckets", "count", "signature", "top")

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.buckets: dict[int, list[int]] = {}
        self.top = -1
        self.count = 0


class _Constraint(NamedTuple):
    """A counter, and where a group's signature holds what it needs: the domain or the count."""

    counter: Counter
    wide: int
    narrow: int
    rule: Any


class Ranking:
    """See the module. `pick` brings it up to date and names the best node."""

    def __init__(self, framework: Framework, cluster: Cluster, pod: PodClass) -> None:
        self._framework, self._cluster, self._pod = framework, cluster, pod
        self.groups: dict[Signature, Group] = {}
        self.build()

    # -- building ----------------------------------------------------------------------------------------

    def build(self) -> None:
        cluster, pod, framework = self._cluster, self._pod, self._framework
        cluster.refresh()
        self.stamp = self._stamp()
        self.position = cluster.position
        self._spread = self._state(PodTopologySpread, podtopologyspread.State([], [], None, None, False))
        self._company = self._state(InterPodAffinity, interpodaffinity.State([], False, [], [], [], None))
        self._static = self._static_mask()
        self._static_at = memoryview(self._static)
        applying = framework.applying(pod)
        self._usage_filters: list[FilterPlugin] = [p for p in applying if p.depends == USAGE]
        self._usage_scores: list[tuple[Any, int]] = [
            (p, w) for p, w in framework.scorers if p.depends == USAGE
        ]
        self._fixed, self._raw = self._node_scores()
        self._fixed_at = memoryview(self._fixed) if self._fixed is not None else None
        self._raw_at = [memoryview(np.ascontiguousarray(raw)) for raw, _, _ in self._raw]
        self._lay_out()
        self._fill()

    def _stamp(self) -> tuple[int, int, int]:
        return self._cluster.nodes.epoch, self._pod.epoch, self._cluster.terms_epoch

    def _state(self, kind: type[Any], nothing: Any) -> Any:
        """A plugin's plan; the filter's part of it only where the filter is on, the score's likewise."""
        plugin = next((p for p in self._framework.plugins if type(p) is kind), None)
        weight = next((w for p, w in self._framework.scorers if type(p) is kind), 0)
        setattr(self, f"_{kind.__name__}_weight", weight)
        return plugin.state(self._pod, self._cluster) if plugin is not None else nothing

    def _static_mask(self) -> Array:
        mask = self._framework.static(self._pod, self._cluster).copy()
        if self._spread.keyless is not None:
            mask &= ~self._spread.keyless
        if self._company.keyed is not None:
            mask &= self._company.keyed
        return mask

    def _node_scores(self) -> tuple[Array | None, list[tuple[Array, ScorePlugin, int]]]:
        """Scores that facts alone decide: their sum, and those that must be normalized."""
        fixed: Array | None = None
        raws = []
        for plugin, weight in self._framework.scorers:
            if plugin.depends != NODE:
                continue
            score = plugin.score(self._pod, self._cluster, self._static)
            if not isinstance(score, np.ndarray) or score.size == 0 or score.min() == score.max():
                continue  # the same for all nodes: no reason to prefer one
            if plugin.normalizes:
                raws.append((score.astype(np.int64), plugin, weight))
            else:
                weighted = weight * score.astype(np.int64)
                fixed = weighted if fixed is None else fixed + weighted
        return fixed, raws

    def _lay_out(self) -> None:
        """Which keys enter signatures by domain and which by count."""
        spread, company = self._spread, self._company
        apart = company.apart + company.repelled
        columns: dict[int, LabelColumn] = {}
        for column in (
            *(h.column for h in spread.hard),
            *(s.column for s in spread.soft),
            *(c.column for c in company.affinity),
            *(c.column for c in apart),
            *(c.column for _, c in company.preferred),
        ):
            columns[id(column)] = column
        # how many domains the feasible nodes have must be known for soft constraints
        by_domain = {id(s.column) for s in spread.soft if not s.hostname}
        nodes = self._cluster.nodes.size
        wide = [c for c in columns.values() if c.count * NARROW_NODES < nodes or id(c) in by_domain]
        place = {id(column): index for index, column in enumerate(wide)}
        self._wide_columns = wide
        self._wide = [column.row for column in wide]
        self._shared = [
            (c.row, _rows_by_domain(c))
            for c in columns.values()
            if id(c) not in place and c.count < (c.ids >= 0).sum()
        ]

        def split(found: list[Counter]) -> tuple[list[tuple[Counter, int]], list[Counter]]:
            return (
                [(c, place[id(c.column)]) for c in found if id(c.column) in place],
                [c for c in found if id(c.column) not in place],
            )

        self._wide_apart, self._narrow_apart = split(apart)
        self._wide_affinity, self._narrow_affinity = split(company.affinity)
        self._wide_preferred = [
            (w, c, place[id(c.column)]) for w, c in company.preferred if id(c.column) in place
        ]
        self._narrow_preferred = [(w, c) for w, c in company.preferred if id(c.column) not in place]
        self._hard, self._narrow_hard = _constraints(spread.hard, place)
        self._soft, self._narrow_soft = _constraints(spread.soft, place)
        self._ignored_at = memoryview(spread.ignored) if spread.ignored is not None else None
        #: all feasible nodes are of one group
        self._simple = not (columns or self._raw)

    def _fill(self) -> None:
        """All nodes at once: signatures as columns, sorted, cut into runs."""
        cluster, pod = self._cluster, self._pod
        size = cluster.nodes.size
        self.groups = {}
        self._group: list[Group | None] = [None] * size
        self._score = array("i", bytes(4 * size))
        self._place = array("i", bytes(4 * size))
        feasible = self._static.copy()
        for plugin in self._usage_filters:
            if (mask := plugin.filter(pod, cluster)) is not None:
                feasible &= mask
        for counter in self._narrow_apart:
            if counter.total:
                feasible &= (counter.domains == 0)[counter.column.ids]
        rows = np.flatnonzero(feasible)
        if not len(rows):
            return
        scores = self._base(rows)
        columns = [scores, *(column[rows] for column in self._signature_columns())]
        order = np.lexsort(columns)
        starts = np.zeros(len(rows), bool)
        starts[0] = True
        for column in columns:
            ordered = column[order]
            starts[1:] |= ordered[1:] != ordered[:-1]
        cuts = [*np.flatnonzero(starts).tolist(), len(rows)]
        ordered_rows = rows[order]
        np.frombuffer(self._place, np.int32)[ordered_rows] = np.arange(len(rows)) - np.repeat(
            cuts[:-1], np.diff(cuts)
        )
        np.frombuffer(self._score, np.int32)[rows] = scores
        run_scores, listed = scores[order[starts]].tolist(), ordered_rows.tolist()
        for index, score in enumerate(run_scores):
            run = listed[cuts[index] : cuts[index + 1]]
            signature = self.signature(run[0])
            assert signature is not None
            group = self.groups.get(signature)
            if group is None:
                group = self.groups[signature] = Group(signature)
            group.buckets[score] = run
            group.count += len(run)
            group.top = max(group.top, score)
            for row in run:
                self._group[row] = group

    def _signature_columns(self) -> list[Array]:
        """The same as `signature`, for all nodes."""
        found: list[Array] = [column.ids for column in self._wide_columns]
        found += [c.domains[c.column.ids] for c in self._narrow_hard]
        found += [np.where(c.column.ids >= 0, c.domains[c.column.ids], -1) for c in self._narrow_soft]
        if self._narrow_preferred:
            found.append(
                np.sum(
                    [(w * c.domains)[c.column.ids] for w, c in self._narrow_preferred], axis=0, dtype=np.int64
                )
            )
        if self._narrow_affinity:
            found.append(
                np.logical_and.reduce([(c.domains > 0)[c.column.ids] for c in self._narrow_affinity])
            )
        found += [raw for raw, _, _ in self._raw]
        if self._spread.ignored is not None:
            found.append(self._spread.ignored)
        return found

    def _base(self, rows: Array) -> Array:
        """The part of the score that facts and the node's own pods decide."""
        cluster, pod = self._cluster, self._pod
        total = np.zeros(len(rows))
        for plugin, weight in self._usage_scores:
            score = plugin.score(pod, cluster, None, rows)
            if score is not None:
                total += weight * score
        found = total.astype(np.int64)
        return found if self._fixed is None else found + self._fixed[rows]

    # -- one node ----------------------------------------------------------------------------------------

    def signature(self, row: int) -> Signature | None:
        """Of a node that is feasible in itself; None where a key with few nodes per domain forbids it."""
        for counter in self._narrow_apart:
            domain = counter.column.row[row]
            if domain >= 0 and counter.at[domain] > 0:
                return None
        preferred = 0
        for weight, counter in self._narrow_preferred:
            domain = counter.column.row[row]
            if domain >= 0:
                preferred += weight * counter.at[domain]
        return Signature(
            tuple([domains[row] for domains in self._wide]),
            tuple([_count_at(c, row, 0) for c in self._narrow_hard]),
            tuple([_count_at(c, row, -1) for c in self._narrow_soft]),
            preferred,
            all(_count_at(c, row, 0) > 0 for c in self._narrow_affinity),
            tuple([raw[row] for raw in self._raw_at]),
            self._ignored_at is not None and self._ignored_at[row],
        )

    def _repair(self, row: int) -> None:
        """File one node anew."""
        pod, cluster = self._pod, self._cluster
        fine = self._static_at[row]
        if fine:
            for plugin in self._usage_filters:
                if not plugin.fits(pod, cluster, row):
                    fine = False
                    break
        score = 0
        if fine:
            if self._fixed_at is not None:
                score = self._fixed_at[row]
            for plugin, weight in self._usage_scores:
                score += weight * plugin.score_row(pod, cluster, row)
        self._file(row, fine, score)

    def _repair_many(self, rows: list[int]) -> None:
        """The same by one vector pass over the rows."""
        pod, cluster = self._pod, self._cluster
        index = np.array(rows, np.int64)
        fine = self._static[index]
        for plugin in self._usage_filters:
            if (mask := plugin.filter(pod, cluster, index)) is not None:
                fine = fine & mask
        for row, ok, score in zip(rows, fine.tolist(), self._base(index).tolist(), strict=True):
            self._file(row, ok, score)

    def _file(self, row: int, fine: bool, score: int) -> None:
        group = self._group[row]
        if not fine:
            if group is not None:
                self._drop(row, group)
            return
        if self._simple and group is not None:
            if score != self._score[row]:
                self._move(row, group, score)
            return
        signature = self.signature(row)
        if group is not None:
            if signature == group.signature:
                if score != self._score[row]:
                    self._move(row, group, score)
                return
            self._drop(row, group)
        if signature is not None:
            self._put(row, signature, score)

    def _put(self, row: int, signature: Signature, score: int) -> None:
        group = self.groups.get(signature)
        if group is None:
            group = self.groups[signature] = Group(signature)
        bucket = group.buckets.setdefault(score, [])
        self._group[row], self._score[row], self._place[row] = group, score, len(bucket)
        bucket.append(row)
        group.count += 1
        if score > group.top:
            group.top = score

    def _drop(self, row: int, group: Group) -> None:
        score = self._score[row]
        bucket = group.buckets[score]
        self._swap_out(row, bucket)
        self._group[row] = None
        group.count -= 1
        if not group.count:
            del self.groups[group.signature]
        elif not bucket:
            del group.buckets[score]
            if score == group.top:
                group.top = max(group.buckets)

    def _move(self, row: int, group: Group, score: int) -> None:
        old = self._score[row]
        buckets = group.buckets
        bucket = buckets[old]
        self._swap_out(row, bucket)
        target = buckets.get(score)
        if target is None:
            target = buckets[score] = []
        self._score[row], self._place[row] = score, len(target)
        target.append(row)
        if score > group.top:
            group.top = score
        if not bucket:
            del buckets[old]
            if old == group.top:
                group.top = max(buckets)

    def _swap_out(self, row: int, bucket: list[int]) -> None:
        """Remove from a bucket in one step: the last one takes its place."""
        place, last = self._place[row], bucket.pop()
        if last != row:
            bucket[place] = last
            self._place[last] = place

    # -- deciding ----------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Take in what was bound since the last look."""
        if self.stamp != self._stamp():
            self.build()
            return
        touched = self._cluster.touched_since(self.position)
        if touched is None or len(touched) > max(REBUILD_TOUCHED, self._cluster.nodes.size // 8):
            self.build()
            return
        if not touched:
            return
        if len(touched) == 1 and not self._shared:
            self._repair(touched[0])
        else:
            self._repair_all(touched)
        self.position = self._cluster.position

    def _repair_all(self, touched: list[int]) -> None:
        dirty = dict.fromkeys(touched)
        for domains, rows in self._shared:  # a changed count concerns every node of the domain
            for row in list(dirty):
                if (domain := domains[row]) >= 0:
                    dirty.update(dict.fromkeys(rows[domain]))
        if len(dirty) > BATCH_NODES:
            self._repair_many(list(dirty))
        else:
            for row in dirty:
                self._repair(row)

    def pick(self, chance: int) -> int:
        """The best node, or -1; `chance` chooses among equals."""
        self.sync()
        if not self.groups:
            return -1
        if self._simple:
            (group,) = self.groups.values()
            bucket = group.buckets[group.top]
            return bucket[chance % len(bucket)]
        groups = self._feasible_groups()
        if not groups:
            return -1
        totals = self._totals(groups)
        best = max(totals)
        tops = [g.buckets[g.top] for g, total in zip(groups, totals, strict=True) if total == best]
        index = chance % sum(map(len, tops))
        for bucket in tops:
            if index < len(bucket):
                return bucket[index]
            index -= len(bucket)
        raise AssertionError("the index is below the number of candidates")

    def _feasible_groups(self) -> list[Group]:
        limits = [(c.counter.at, c.rule.limit, c.wide, c.narrow) for c in self._hard]
        needs_company = self._company.affinity and not self._company.first_of_its_kind
        return [g for g in self.groups.values() if self._feasible(g.signature, limits, needs_company)]

    def _feasible(self, found: Signature, limits: list[Any], needs_company: bool) -> bool:
        wide = found.wide
        for counter, index in self._wide_apart:
            if (domain := wide[index]) >= 0 and counter.at[domain] > 0:
                return False
        if needs_company:
            if not found.together:
                return False
            for counter, index in self._wide_affinity:
                if counter.at[wide[index]] <= 0:
                    return False
        for counts, limit, index, narrow in limits:
            if (counts[wide[index]] if index >= 0 else found.hard[narrow]) > limit:
                return False
        return True

    def _totals(self, groups: list[Group]) -> list[int]:
        totals = [group.top for group in groups]
        for index, (_, plugin, weight) in enumerate(self._raw):
            values = np.array([g.signature.raw[index] for g in groups], np.int64)
            for place, score in enumerate(plugin.normalize(values, int(values.max())).tolist()):
                totals[place] += weight * score
        if len(groups) > 1:
            if self._soft and (weight := self._PodTopologySpread_weight):  # type: ignore[attr-defined]
                self._add_spread(groups, totals, weight)
            if self._company.preferred and (weight := self._InterPodAffinity_weight):  # type: ignore[attr-defined]
                self._add_company(groups, totals, weight)
        return totals

    def _add_spread(self, groups: list[Group], totals: list[int], weight: int) -> None:
        judged = [g for g in groups if not g.signature.ignored]
        nodes = sum(g.count for g in judged)
        weighed = []
        for c in self._soft:
            size = (
                nodes
                if c.rule.hostname
                else len({g.signature.wide[c.wide] for g in judged} - self._uncounted)
            )
            weighed.append((c.counter.at, weight_of(size), float(c.rule.max_skew - 1), c.wide, c.narrow))
        raws = [None if g.signature.ignored else _spread_raw(g.signature, weighed) for g in groups]
        counted = [raw for raw in raws if raw is not None]
        if not counted:
            return
        lowest, highest = min(counted), max(0, *counted)
        for place, raw in enumerate(raws):
            if raw is not None:
                totals[place] += weight * (
                    MAX_NODE_SCORE * (highest + lowest - raw) // highest if highest else 100
                )

    @property
    def _uncounted(self) -> set[int]:
        """Only under the defaults does having no domain count as one."""
        return set() if self._spread.by_default else {-1}

    def _add_company(self, groups: list[Group], totals: list[int], weight: int) -> None:
        raws = []
        for group in groups:
            raw = group.signature.preferred
            for factor, counter, index in self._wide_preferred:
                if (domain := group.signature.wide[index]) >= 0:
                    raw += factor * counter.at[domain]
            raws.append(raw)
        lowest, highest = min(raws), max(raws)
        if highest > lowest:
            width = float(highest - lowest)
            for place, raw in enumerate(raws):
                totals[place] += weight * int(float(MAX_NODE_SCORE) * (float(raw - lowest) / width))


def _count_at(counter: Counter, row: int, without: int) -> int:
    domain = counter.column.row[row]
    return counter.at[domain] if domain >= 0 else without


def _rows_by_domain(column: LabelColumn) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row, domain in enumerate(column.ids.tolist()):
        if domain >= 0:
            found.setdefault(domain, []).append(row)
    return found


def _constraints(rules: list[Any], place: dict[int, int]) -> tuple[list[_Constraint], list[Counter]]:
    found, narrow = [], []
    for rule in rules:
        wide = place.get(id(rule.column), -1)
        found.append(_Constraint(rule.counter, wide, len(narrow) if wide < 0 else -1, rule))
        if wide < 0:
            narrow.append(rule.counter)
    return found, narrow


def _spread_raw(found: Signature, weighed: list[Any]) -> int:
    raw = 0.0
    for counts, weight, skew, wide, narrow in weighed:
        if wide >= 0:
            if (domain := found.wide[wide]) >= 0:
                raw += counts[domain] * weight + skew
        elif found.soft[narrow] >= 0:
            raw += found.soft[narrow] * weight + skew
    return rounded(raw)
