"""The deployment controller: reads, decides with its siblings, acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from knarr.api.scheme import evolve, scheme
from knarr.api.types import apps_v1, core_v1
from knarr.client.claim import claim
from knarr.client.client import Client, is_already_exists, is_not_found, namespace_terminating
from knarr.client.controller import Requeue, owner_key
from knarr.client.indexer import BY_CONTROLLER, controller_index, owned_or_orphaned
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controlled_by, controller_of, controller_ref
from knarr.controllers.base import KubeController
from knarr.controllers.conditions import find
from knarr.controllers.deployment import rollback, status
from knarr.controllers.deployment.limits import UNLIMITED, has_deadline, is_rolling
from knarr.controllers.deployment.revisions import (
    HASH_LABEL,
    REVISION,
    annotations_of_new,
    find_new,
    max_revision,
    replica_annotations,
    revision_of,
    same_template,
)
from knarr.controllers.deployment.sizes import (
    Resize,
    existing,
    is_running,
    rescale,
    shrink_old,
    size_of_new,
    wanted,
    was_scaled,
)
from knarr.controllers.hashing import template_hash
from knarr.controllers.pods import is_finished
from knarr.meta.errors import StatusError
from knarr.meta.labels import from_label_selector
from knarr.world import World

NAME_CHARS_MAX = 253


@dataclass
class Rollout:
    """A deployment and its replica sets as far as this pass has brought them."""

    d: Any
    new: Any | None
    old: list[Any]

    @property
    def sets(self) -> list[Any]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    def now(self, rs: Any) -> Any:
        """This set as it has become."""
        return next((known for known in self.sets if known.metadata.uid == rs.metadata.uid), rs)

    def put(self, rs: Any) -> None:
        """This set has changed."""
        if self.new is not None and rs.metadata.uid == self.new.metadata.uid:
            self.new = rs
        else:
            self.old = [rs if known.metadata.uid == rs.metadata.uid else known for known in self.old]


class DeploymentController(KubeController):
    """Owns replica sets."""

    name = "deployment-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.deployments = self.watch_primary(apps_v1.Deployment)
        self.sets = self.watch(apps_v1.ReplicaSet, self._set_changed, self._set_updated, self._set_changed)
        self.pods = self.watch(core_v1.Pod, deleted=self._pod_deleted)
        for informer in (self.sets, self.pods):
            informer.indexer.add_index(BY_CONTROLLER, controller_index)

    # -- events ------------------------------------------------------------------------------------------

    def _set_changed(self, rs: Any) -> None:
        if (key := owner_key(rs, "Deployment")) is not None:
            self.queue.add(key)
        elif controller_of(rs) is None and not rs.metadata.deletionTimestamp:
            for d in self.deployments.indexer.list(rs.metadata.namespace):
                if _selector(d).matches(rs.metadata.labels):
                    self.enqueue(d)

    def _set_updated(self, old: Any, new: Any) -> None:
        if controller_of(old) != controller_of(new) and (key := owner_key(old, "Deployment")) is not None:
            self.queue.add(key)
        if controller_of(new) is not None or (old.metadata.labels, controller_of(old)) != (
            new.metadata.labels,
            None,
        ):
            self._set_changed(new)

    def _pod_deleted(self, pod: Any) -> None:
        """Recreate waits for the last old pod to be gone."""
        if (set_key := owner_key(pod, "ReplicaSet")) is None:
            return
        rs = self.sets.indexer.get(set_key)
        if rs is None or (key := owner_key(rs, "Deployment")) is None:
            return
        d = self.deployments.indexer.get(key)
        if d is not None and not is_rolling(d):
            self.queue.add(key)

    # -- one deployment ----------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Requeue | None:
        d = self.deployments.indexer.get(key)
        if d is None:
            return None
        mine = await claim(self.client, d, owned_or_orphaned(self.sets.indexer, d), _selector(d))
        new = find_new(d, mine)
        rollout = Rollout(d, new, [rs for rs in mine if rs is not new])
        if d.metadata.deletionTimestamp:
            return await self.report(rollout, status.counted)
        await self.tell_of_pause(rollout)
        if not d.spec.paused and rollback.is_wanted(d):
            await self.roll_back(rollout)
            return None
        await self.adopt_revision(rollout)
        if d.spec.paused or was_scaled(d, rollout.sets):
            return await self.resize(rollout)
        step = self.roll if is_rolling(d) else self.recreate
        await step(rollout)
        return await self.report(rollout, status.of_rollout)

    async def resize(self, rollout: Rollout) -> Requeue | None:
        """Follow spec.replicas only; no step of a rollout."""
        for resize in rescale(rollout.d, rollout.new, rollout.old):
            await self.scale(rollout, resize)
        if rollout.d.spec.paused:
            await self.clean_up(rollout)
        return await self.report(rollout, status.counted)

    async def roll(self, rollout: Rollout) -> None:
        """One step of a rolling update: up if the new set may grow, otherwise down."""
        new, d = await self.ensure_new(rollout), rollout.d
        size = size_of_new(d, new.spec.replicas, rollout.sets)
        if size != new.spec.replicas:
            await self.scale(rollout, Resize(new, size))
            return
        steps = shrink_old(d, new, rollout.old)
        for resize in steps:
            await self.scale(rollout, resize)
        if not steps:
            await self.clean_up_if_complete(rollout)

    async def recreate(self, rollout: Rollout) -> None:
        """Old pods first, all of them; only when the last is gone the new."""
        running = [rs for rs in rollout.old if is_running(rs)]
        for rs in running:
            await self.scale(rollout, Resize(rs, 0))
        if running or self.old_pods_remain(rollout):
            return
        new = await self.ensure_new(rollout)
        if new.spec.replicas != rollout.d.spec.replicas:
            await self.scale(rollout, Resize(new, rollout.d.spec.replicas))
        await self.clean_up_if_complete(rollout)

    def old_pods_remain(self, rollout: Rollout) -> bool:
        return existing(rollout.old) > 0 or any(
            not is_finished(pod)
            for rs in rollout.old
            for pod in self.pods.indexer.by_index(BY_CONTROLLER, rs.metadata.uid)
        )

    async def roll_back(self, rollout: Rollout) -> None:
        back = rollback.plan(rollout.d, rollout.sets)
        await self.client.update(back.deployment)
        self.events.event(rollout.d, back.type, back.reason, back.message)

    # -- revisions ---------------------------------------------------------------------------------------

    async def adopt_revision(self, rollout: Rollout) -> None:
        """The present template's set, if it exists, carries the highest revision; the deployment repeats it."""
        new, d = rollout.new, rollout.d
        if new is None:
            return
        annotations = annotations_of_new(d, new.metadata.annotations, max_revision(rollout.old) + 1)
        if annotations != new.metadata.annotations or new.spec.minReadySeconds != d.spec.minReadySeconds:
            changed = evolve(
                new,
                metadata={"annotations": annotations},
                spec={"minReadySeconds": d.spec.minReadySeconds},
            )
            rollout.put(await self.client.update(changed))
        news = None
        if has_deadline(d) and find(d.status.conditions, "Progressing") is None:
            news = status.found(new.metadata.name)
        await self.tell(rollout, news, annotations[REVISION])

    async def ensure_new(self, rollout: Rollout) -> Any:
        """The set of the present template, made if need be."""
        if rollout.new is None:
            await self.create_new(rollout)
        return rollout.new

    async def create_new(self, rollout: Rollout) -> None:
        d = rollout.d
        wire = self.new_set(rollout)
        name, size = wire["metadata"]["name"], wire["spec"]["replicas"]
        rs = scheme().from_dict(apps_v1.ReplicaSet, wire)
        try:
            rollout.new = await self.client.create(rs)
        except StatusError as error:
            if is_already_exists(error):
                rollout.new = await self.take_existing(rollout, name, error)
                await self.tell(rollout, None, wire["metadata"]["annotations"][REVISION])
                return
            if not namespace_terminating(error):
                news = status.not_created(name, error.message)
                if has_deadline(d):
                    await self.tell(rollout, news)
                self.events.event(d, "Warning", news.reason, news.message)
            raise
        if size:
            self.events.event(
                d, "Normal", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {size}"
            )
        made = status.created(name) if has_deadline(d) else None
        await self.tell(rollout, made, wire["metadata"]["annotations"][REVISION])

    def new_set(self, rollout: Rollout) -> dict[str, Any]:
        d = rollout.d
        template = scheme().to_dict(d.spec.template)
        hash_ = template_hash(template, d.status.collisionCount)
        labels = {**d.spec.template.metadata.labels, HASH_LABEL: hash_}
        selector = scheme().to_dict(d.spec.selector)
        annotations = annotations_of_new(d, {}, max_revision(rollout.old) + 1) | replica_annotations(d)
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{d.metadata.name[: NAME_CHARS_MAX - len(hash_) - 1]}-{hash_}",
                "namespace": d.metadata.namespace,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [controller_ref(d)],
            },
            "spec": {
                "replicas": size_of_new(d, 0, rollout.old),
                "minReadySeconds": d.spec.minReadySeconds,
                "selector": {
                    **selector,
                    "matchLabels": {**selector.get("matchLabels", {}), HASH_LABEL: hash_},
                },
                "template": {**template, "metadata": {**template.get("metadata", {}), "labels": labels}},
            },
        }

    async def take_existing(self, rollout: Rollout, name: str, error: StatusError) -> Any:
        """Ours after all (the cache was behind), or another template with the same hash: count the collision."""
        d = rollout.d
        rs = await self.client.get(apps_v1.ReplicaSet, name, d.metadata.namespace)
        if controlled_by(rs, d) and same_template(rs.spec.template, d.spec.template):
            return rs
        collisions = (d.status.collisionCount or 0) + 1
        rollout.d = await self.client.update_status(evolve(d, status={"collisionCount": collisions}))
        raise error

    # -- writing -----------------------------------------------------------------------------------------

    async def scale(self, rollout: Rollout, resize: Resize) -> None:
        """Give a set its size and say for which size of the deployment that is."""
        rs, d, size = rollout.now(resize.rs), rollout.d, resize.replicas
        annotations = {**rs.metadata.annotations, **replica_annotations(d)}
        before = rs.spec.replicas
        if size == before and annotations == rs.metadata.annotations:
            return
        changed = evolve(rs, metadata={"annotations": annotations}, spec={"replicas": size})
        rollout.put(await self.client.update(changed))
        if size != before:
            direction = "up" if size > before else "down"
            message = f"Scaled {direction} replica set {rs.metadata.name} from {before} to {size}"
            self.events.event(d, "Normal", "ScalingReplicaSet", message)

    async def clean_up_if_complete(self, rollout: Rollout) -> None:
        if status.is_complete(rollout.d, rollout.d.status):
            await self.clean_up(rollout)

    async def clean_up(self, rollout: Rollout) -> None:
        """Forget the oldest revisions beyond the history limit, once they are empty."""
        limit = rollout.d.spec.revisionHistoryLimit
        if limit is None or limit == UNLIMITED:
            return
        alive = [rs for rs in rollout.old if not rs.metadata.deletionTimestamp]
        for rs in sorted(alive, key=revision_of)[: max(0, len(alive) - limit)]:
            observed = rs.metadata.generation <= rs.status.observedGeneration
            if observed and not wanted([rs]) and not existing([rs]):
                try:
                    await self.client.delete(rs)
                except StatusError as error:
                    if not is_not_found(error):
                        raise

    async def tell_of_pause(self, rollout: Rollout) -> None:
        """So that time spent paused does not count as a lack of progress."""
        d = rollout.d
        progressing = find(d.status.conditions, "Progressing")
        reason = progressing.reason if progressing is not None else ""
        if not has_deadline(d) or reason == "ProgressDeadlineExceeded":
            return
        if d.spec.paused != (reason == "DeploymentPaused"):
            await self.tell(rollout, status.PAUSED if d.spec.paused else status.RESUMED)

    async def tell(self, rollout: Rollout, news: status.News | None, revision: str = "") -> None:
        """Write a condition and the revision, where they are new."""
        d = rollout.d
        changes: dict[str, Any] = {}
        if revision and d.metadata.annotations.get(REVISION) != revision:
            changes["metadata"] = {"annotations": {**d.metadata.annotations, REVISION: revision}}
        if news is not None:
            conditions = status.told(d.status.conditions, news, self.clock.now())
            if conditions is not d.status.conditions:
                changes["status"] = {"conditions": conditions}
        if changes:
            rollout.d = await self.client.update_status(evolve(d, **changes))

    async def report(self, rollout: Rollout, judge: Any) -> Requeue | None:
        """Write the status; where it stays as it was, look again when the deadline passes."""
        d, now = rollout.d, self.clock.now()
        judged = judge(d, rollout.sets, rollout.new, now)
        if judged != d.status:
            await self.client.update_status(evolve(d, status=judged))
            return None
        limit = status.deadline(d)
        if judge is not status.of_rollout or limit is None or status.is_complete(d, judged):
            return None
        return Requeue(max(0.0, limit - now) + 1) if not status.is_stuck(d, now) else None


def _selector(d: Any) -> Any:
    return from_label_selector(scheme().to_dict(d.spec.selector))
