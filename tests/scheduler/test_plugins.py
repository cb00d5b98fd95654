"""Each plugin against its scalar model, and what the fuzz cannot reach, by table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.api.core import podrequests
from knarr.meta.labels import from_set
from knarr.scheduler import requests
from knarr.scheduler.cache.classes import pinned_to
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.pods import PodCache
from knarr.scheduler.framework import FilterPlugin, Framework, ScorePlugin
from knarr.scheduler.plugins.nodeports import conflict
from knarr.scheduler.plugins.noderesources import BalancedAllocation, NodeResourcesFit
from knarr.scheduler.plugins.registry import PURE
from knarr.scheduler.plugins.tainttoleration import tolerates
from knarr.scheduler.queue.events import ASSIGNED_POD, NODE, Action, ClusterEvent

from .clusters import HOST, ZONE, node, pod
from .generators import NAMESPACES, make_pod, random_node, template
from .oracle import Oracle

seeds = st.randoms(use_true_random=False)
few = settings(max_examples=60, deadline=None)


class Pair:
    """One random cluster with some pods on it, for the plugins and for the oracle."""

    def __init__(self, r: Any) -> None:
        nodes = [random_node(r, i) for i in range(r.choice([1, 4, 15]))]
        self.oracle, self.cluster = Oracle(nodes, NAMESPACES), Cluster()
        self.pods = PodCache(self.cluster)
        for name, labels in NAMESPACES.items():
            self.cluster.set_namespace(name, labels)
        for found in nodes:
            self.pods.put_node(found)
        for index in range(r.randrange(12)):
            running = make_pod(template(r), index)
            name = r.choice(nodes).metadata.name
            self.pods.assume(running, self.cluster.class_of(running), name)
            self.oracle.pods[name].append(running)
        self.pod = make_pod(template(r), 99)
        self.default = from_set({"app": "x"}) if r.random() < 0.5 else None
        self.cls = self.cluster.class_of(self.pod, self.default)

    def by_name(self, values: Any) -> dict[str, Any]:
        return {name: values[row] for name, row in self.cluster.nodes.row_of.items()}


FILTERS = {
    "NodeUnschedulable": None,
    "TaintToleration": lambda o, p, n: o.tolerated(p, n),
    "NodeAffinity": lambda o, p, n: o.affinity(p, n),
    "NodePorts": lambda o, p, n: not o.ports_taken(p, n),
    "NodeResourcesFit": lambda o, p, n: not o.resources_lacking(p, n),
    "PodTopologySpread": lambda o, p, n: n not in o.spread_refuses(p),
    "InterPodAffinity": lambda o, p, n: n not in o.company_refuses(p),
}


@pytest.mark.parametrize("name", [n for n, model in FILTERS.items() if model is not None])
@given(r=seeds)
@few
def test_filters_equal_their_models(name: str, r: Any) -> None:
    pair = Pair(r)
    plugin = PURE[name](None)
    assert isinstance(plugin, FilterPlugin)
    expected = {n: FILTERS[name](pair.oracle, pair.pod, n) for n in pair.oracle.nodes}
    if not plugin.applies(pair.cls):
        assert all(expected.values())
        return
    mask = plugin.filter(pair.cls, pair.cluster)
    found = dict.fromkeys(expected, True) if mask is None else pair.by_name(mask)
    assert found == expected
    for n, row in pair.cluster.nodes.row_of.items():
        assert plugin.fits(pair.cls, pair.cluster, row) == expected[n]


@pytest.mark.parametrize(
    "name",
    [
        "TaintToleration",
        "NodeAffinity",
        "NodeResourcesFit",
        "NodeResourcesBalancedAllocation",
        "ImageLocality",
        "PodTopologySpread",
        "InterPodAffinity",
    ],
)
@given(r=seeds)
@few
def test_scores_equal_their_models(name: str, r: Any) -> None:
    pair = Pair(r)
    plugin = PURE[name](None)
    assert isinstance(plugin, ScorePlugin)
    framework = Framework("s", [plugin], {name: 1})
    feasible = [n for n in pair.oracle.nodes if r.random() < 0.8] or list(pair.oracle.nodes)
    mask = np.zeros(pair.cluster.nodes.size, bool)
    for n in feasible:
        mask[pair.cluster.nodes.row_of[n]] = True
    found = pair.by_name(framework.scores(pair.cls, pair.cluster, mask))
    expected = pair.oracle.scores(pair.pod, feasible, pair.default).get(name, dict.fromkeys(feasible, 0))
    assert {n: found[n] for n in feasible} == expected


@given(r=seeds)
@few
def test_one_node_at_a_time_scores_the_same(r: Any) -> None:
    pair = Pair(r)
    everywhere = np.ones(pair.cluster.nodes.size, bool)
    for plugin in (NodeResourcesFit(), BalancedAllocation()):
        scores = plugin.score(pair.cls, pair.cluster, everywhere)
        for row in range(pair.cluster.nodes.size):
            assert plugin.score_row(pair.cls, pair.cluster, row) == (0 if scores is None else scores[row])


@given(capacity=st.integers(1, 2**48), used=st.integers(0, 2**48))
def test_shares_are_whole_divisions_even_of_huge_nodes(capacity: int, used: int) -> None:
    from knarr.scheduler.plugins.noderesources import _share

    free = max(capacity - used, 0)
    found = _share(np.array([float(capacity - used)]), np.array([float(capacity)]))
    assert found[0] == free * 100 // capacity


CONTAINERS = [
    # containers, init containers, spec, requests, scored
    ([{"cpu": "100m"}], [], {}, {"cpu": 100}, (100, 200 * 2**20)),
    ([{"cpu": "100m"}, {"memory": "1Gi"}], [], {}, {"cpu": 100, "memory": 2**30}, (200, 2**30 + 200 * 2**20)),
    ([{"cpu": "100m"}], [{"cpu": "1"}], {}, {"cpu": 1000}, (1000, 200 * 2**20)),
    ([{"cpu": "100m"}], [{"cpu": "1", "sidecar": True}], {}, {"cpu": 1100}, (1100, 400 * 2**20)),
    (
        [{"cpu": "100m"}],
        [{"cpu": "200m", "sidecar": True}, {"cpu": "1"}],
        {},
        {"cpu": 1200},
        (1200, 400 * 2**20),
    ),
    ([{"cpu": "100m"}], [], {"overhead": {"cpu": "50m"}}, {"cpu": 150}, (150, 200 * 2**20)),
    (
        [{"cpu": "100m"}],
        [],
        {"resources": {"requests": {"cpu": "2"}}},
        {"cpu": 2000},
        (2000, 200 * 2**20),
    ),
    ([{"cpu": "0"}], [], {}, {"cpu": 0}, (0, 200 * 2**20)),
    ([{}], [], {}, {}, (100, 200 * 2**20)),
]


@pytest.mark.parametrize(("containers", "inits", "spec", "asked", "scored"), CONTAINERS)
def test_requests(containers: Any, inits: Any, spec: Any, asked: Any, scored: Any) -> None:
    def made(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "name": f"c{i}",
                **({"restartPolicy": "Always"} if "sidecar" in c else {}),
                "resources": {"requests": {k: v for k, v in c.items() if k != "sidecar"}},
            }
            for i, c in enumerate(found)
        ]

    from knarr.api.scheme import evolve

    found = evolve(
        pod("a"), spec={"containers": made(containers), "initContainers": made(inits), **spec}
    ).spec
    assert podrequests.pod_requests(found) == asked
    assert requests.scored_requests(found) == scored


TOLERATIONS = [
    (("k", "Equal", "v", "NoSchedule"), ("k", "v", "NoSchedule"), True),
    (("k", "Equal", "w", "NoSchedule"), ("k", "v", "NoSchedule"), False),
    (("k", "Exists", "", ""), ("k", "v", "NoExecute"), True),
    (("k", "Exists", "", "NoSchedule"), ("k", "v", "NoExecute"), False),
    (("", "Exists", "", ""), ("any", "v", "NoExecute"), True),
    (("other", "Exists", "", ""), ("k", "v", "NoSchedule"), False),
]


@pytest.mark.parametrize(("toleration", "taint", "expected"), TOLERATIONS)
def test_tolerations(toleration: Any, taint: Any, expected: bool) -> None:
    assert tolerates(toleration, taint) is expected


PORTS = [
    (("0.0.0.0", "TCP", 80), ("10.0.0.1", "TCP", 80), True),
    (("10.0.0.2", "TCP", 80), ("10.0.0.1", "TCP", 80), False),
    (("10.0.0.1", "TCP", 80), ("10.0.0.1", "TCP", 80), True),
    (("0.0.0.0", "UDP", 80), ("0.0.0.0", "TCP", 80), False),
    (("0.0.0.0", "TCP", 81), ("0.0.0.0", "TCP", 80), False),
]


@pytest.mark.parametrize(("a", "b", "expected"), PORTS)
def test_ports(a: Any, b: Any, expected: bool) -> None:
    assert conflict(a, b) is expected
    assert conflict(b, a) is expected


def taint(key: str) -> dict[str, Any]:
    return {"taints": [{"key": key, "effect": "NoSchedule"}]}


LABELS = Action.NODE_LABEL
HINTS = [
    # plugin, pod, event, may it help?
    ("NodeResourcesFit", {"cpu": "2"}, (NODE, Action.ADD, None, {"cpu": "1"}), False),
    ("NodeResourcesFit", {"cpu": "2"}, (NODE, Action.ADD, None, {"cpu": "2"}), True),
    ("NodeResourcesFit", {"cpu": "2"}, (NODE, Action.NODE_ALLOCATABLE, {"cpu": "3"}, {"cpu": "2"}), False),
    ("NodeResourcesFit", {"cpu": "2"}, (NODE, Action.NODE_ALLOCATABLE, {"cpu": "1"}, {"cpu": "2"}), True),
    ("TaintToleration", {}, (NODE, Action.NODE_TAINT, taint("a"), {}), True),
    ("TaintToleration", {}, (NODE, Action.NODE_TAINT, taint("a"), taint("b")), False),
    ("TaintToleration", {}, (NODE, Action.NODE_TAINT, {}, taint("b")), False),
    ("NodeUnschedulable", {}, (NODE, Action.NODE_SPEC, {"unschedulable": True}, {}), True),
    ("NodeUnschedulable", {}, (NODE, Action.ADD, None, {"unschedulable": True}), False),
    (
        "NodeAffinity",
        {"nodeSelector": {"disk": "ssd"}},
        (NODE, LABELS, {}, {"labels": {"disk": "ssd"}}),
        True,
    ),
    (
        "NodeAffinity",
        {"nodeSelector": {"disk": "ssd"}},
        (NODE, LABELS, {}, {"labels": {"disk": "hdd"}}),
        False,
    ),
    (
        "NodeAffinity",
        {"nodeSelector": {"disk": "ssd"}},
        (NODE, LABELS, {"labels": {"disk": "ssd"}}, {"labels": {"disk": "ssd", "x": "y"}}),
        False,
    ),
]


@pytest.mark.parametrize(("name", "wanted", "event", "expected"), HINTS)
def test_hints_of_node_events(name: str, wanted: Any, event: Any, expected: bool) -> None:
    cluster = Cluster()
    resource, action, old, new = event
    made = ClusterEvent(
        resource,
        action,
        node("n", **dict(old)) if old is not None else None,
        node("n", **dict(new)) if new is not None else None,
    )
    plugin = PURE[name](None)
    assert any(made.concerns(interest) for interest in plugin.interests)
    assert plugin.hint(cluster.class_of(pod("a", **wanted)), made, cluster) is expected


def _apart(app: str) -> dict[str, Any]:
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": app}}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


POD_HINTS = [
    ("NodePorts", {"ports": [80]}, {"ports": [80]}, True),
    ("NodePorts", {"ports": [80]}, {"ports": [81]}, False),
    ("NodeResourcesFit", {"cpu": "1"}, {}, True),
    ("InterPodAffinity", {"affinity": _apart("x")}, {"labels": {"app": "x"}}, True),
    ("InterPodAffinity", {"affinity": _apart("x")}, {"labels": {"app": "y"}}, False),
    ("InterPodAffinity", {"labels": {"app": "x"}}, {"affinity": _apart("x")}, True),
]


@pytest.mark.parametrize(("name", "wanted", "gone", "expected"), POD_HINTS)
def test_hints_of_a_pod_that_goes(name: str, wanted: Any, gone: Any, expected: bool) -> None:
    cluster = Cluster()
    event = ClusterEvent(ASSIGNED_POD, Action.DELETE, cluster.class_of(pod("gone", **gone)), None)
    plugin = PURE[name](None)
    assert plugin.hint(cluster.class_of(pod("a", **wanted)), event, cluster) is expected


def test_pods_of_a_daemon_set_are_of_one_class() -> None:
    def pinned(name: str) -> Any:
        field = {"key": "metadata.name", "operator": "In", "values": [name]}
        terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
        return pod(f"d-{name}", affinity=affinity)

    cluster = Cluster()
    assert pinned_to(pinned("n1")) == "n1"
    assert cluster.class_of(pinned("n1")) is cluster.class_of(pinned("n2"))
    assert cluster.class_of(pinned("n1")) is not cluster.class_of(pod("other", nodeSelector={HOST: "n1"}))


def test_classes_without_pods_are_swept_and_the_others_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from knarr.scheduler.cache import cluster as module

    monkeypatch.setattr(module, "CLASSES_SPARE_MAX", 5)
    cluster = Cluster()
    pods = PodCache(cluster)
    for name in ("n1", "n2"):
        pods.put_node(node(name))
    framework = Framework("s", [make(None) for make in PURE.values()])
    running = pod("r", labels={"app": "x"}, affinity=_apart("x"))
    pods.assume(running, cluster.class_of(running), "n1")
    for index in range(20):
        cluster.class_of(pod(f"p{index}", cpu=f"{index}m"))
    cluster.sweep(pods.records)
    assert len(cluster.classes()) == 1
    wanted = cluster.class_of(pod("a", labels={"app": "x"}, nodeSelector={}))
    assert framework.feasible(wanted, cluster).tolist() == [True, True], "no node has the zone"
    for name in ("n1", "n2"):
        pods.put_node(node(name, labels={ZONE: "z"}))
    assert framework.feasible(wanted, cluster).tolist() == [False, False]
