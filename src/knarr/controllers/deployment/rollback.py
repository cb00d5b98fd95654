"""The annotation of old kubectls that asks for an earlier revision (extensions/v1beta1's spec.rollbackTo)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from knarr.api.scheme import evolve
from knarr.controllers.deployment.revisions import (
    NOT_COPIED,
    ROLLBACK_TO,
    last_revision,
    revision_of,
    same_template,
    without_hash,
)


class Rollback(NamedTuple):
    """What becomes of the deployment, and the event that tells of it."""

    deployment: Any
    type: str
    reason: str
    message: str


def is_wanted(d: Any) -> bool:
    return ROLLBACK_TO in d.metadata.annotations


def plan(d: Any, sets: Sequence[Any]) -> Rollback:
    """To the revision that the annotation names, 0 being the one before the present. It is taken off either way."""
    text = d.metadata.annotations[ROLLBACK_TO]
    asked = int(text) if text.isdecimal() else 0
    revision = asked or last_revision(sets)
    annotations = {k: v for k, v in d.metadata.annotations.items() if k != ROLLBACK_TO}
    plain = evolve(d, metadata={"annotations": annotations})
    rs = next((rs for rs in sets if revision and revision_of(rs) == revision), None)
    if rs is None:
        message = "Unable to find the revision to rollback to." if asked else "Unable to find last revision."
        return Rollback(plain, "Warning", "DeploymentRollbackRevisionNotFound", message)
    name = d.metadata.name
    if same_template(d.spec.template, rs.spec.template):
        message = f'The rollback revision contains the same template as current deployment "{name}"'
        return Rollback(plain, "Warning", "DeploymentRollbackTemplateUnchanged", message)
    kept = {k: v for k, v in annotations.items() if k in NOT_COPIED}
    kept |= {k: v for k, v in rs.metadata.annotations.items() if k not in NOT_COPIED}
    back = evolve(plain, metadata={"annotations": kept}, spec={"template": without_hash(rs.spec.template)})
    return Rollback(
        back, "Normal", "DeploymentRollback", f'Rolled back deployment "{name}" to revision {revision}'
    )
