"""Random nodes and pods from a seed, as API objects: everything the plugins look at."""

from __future__ import annotations

import random
from typing import Any

from .clusters import HOST, ZONE, node, pod

NAMESPACES = {"d": {"team": "a"}, "e": {"team": "b"}}
RACK = "rack"
_MIB = 1024 * 1024


def selector(r: random.Random) -> dict[str, Any]:
    app = r.choice("xyz")
    return r.choice(
        [
            {"matchLabels": {"app": app}},
            {"matchLabels": {"app": app}},
            {"matchExpressions": [{"key": "app", "operator": "In", "values": [app, r.choice("xyz")]}]},
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [app]}]},
            {},
        ]
    )


def random_node(r: random.Random, index: int) -> Any:
    labels: dict[str, str | None] = {HOST: f"n{index}" if r.random() < 0.95 else None}
    if r.random() < 0.9:
        labels[ZONE] = f"z{r.randrange(3)}"
    if r.random() < 0.7:
        labels[RACK] = f"r{r.randrange(6)}"
    if r.random() < 0.6:
        labels["disk"] = r.choice(["ssd", "hdd"])
    if r.random() < 0.5:
        labels["gen"] = r.choice(["0", "1", "2", "3", "new"])
    taints = []
    if r.random() < 0.2:
        effect = r.choice(["NoSchedule", "PreferNoSchedule", "NoExecute"])
        taints.append({"key": "dedicated", "value": r.choice("ab"), "effect": effect})
    if r.random() < 0.2:
        taints.append({"key": "soft", "effect": "PreferNoSchedule"})
    more: dict[str, Any] = {"taints": taints, "labels": labels}
    if r.random() < 0.05:
        more["unschedulable"] = True
    if r.random() < 0.3:
        more["extended"] = {"example.com/gpu": str(r.randrange(4))}
    sizes = {"a:1": 300 * _MIB, "b:latest": 900 * _MIB, "c:1": 20 * _MIB}
    more["images"] = {image: size for image, size in sizes.items() if r.random() < 0.4}
    return node(
        f"n{index}",
        cpu=r.choice(["2", "4", "3900m", "15600m", "0"] if r.random() < 0.1 else ["2", "4", "3900m"]),
        memory=str(r.choice([8, 16, 32]) * 1024**3 - r.randrange(5000)),
        pods=r.choice(["5", "20", "110"]),
        **more,
    )


def _pod_term(r: random.Random) -> dict[str, Any]:
    term: dict[str, Any] = {"topologyKey": r.choice([HOST, ZONE, RACK]), "labelSelector": selector(r)}
    if (where := r.random()) < 0.3:
        term["namespaces"] = r.sample(sorted(NAMESPACES), r.choice([1, 2]))
    elif where < 0.5:
        term["namespaceSelector"] = r.choice([{}, {"matchLabels": {"team": "b"}}])
    return term


def _company(r: random.Random) -> dict[str, Any]:
    affinity: dict[str, Any] = {}
    for which in ("podAffinity", "podAntiAffinity"):
        part: dict[str, Any] = {}
        if r.random() < 0.2:
            terms = [_pod_term(r) for _ in range(r.choice([1, 1, 2]))]
            part["requiredDuringSchedulingIgnoredDuringExecution"] = terms
        if r.random() < 0.25:
            part["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {"weight": r.randrange(1, 100), "podAffinityTerm": _pod_term(r)}
                for _ in range(r.choice([1, 2]))
            ]
        if part:
            affinity[which] = part
    return affinity


def _node_affinity(r: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if r.random() < 0.2:
        found["requiredDuringSchedulingIgnoredDuringExecution"] = {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {"key": ZONE, "operator": "In", "values": ["z0", "z1"]},
                        {"key": "gen", "operator": r.choice(["Gt", "Lt"]), "values": ["2"]},
                    ]
                },
                {"matchExpressions": [{"key": "disk", "operator": r.choice(["DoesNotExist", "Exists"])}]},
            ]
        }
    if r.random() < 0.25:
        found["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {
                "weight": r.randrange(1, 100),
                "preference": {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["z1"]}]},
            },
            {
                "weight": r.randrange(1, 100),
                "preference": {"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["hdd"]}]},
            },
        ]
    return found


def _constraint(r: random.Random, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "maxSkew": r.randrange(1, 5),
        "topologyKey": key,
        "whenUnsatisfiable": r.choice(["DoNotSchedule", "ScheduleAnyway"]),
        "labelSelector": selector(r),
        "nodeAffinityPolicy": r.choice(["Honor", "Honor", "Ignore"]),
        "nodeTaintsPolicy": r.choice(["Ignore", "Ignore", "Honor"]),
    }
    if found["whenUnsatisfiable"] == "DoNotSchedule" and r.random() < 0.3:
        found["minDomains"] = r.choice([1, 4])
    return found


def template(r: random.Random) -> dict[str, Any]:
    """Keyword arguments for `pod`."""
    more: dict[str, Any] = {
        "namespace": r.choice(sorted(NAMESPACES)),
        "labels": {"app": r.choice("xyz")},
        "image": r.choice(["a:1", "b", "d:1"]),
    }
    if r.random() < 0.8:
        more["cpu"] = r.choice(["0", "50m", "100m", "333m", "900m"])
    if r.random() < 0.8:
        more["memory"] = f"{r.choice([0, 100, 500, 777])}Mi"
    if r.random() < 0.1:
        more["extended"] = {"example.com/gpu": "1"}
    if r.random() < 0.3:
        more["tolerations"] = [
            r.choice(
                [
                    {"key": "dedicated", "operator": "Equal", "value": "a", "effect": "NoSchedule"},
                    {"key": "dedicated", "operator": "Exists"},
                    {"operator": "Exists"},
                    {"key": "soft", "operator": "Exists", "effect": "PreferNoSchedule"},
                ]
            )
        ]
    if r.random() < 0.15:
        more["nodeSelector"] = {"disk": "ssd"}
    affinity = _company(r)
    if node_affinity := _node_affinity(r):
        affinity["nodeAffinity"] = node_affinity
    if affinity:
        more["affinity"] = affinity
    if r.random() < 0.35:
        keys = r.sample([HOST, ZONE, RACK], r.choice([1, 2]))
        more["topologySpreadConstraints"] = [_constraint(r, key) for key in keys]
    if r.random() < 0.15:
        more["ports"] = [r.choice([80, 443])]
    return more


def make_pod(template: dict[str, Any], index: int) -> Any:
    return pod(f"p{index}", **{key: dict(v) if isinstance(v, dict) else v for key, v in template.items()})
