"""The roles and bindings every cluster starts with, read from a table beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

Object = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
TABLE = Path(__file__).with_name("bootstrap_roles.txt")
AGGREGATE = f"{GROUP}/aggregate-to-"
PLURALS = {
    "ClusterRole": "clusterroles",
    "Role": "roles",
    "ClusterRoleBinding": "clusterrolebindings",
    "RoleBinding": "rolebindings",
}


def bootstrap_objects() -> Iterator[tuple[str, str, Object]]:
    """(group, resource, object) for every bootstrap role and binding; new dicts each time, without uid and times.

    Aggregated roles come with their rules filled in, so that they hold before any controller runs.
    """
    objects = [_object(block) for block in _blocks()]
    cluster_roles = [o for o in objects if o["kind"] == "ClusterRole"]
    by_target: dict[str, list[Object]] = {}
    for role in cluster_roles:
        for label in role["metadata"]["labels"]:
            if label.startswith(AGGREGATE):
                by_target.setdefault(label, []).append(role)
    for role in cluster_roles:
        _fill(role, by_target)
    for obj in objects:
        yield GROUP, PLURALS[obj["kind"]], obj


def cluster_role_rules(name: str) -> list[Object]:
    """The rules of one bootstrap ClusterRole that is not aggregated."""
    for block in _blocks():
        if block[0].split()[:2] == ["ClusterRole", name]:
            return _object(block)["rules"]
    raise KeyError(name)


def _fill(role: Object, by_target: dict[str, list[Object]]) -> list[Object]:
    """The rules of a role; those of an aggregated one are gathered as the aggregation controller would."""
    if "rules" not in role:
        (label,) = role["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"]
        parts = sorted(by_target[label], key=lambda r: r["metadata"]["name"])
        role["rules"] = [dict(rule) for part in parts for rule in _fill(part, by_target)]
    return role["rules"]


def _blocks() -> Iterator[list[str]]:
    """A heading and its indented lines."""
    text = TABLE.read_text()
    block: list[str] = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if not line.startswith(" ") and block:
            yield block
            block = []
        block.append(line)
    yield block


def _object(block: list[str]) -> Object:
    heading, *lines = block
    kind, name, *rest = heading.split()
    namespace, _, name = name.rpartition("/")
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = labels
    metadata["annotations"] = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    obj: Object = {"kind": kind, "apiVersion": f"{GROUP}/v1", "metadata": metadata}
    if rest and rest[0] == "->":
        if lines:
            obj["subjects"] = [_subject(line) for line in lines]
        role_kind, role = ("ClusterRole", *rest[1:]) if len(rest) == 2 else rest[1:]
        obj["roleRef"] = {"apiGroup": GROUP, "kind": role_kind, "name": role}
        return obj
    for mark in rest:
        way, _, role = mark.partition("-")
        if way == "to":
            labels[f"{AGGREGATE}{role}"] = "true"
        else:
            obj["aggregationRule"] = {
                "clusterRoleSelectors": [{"matchLabels": {f"{AGGREGATE}{role}": "true"}}]
            }
    if "aggregationRule" not in obj:
        obj["rules"] = [_rule(line) for line in lines]
    return obj


def _rule(line: str) -> Object:
    verbs, *rest = (part.split(",") for part in line.strip().split(" | "))
    if len(rest) == 1:
        return {"verbs": verbs, "nonResourceURLs": rest[0]}
    rule: Object = {
        "verbs": verbs,
        "apiGroups": ["" if g == "core" else g for g in rest[0]],
        "resources": rest[1],
    }
    if len(rest) == 3:
        rule["resourceNames"] = rest[2]
    return rule


def _subject(line: str) -> Object:
    kind, name = line.split()
    if kind == "ServiceAccount":
        namespace, _, name = name.partition("/")
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"kind": kind, "apiGroup": GROUP, "name": name}
