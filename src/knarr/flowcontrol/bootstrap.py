"""The FlowSchemas and PriorityLevelConfigurations of a new cluster, and their status."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from knarr.meta import times

Object = dict[str, Any]

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS, LEVELS = "flowschemas", "prioritylevelconfigurations"
AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = ("exempt", "catch-all")

#: name: shares, lendable percent, (queues, hand size, queue length) or None to reject
LIMITED: dict[str, tuple[int, int, tuple[int, int, int] | None]] = {
    "catch-all": (5, 0, None),
    "global-default": (20, 50, (128, 6, 50)),
    "leader-election": (10, 0, (16, 4, 50)),
    "node-high": (40, 25, (64, 6, 50)),
    "system": (30, 33, (64, 6, 50)),
    "workload-high": (40, 50, (128, 6, 50)),
    "workload-low": (100, 90, (128, 6, 50)),
}

EVERYBODY = ("group system:unauthenticated", "group system:authenticated")
LEADERS = (
    "user system:kube-controller-manager",
    "user system:kube-scheduler",
    "serviceaccount kube-system/*",
)


def _resources(groups: list[str], names: list[str], verbs: list[str], cluster: bool) -> Object:
    rule: Object = {"verbs": verbs, "apiGroups": groups, "resources": names}
    return rule | ({"clusterScope": True} if cluster else {}) | {"namespaces": ["*"]}


ANYTHING = {
    "resourceRules": [_resources(["*"], ["*"], ["*"], True)],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}
PROBES = {"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}
ELECTION = {
    "resourceRules": [_resources(["coordination.k8s.io"], ["leases"], ["get", "create", "update"], False)]
}
NODE_DUTIES = {
    "resourceRules": [
        _resources([""], ["nodes", "nodes/status"], ["*"], True),
        _resources(["coordination.k8s.io"], ["leases"], ["*"], False),
    ]
}

#: name: precedence, level, what distinguishes flows, whose requests, which requests
FLOWS: dict[str, tuple[int, str, str, tuple[str, ...], Object]] = {
    "catch-all": (10000, "catch-all", "ByUser", EVERYBODY, ANYTHING),
    "exempt": (1, "exempt", "", ("group system:masters",), ANYTHING),
    "global-default": (9900, "global-default", "ByUser", EVERYBODY, ANYTHING),
    "kube-controller-manager": (800, "workload-high", "ByNamespace", LEADERS[:1], ANYTHING),
    "kube-scheduler": (800, "workload-high", "ByNamespace", LEADERS[1:2], ANYTHING),
    "kube-system-service-accounts": (900, "workload-high", "ByNamespace", LEADERS[2:], ANYTHING),
    "probes": (2, "exempt", "", EVERYBODY, PROBES),
    "service-accounts": (9000, "workload-low", "ByUser", ("group system:serviceaccounts",), ANYTHING),
    "system-leader-election": (100, "leader-election", "ByUser", LEADERS, ELECTION),
    "system-node-high": (400, "node-high", "ByUser", ("group system:nodes",), NODE_DUTIES),
    "system-nodes": (500, "system", "ByUser", ("group system:nodes",), ANYTHING),
}


def bootstrap_objects(now: float) -> Iterator[tuple[str, str, Object]]:
    """(group, resource, object) for the whole default configuration; new dicts each time, without uid and times.

    `now` (epoch seconds) is when the conditions began to hold.
    """
    for resource, obj in default_objects():
        if resource == LEVELS:
            yield GROUP, LEVELS, obj | {"status": {}}
        else:
            yield GROUP, SCHEMAS, dangling(obj, {"exempt", *LIMITED}, now) or obj


def default_objects() -> Iterator[tuple[str, Object]]:
    """(resource, object) of the default configuration, without status."""
    for name in ("exempt", *LIMITED):
        yield LEVELS, _level(name)
    for name in FLOWS:
        yield SCHEMAS, _schema(name)


@cache
def mandatory() -> tuple[tuple[str, Object], ...]:
    """(resource, object) of what holds even when nothing is configured. Shared: not to be changed."""
    return tuple((LEVELS, _level(n)) for n in MANDATORY) + tuple((SCHEMAS, _schema(n)) for n in MANDATORY)


def dangling(schema: Object, levels: set[str], now: float) -> Object | None:
    """The schema with a Dangling condition true to fact; None if it has it already."""
    level = ((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name", "")
    found = level in levels
    words = "and it exists" if found else "but there is no such object"
    status, reason = ("False", "Found") if found else ("True", "NotFound")
    condition = {
        "type": "Dangling",
        "status": status,
        "lastTransitionTime": times.format(now),
        "reason": reason,
        "message": f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" {words}',
    }
    conditions = (schema.get("status") or {}).get("conditions") or []
    old = next((c for c in conditions if c["type"] == "Dangling"), None)
    if old is not None and all(old.get(k) == condition[k] for k in ("status", "reason", "message")):
        return None
    if old is not None and old.get("status") == status:
        condition["lastTransitionTime"] = old["lastTransitionTime"]
    others = [c for c in conditions if c["type"] != "Dangling"]
    return schema | {"status": {"conditions": [*others, condition]}}


def _metadata(name: str) -> Object:
    return {"name": name, "annotations": {AUTOUPDATE: "true"}}


def _level(name: str) -> Object:
    head = {"kind": "PriorityLevelConfiguration", "apiVersion": f"{GROUP}/v1", "metadata": _metadata(name)}
    if name == "exempt":
        exempt = {"nominalConcurrencyShares": 0, "lendablePercent": 0}
        return head | {"spec": {"type": "Exempt", "exempt": exempt}}
    shares, lendable, queuing = LIMITED[name]
    response: Object = {"type": "Reject"}
    if queuing is not None:
        queues, hand, length = queuing
        settings = {"queues": queues, "handSize": hand, "queueLengthLimit": length}
        response = {"type": "Queue", "queuing": settings}
    limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lendable}
    return head | {"spec": {"type": "Limited", "limited": limited}}


def _schema(name: str) -> Object:
    precedence, level, distinguisher, subjects, rules = FLOWS[name]
    spec: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence}
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    copies = {key: [dict(rule) for rule in found] for key, found in rules.items()}
    spec["rules"] = [{"subjects": [_subject(s) for s in subjects]} | copies]
    return {"kind": "FlowSchema", "apiVersion": f"{GROUP}/v1", "metadata": _metadata(name), "spec": spec}


def _subject(text: str) -> Object:
    kind, _, name = text.partition(" ")
    if kind == "serviceaccount":
        namespace, _, name = name.partition("/")
        return {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}}
    return {"kind": kind.capitalize(), kind: {"name": name}}
