"""The job controller: reads, judges with its siblings, acts, and counts last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from knarr.api.scheme import evolve
from knarr.api.types import batch_v1, core_v1
from knarr.client.batches import all_of, slow_start
from knarr.client.claim import claim
from knarr.client.client import Client, is_not_found, namespace_terminating
from knarr.client.controller import Requeue
from knarr.client.indexer import BY_CONTROLLER
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import PodOwner
from knarr.controllers.job import judging
from knarr.controllers.job.failures import Record, delay, finished_at, index_failures_with
from knarr.controllers.job.judging import Pass, Verdict
from knarr.controllers.job.newpods import TRACKING, is_indexed, is_tracked, new_indexed_pod, new_pod
from knarr.controllers.podcontrol import is_gone
from knarr.controllers.pods import is_ready
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

#: pods created or deleted per pass
BURST = 500
CONTROLLER = "kubernetes.io/job-controller"


class Stray(NamedTuple):
    """A queue item: a pod with the finalizer whose job is gone."""

    namespace: str
    name: str
    uid: str


class Outcome(NamedTuple):
    """What managing the pods has changed."""

    active: int
    ready: int
    terminating: int
    error: StatusError | None = None


class JobController(PodOwner):
    """Owns pods."""

    name = "job-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.records: dict[Key, Record] = {}
        #: per job, the pods whose finalizers were removed, until the cache shows it
        self.removing: dict[Key, set[str]] = {}
        self.watch_pods(batch_v1.Job)

    # -- events ------------------------------------------------------------------------------------------

    def owner_deleted(self, owner: Any) -> None:
        super().owner_deleted(owner)
        self.removing.pop(key_of(owner), None)
        self.records.pop(key_of(owner), None)
        for pod in self.pods.indexer.by_index(BY_CONTROLLER, owner.metadata.uid):
            self._look_at_stray(pod)

    def pod_added(self, pod: Any) -> None:
        super().pod_added(pod)
        self._look_at_stray(pod)

    def pod_updated(self, old: Any, pod: Any) -> None:
        if is_tracked(old) and not is_tracked(pod):
            self._seen_free(pod)
        super().pod_updated(old, pod)
        self._look_at_stray(pod)

    def pod_deleted(self, pod: Any) -> None:
        self._seen_free(pod)
        super().pod_deleted(pod)

    def _seen_free(self, pod: Any) -> None:
        if (job := self.owner_of(pod)) is not None and (waiting := self.removing.get(key_of(job))):
            waiting.discard(pod.metadata.uid)

    def _look_at_stray(self, pod: Any) -> None:
        if is_tracked(pod) and self.owner_of(pod) is None:
            meta = pod.metadata
            self.queue.add(Stray(meta.namespace, meta.name, meta.uid))

    # -- one job -----------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Requeue | None:
        if isinstance(key, Stray):
            return await self.free_stray(key)
        # both before the cache is read: what is seen during an await must not change how an older list is taken
        settled = self.expectations.met(key)
        removing = frozenset(self.removing.get(key, ()))
        job = self.owners.indexer.get(key)
        if job is None:
            self.expectations.forget(key)
            return None
        if job.spec.managedBy not in (None, CONTROLLER):
            return None
        if judging.is_finished(job):
            self.records.pop(key, None)
            return None
        pods = await claim(
            self.client, job, self.candidates(job), self.selector_of(job), finalizers=(TRACKING,)
        )
        look = Pass(started(job, self.clock.now()), pods, self.clock.now(), removing)
        record = self.records.get(key, Record()).after(look.new_succeeded, look.new_failed)
        return await self.work(key, job, look, record, settled)

    async def work(self, key: Key, stored: Any, look: Pass, record: Record, settled: bool) -> Requeue | None:
        """Act on the pods, then write what they amount to. What failed on the way is raised last."""
        verdict, status = judging.judge(look), look.job.status
        if verdict is not None:
            outcome = await self.end(look)
            if outcome.active or not settled:
                verdict = None  # pods may be left, or may exist that the cache does not show yet
        else:
            managed = settled and not look.job.metadata.deletionTimestamp
            outcome = await self.manage(key, look, record) if managed else self.as_it_is(look)
            if judging.is_complete(look, outcome.active):
                verdict = judging.REACHED
            elif managed:
                status = self.suspension(look, status)
        status = msgspec.structs.replace(
            status, active=outcome.active, ready=outcome.ready, terminating=outcome.terminating
        )
        await self.track(key, stored, look, status, verdict, record)
        if outcome.error is not None:
            raise outcome.error
        left = judging.seconds_left(look.job, look.now)
        return Requeue(left) if left is not None and left > 0 else None

    def suspension(self, look: Pass, status: Any) -> Any:
        """The Suspended condition; resuming starts the clock of activeDeadlineSeconds anew."""
        job = look.job
        if job.spec.suspend:
            changed = judging.with_condition(
                status, "Suspended", "True", "JobSuspended", "Job suspended", look.now
            )
            if changed is not status:
                self.events.event(job, "Normal", "Suspended", "Job suspended")
                return msgspec.structs.replace(changed, startTime=None)
            return status
        changed = judging.with_condition(status, "Suspended", "False", "JobResumed", "Job resumed", look.now)
        if changed is not status:
            self.events.event(job, "Normal", "Resumed", "Job resumed")
            return msgspec.structs.replace(changed, startTime=times.format(look.now))
        return status

    # -- pods --------------------------------------------------------------------------------------------

    def as_it_is(self, look: Pass, error: StatusError | None = None) -> Outcome:
        return Outcome(len(look.active), look.ready, look.terminating, error)

    async def end(self, look: Pass) -> Outcome:
        """Delete every active pod; finalizers stay, so that they are counted."""
        return await self.delete(look, look.active, lambda pod: self.pod_control.delete(look.job, pod))

    async def manage(self, key: Key, look: Pass, record: Record) -> Outcome:
        """Have as many active pods as should be."""
        job = look.job
        want = 0 if job.spec.suspend else judging.wanted(look)
        gone = judging.surplus(look, max(0, len(look.active) - want))[: None if job.spec.suspend else BURST]
        if gone:
            self.expectations.expect(key, deletes=[pod.metadata.uid for pod in gone])
            return await self.delete(look, gone, lambda pod: self.discard(key, job, pod))
        # a pod on its way out occupies its place where only pods that have ended are replaced
        occupied = len(look.active) + (look.terminating if judging.replaces_only_failed(job) else 0)
        missing = min(want - occupied, BURST)
        return await self.create(key, look, record, missing) if missing > 0 else self.as_it_is(look)

    async def discard(self, key: Key, job: Any, pod: Any) -> None:
        """Delete a pod that nobody wants: without its finalizer, so it is not counted as failed."""
        try:
            await self.free(pod)
            await self.pod_control.delete(job, pod)
        except StatusError:
            self.expectations.deleted(key, pod.metadata.uid)
            raise

    async def delete(self, look: Pass, pods: Sequence[Any], call: Any) -> Outcome:
        gone: list[Any] = []
        failures: list[StatusError] = []

        async def one(pod: Any) -> None:
            try:
                await call(pod)
            except StatusError as error:
                if not is_gone(error):
                    failures.append(error)
                    return
            gone.append(pod)

        await all_of(one, pods)
        return Outcome(
            len(look.active) - len(gone),
            look.ready - sum(is_ready(pod) for pod in gone),
            look.terminating + len(gone),
            failures[0] if failures else None,
        )

    async def create(self, key: Key, look: Pass, record: Record, count: int) -> Outcome:
        bodies, wait = self.bodies(look, record, count)
        if not bodies:
            if wait:
                self.queue.add_after(key, wait)
            return self.as_it_is(look)
        self.expectations.expect(key, creates=len(bodies))
        lost = 0

        def give_up(_: Any) -> None:
            nonlocal lost
            lost += 1
            self.expectations.created(key)

        error = None
        try:
            await slow_start(lambda body: self.pod_control.create(look.job, body), bodies, give_up)
        except StatusError as refused:
            error = None if namespace_terminating(refused) else refused
        active = len(look.active) + len(bodies) - lost
        return Outcome(active, look.ready, look.terminating, error)

    def bodies(self, look: Pass, record: Record, count: int) -> tuple[list[Any], float]:
        """The pods to create, or how many seconds to wait before there are any."""
        job = look.job
        per_index = look.failed_indexes is not None
        if not per_index and (wait := record.wait(look.now)):
            return [], wait
        if not is_indexed(job):
            return [msgspec.json.encode(new_pod(job))] * count, 0.0
        indexes = judging.pending_indexes(look, count)
        failed = look.awaiting_successor
        waits = {index: self.index_wait(look, failed[index]) for index in indexes if index in failed}
        ready = [index for index in indexes if not waits.get(index)]
        return [new_indexed_pod(job, index, failed.get(index)) for index in ready], min(
            waits.values(), default=0.0
        )

    def index_wait(self, look: Pass, failed: Any) -> float:
        failures = index_failures_with(look.job, failed).total
        return delay(failures, finished_at(failed), look.now)

    # -- counting ----------------------------------------------------------------------------------------

    async def track(
        self, key: Key, stored: Any, look: Pass, status: Any, verdict: Verdict | None, record: Record
    ) -> None:
        """First the status names the pods, then they lose their finalizers, then names become numbers: whatever is
        interrupted, no pod is counted twice or not at all."""
        count = judging.count(look, status, verdict)
        status = count.status
        if verdict is not None and verdict.type != "Failed":
            status = judging.with_condition(
                status, verdict.type, "True", verdict.reason, verdict.message, look.now
            )
        job = await self.write(stored, status)
        self.records[key] = record
        tracked = {pod.metadata.uid for pod in look.tracked}
        error = await self.free_all(key, count.to_free, tracked)
        status = judging.settle(status, tracked)
        counted = not count.more and error is None and not any(judging.uncounted(status))
        last_word = verdict if counted and not status.terminating else None
        if last_word is not None:
            status = judging.finished(status, last_word, look.now)
        await self.write(job, status)
        if last_word is not None:
            self.tell_end(job, status, last_word)
        if error is not None:
            raise error

    async def write(self, job: Any, status: Any) -> Any:
        """Write the status where it is new; the job as it is then."""
        return job if job.status == status else await self.client.update_status(evolve(job, status=status))

    async def free_all(self, key: Key, pods: Sequence[Any], tracked: set[str]) -> StatusError | None:
        """Take the finalizers off; `tracked` loses the uids where that went well. The first failure."""
        waiting = self.removing.setdefault(key, set())
        waiting.update(pod.metadata.uid for pod in pods)
        failures: list[StatusError] = []

        async def one(pod: Any) -> None:
            try:
                await self.free(pod)
            except StatusError as error:
                waiting.discard(pod.metadata.uid)
                if not is_gone(error):
                    failures.append(error)
                    return
            tracked.discard(pod.metadata.uid)

        await all_of(one, pods)
        return failures[0] if failures else None

    async def free(self, pod: Any) -> None:
        """Take the finalizer off this very pod. Raises NotFound, or Conflict where another took its name."""
        if is_tracked(pod):
            patch = {"metadata": {"uid": pod.metadata.uid, "$deleteFromPrimitiveList/finalizers": [TRACKING]}}
            await self.client.patch(
                core_v1.Pod, pod.metadata.name, pod.metadata.namespace, patch, "strategic"
            )

    async def free_stray(self, stray: Stray) -> None:
        """Nobody will count this pod any more."""
        pod = self.pods.indexer.get((stray.namespace, stray.name))
        if pod is None or pod.metadata.uid != stray.uid or not is_tracked(pod):
            return
        if self.owner_of(pod) is None:
            try:
                await self.free(pod)
            except StatusError as error:
                if not is_not_found(error):
                    raise

    def tell_end(self, job: Any, status: Any, verdict: Verdict) -> None:
        if verdict.failed:
            self.events.event(job, "Warning", verdict.reason, verdict.message)
            return
        if job.spec.completions is not None and status.succeeded > job.spec.completions:
            message = "Too many succeeded pods running after completion count reached"
            self.events.event(job, "Warning", "TooManySucceededPods", message)
        self.events.event(job, "Normal", "Completed", "Job completed")


def started(job: Any, now: float) -> Any:
    """With a startTime, unless it is to wait."""
    if job.status.startTime or job.spec.suspend:
        return job
    return evolve(job, status={"startTime": times.format(now)})
