"""The scheduler's picture of the cluster: nodes, pods on them, and everything counted over pods.

A bind costs ten scalars and the counters that match the pod's class. Whoever keeps something per node reads
`log`, the rows touched so far, from where it last stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from knarr.meta.labels import Selector
from knarr.scheduler.cache.classes import ClassKey, PodClass, class_key
from knarr.scheduler.cache.counters import Counter
from knarr.scheduler.cache.nodes import CPU, MEMORY, Array, Nodes
from knarr.scheduler.devices.extended import asks_for_any
from knarr.scheduler.terms import PodTerm

T = TypeVar("T")
#: finds the classes a selector can match without asking all
Anchor = tuple[str, str | None, str | None]
#: classes without pods are dropped when there are this many more classes than pods
CLASSES_SPARE_MAX = 4096
LOG_MAX = 1 << 20


class LiveTerm(NamedTuple):
    """A term of pods that run already; `kind` is the attribute of PodClass it comes from."""

    owner: PodClass
    kind: str
    term: PodTerm


_TERM_KINDS = ("affinity", "anti_affinity", "preferred", "preferred_anti")


def _anchor_labels(selector: Selector) -> tuple[str | None, str | None]:
    for requirement in selector.requirements or ():
        value = selector.exact(requirement.key)
        if value is not None:
            return requirement.key, value
    return None, None


class Cluster:
    """Nodes, classes, counters. Knows no API objects but pods' shapes, and no time."""

    def __init__(self) -> None:
        self.nodes = Nodes()
        self.log: list[int] = []
        #: how many log entries were cut off at the front; positions count from the beginning of time
        self.log_start = 0
        self.namespace_labels: dict[str, Mapping[str, str]] = {}
        #: extended resource -> the DeviceClass that provides it where nodes do not
        self.device_classes: dict[str, str] = {}
        #: moves when a term's meaning may have changed: the labels of a namespace
        self.terms_epoch = 0
        self._classes: dict[ClassKey, PodClass] = {}
        self._numbers = 0
        self._by_label: dict[Anchor, dict[int, PodClass]] = {}
        self._counters: dict[Hashable, Counter] = {}
        self._counters_by_label: dict[Anchor, list[Counter]] = {}
        self._counters_epoch = 0
        self._terms_by_label: dict[Anchor, list[LiveTerm]] = {}
        #: some class has had a term with a namespace selector
        self._by_namespace_labels = False
        #: (address, protocol, port) -> pods per row
        self.ports: dict[tuple[str, str, int], dict[int, int]] = {}

    @property
    def position(self) -> int:
        """Of the log's end."""
        return self.log_start + len(self.log)

    def touched_since(self, position: int) -> list[int] | None:
        """Rows touched since, with repetitions; None where that is cut off."""
        return None if position < self.log_start else self.log[position - self.log_start :]

    def touch(self, row: int) -> None:
        """The row's amounts changed."""
        self.log.append(row)
        if len(self.log) > LOG_MAX:
            self.log_start += len(self.log)
            self.log.clear()

    # -- classes -----------------------------------------------------------------------------------------

    def class_of(self, pod: Any, default_spread: Selector | None = None) -> PodClass:
        key = class_key(pod, default_spread)
        if self.device_classes and asks_for_any(pod.spec, self.device_classes):
            key = (*key, pod.metadata.uid)  # it gets a claim of its own
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = PodClass(
                self._numbers, key, pod, default_spread, self.nodes.resource
            )
            self._numbers += 1
            self._enter(found)
            if not self._by_namespace_labels and found.has_terms:
                terms = (term for kind in _TERM_KINDS for term in getattr(found, kind))
                self._by_namespace_labels = any(term.namespace_selector is not None for term in terms)
        return found

    def classes(self) -> list[PodClass]:
        return list(self._classes.values())

    def _enter(self, added: PodClass) -> None:
        for anchor in self._anchors(added):
            self._by_label.setdefault(anchor, {})[added.id] = added
            for counter in self._counters_by_label.get(anchor, ()):
                if counter.matches(added):
                    added.counters.append(counter)

    def _anchors(self, found: PodClass) -> Iterator[Anchor]:
        """Where a selector may look for the class: under each label, and under none."""
        for key, value in found.labels.items():
            yield found.namespace, key, value
            yield "", key, value
        yield found.namespace, None, None
        yield "", None, None

    def sweep(self, running: Mapping[Any, Any]) -> None:
        """Drop the classes of which no pod runs, if there are many. `running`: records with `cls`; some may be on
        nodes that are not here yet."""
        if len(self._classes) < CLASSES_SPARE_MAX + 2 * len(running):
            return
        used = {record.cls.id for record in running.values()}
        self._classes = {key: c for key, c in self._classes.items() if c.id in used}
        self._by_label.clear()
        self._terms_by_label.clear()
        self._drop_counters()
        for kept in self._classes.values():
            kept.counters.clear()
            kept.epoch += 1
            self._enter(kept)
            if kept.terms_known:
                self._learn_terms(kept)

    # -- counters ----------------------------------------------------------------------------------------

    def _drop_counters(self) -> None:
        self._counters.clear()
        self._counters_by_label.clear()
        for known in self._classes.values():
            known.counters.clear()

    def refresh(self) -> None:
        """Drop what was counted over nodes that have changed; to be called before counters are used."""
        if self._counters_epoch != self.nodes.epoch:
            self._counters_epoch = self.nodes.epoch
            self._drop_counters()

    def counter(
        self,
        what: Hashable,
        matches: Callable[[PodClass], bool],
        key: str,
        candidates: list[Anchor] | PodClass,
        mask: Array | None = None,
        mask_key: Hashable = None,
    ) -> Counter:
        """The counter of pods that match per domain of `key`, shared by all who ask for the same `what`.

        `candidates`: where classes that may match are found (or the one class).
        """
        identity = (what, key, mask_key)
        found = self._counters.get(identity)
        if found is None:
            found = self._counters[identity] = Counter(self.nodes.column(key), matches, mask)
            for known in self._candidates(found, candidates):
                if matches(known):
                    known.counters.append(found)
                    for row, count in known.rows.items():
                        found.add(row, count)
        return found

    def _candidates(self, counter: Counter, where: list[Anchor] | PodClass) -> list[PodClass]:
        if isinstance(where, PodClass):
            return [where]
        classes: dict[int, PodClass] = {}
        for anchor in where:
            classes.update(self._by_label.get(anchor, {}))
            self._counters_by_label.setdefault(anchor, []).append(counter)
        return list(classes.values())

    @staticmethod
    def anchors(selector: Selector, namespaces: frozenset[str], anywhere: bool) -> list[Anchor]:
        """Where the classes stand that a selector can match."""
        label = _anchor_labels(selector)
        return [("", *label)] if anywhere else [(namespace, *label) for namespace in sorted(namespaces)]

    def term_matches(self, term: PodTerm, found: PodClass) -> bool:
        return term.matches(found.namespace, found.labels, self.namespace_labels)

    def terms_matching(self, wanted: PodClass) -> list[LiveTerm]:
        """Terms of running pods that select a pod of this class."""
        found: dict[int, LiveTerm] = {}
        for anchor in self._anchors(wanted):
            for live in self._terms_by_label.get(anchor, ()):
                if self.term_matches(live.term, wanted):
                    found[id(live)] = live
        return list(found.values())

    def _learn_terms(self, owner: PodClass) -> None:
        """The first pod of a class with terms: plans of the classes they select no longer hold."""
        owner.terms_known = True
        for kind in _TERM_KINDS:
            for term in getattr(owner, kind):
                live = LiveTerm(owner, kind, term)
                for anchor in self.anchors(
                    term.selector, term.namespaces, term.namespace_selector is not None
                ):
                    self._terms_by_label.setdefault(anchor, []).append(live)
                    for known in self._by_label.get(anchor, {}).values():
                        if self.term_matches(term, known):
                            known.epoch += 1

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """None: it is gone. True where terms with namespace selectors may now mean something else."""
        old = self.namespace_labels.get(name)
        if old == labels and old is not None:
            return False
        if labels is None:
            self.namespace_labels.pop(name, None)
        else:
            self.namespace_labels[name] = labels
        if self._by_namespace_labels:
            self.terms_epoch += 1
            self._drop_counters()
        return True

    # -- binding -----------------------------------------------------------------------------------------

    def bind(self, row: int, pod: PodClass, delta: int = 1) -> None:
        """A pod of the class is on the node (-1: no longer)."""
        nodes = self.nodes
        if self._counters_epoch != nodes.epoch:
            self.refresh()  # the old counters know other rows and other domains
        requested = nodes.requested_at
        for resource, amount in pod.asks:
            requested[resource][row] += delta * amount
        nodes.scored_at[0][row] += delta * pod.scored_cpu
        nodes.scored_at[1][row] += delta * pod.scored_memory
        if not pod.best_effort:
            self.balance(row)
        rows = pod.rows
        count = rows.get(row, 0) + delta
        if count:
            rows[row] = count
        else:
            del rows[row]
        for counter in pod.counters:
            counter.add(row, delta)
        for port in pod.host_ports:
            taken = self.ports.setdefault(port, {})
            taken[row] = taken.get(row, 0) + delta
            if not taken[row]:
                del taken[row]
        if delta > 0 and not pod.terms_known and pod.has_terms:
            self._learn_terms(pod)
        self.touch(row)

    def balance(self, row: int) -> None:
        """Work out anew how evenly the node is used (see NodeResourcesBalancedAllocation)."""
        nodes = self.nodes
        cpu, memory = nodes.allocatable_at[CPU][row], nodes.allocatable_at[MEMORY][row]
        if not cpu or not memory:
            nodes.balance_at[row] = 100.0
            return
        used_cpu, used_memory = nodes.requested_at[CPU][row] / cpu, nodes.requested_at[MEMORY][row] / memory
        if used_cpu > 1.0:
            used_cpu = 1.0
        if used_memory > 1.0:
            used_memory = 1.0
        nodes.balance_at[row] = float(int((1.0 - abs((used_cpu - used_memory) / 2)) * 100.0))

    # -- plans -------------------------------------------------------------------------------------------

    def plan(self, name: str, pod: PodClass, build: Callable[[], T]) -> T:
        """What a plugin worked out for a class, until nodes' facts or other pods' terms change."""
        self.refresh()
        stamp = (self.nodes.epoch, pod.epoch, self.terms_epoch)
        kept = pod.plans.get(name)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        made = build()
        # building registers the class's own counters only, so the stamp still holds
        pod.plans[name] = (stamp, made)
        return made

    # -- resources that are devices ------------------------------------------------------------------------

    def from_devices(self, pod: PodClass) -> list[tuple[int, str]]:
        """Of the pod's extended resources those that a DeviceClass provides: (row, name)."""
        return [entry for entry in pod.extended if entry[1] in self.device_classes]
