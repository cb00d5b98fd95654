"""What a claim needs: pure decisions. The controller carries a `Step` out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from knarr.controllers.persistentvolume.match import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    best_match,
    class_of,
    is_delayed,
    misfit,
    names_claim,
)

#: provisioners that were in the tree -> the drivers that took their place
MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
}


HOST_PATH = "kubernetes.io/host-path"
#: plugins of the controller that make no volumes
CANNOT_PROVISION = {
    HOST_PATH: f'Failed to create provisioner: provisioning in volume plugin "{HOST_PATH}" is disabled',
    "kubernetes.io/nfs": "no provisionable volume plugin matched",
}


class Tell(NamedTuple):
    """An event."""

    type: str
    reason: str
    message: str


class Step(NamedTuple):
    """`bind` to a volume, or `provision` one, or write a `phase`; and what is told of it."""

    bind: Any = None
    provision: bool = False
    phase: str = ""
    tell: Tell | None = None


def next_step(
    claim: Any, volumes: Mapping[str, Any], classes: Mapping[str, Any], waiting_pods: Iterable[str] = ()
) -> Step:
    """`waiting_pods`: names of pods that use the claim and are not scheduled yet."""
    if BIND_COMPLETED in claim.metadata.annotations:
        return bound_step(claim, volumes)
    if claim.spec.volumeName:
        return requested_step(claim, volumes.get(claim.spec.volumeName))
    return unbound_step(claim, volumes, classes, list(waiting_pods))


def unbound_step(
    claim: Any, volumes: Mapping[str, Any], classes: Mapping[str, Any], waiting_pods: list[str]
) -> Step:
    name = class_of(claim)
    delayed = is_delayed(claim, classes.get(name))
    if (volume := best_match(claim, volumes.values(), delayed)) is not None:
        return Step(bind=volume)
    if delayed:
        return Step(phase="Pending", tell=_waits(waiting_pods))
    if name:
        return Step(provision=True)
    message = "no persistent volumes available for this claim and no storage class is set"
    return Step(phase="Pending", tell=Tell("Normal", "FailedBinding", message))


def provisioning(name: str, storage_class: Any | None) -> tuple[str, Tell]:
    """The provisioner that is to be noted on the claim, "" for none, and what is told. `name`: of the class."""
    if storage_class is None:
        missing = f'storageclass.storage.k8s.io "{name}" not found'
        return "", Tell("Warning", "ProvisioningFailed", missing)
    provisioner = MIGRATED.get(storage_class.provisioner, storage_class.provisioner)
    if provisioner.startswith("kubernetes.io/"):
        why_not = CANNOT_PROVISION.get(provisioner, f"no volume plugin matched name: {provisioner}")
        noted = provisioner if provisioner == HOST_PATH else ""
        return noted, Tell("Warning", "ProvisioningFailed", why_not)
    message = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the"
        " system administrator. If volume creation is delayed, please verify that the provisioner is running and"
        " correctly registered."
    )
    return provisioner, Tell("Normal", "ExternalProvisioning", message)


def _waits(pods: list[str]) -> Tell:
    if not pods:
        message = "waiting for first consumer to be created before binding"
        return Tell("Normal", "WaitForFirstConsumer", message)
    which = f"pod {pods[0]}" if len(pods) == 1 else f"pods {','.join(pods)}"
    return Tell("Normal", "WaitForPodScheduled", f"waiting for {which} to be scheduled")


def requested_step(claim: Any, volume: Any | None) -> Step:
    """The claim names its volume."""
    if volume is None:
        return Step(phase="Pending")
    if volume.spec.claimRef is None:
        if why := misfit(volume, claim):
            message = f'Cannot bind to requested volume "{volume.metadata.name}": {why}'
            return Step(phase="Pending", tell=Tell("Warning", "VolumeMismatch", message))
        return Step(bind=volume)
    if names_claim(volume, claim):
        return Step(bind=volume)
    message = f'volume "{volume.metadata.name}" already bound to a different claim.'
    return Step(phase="Pending", tell=Tell("Warning", "FailedBinding", message))


def bound_step(claim: Any, volumes: Mapping[str, Any]) -> Step:
    """A claim that was bound once: it is still, or it is lost."""
    if not claim.spec.volumeName:
        return _lost(
            "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        )
    volume = volumes.get(claim.spec.volumeName)
    if volume is None:
        return _lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
    ref = volume.spec.claimRef
    if ref is None or ref.uid == claim.metadata.uid:
        return Step(bind=volume)
    return _lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")


def _lost(reason: str, message: str) -> Step:
    return Step(phase="Lost", tell=Tell("Warning", reason, message))


def bound_claim(claim: Any, volume: Any) -> dict[str, Any]:
    """The changes of a claim that make it the volume's; {} where it has them. As evolve takes them."""
    annotations = dict(claim.metadata.annotations)
    if claim.spec.volumeName != volume.metadata.name:
        annotations[BOUND_BY_CONTROLLER] = "yes"
    annotations[BIND_COMPLETED] = "yes"
    if claim.spec.volumeName == volume.metadata.name and annotations == claim.metadata.annotations:
        return {}
    return {"spec": {"volumeName": volume.metadata.name}, "metadata": {"annotations": annotations}}


def claim_status(claim: Any, phase: str, volume: Any | None) -> dict[str, Any]:
    """The changes of a claim's status; {} where it has them."""
    status = claim.status
    wanted: dict[str, Any] = {"phase": phase}
    if volume is None:
        wanted |= {"accessModes": (), "capacity": {}}
    else:
        wanted["accessModes"] = volume.spec.accessModes
        # a claim that is bound already may be growing: its capacity is not ours any more
        if status.phase != "Bound":
            wanted["capacity"] = dict(volume.spec.capacity)
            if volume.spec.volumeAttributesClassName:
                wanted["currentVolumeAttributesClassName"] = volume.spec.volumeAttributesClassName
    return wanted if any(getattr(status, name) != value for name, value in wanted.items()) else {}
