"""What a volume needs, by what became of its claim: pure decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from knarr.controllers.persistentvolume.match import (
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    names_claim,
)


class Step(NamedTuple):
    """Write a `phase`; then `reclaim` or `unbind`; or let the `claim` be looked at."""

    phase: str = ""
    reclaim: bool = False
    unbind: bool = False
    claim: bool = False


def next_step(volume: Any, claim: Any | None) -> Step:
    """`claim`: the one that the volume's claimRef names, whatever its uid."""
    ref = volume.spec.claimRef
    if ref is None:
        return Step(phase="Available")
    if not ref.uid:
        # reserved; the claim finds it
        return Step(phase="Available", claim=claim is not None)
    if claim is None or claim.metadata.uid != ref.uid:
        return _released(volume)
    if not claim.spec.volumeName:
        return Step(claim=True)
    if claim.spec.volumeName == volume.metadata.name:
        return Step(phase="Bound", claim=claim.status.phase != "Bound")
    # its claim found another
    if (
        PROVISIONED_BY in volume.metadata.annotations
        and volume.spec.persistentVolumeReclaimPolicy == "Delete"
    ):
        return _released(volume)
    return Step(unbind=True)


def _released(volume: Any) -> Step:
    """A volume that failed stays so for all to see."""
    return Step(phase="" if volume.status.phase == "Failed" else "Released", reclaim=True)


def bound_volume(volume: Any, claim: Any) -> dict[str, Any]:
    """The changes that make a volume the claim's; {} where it has them. As evolve takes them."""
    meta, ref = claim.metadata, volume.spec.claimRef
    annotations = dict(volume.metadata.annotations)
    if not names_claim(volume, claim):
        annotations[BOUND_BY_CONTROLLER] = "yes"
    bound = ref is not None and (ref.name, ref.namespace, ref.uid) == (meta.name, meta.namespace, meta.uid)
    if bound and annotations == volume.metadata.annotations:
        return {}
    return {"spec": {"claimRef": claim_reference(claim)}, "metadata": {"annotations": annotations}}


def claim_reference(claim: Any) -> Mapping[str, str]:
    meta = claim.metadata
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "resourceVersion": meta.resourceVersion,
    }


def unbound_volume(volume: Any) -> dict[str, Any]:
    """The changes that undo a binding: what a user wrote stays."""
    annotations = dict(volume.metadata.annotations)
    if annotations.pop(BOUND_BY_CONTROLLER, None) is not None:
        return {"spec": {"claimRef": None}, "metadata": {"annotations": annotations}}
    return {"spec": {"claimRef": {"uid": "", "resourceVersion": ""}}}


def deleted_elsewhere(volume: Any) -> bool:
    """Whoever provisioned it deletes it, too."""
    provisioner = volume.metadata.annotations.get(PROVISIONED_BY, "")
    return bool(provisioner) and not provisioner.startswith("kubernetes.io/")


def why_not_deleted(volume: Any) -> str:
    """Only directories below /tmp of the host can be deleted; "" for these."""
    if provisioner := volume.metadata.annotations.get(PROVISIONED_BY):
        return f"no volume plugin matched name: {provisioner}"
    if volume.spec.hostPath is not None:
        path = volume.spec.hostPath.path
        if re.search("/tmp/.+", path):
            return ""
        return f"host_path deleter only supports /tmp/.+ but received provided {path}"
    missing = "deletable volume plugin" if volume.spec.nfs is not None else "volume plugin"
    return f'error getting deleter volume plugin for volume "{volume.metadata.name}": no {missing} matched'
