"""The daemon set controller: reads, plans with its siblings, acts."""

from __future__ import annotations

from typing import Any

import msgspec

from knarr.api.scheme import evolve, scheme
from knarr.api.types import apps_v1, core_v1
from knarr.client.batches import all_of, slow_start
from knarr.client.claim import claim
from knarr.client.client import Client, namespace_terminating
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers import history
from knarr.controllers.base import PodOwner
from knarr.controllers.daemonset.eligibility import compiled
from knarr.controllers.daemonset.newpods import HASH, base_pod, for_node, target_node
from knarr.controllers.daemonset.planning import Look, Plan, keep, status_of, update
from knarr.controllers.hashing import template_hash
from knarr.controllers.podcontrol import is_gone
from knarr.controllers.pods import is_finished, seconds_to_available
from knarr.meta.errors import StatusError
from knarr.world import World

#: pods created and deleted per pass, each
BURST = 250
#: how long a pod that failed is left before it is replaced: doubling from the first to the last
FAILED_SECONDS_MIN, FAILED_SECONDS_MAX = 1.0, 900.0


class DaemonSetController(PodOwner):
    """Owns pods and controller revisions; reads nodes."""

    name = "daemonset-controller"
    service_account = "daemon-set-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.watch_pods(apps_v1.DaemonSet)
        self.nodes = self.watch(core_v1.Node, self._node_changed, self._node_updated, self._node_changed)
        self.history = history.History(self.client, self.watch(apps_v1.ControllerRevision))
        self._failures: dict[tuple[str, str], tuple[float, float]] = {}  # (set, node) -> (seconds, since)

    # -- events ------------------------------------------------------------------------------------------

    def _node_changed(self, node: Any) -> None:
        for ds in self.owners.indexer.list():
            self.touch(key_of(ds))

    def _node_updated(self, old: Any, new: Any) -> None:
        """Heartbeats concern nobody."""
        if old.metadata.labels != new.metadata.labels or old.spec.taints != new.spec.taints:
            self._node_changed(new)

    def owner_deleted(self, owner: Any) -> None:
        super().owner_deleted(owner)
        for key in [key for key in self._failures if key[0] == owner.metadata.uid]:
            del self._failures[key]

    # -- one daemon set ------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Requeue | None:
        settled = self.expectations.met(key)  # before the cache is read, see ReplicaSetController
        ds = self.owners.indexer.get(key)
        if ds is None:
            self.expectations.forget(key)
            return None
        if ds.metadata.deletionTimestamp:
            return None
        known = [await self.labelled(r) for r in await self.history.of(ds, self.selector_of(ds))]
        revision = await self.revision(ds, known)
        look = await self.look(ds, revision.metadata.labels[HASH])
        failure = None
        if settled:
            failure = await self.work(key, look)
            await self.forget_old(ds, known, revision, look)
        status = status_of(look, ds.metadata.generation if settled else ds.status.observedGeneration)
        if status != ds.status:
            await self.client.update_status(evolve(ds, status=status))
        if failure is not None:
            raise failure
        return self.next_look(look)

    async def look(self, ds: Any, hash_: str) -> Look:
        pods = await claim(self.client, ds, self.candidates(ds), self.selector_of(ds))
        by_node: dict[str, list[Any]] = {}
        for pod in pods:
            if not (is_finished(pod) and pod.metadata.deletionTimestamp):
                by_node.setdefault(target_node(pod), []).append(pod)
        verdict = compiled(ds)
        verdicts = {node.metadata.name: verdict(node) for node in self.nodes.indexer.list()}
        return Look(ds, hash_, by_node, verdicts, self.clock.now())

    def next_look(self, look: Look) -> Requeue | None:
        """When the next ready pod becomes available."""
        least = look.ds.spec.minReadySeconds
        waits = [seconds_to_available(pod, least, look.now) for pods in look.pods.values() for pod in pods]
        wait = min((wait for wait in waits if wait), default=None)
        return Requeue(wait) if wait is not None else None

    async def work(self, key: Key, look: Look) -> StatusError | None:
        """First one pod per node; when nothing of that is left to do, a step of the update."""
        todo = keep(look)
        self.delay_failed(key, look, todo)
        if not todo.create and not todo.delete:
            if look.ds.spec.updateStrategy.type == "RollingUpdate":
                todo = update(look)
        try:
            await self.carry_out(key, look, todo)
        except StatusError as error:
            return None if namespace_terminating(error) else error
        return None

    def delay_failed(self, key: Key, look: Look, todo: Plan) -> None:
        """A pod that keeps failing is replaced ever more slowly."""
        ds = look.ds
        for pod, node in todo.failed:
            place = (ds.metadata.uid, node)
            seconds, since = self._failures.get(place, (0.0, 0.0))
            if look.now - since > 2 * FAILED_SECONDS_MAX:
                seconds = 0.0
            if (left := since + seconds - look.now) > 0:
                todo.delete.remove(pod)
                self.queue.add_after(key, left)
                continue
            seconds = min(max(FAILED_SECONDS_MIN, 2 * seconds), FAILED_SECONDS_MAX)
            self._failures[place] = (seconds, look.now)
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            message = f"Found failed daemon pod {name} on node {node}, will try to kill it"
            self.events.event(ds, "Warning", "FailedDaemonPod", message)
        for pod, node in todo.succeeded:
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            message = f"Found succeeded daemon pod {name} on node {node}, will try to delete it"
            self.events.event(ds, "Normal", "SucceededDaemonPod", message)

    async def carry_out(self, key: Key, look: Look, todo: Plan) -> None:
        create, delete = todo.create[:BURST], todo.delete[:BURST]
        if not create and not delete:
            return
        ds = look.ds
        self.expectations.expect(key, len(create), [pod.metadata.uid for pod in delete])
        base = base_pod(ds, look.hash)

        async def create_one(node: str) -> None:
            await self.pod_control.create(ds, msgspec.json.encode(for_node(base, node)))

        async def delete_one(pod: Any) -> None:
            try:
                await self.pod_control.delete(ds, pod)
            except StatusError as error:
                self.expectations.deleted(key, pod.metadata.uid)
                if not is_gone(error):
                    raise

        refused = None
        try:
            await slow_start(create_one, create, lambda _: self.expectations.created(key))
        except StatusError as error:
            refused = error
        await all_of(delete_one, delete)
        if refused is not None:
            raise refused

    # -- revisions ---------------------------------------------------------------------------------------

    async def revision(self, ds: Any, known: list[Any]) -> Any:
        """Of the present template, with the highest number; made if need be."""
        data = history.template_patch(ds.spec.template)
        same = [revision for revision in known if revision.data == data]
        if same:
            current = same[-1]
            if len(same) > 1:
                await self.merge(ds, same[:-1], current)
            number = history.next_number([r for r in known if r.data != data])
            return current if current.revision >= number else await self.history.renumber(current, number)
        before = ds.status.collisionCount or 0
        template = scheme().to_dict(ds.spec.template)
        made, collisions = await self.history.create(
            ds,
            {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "labels": {**ds.spec.template.metadata.labels, HASH: "<hash>"},
                    "annotations": dict(ds.metadata.annotations),
                },
                "data": data,
                "revision": history.next_number(known),
            },
            lambda count: template_hash(template, count or None),
            before,
        )
        if collisions != before:
            await self.client.update_status(evolve(ds, status={"collisionCount": collisions}))
        return made

    async def labelled(self, revision: Any) -> Any:
        """With a hash that pods may name: its name, where it came without one."""
        if HASH in revision.metadata.labels:
            return revision
        labels = {**revision.metadata.labels, HASH: revision.metadata.name}
        return await self.client.update(evolve(revision, metadata={"labels": labels}))

    async def merge(self, ds: Any, others: list[Any], current: Any) -> None:
        """Several revisions of one template become one, and the pods are its pods."""
        hash_ = current.metadata.labels[HASH]
        for pod in await claim(self.client, ds, self.candidates(ds), self.selector_of(ds)):
            if pod.metadata.labels.get(HASH) != hash_:
                body = {"metadata": {"labels": {HASH: hash_}}}
                await self.client.patch(core_v1.Pod, pod.metadata.name, pod.metadata.namespace, body)
        await self.history.delete(others)

    async def forget_old(self, ds: Any, known: list[Any], current: Any, look: Look) -> None:
        """Old revisions beyond the limit; those of pods that still run stay."""
        limit = ds.spec.revisionHistoryLimit
        if limit is None:
            return
        old = [r for r in known if r.data != current.data]
        live = {pod.metadata.labels.get(HASH) for pods in look.pods.values() for pod in pods}
        idle = [revision for revision in old if revision.metadata.labels.get(HASH) not in live]
        await self.history.delete(idle[: max(0, len(old) - limit)])
