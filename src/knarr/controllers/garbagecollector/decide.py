"""What becomes of an object whose owners changed: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from knarr.controllers.garbagecollector.graph import FOREGROUND, ORPHAN


class Owner(Enum):
    """What an owner reference leads to."""

    SOLID = "an object that stays"
    DANGLING = "nothing"
    WAITING = "an object that is being deleted in the foreground"


class Verdict(NamedTuple):
    """`drop`: references to remove, by uid; `policy`: delete with this propagation; `unblock`: stop blocking first."""

    drop: tuple[str, ...] = ()
    policy: str = ""
    unblock: bool = False


KEEP = Verdict()


def judge(meta: Any, owners: Sequence[Owner], has_dependents: bool, dependents_wait: bool) -> Verdict:
    """`owners`: what each of meta.ownerReferences leads to; `dependents_wait`: one of the object's own dependents
    is being deleted in the foreground, so that owners and owned may wait for each other in a circle."""
    if not owners:
        return KEEP
    gone = tuple(
        ref.uid for ref, owner in zip(meta.ownerReferences, owners, strict=True) if owner is not Owner.SOLID
    )
    if Owner.SOLID in owners:
        # an owner that waits must not wait for one that is not going to be deleted
        return Verdict(drop=gone)
    if Owner.WAITING in owners and has_dependents:
        return Verdict(policy="Foreground", unblock=dependents_wait)
    return Verdict(policy=policy_of(meta))


def policy_of(meta: Any) -> str:
    """What an earlier deletion asked for holds."""
    if ORPHAN in meta.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in meta.finalizers else "Background"


def wire_ref(ref: Any, **changes: Any) -> dict[str, Any]:
    """An owner reference in wire form."""
    wire = {"apiVersion": ref.apiVersion, "kind": ref.kind, "name": ref.name, "uid": ref.uid}
    for field in ("controller", "blockOwnerDeletion"):
        if (value := getattr(ref, field)) is not None:
            wire[field] = value
    return wire | changes


def without_owners(meta: Any, uids: Sequence[str]) -> dict[str, Any]:
    """A merge patch that removes references, of exactly this state of the object."""
    rest = [wire_ref(ref) for ref in meta.ownerReferences if ref.uid not in uids]
    return _patch(meta, ownerReferences=rest or None)


def unblocking(meta: Any) -> dict[str, Any]:
    """A merge patch after which the object blocks no owner."""
    refs = [
        wire_ref(ref, blockOwnerDeletion=False) if ref.blockOwnerDeletion else wire_ref(ref)
        for ref in meta.ownerReferences
    ]
    return _patch(meta, ownerReferences=refs)


def without_finalizer(meta: Any, finalizer: str) -> dict[str, Any]:
    rest = [f for f in meta.finalizers if f != finalizer]
    return _patch(meta, finalizers=rest or None)


def _patch(meta: Any, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion, **fields}}
