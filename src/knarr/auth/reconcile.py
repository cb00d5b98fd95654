"""Default roles and bindings at each start: what they lack of the present version's is added.

Nothing that somebody added is taken away, and what is annotated `rbac.authorization.kubernetes.io/autoupdate: "false"`
is left alone.
"""

from __future__ import annotations

from typing import Any

from knarr.auth.rules import uncovered

Object = dict[str, Any]

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
BINDINGS = frozenset({"clusterrolebindings", "rolebindings"})


def reconcile(resource: str, found: Object, wanted: Object) -> Object | None:
    """The stored object with what it lacks; None where that is nothing."""
    if (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return None
    changed = {**found, "metadata": _metadata(found["metadata"], wanted["metadata"])}
    if resource in BINDINGS:
        _add(changed, "subjects", _missing(found.get("subjects"), wanted.get("subjects"), _subject))
    elif "aggregationRule" in wanted:
        _add_selectors(changed, wanted)
    elif found.get("rules") != wanted.get("rules"):
        _add(changed, "rules", uncovered(found.get("rules") or (), wanted.get("rules") or ()))
    return None if changed == found else changed


def leads_elsewhere(resource: str, found: Object, wanted: Object) -> bool:
    """Whether a binding has to be made anew: what role it is for cannot be changed."""
    protected = (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false"
    return resource in BINDINGS and not protected and found["roleRef"] != wanted["roleRef"]


def _metadata(found: Object, wanted: Object) -> Object:
    """Labels and annotations that are not there; present ones count."""
    changed = dict(found)
    for key in ("labels", "annotations"):
        merged = {**(wanted.get(key) or {}), **(found.get(key) or {})}
        if merged != (found.get(key) or {}):
            changed[key] = merged
    return changed


def _add(changed: Object, key: str, missing: list[Any]) -> None:
    if missing:
        changed[key] = [*(changed.get(key) or ()), *missing]


def _missing(found: list[Any] | None, wanted: list[Any] | None, key: Any) -> list[Any]:
    present = {key(item) for item in found or ()}
    return [item for item in wanted or () if key(item) not in present]


def _subject(subject: Object) -> tuple[str, ...]:
    return tuple(subject.get(word, "") for word in ("kind", "apiGroup", "name", "namespace"))


def _add_selectors(changed: Object, wanted: Object) -> None:
    """Which roles are gathered; their rules are the aggregation controller's matter."""
    rule = changed.get("aggregationRule") or {}
    present = rule.get("clusterRoleSelectors") or []
    missing = [s for s in wanted["aggregationRule"]["clusterRoleSelectors"] if s not in present]
    if missing:
        changed["aggregationRule"] = {**rule, "clusterRoleSelectors": [*present, *missing]}
