"""Aggregated cluster roles: a role whose rules are those of all roles its selectors match."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.auth.rules import Rule

Object = dict[str, Any]


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Rule]:
    """What the rules of a role with an aggregationRule should be: each once, selector by
    selector and by the name of the role they stand in."""
    from knarr.meta import labels

    selectors = [
        labels.from_label_selector(s) for s in role["aggregationRule"].get("clusterRoleSelectors") or ()
    ]
    others = sorted(roles, key=lambda r: r["metadata"]["name"])
    found: list[Rule] = []
    for selector in selectors:
        for other in others:
            metadata = other["metadata"]
            if metadata["name"] != role["metadata"]["name"] and selector.matches(
                metadata.get("labels") or {}
            ):
                found.extend(r for r in other.get("rules") or () if r not in found)
    return found


def reconcile(role: Object, roles: Iterable[Object]) -> Object | None:
    """The role with the rules it should have; None when it has them, or aggregates nothing."""
    if not role.get("aggregationRule"):
        return None
    rules = aggregated_rules(role, roles)
    return None if rules == (role.get("rules") or []) else role | {"rules": rules}
