"""persistentVolumeClaimRetentionPolicy: claims go with the set, with the pod that was scaled away, or stay (KEP-1847).

A claim goes with whoever controls it; the garbage collector does the rest.
"""

from __future__ import annotations

from typing import Any

from knarr.client.objects import controller_of, controller_ref


def policy(ss: Any) -> tuple[str, str]:
    """(whenDeleted, whenScaled)."""
    wanted = ss.spec.persistentVolumeClaimRetentionPolicy
    if wanted is None:
        return "Retain", "Retain"
    return wanted.whenDeleted or "Retain", wanted.whenScaled or "Retain"


def owner_wanted(ss: Any, pod: Any | None, scaled_away: bool) -> dict[str, Any] | None:
    """The reference that the claim of a pod should carry; None: it stays whatever happens."""
    when_deleted, when_scaled = policy(ss)
    if scaled_away and when_scaled == "Delete" and pod is not None:
        return controller_ref(pod)
    # what was scaled away and is kept then is not deleted with the set's pods, but with the set
    return controller_ref(ss) if when_deleted == "Delete" else None


def is_ours(ss: Any, ref: Any, pod_name: str) -> bool:
    """A reference that this policy has made."""
    return ref.uid == ss.metadata.uid or (ref.kind == "Pod" and ref.name == pod_name)


def references(ss: Any, claim: Any, pod: Any | None, pod_name: str, scaled_away: bool) -> list[Any] | None:
    """The claim's owner references as they should be, or None where they are so or are not ours to decide."""
    control = controller_of(claim)
    if control is not None and not is_ours(ss, control, pod_name):
        return None
    wanted = owner_wanted(ss, pod, scaled_away)
    present = claim.metadata.ownerReferences
    ours = [ref for ref in present if is_ours(ss, ref, pod_name)]
    if [ref.uid for ref in ours] == ([wanted["uid"]] if wanted is not None else []):
        return None
    others = [ref for ref in present if not is_ours(ss, ref, pod_name)]
    return [*others, *([wanted] if wanted is not None else [])]


def is_stale(claim: Any, pod_name: str) -> bool:
    """It belongs to an earlier pod of the name and goes with it: a new pod has to wait for a new claim."""
    return any(ref.kind == "Pod" and ref.name == pod_name for ref in claim.metadata.ownerReferences)
