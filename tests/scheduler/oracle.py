"""What the plugins must equal: one node and one pod at a time, read off the API objects, in plain loops.

Written from the rules of kube-scheduler v1.36's default plugins; shares with the scheduler only what sums up a pod's
requests (tested by table) and label selectors.
"""

from __future__ import annotations

import math
from typing import Any

from knarr.api.core import podrequests
from knarr.meta.labels import Selector
from knarr.meta.quantity import Quantity
from knarr.scheduler import requests
from knarr.scheduler.terms import HOSTNAME, ZONE, pod_terms, preferred_pod_terms, selector_of

MIB = 1024 * 1024
WEIGHTS = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}


def tolerates(toleration: Any, taint: Any) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or toleration.value == (taint.value or "")


def expression(found: Any, value: str | None) -> bool:
    match found.operator:
        case "In":
            return value is not None and value in found.values
        case "NotIn":
            return value is None or value not in found.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    try:
        number = int(value or "x")
    except ValueError:
        return False
    return number > int(found.values[0]) if found.operator == "Gt" else number < int(found.values[0])


def node_term(term: Any, node: Any) -> bool:
    if not term.matchExpressions and not term.matchFields:
        return False
    return all(expression(e, node.metadata.labels.get(e.key)) for e in term.matchExpressions) and all(
        expression(f, node.metadata.name) for f in term.matchFields
    )


def balance(cpu: int, has_cpu: int, memory: int, has_memory: int) -> int:
    if not has_cpu or not has_memory:
        return 100
    a, b = min(cpu / has_cpu, 1.0), min(memory / has_memory, 1.0)
    return int((1 - abs((a - b) / 2)) * 100.0)


def half_up(value: float) -> int:
    floor = math.floor(value)
    return floor + 1 if value - floor >= 0.5 else floor


class Oracle:
    """Nodes by name, pods by node. `namespaces`: labels by name."""

    def __init__(self, nodes: list[Any], namespaces: dict[str, dict[str, str]] | None = None) -> None:
        self.nodes = {n.metadata.name: n for n in nodes}
        self.pods: dict[str, list[Any]] = {name: [] for name in self.nodes}
        self.namespaces = namespaces or {}

    # -- what a node has ---------------------------------------------------------------------------------

    def allocatable(self, name: str, resource: str) -> int:
        quantity = Quantity.parse(self.nodes[name].status.allocatable.get(resource, "0"))
        return quantity.milli if resource == "cpu" else quantity.value

    def requested(self, name: str, resource: str) -> int:
        return sum(podrequests.pod_requests(p.spec).get(resource, 0) for p in self.pods[name])

    def scored(self, name: str) -> tuple[int, int]:
        found = [requests.scored_requests(p.spec) for p in self.pods[name]]
        return sum(c for c, _ in found), sum(m for _, m in found)

    # -- filters -----------------------------------------------------------------------------------------

    def affinity(self, pod: Any, name: str) -> bool:
        node = self.nodes[name]
        if any(node.metadata.labels.get(k) != v for k, v in pod.spec.nodeSelector.items()):
            return False
        affinity = pod.spec.affinity
        if affinity is None or affinity.nodeAffinity is None:
            return True
        required = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
        return required is None or any(node_term(t, node) for t in required.nodeSelectorTerms)

    def tolerated(self, pod: Any, name: str) -> bool:
        return all(
            taint.effect == "PreferNoSchedule" or any(tolerates(t, taint) for t in pod.spec.tolerations)
            for taint in self.nodes[name].spec.taints
        )

    def resources_lacking(self, pod: Any, name: str) -> list[str]:
        found = []
        if len(self.pods[name]) + 1 > self.allocatable(name, "pods"):
            found.append("Too many pods")
        for resource, amount in podrequests.pod_requests(pod.spec).items():
            if amount and amount > self.allocatable(name, resource) - self.requested(name, resource):
                found.append(f"Insufficient {resource}")
        return found

    def ports_taken(self, pod: Any, name: str) -> bool:
        def ports(p: Any) -> set[tuple[str, str, int]]:
            return set(podrequests.host_ports((*p.spec.containers, *p.spec.initContainers)))

        return any(
            a[1:] == b[1:] and (a[0] == b[0] or "0.0.0.0" in (a[0], b[0]))
            for other in self.pods[name]
            for a in ports(pod)
            for b in ports(other)
        )

    def term_matches(self, term: Any, pod: Any) -> bool:
        return term.matches(pod.metadata.namespace, pod.metadata.labels, self.namespaces)

    def terms(self, pod: Any, which: str, preferred: bool = False) -> Any:
        affinity = pod.spec.affinity
        found = getattr(affinity, which) if affinity is not None else None
        return (preferred_pod_terms if preferred else pod_terms)(
            found, pod.metadata.namespace, pod.metadata.labels
        )

    def label(self, name: str, key: str) -> str | None:
        return self.nodes[name].metadata.labels.get(key)

    def spread_counts(self, pod: Any, name: str, constraint: Any, selector: Selector) -> int:
        if selector.empty:
            return 0
        return sum(
            p.metadata.namespace == pod.metadata.namespace
            and p.metadata.deletionTimestamp is None
            and selector.matches(p.metadata.labels)
            for p in self.pods[name]
        )

    def included(self, pod: Any, name: str, constraint: Any) -> bool:
        if constraint.nodeAffinityPolicy in (None, "", "Honor") and not self.affinity(pod, name):
            return False
        return constraint.nodeTaintsPolicy != "Honor" or self.tolerated(pod, name)

    def spread_refuses(self, pod: Any) -> dict[str, str]:
        hard = [c for c in pod.spec.topologySpreadConstraints if c.whenUnsatisfiable == "DoNotSchedule"]
        counts: list[dict[str, int]] = [{} for _ in hard]
        for name in self.nodes:
            if any(self.label(name, c.topologyKey) is None for c in hard):
                continue
            for index, c in enumerate(hard):
                if self.included(pod, name, c):
                    domain = self.label(name, c.topologyKey) or ""
                    count = self.spread_counts(pod, name, c, selector_of(c.labelSelector))
                    counts[index][domain] = counts[index].get(domain, 0) + count
        refused = {}
        for name in self.nodes:
            for index, c in enumerate(hard):
                domain = self.label(name, c.topologyKey)
                if domain is None:
                    refused[name] = (
                        "node(s) didn't match pod topology spread constraints (missing required label)"
                    )
                    break
                lowest = min(counts[index].values(), default=2**31 - 1)
                if len(counts[index]) < (c.minDomains or 1):
                    lowest = 0
                itself = int(selector_of(c.labelSelector).matches(pod.metadata.labels))
                if counts[index].get(domain, 0) + itself - lowest > c.maxSkew:
                    refused[name] = "node(s) didn't match pod topology spread constraints"
                    break
        return refused

    def company_refuses(self, pod: Any) -> dict[str, str]:
        together, apart = self.terms(pod, "podAffinity"), self.terms(pod, "podAntiAffinity")
        repelled: set[tuple[str, str]] = set()
        company: set[tuple[str, str]] = set()
        others: set[tuple[str, str]] = set()
        for name, pods in self.pods.items():
            for p in pods:
                for term in self.terms(p, "podAntiAffinity"):
                    if self.term_matches(term, pod) and (value := self.label(name, term.key)) is not None:
                        repelled.add((term.key, value))
                if together and all(self.term_matches(t, p) for t in together):
                    company |= {(t.key, v) for t in together if (v := self.label(name, t.key)) is not None}
                for term in apart:
                    if self.term_matches(term, p) and (value := self.label(name, term.key)) is not None:
                        others.add((term.key + "\0" + str(term), value))
        refused = {}
        for name in self.nodes:
            pairs = [(t.key, self.label(name, t.key)) for t in together]
            if any(value is None for _, value in pairs) or not (
                all(pair in company for pair in pairs)
                or (not company and all(self.term_matches(t, pod) for t in together))
            ):
                if together:
                    refused[name] = "node(s) didn't match pod affinity rules"
                    continue
            if any((t.key + "\0" + str(t), self.label(name, t.key)) in others for t in apart):
                refused[name] = "node(s) didn't match pod anti-affinity rules"
            elif any(pair in repelled for pair in self.nodes[name].metadata.labels.items()):
                refused[name] = "node(s) didn't satisfy existing pods anti-affinity rules"
        return refused

    def refusals(self, pod: Any) -> dict[str, list[str]]:
        """Why each node is refused; the feasible ones are missing."""
        spread, company = self.spread_refuses(pod), self.company_refuses(pod)
        found = {}
        for name, node in self.nodes.items():
            if node.spec.unschedulable and not any(
                t.key in ("", "node.kubernetes.io/unschedulable")
                and t.effect in ("", "NoSchedule")
                and (t.operator == "Exists" or not t.value)
                for t in pod.spec.tolerations
            ):
                found[name] = ["node(s) were unschedulable"]
            elif not self.tolerated(pod, name):
                found[name] = ["node(s) had untolerated taint(s)"]
            elif not self.affinity(pod, name):
                found[name] = ["node(s) didn't match Pod's node affinity/selector"]
            elif self.ports_taken(pod, name):
                found[name] = ["node(s) didn't have free ports for the requested pod ports"]
            elif lacking := self.resources_lacking(pod, name):
                found[name] = lacking
            elif name in spread:
                found[name] = [spread[name]]
            elif name in company:
                found[name] = [company[name]]
        return found

    def message(self, pod: Any) -> str:
        counts: dict[str, int] = {}
        for reasons in self.refusals(pod).values():
            for reason in reasons:
                counts[reason] = counts.get(reason, 0) + 1
        return f"0/{len(self.nodes)} nodes are available: {', '.join(sorted(f'{n} {r}' for r, n in counts.items()))}."

    # -- scores ------------------------------------------------------------------------------------------

    def scores(
        self, pod: Any, feasible: list[str], default_spread: Selector | None
    ) -> dict[str, dict[str, int]]:
        """Per plugin, per feasible node: 0..100; a plugin that skips is missing."""
        found: dict[str, dict[str, int]] = {}
        soft = [t for t in pod.spec.tolerations if t.effect in ("", "PreferNoSchedule")]
        raw = {
            n: sum(
                t.effect == "PreferNoSchedule" and not any(tolerates(x, t) for x in soft)
                for t in self.nodes[n].spec.taints
            )
            for n in feasible
        }
        top = max(raw.values())
        found["TaintToleration"] = {n: 100 - 100 * r // top if top else 100 for n, r in raw.items()}
        affinity = pod.spec.affinity
        preferred = (
            affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution
            if affinity is not None and affinity.nodeAffinity is not None
            else ()
        )
        if preferred:
            raw = {
                n: sum(p.weight for p in preferred if node_term(p.preference, self.nodes[n]))
                for n in feasible
            }
            top = max(raw.values())
            found["NodeAffinity"] = {n: 100 * r // top if top else 0 for n, r in raw.items()}
        found["NodeResourcesFit"] = {n: self.least_allocated(pod, n) for n in feasible}
        asked = podrequests.pod_requests(pod.spec)
        cpu, memory = asked.get("cpu", 0), asked.get("memory", 0)
        if cpu or memory:
            found["NodeResourcesBalancedAllocation"] = {n: self.balanced(n, cpu, memory) for n in feasible}
        found["ImageLocality"] = {n: self.image_score(pod, n) for n in feasible}
        if (spread := self.spread_scores(pod, feasible, default_spread)) is not None:
            found["PodTopologySpread"] = spread
        if company := self.company_scores(pod, feasible):
            found["InterPodAffinity"] = company
        return found

    def total(self, pod: Any, feasible: list[str], default_spread: Selector | None) -> dict[str, int]:
        found = self.scores(pod, feasible, default_spread)
        return {n: sum(WEIGHTS[plugin] * scores[n] for plugin, scores in found.items()) for n in feasible}

    def least_allocated(self, pod: Any, name: str) -> int:
        total = judged = 0
        for resource, asked, used in zip(
            ("cpu", "memory"), requests.scored_requests(pod.spec), self.scored(name), strict=True
        ):
            capacity = self.allocatable(name, resource)
            if capacity:
                judged += 1
                if asked + used <= capacity:
                    total += (capacity - asked - used) * 100 // capacity
        return total // judged if judged else 0

    def balanced(self, name: str, cpu: int, memory: int) -> int:
        has_cpu, has_memory = self.allocatable(name, "cpu"), self.allocatable(name, "memory")
        used_cpu, used_memory = self.requested(name, "cpu"), self.requested(name, "memory")
        after = balance(used_cpu + cpu, has_cpu, used_memory + memory, has_memory)
        return 50 + (50 + after - balance(used_cpu, has_cpu, used_memory, has_memory)) // 2

    def image_score(self, pod: Any, name: str) -> int:
        def sizes(n: str) -> dict[str, int]:
            return {image: i.sizeBytes for i in self.nodes[n].status.images for image in i.names}

        images = [
            c.image if ":" in c.image.rsplit("/", 1)[-1] else c.image + ":latest" for c in pod.spec.containers
        ]
        total = 0
        for image in images:
            if image in sizes(name):
                holders = sum(image in sizes(n) for n in self.nodes)
                total += int(float(sizes(name)[image]) * (float(holders) / float(len(self.nodes))))
        highest = 1000 * MIB * max(1, len(images))
        total = min(max(total, 23 * MIB), highest)
        return 100 * (total - 23 * MIB) // (highest - 23 * MIB)

    def spread_scores(self, pod: Any, feasible: list[str], default: Selector | None) -> dict[str, int] | None:
        constraints = [
            (c.maxSkew, c.topologyKey, selector_of(c.labelSelector), c)
            for c in pod.spec.topologySpreadConstraints
            if c.whenUnsatisfiable == "ScheduleAnyway"
        ]
        by_default = not pod.spec.topologySpreadConstraints and default is not None
        if by_default:

            class Defaults:
                nodeAffinityPolicy, nodeTaintsPolicy = "Honor", "Ignore"

            constraints = [(3, HOSTNAME, default, Defaults), (5, ZONE, default, Defaults)]
        if not constraints:
            return None
        keys = [c[1] for c in constraints]

        def lacks(name: str) -> bool:
            return not by_default and any(self.label(name, k) is None for k in keys)

        ignored = {n for n in feasible if lacks(n)}
        domains: list[dict[str, int]] = [{} for _ in constraints]
        for n in feasible:
            if n not in ignored:
                for index, key in enumerate(keys):
                    if key != HOSTNAME:
                        domains[index].setdefault(self.label(n, key) or "", 0)
        for n in self.nodes:
            if lacks(n):
                continue
            for index, (_, key, selector, c) in enumerate(constraints):
                domain = self.label(n, key) or ""
                if domain in domains[index] and self.included(pod, n, c):
                    domains[index][domain] += self.spread_counts(pod, n, c, selector)
        raw: dict[str, int] = {}
        for n in feasible:
            if n in ignored:
                continue
            score = 0.0
            for index, (skew, key, selector, c) in enumerate(constraints):
                if (domain := self.label(n, key)) is None:
                    continue
                size = len(feasible) - len(ignored) if key == HOSTNAME else len(domains[index])
                count = self.spread_counts(pod, n, c, selector) if key == HOSTNAME else domains[index][domain]
                score += float(count) * math.log(float(size + 2)) + float(skew - 1)
            raw[n] = half_up(score)
        low, high = min(raw.values(), default=0), max([0, *raw.values()])
        return {
            n: 0 if n in ignored else 100 * (high + low - raw[n]) // high if high else 100 for n in feasible
        }

    def company_scores(self, pod: Any, feasible: list[str]) -> dict[str, int]:
        wanted: dict[tuple[str, str], int] = {}

        def add(name: str, key: str, weight: int) -> None:
            if (value := self.label(name, key)) is not None:
                wanted[key, value] = wanted.get((key, value), 0) + weight

        for name, pods in self.pods.items():
            for p in pods:
                for sign, which in ((1, "podAffinity"), (-1, "podAntiAffinity")):
                    for term in self.terms(pod, which, True):
                        if self.term_matches(term, p):
                            add(name, term.key, sign * term.weight)
                    for term in self.terms(p, which, True):
                        if self.term_matches(term, pod):
                            add(name, term.key, sign * term.weight)
                for term in self.terms(p, "podAffinity"):
                    if self.term_matches(term, pod):
                        add(name, term.key, 1)
        raw = {
            n: sum(wanted.get((k, v), 0) for k, v in self.nodes[n].metadata.labels.items()) for n in feasible
        }
        low, high = min(raw.values()), max(raw.values())
        if high <= low:
            return {}
        return {n: int(100.0 * (float(r - low) / float(high - low))) for n, r in raw.items()}
