"""Which replica set is the new one, and the annotations that number the revisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from knarr.api.scheme import evolve
from knarr.controllers.deployment.limits import max_surge

PREFIX = "deployment.kubernetes.io/"
REVISION = PREFIX + "revision"
HISTORY = PREFIX + "revision-history"
DESIRED = PREFIX + "desired-replicas"
MAX = PREFIX + "max-replicas"
HASH_LABEL = "pod-template-hash"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
#: annotations of the deployment that are not its replica sets'
NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    ROLLBACK_TO,
}
HISTORY_CHARS_MAX = 2000


def revision_of(rs: Any) -> int:
    """0 where it has none, or one that is no number."""
    text = rs.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def without_hash(template: Any) -> Any:
    labels = template.metadata.labels
    if HASH_LABEL not in labels:
        return template
    return evolve(template, metadata={"labels": {key: labels[key] for key in labels if key != HASH_LABEL}})


def same_template(left: Any, right: Any) -> bool:
    """Equal but for the hash that the controller adds."""
    return without_hash(left) == without_hash(right)


def by_age(sets: Iterable[Any]) -> list[Any]:
    """Oldest first."""
    return sorted(sets, key=lambda rs: (rs.metadata.creationTimestamp or "", rs.metadata.name))


def find_new(d: Any, sets: Sequence[Any]) -> Any | None:
    """The replica set of the present template: the oldest, should there be several."""
    template = d.spec.template
    return next((rs for rs in by_age(sets) if same_template(rs.spec.template, template)), None)


def max_revision(sets: Iterable[Any]) -> int:
    return max((revision_of(rs) for rs in sets), default=0)


def last_revision(sets: Iterable[Any]) -> int:
    """The one before the newest; 0 if there is none."""
    known = sorted((revision_of(rs) for rs in sets), reverse=True)
    return known[1] if len(known) > 1 else 0


def replica_annotations(d: Any) -> dict[str, str]:
    """What a later scaling of the deployment is measured by."""
    return {DESIRED: str(d.spec.replicas), MAX: str(d.spec.replicas + max_surge(d))}


def annotations_of_new(d: Any, present: Mapping[str, str], revision: int) -> dict[str, str]:
    """Those of the new replica set: the deployment's, and the revision, which only grows."""
    annotations = {**present, **{k: v for k, v in d.metadata.annotations.items() if k not in NOT_COPIED}}
    text = present.get(REVISION)
    old = int(text) if text is not None and text.isdecimal() else 0
    if old < revision:
        annotations[REVISION] = str(revision)
        if text is not None:
            annotations[HISTORY] = _history(present.get(HISTORY, ""), text)
    return annotations


def _history(past: str, revision: str) -> str:
    """The revisions it served before; the oldest are forgotten when they grow too long."""
    known = [text for text in past.split(",") if text] + [revision]
    while len(",".join(known)) > HISTORY_CHARS_MAX:
        known.pop(0)
    return ",".join(known)
