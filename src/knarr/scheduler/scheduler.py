"""The scheduler: pods without a node get one.

A cycle decides synchronously: between reading the cache and assuming the pod on a node nothing else runs, so a
decision never rests on a state that has passed. Binding is concurrent and comes after.

    informers ──► watching ──► cache, queue
    queue ──► decide ──┬─► assume ──► permit, pre-bind, bind ──► Scheduled
                       └─► diagnose ──► post-filter (preemption) ──► condition, FailedScheduling ──► queue

Importing this module imports numpy; do so when a scheduler starts, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from knarr.client.client import Client, is_not_found
from knarr.client.events import SeriesRecorder
from knarr.client.informer import SharedInformers
from knarr.client.leaderelection import LeaderElector
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.meta.labels import Selector
from knarr.scheduler import conditions
from knarr.scheduler.cache.classes import PodClass, pinned_to
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.pods import PodCache
from knarr.scheduler.decide import NO_NODE, Decider
from knarr.scheduler.defaultspread import DefaultSpread
from knarr.scheduler.diagnosis import Diagnosis, diagnose, note
from knarr.scheduler.framework import Broken, Framework, PostFilterResult, Unschedulable
from knarr.scheduler.handle import Handle
from knarr.scheduler.metrics import ERROR, SCHEDULED, UNSCHEDULABLE
from knarr.scheduler.pipeline import Pipeline
from knarr.scheduler.plugins.registry import Factory
from knarr.scheduler.profiles import Profile, framework
from knarr.scheduler.queue.events import ASSIGNED_POD, NODE, Action, ClusterEvent
from knarr.scheduler.queue.nominator import Nominee
from knarr.scheduler.queue.queue import SchedulingQueue
from knarr.scheduler.queue.queued import QueuedPod
from knarr.scheduler.watching import Watching
from knarr.world import World

log = logging.getLogger(__name__)

USER, MANAGER = "system:kube-scheduler", "kube-scheduler"
#: how long, and for how many pods, decisions may keep the event loop to themselves
SLICE_SECONDS, SLICE_PODS = 0.005, 256
BINDS_PARALLEL, BINDS_WAITING_MAX = 256, 4096
#: a burst of pods is a burst of Scheduled events
EVENTS_PARALLEL, EVENTS_WAITING_MAX = 32, 50_000
FAILURES_MAX = 1024
#: pods that wait for their volumes, or for permission
WAITING_PARALLEL = 100_000
#: stands for "no node was there": any new node may help
ANY_NODE = "*"


class Scheduler:
    """Schedules the pods of its profiles' scheduler names.

    `client` should act as USER with field manager MANAGER. Informers are the process's shared ones; they are
    started and stopped by whoever owns them. `instance` names this process in events. With `lease` the scheduler
    works only while it holds the lease kube-system/kube-scheduler.
    """

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        world: World,
        profiles: Sequence[Profile] = (Profile(),),
        instance: str = "knarr",
        lease: bool = False,
        out_of_tree: Mapping[str, Factory] | None = None,
    ) -> None:
        self._world = world
        self._client = client
        self._lease = lease
        cluster = Cluster()
        self.handle = Handle(
            client, informers, world, cluster, PodCache(cluster), seed=world.chance.getrandbits(32)
        )
        self.frameworks: dict[str, Framework] = {
            p.scheduler_name: framework(p, self.handle, out_of_tree) for p in profiles
        }
        self._deciders = {name: Decider(f, cluster, self.handle.seed) for name, f in self.frameworks.items()}
        self.handle.recorders = {
            name: SeriesRecorder(client, name, f"{name}-{instance}", EVENTS_WAITING_MAX, EVENTS_PARALLEL)
            for name in self.frameworks
        }
        self._instance = instance
        self.queue = SchedulingQueue(self._sort_key, self._hint, self._gate)
        self._spread = DefaultSpread(informers)
        self._watching = Watching(self, self.handle, self.queue)
        self._binds = Pipeline("bind", BINDS_PARALLEL, BINDS_WAITING_MAX)
        self._patient = Pipeline("bind after waiting", WAITING_PARALLEL, WAITING_PARALLEL)
        self._writes = Pipeline("scheduler status", BINDS_PARALLEL)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None
        #: the last failure of a class and preemption policy, and the state of the cluster that it holds for
        self._failures: dict[tuple[int, Any], tuple[Any, Diagnosis, PostFilterResult]] = {}
        #: by uid of an unschedulable pod: its last attempt
        self._explanations: dict[str, tuple[Diagnosis, str]] = {}

    # -- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin on the running loop, as soon as the informers have synced."""
        if self._task is None:
            self._watching.start()  # also while another instance leads, so that this one can take over at once
            for recorder in self.handle.recorders.values():
                recorder.start()
            main: Any = self._run
            if self._lease:
                elector = LeaderElector(self._client, MANAGER, f"{self._instance}_{MANAGER}", self._run)
                main = elector.run
            self._task = asyncio.get_running_loop().create_task(main(), name="scheduler")

    async def stop(self) -> None:
        """End; binds under way are cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._watching.stop()
        await self._binds.stop()
        await self._patient.stop()
        await self._writes.stop()
        self._spread.stop()
        for recorder in self.handle.recorders.values():
            await recorder.stop()

    async def _run(self) -> None:
        await self.handle.informers.wait_for_sync()
        while True:
            await self._something_to_do()
            await self._cycle()

    async def idle(self) -> None:
        """Until nothing is left to decide or to write (pods that wait for events or backoff do not count)."""
        while self.queue.counts()["active"] or self._binds.busy or self._writes.busy:
            await asyncio.sleep(0)
            await self._binds.idle()
            await self._writes.idle()

    def now(self) -> float:
        return self._world.clock.monotonic()

    def wake(self) -> None:
        self._wake.set()

    async def _something_to_do(self) -> None:
        """Until a pod can be popped, or backoffs end."""
        if self.queue.ready:
            return
        at = self.queue.next_at()
        timer = None
        if at is not None:
            delay = max(0.0, at - self.now())
            timer = asyncio.get_running_loop().call_later(delay, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            self._wake.clear()
            if timer is not None:
                timer.cancel()

    async def _cycle(self) -> None:
        """Decide for all pods that are active, in slices."""
        started, pods = self.now(), 0
        while (queued := self.queue.pop(self.now())) is not None:
            self.attempt(queued)
            pods += 1
            if pods >= SLICE_PODS or self.now() - started > SLICE_SECONDS:
                await asyncio.sleep(0)
                await self._binds.room()
                started, pods = self.now(), 0
        self.handle.cluster.sweep(self.handle.pods.records)

    # -- what plugins of the queue's pods say ----------------------------------------------------------------

    def responsible(self, pod: Any) -> bool:
        """Does one of the profiles schedule this pod, and may it still be?"""
        return (
            pod.spec.schedulerName in self.frameworks
            and pod.metadata.deletionTimestamp is None
            and pod.status.phase not in ("Succeeded", "Failed")
        )

    def classify(self, pod: Any) -> PodClass:
        return self.handle.cluster.class_of(pod, self._default_spread(pod))

    def _default_spread(self, pod: Any) -> Selector | None:
        plugins = self.frameworks.get(pod.spec.schedulerName)
        return (
            self._spread.of(pod) if plugins is not None and "PodTopologySpread" in plugins.by_name else None
        )

    def _sort_key(self, queued: QueuedPod) -> tuple[Any, ...]:
        return self.frameworks[queued.profile].sort.sort_key(queued.priority, queued.since)

    def _gate(self, pod: Any) -> str | None:
        for plugin in self.frameworks[pod.spec.schedulerName].pre_enqueues:
            if (reason := plugin.pre_enqueue(pod)) is not None:
                return reason
        return None

    def _hint(self, profile: str, rejected_by: tuple[str, ...], cls: PodClass, event: ClusterEvent) -> bool:
        if rejected_by == (ANY_NODE,):
            return event.resource == NODE and bool(event.actions & Action.ADD)
        by_name = self.frameworks[profile].by_name
        return any(
            event.concerns(interest) and plugin.hint(cls, event, self.handle.cluster)
            for name in rejected_by
            if (plugin := by_name.get(name)) is not None
            for interest in plugin.interests
        )

    # -- one attempt -------------------------------------------------------------------------------------

    def attempt(self, queued: QueuedPod) -> None:
        """Decide for one pod that was popped, and set in motion what follows."""
        queued.tried = self.now()
        try:
            plugins = self.frameworks[queued.profile]
            # services and owners may have come or gone since the pod was queued
            queued.cls = self.classify(queued.pod)
            row = self._decide(queued, plugins)
            self.handle.metrics.decided(self.now() - queued.tried)
            if row == NO_NODE:
                self._fits_nowhere(queued, plugins)
            else:
                self._schedule(queued, plugins, row)
        except Unschedulable as refused:
            self._unschedulable(queued, plugins, self._refused(refused))
        except Broken as error:
            self._failed(queued, str(error))
        except Exception as error:
            log.exception("scheduling %s/%s", queued.pod.metadata.namespace, queued.pod.metadata.name)
            self._failed(queued, str(error))

    def _decide(self, queued: QueuedPod, plugins: Framework) -> int:
        """The row of the node, or NO_NODE. Raises Unschedulable."""
        cluster, cls, decider = self.handle.cluster, queued.cls, self._deciders[queued.profile]
        plugins.pre_filter(cls, cluster)
        nominees = self.handle.nominator.against(queued.uid, cls.priority) if self.handle.nominator else []
        pin = pinned_to(queued.pod)
        own = pin or self.handle.nominator.node_of(queued.uid)
        if own:
            row = cluster.nodes.row_of.get(own, NO_NODE)
            if row != NO_NODE and self._fits(plugins, cls, row, [n for n in nominees if n.node == own]):
                return row
            if pin:
                return NO_NODE
        if not nominees:
            return decider.pick(cls, queued.uid)
        feasible = plugins.feasible(cls, cluster)
        with self._nominated(nominees):
            feasible &= plugins.feasible(cls, cluster)
        return decider.look(cls, decider.chance(queued.uid), feasible)

    def _fits(self, plugins: Framework, cls: PodClass, row: int, nominees: list[Nominee]) -> bool:
        """Must hold with and without the nominees: they may never come, and others may want their company."""
        if not plugins.fits(cls, self.handle.cluster, row):
            return False
        if not nominees:
            return True
        with self._nominated(nominees):
            return plugins.fits(cls, self.handle.cluster, row)

    @contextlib.contextmanager
    def _nominated(self, nominees: list[Nominee]) -> Any:
        """As if the nominees ran already."""
        cluster = self.handle.cluster
        there = [(row, n.cls) for n in nominees if (row := cluster.nodes.row_of.get(n.node)) is not None]
        for row, cls in there:
            cluster.bind(row, cls)
        try:
            yield
        finally:
            for row, cls in there:
                cluster.bind(row, cls, -1)

    def _schedule(self, queued: QueuedPod, plugins: Framework, row: int) -> None:
        facts = self.handle.cluster.nodes.facts[row]
        assert facts is not None
        pod, node = queued.pod, facts.name
        self.handle.pods.assume(pod, queued.cls, node)
        self.queue.done(queued)
        self.handle.nominator.withdraw(queued.uid)
        reserved: list[Any] = []
        try:
            for plugin in plugins.reserves:
                reserved.append(plugin)
                plugin.reserve(pod, node)
        except Exception as error:
            for plugin in reversed(reserved):
                plugin.unreserve(pod, node)
            self._unassume(queued)
            self.queue.adopt(queued)
            if not isinstance(error, Unschedulable):
                raise
            self._unschedulable(queued, plugins, self._refused(error))
            return
        pipeline = self._patient if self._must_wait(pod, plugins) else self._binds
        pipeline.put(lambda: self._bind(queued, plugins, node))

    @staticmethod
    def _must_wait(pod: Any, plugins: Framework) -> bool:
        """For others than the API server: such pods must not stand in the way of the quick ones."""
        return bool(plugins.permits) or any(p.waits(pod) for p in plugins.pre_binds)

    # -- binding -----------------------------------------------------------------------------------------

    async def _bind(self, queued: QueuedPod, plugins: Framework, node: str) -> None:
        pod = queued.pod
        try:
            if self._must_wait(pod, plugins):
                await self._announce(pod, node)
            await self._through_to_bind(pod, plugins, node)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            for plugin in reversed(plugins.reserves):
                plugin.unreserve(pod, node)
            self._bind_failed(queued, plugins, error)
            return
        self.forget_explanation(queued.uid)
        self._ended(SCHEDULED, queued)
        self.handle.metrics.bound(queued.attempts, self.now() - (queued.initial_attempt or queued.tried))
        for plugin in plugins.post_binds:
            plugin.post_bind(pod, node)
        meta = pod.metadata
        self.handle.recorders[queued.profile].event(
            pod,
            "Normal",
            "Scheduled",
            "Binding",
            f"Successfully assigned {meta.namespace}/{meta.name} to {node}",
        )

    async def _announce(self, pod: Any, node: str) -> None:
        """Where the pod will run once what it waits for is there; a hint for autoscalers, cleared by the binding."""
        if pod.status.nominatedNodeName != node:
            patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"nominatedNodeName": node}}
            with contextlib.suppress(StatusError):
                await self._write_status(pod, patch)

    @staticmethod
    async def _through_to_bind(pod: Any, plugins: Framework, node: str) -> None:
        for permit in plugins.permits:
            if (refused := await permit.permit(pod, node)) is not None:
                raise Unschedulable(permit.name, refused)  # type: ignore[attr-defined]
        for pre in plugins.pre_binds:
            await pre.pre_bind(pod, node)
        for binder in plugins.binders:
            if await binder.bind(pod, node):
                return
        raise RuntimeError("no plugin binds this pod")

    def _bind_failed(self, queued: QueuedPod, plugins: Framework, error: Exception) -> None:
        """Give the room back, and the pod another try unless it is gone."""
        self._unassume(queued)
        if isinstance(error, StatusError) and is_not_found(error):
            return
        pods = self.handle.informers.of(type(queued.pod)).indexer
        now = pods.get((queued.pod.metadata.namespace, queued.pod.metadata.name))
        if now is None or now.metadata.uid != queued.uid or now.spec.nodeName or not self.responsible(now):
            return
        queued.pod = now
        self.queue.adopt(queued)
        if isinstance(error, Unschedulable):
            self._unschedulable(queued, plugins, self._refused(error))
        else:
            self._failed(queued, f"binding rejected: {error}")

    def _unassume(self, queued: QueuedPod) -> None:
        record = self.handle.pods.forget(queued.uid)
        if record is not None:
            event = ClusterEvent(ASSIGNED_POD, Action.DELETE, record.cls, None)
            if self.queue.move(event, self.now()):
                self.wake()

    # -- failures ----------------------------------------------------------------------------------------

    def _diagnose(self, queued: QueuedPod, plugins: Framework) -> Diagnosis:
        cluster, among = self.handle.cluster, None
        if (pin := pinned_to(queued.pod)) is not None:
            among = np.zeros(cluster.nodes.size, bool)
            if (row := cluster.nodes.row_of.get(pin)) is not None:
                among[row] = True
        nominees = self.handle.nominator.against(queued.uid, queued.priority)
        with self._nominated(nominees) if nominees else contextlib.nullcontext():
            found = diagnose(plugins, queued.cls, cluster, among)
        if not found.nodes:
            found.plugins = (ANY_NODE,)
        return found

    def _refused(self, refused: Unschedulable) -> Diagnosis:
        found = Diagnosis(self.handle.cluster.nodes.count)
        found.pre_filter, found.plugins = refused.message, (refused.plugin,)
        return found

    def _fits_nowhere(self, queued: QueuedPod, plugins: Framework) -> None:
        """A pod equal to one that has just failed fails for the same reasons: many replicas that find no room are
        diagnosed once, as long as nothing changes."""
        cls, policy = queued.cls, queued.pod.spec.preemptionPolicy
        alone = (
            cls.volumes
            or cls.resource_claims
            or pinned_to(queued.pod)
            or self.handle.nominator.node_of(queued.uid)
        )
        if alone:
            self._unschedulable(queued, plugins, self._diagnose(queued, plugins))
            return
        known = self._failures.get((cls.id, policy))
        if known is None or known[0] != self._state():
            diagnosis = self._diagnose(queued, plugins)
            result = (
                self._post_filter(queued, plugins, diagnosis) if diagnosis.nodes else PostFilterResult("")
            )
            known = (self._state(), diagnosis, result)
            if not result.nominated:
                if len(self._failures) >= FAILURES_MAX:
                    self._failures.clear()
                self._failures[cls.id, policy] = known
        self._reject(queued, known[1], known[2])

    def _state(self) -> tuple[int, int, int, int]:
        """Moves with everything that a failure can depend on, but for volumes and devices."""
        cluster = self.handle.cluster
        return cluster.position, cluster.nodes.epoch, cluster.terms_epoch, self.handle.nominator.epoch

    def _unschedulable(self, queued: QueuedPod, plugins: Framework, diagnosis: Diagnosis) -> None:
        result = self._post_filter(queued, plugins, diagnosis) if diagnosis.nodes else PostFilterResult("")
        self._reject(queued, diagnosis, result)

    def _ended(self, result: str, queued: QueuedPod) -> None:
        self.handle.metrics.ended(result, queued.profile, self.now() - queued.tried)

    def _reject(self, queued: QueuedPod, diagnosis: Diagnosis, result: PostFilterResult) -> None:
        self._ended(UNSCHEDULABLE, queued)
        message = diagnosis.message(result.message)
        if result.nominated is not None:
            self.handle.nominator.nominate(queued.uid, queued.cls, result.nominated)
        self._explanations[queued.uid] = (diagnosis, message)
        self.queue.reject(queued, diagnosis.plugins, self.now())
        self.wake()  # the loop may be waiting for less: five minutes from now it must look again
        if result.work is not None:
            self._writes.put(result.work)
        self._report(queued, conditions.UNSCHEDULABLE, message, result.nominated)

    @staticmethod
    def _post_filter(queued: QueuedPod, plugins: Framework, diagnosis: Diagnosis) -> PostFilterResult:
        """The first that finds a way; else all their reasons."""
        messages, nominated, work = [], None, None
        for plugin in plugins.post_filters:
            result = plugin.post_filter(queued, diagnosis, plugins)
            if result.nominated:
                return result
            messages.append(result.message)
            nominated = result.nominated if result.nominated is not None else nominated
            work = work or result.work
        return PostFilterResult(", ".join(m for m in messages if m), nominated, work)

    def _failed(self, queued: QueuedPod, message: str) -> None:
        self._ended(ERROR, queued)
        self.queue.fail(queued, self.now())
        self._report(queued, conditions.SCHEDULER_ERROR, message, None)
        self.wake()

    def _report(self, queued: QueuedPod, reason: str, message: str, nominated: str | None) -> None:
        """The event and the condition; the latter only where it says something new."""
        self.handle.recorders[queued.profile].event(
            queued.pod, "Warning", "FailedScheduling", "Scheduling", note(message)
        )
        now = times.format(self._world.clock.now())
        patch = conditions.status_patch(queued.pod, reason, message, nominated, now)
        if patch is not None:
            self._writes.put(lambda: self._write_status(queued.pod, patch))

    async def _write_status(self, pod: Any, patch: dict[str, Any]) -> None:
        meta = pod.metadata
        try:
            await self._client.patch(type(pod), meta.name, meta.namespace, patch, "strategic", "status")
        except StatusError as error:
            if not is_not_found(error) and error.reason != "Conflict":
                raise

    # -- explaining --------------------------------------------------------------------------------------

    def forget_explanation(self, uid: str) -> None:
        self._explanations.pop(uid, None)

    def explain(self, uid: str) -> list[tuple[str, str, list[str]]] | None:
        """Of an unschedulable pod's last attempt: (plugin, reason, nodes); None where there is nothing to explain.

        A pod that no node was looked at for has one entry without nodes.
        """
        found = self._explanations.get(uid)
        if found is None:
            return None
        diagnosis, message = found
        facts = self.handle.cluster.nodes.facts
        if not diagnosis.verdicts:
            return [(", ".join(diagnosis.plugins), message, [])]
        return [
            (v.plugin, v.reason, [f.name for row in v.rows.tolist() if (f := facts[row]) is not None])
            for v in diagnosis.verdicts
        ]
