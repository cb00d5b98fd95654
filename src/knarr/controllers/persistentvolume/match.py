"""Which volume fits a claim. Shared words and annotations of the binder stand here, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from knarr.meta.labels import from_label_selector
from knarr.meta.quantity import Quantity

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
OLD_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
IS_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
WAIT_FOR_CONSUMER = "WaitForFirstConsumer"
NOTHING = Quantity.parse("0")


def class_of(obj: Any) -> str:
    """Of a claim or a volume; "" for none."""
    old = obj.metadata.annotations.get(OLD_CLASS)
    return old if old is not None else obj.spec.storageClassName or ""


def requested(claim: Any) -> Quantity:
    return claim.spec.resources.requests.get("storage", NOTHING)


def capacity(volume: Any) -> Quantity:
    return volume.spec.capacity.get("storage", NOTHING)


def names_claim(volume: Any, claim: Any) -> bool:
    """The volume is bound to the claim, or reserved for it by name."""
    ref, meta = volume.spec.claimRef, claim.metadata
    if ref is None or ref.name != meta.name or ref.namespace != meta.namespace:
        return False
    return not ref.uid or ref.uid == meta.uid


def mode_of(obj: Any) -> str:
    return obj.spec.volumeMode or "Filesystem"


def misfit(volume: Any, claim: Any) -> str:
    """Why a volume that the claim asks for by name does not do; "" where it does."""
    if capacity(volume).compare(requested(claim)) < 0:
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if mode_of(volume) != mode_of(claim):
        return "incompatible volumeMode"
    if not set(claim.spec.accessModes) <= set(volume.spec.accessModes):
        return "incompatible accessMode"
    if (volume.spec.volumeAttributesClassName or "") != (claim.spec.volumeAttributesClassName or ""):
        return "volumeAttributesClassName does not match"
    return ""


def best_match(claim: Any, volumes: Iterable[Any], delayed: bool) -> Any | None:
    """The volume reserved for the claim, or the one with the fewest access modes, and of these the smallest, that
    fits. `delayed`: only a reserved one; which other it is decides the scheduler, with the node."""
    fitting: list[Any] = []
    wanted, modes = requested(claim), set(claim.spec.accessModes)
    for volume in volumes:
        if volume.metadata.deletionTimestamp is not None or mode_of(volume) != mode_of(claim):
            continue
        if not modes <= set(volume.spec.accessModes) or capacity(volume).compare(wanted) < 0:
            continue
        if names_claim(volume, claim):
            return volume
        if not delayed and is_free_for(volume, claim):
            fitting.append(volume)
    return _smallest(fitting)


def is_free_for(volume: Any, claim: Any) -> bool:
    """Nobody's, found to be available, of the class, and with the labels that the claim selects."""
    if volume.spec.claimRef is not None or volume.status.phase != "Available":
        return False
    if class_of(volume) != class_of(claim):
        return False
    if (volume.spec.volumeAttributesClassName or "") != (claim.spec.volumeAttributesClassName or ""):
        return False
    if claim.spec.selector is None:
        return True
    return from_label_selector(msgspec.to_builtins(claim.spec.selector)).matches(volume.metadata.labels)


def _smallest(volumes: Sequence[Any]) -> Any | None:
    best = None
    for volume in sorted(volumes, key=lambda v: (len(set(v.spec.accessModes)), v.metadata.name)):
        if best is not None and len(set(volume.spec.accessModes)) > len(set(best.spec.accessModes)):
            break
        if best is None or capacity(volume).compare(capacity(best)) < 0:
            best = volume
    return best


def is_delayed(claim: Any, storage_class: Any | None) -> bool:
    """Its class waits for a pod, and no node was selected yet."""
    if SELECTED_NODE in claim.metadata.annotations or storage_class is None:
        return False
    return storage_class.volumeBindingMode == WAIT_FOR_CONSUMER


def default_class(classes: Iterable[Any]) -> Any | None:
    """The newest of those marked as default, then by name."""
    marked = [c for c in classes if any(c.metadata.annotations.get(key) == "true" for key in IS_DEFAULT)]
    newest = max((c.metadata.creationTimestamp or "" for c in marked), default="")
    marked = [c for c in marked if (c.metadata.creationTimestamp or "") == newest]
    return min(marked, key=lambda c: c.metadata.name, default=None)
