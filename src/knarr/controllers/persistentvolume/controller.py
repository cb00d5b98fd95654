"""The binder: claims and volumes, one at a time, so that no volume is given twice."""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1, storage_v1
from knarr.client.client import Client, is_already_exists, is_not_found
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.persistentvolume import claims as claim_rules
from knarr.controllers.persistentvolume import volumes as volume_rules
from knarr.controllers.persistentvolume.claims import bound_claim, claim_status
from knarr.controllers.persistentvolume.match import (
    BIND_COMPLETED,
    OLD_CLASS,
    OLD_PROVISIONER,
    PROVISIONER,
    class_of,
    default_class,
)
from knarr.controllers.persistentvolume.recycle import NAMESPACE, pod_name, recycler_pod, source_of
from knarr.controllers.persistentvolume.volumes import (
    bound_volume,
    deleted_elsewhere,
    unbound_volume,
    why_not_deleted,
)
from knarr.controllers.pvcprotection import BY_CLAIM, claims_index
from knarr.meta.errors import StatusError
from knarr.world import World

#: index of claims that are not bound, by class
UNBOUND = "unbound"
#: index of volumes, by the claim they name
BY_CLAIM_REF = "claimRef"
RECYCLER = "recycler-for-"
#: a claim that waits is looked at, and told why, so often
RESYNC_SECONDS = 15.0


class Task(NamedTuple):
    """`claim` or `volume` ("" namespace)."""

    what: str
    namespace: str
    name: str


class PersistentVolumeController(KubeController):
    """Keys are `Task`s."""

    name = "persistentvolume-binder-controller"
    service_account = "persistent-volume-binder"
    component = "persistentvolume-controller"
    workers = 1

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.claims = self.watch(core_v1.PersistentVolumeClaim)
        self.volumes = self.watch(core_v1.PersistentVolume)
        self.classes = self.watch(storage_v1.StorageClass)
        self.pods = self.watch(core_v1.Pod)
        self.pods.indexer.add_index(BY_CLAIM, claims_index)
        self.claims.indexer.add_index(UNBOUND, unbound_index)
        self.volumes.indexer.add_index(BY_CLAIM_REF, claim_ref_index)
        self.claims.add_handler(self._claim_seen, lambda _, new: self._claim_seen(new), self._claim_gone)
        self.volumes.add_handler(self._volume_seen, lambda _, new: self._volume_seen(new), self._volume_gone)
        self.classes.add_handler(self._class_seen, lambda _, new: self._class_seen(new))
        self.pods.add_handler(self._pod_seen, self._pod_updated, self._pod_ended)

    # -- events ------------------------------------------------------------------------------------------

    def _look_at_claim(self, namespace: str, name: str) -> None:
        self.queue.add(Task("claim", namespace, name))

    def _look_at_volume(self, name: str) -> None:
        self.queue.add(Task("volume", "", name))

    def _claim_seen(self, claim: Any) -> None:
        self._look_at_claim(*key_of(claim))
        self._look_at_volumes_of(claim)

    def _claim_gone(self, claim: Any) -> None:
        self._look_at_volumes_of(claim)

    def _look_at_volumes_of(self, claim: Any) -> None:
        key = key_of(claim)
        if claim.spec.volumeName:
            self._look_at_volume(claim.spec.volumeName)
        for volume in self.volumes.indexer.by_index(BY_CLAIM_REF, str(key)):
            if volume.metadata.name != claim.spec.volumeName:
                self._look_at_volume(volume.metadata.name)

    def _volume_seen(self, volume: Any) -> None:
        self._look_at_volume(volume.metadata.name)
        if (ref := volume.spec.claimRef) is not None:
            self._look_at_claim(ref.namespace, ref.name)
            return
        # those that wait for such a volume, and those that ask for this very one
        for claim in self.claims.indexer.by_index(UNBOUND, class_of(volume)):
            self._look_at_claim(*key_of(claim))

    def _volume_gone(self, volume: Any) -> None:
        if (ref := volume.spec.claimRef) is not None:
            self._look_at_claim(ref.namespace, ref.name)

    def _class_seen(self, storage_class: Any) -> None:
        names = (storage_class.metadata.name, "")
        for claim in [c for name in names for c in self.claims.indexer.by_index(UNBOUND, name)]:
            self._look_at_claim(*key_of(claim))

    def _pod_seen(self, pod: Any) -> None:
        if pod.metadata.name.startswith(RECYCLER) and pod.metadata.namespace == NAMESPACE:
            self._look_at_volume(pod.metadata.name.removeprefix(RECYCLER))

    def _pod_updated(self, old: Any, new: Any) -> None:
        if old.status.phase != new.status.phase:
            self._pod_seen(new)

    def _pod_ended(self, pod: Any) -> None:
        self._pod_seen(pod)

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Any) -> Requeue | None:
        task: Task = key
        if task.what == "claim":
            claim = self.claims.indexer.get((task.namespace, task.name))
            if claim is not None and await self.sync_claim(claim):
                return Requeue(RESYNC_SECONDS)
        else:
            volume = self.volumes.indexer.get(("", task.name))
            if volume is not None:
                await self.sync_volume(volume)
        return None

    async def sync_claim(self, claim: Any) -> bool:
        """True where it still waits for something, of which it is to be told again."""
        if await self.give_default_class(claim):
            return False  # the change brings it back
        volumes = {v.metadata.name: v for v in self.volumes.indexer.list()}
        classes = {c.metadata.name: c for c in self.classes.indexer.list()}
        step = claim_rules.next_step(claim, volumes, classes, self._waiting_pods(claim))
        if step.bind is not None:
            await self.bind(step.bind, claim)
            return False
        if step.provision:
            await self.provision(claim, classes.get(class_of(claim)))
            return True
        before = claim.status.phase
        claim = await self.write_claim_status(claim, step.phase, None)
        # a loss is told of once, what is waited for as often as somebody looks
        if step.tell is not None and (step.phase != "Lost" or before != "Lost"):
            self.events.event(claim, *step.tell)
        return step.phase == "Pending"

    def _waiting_pods(self, claim: Any) -> list[str]:
        users = self.pods.indexer.by_index(BY_CLAIM, str(key_of(claim)))
        return sorted(
            pod.metadata.name
            for pod in users
            if not pod.spec.nodeName and pod.status.phase not in ("Succeeded", "Failed")
        )

    async def give_default_class(self, claim: Any) -> bool:
        """A claim that says nothing of a class gets the default one as soon as there is one (KEP-3333)."""
        spec, annotations = claim.spec, claim.metadata.annotations
        if spec.storageClassName is not None or OLD_CLASS in annotations or spec.volumeName:
            return False
        if claim.status.phase not in ("", "Pending"):
            return False
        chosen = default_class(self.classes.indexer.list())
        if chosen is None:
            return False
        await self.client.update(evolve(claim, spec={"storageClassName": chosen.metadata.name}))
        return True

    async def bind(self, volume: Any, claim: Any) -> None:
        """Both sides, the volume first: whoever fails in between is finished by the next look."""
        if changes := bound_volume(volume, claim):
            volume = await self.client.update(evolve(volume, **changes))
        volume = await self.write_volume_phase(volume, "Bound")
        if changes := bound_claim(claim, volume):
            claim = await self.client.update(evolve(claim, **changes))
        await self.write_claim_status(claim, "Bound", volume)

    async def write_claim_status(self, claim: Any, phase: str, volume: Any | None) -> Any:
        if changes := claim_status(claim, phase, volume):
            claim = await self.client.update_status(evolve(claim, status=changes))
        return claim

    async def write_volume_phase(self, volume: Any, phase: str, message: str = "") -> Any:
        if phase and volume.status.phase != phase:
            status = {"phase": phase, "message": message}
            volume = await self.client.update_status(evolve(volume, status=status))
        return volume

    # -- provisioning ------------------------------------------------------------------------------------

    async def provision(self, claim: Any, storage_class: Any | None) -> None:
        """Nothing is provisioned here: the one whose name the class says is told."""
        provisioner, tell = claim_rules.provisioning(class_of(claim), storage_class)
        if provisioner:
            annotations = {
                **claim.metadata.annotations,
                PROVISIONER: provisioner,
                OLD_PROVISIONER: provisioner,
            }
            if annotations != claim.metadata.annotations:
                claim = await self.client.update(evolve(claim, metadata={"annotations": annotations}))
        self.events.event(claim, *tell)
        await self.write_claim_status(claim, "Pending", None)

    # -- volumes -----------------------------------------------------------------------------------------

    async def sync_volume(self, volume: Any) -> None:
        ref = volume.spec.claimRef
        claim = self.claims.indexer.get((ref.namespace, ref.name)) if ref is not None else None
        step = volume_rules.next_step(volume, claim)
        volume = await self.write_volume_phase(volume, step.phase)
        if step.reclaim:
            await self.reclaim(volume)
        elif step.unbind:
            await self.unbind(volume)
        if step.claim and claim is not None and not _is_whole(claim):
            self._look_at_claim(*key_of(claim))

    async def unbind(self, volume: Any) -> None:
        volume = await self.client.update(evolve(volume, **unbound_volume(volume)))
        await self.write_volume_phase(volume, "Available")

    async def reclaim(self, volume: Any) -> None:
        policy = volume.spec.persistentVolumeReclaimPolicy
        if policy == "Recycle":
            await self.recycle(volume)
        elif policy == "Delete":
            await self.delete(volume)
        elif policy not in ("Delete", "Retain"):
            message = "Volume has unrecognized PersistentVolumeReclaimPolicy"
            await self.fail(volume, "VolumeUnknownReclaimPolicy", message)

    async def delete(self, volume: Any) -> None:
        """The object: what the directory holds stays, it may be on another machine than this controller."""
        if deleted_elsewhere(volume):
            return
        if why_not := why_not_deleted(volume):
            await self.fail(volume, "VolumeFailedDelete", why_not)
        elif volume.metadata.deletionTimestamp is None:
            await self.client.delete(volume)

    async def fail(self, volume: Any, reason: str, message: str) -> None:
        if volume.status.phase != "Failed":
            volume = await self.write_volume_phase(volume, "Failed", message)
            self.events.event(volume, "Warning", reason, message)

    async def recycle(self, volume: Any) -> None:
        """A pod empties it; looked at again whenever the pod's phase changes."""
        kind = source_of(volume)
        if not kind:
            await self.fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
            return
        pod = self.pods.indexer.get((NAMESPACE, pod_name(volume)))
        if pod is None:
            if volume.status.phase == "Failed":
                return  # once is enough
            body = recycler_pod(volume, scheme().to_dict(getattr(volume.spec, kind)))
            try:
                await self.client.create(body)
            except StatusError as error:
                if not is_already_exists(error):
                    raise
            return
        if pod.status.phase not in ("Succeeded", "Failed"):
            return
        if pod.status.phase == "Succeeded":
            self.events.event(volume, "Normal", "VolumeRecycled", "Volume recycled")
            await self.unbind(_freed(volume))
        else:
            why = pod.status.message or "pod failed, pod.Status.Message unknown."
            await self.fail(volume, "VolumeFailedRecycle", f"Recycle failed: {why}")
        if pod.metadata.deletionTimestamp is None:
            try:
                await self.client.delete(pod)
            except StatusError as error:
                if not is_not_found(error):
                    raise


def _freed(volume: Any) -> Any:
    """A recycled volume forgets its claim, whoever wrote it there."""
    annotations = {**volume.metadata.annotations, volume_rules.BOUND_BY_CONTROLLER: "yes"}
    return evolve(volume, metadata={"annotations": annotations})


def _is_whole(claim: Any) -> bool:
    return claim.status.phase == "Bound" and BIND_COMPLETED in claim.metadata.annotations


def unbound_index(claim: Any) -> tuple[str, ...]:
    return () if BIND_COMPLETED in claim.metadata.annotations else (class_of(claim),)


def claim_ref_index(volume: Any) -> tuple[str, ...]:
    ref = volume.spec.claimRef
    return (str(Key(ref.namespace, ref.name)),) if ref is not None else ()
