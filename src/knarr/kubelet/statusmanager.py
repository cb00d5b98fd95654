"""Writes pod statuses: the newest per pod, so many at once, and deletes pods that are over.

Bound: one place per pod; a status that is set while an older one waits or is being written replaces it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from knarr.client.client import is_conflict, is_not_found
from knarr.client.codec import Partial, built_in
from knarr.kubelet.node import ClientOf
from knarr.kubelet.status import Status, changes
from knarr.meta.errors import StatusError

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
#: the answer is not needed: only its metadata is read
POD = Partial(built_in("v1", "Pod"))


class Subject(Protocol):
    """A pod as this file needs it: see podworker.PodWorker."""

    pod: Any
    uid: str
    #: what should stand in the API
    status: Status | None
    #: what does, as far as we know
    reported: Status
    writing: bool
    #: nothing runs any more and the pod is to be deleted
    finished: bool
    gone: bool


class StatusManager:
    """`set` never waits."""

    def __init__(self, client_of: ClientOf, writes_max: int) -> None:
        self._client_of = client_of
        self._writes_max = writes_max
        self._pending: dict[str, Subject] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def put(self, subject: Subject) -> None:
        """Its status, or that it is finished, has to be written."""
        if self._stopped or subject.gone or subject.writing:
            return
        self._pending[subject.uid] = subject
        if len(self._tasks) < self._writes_max:
            task = asyncio.get_running_loop().create_task(self._drain(), name="pod statuses")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Until all that was put is written."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def stop(self) -> None:
        self._stopped = True
        self._pending.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain(self) -> None:
        while self._pending:
            uid = next(iter(self._pending))
            await self._write(self._pending.pop(uid))

    async def _write(self, subject: Subject) -> None:
        subject.writing = True
        try:
            while not subject.gone:
                status = subject.status
                if status is not None and status != subject.reported:
                    await self._patch(subject, status)
                elif subject.finished:
                    await self._delete(subject)
                else:
                    return
        except StatusError as error:
            if is_not_found(error) or is_conflict(error):
                # deleted, or another pod of that name: our uid is a precondition
                subject.gone = True
                return
            log.warning("status of pod %s: %s", subject.pod.metadata.name, error.message)
            self._retry(subject)
        except OSError as error:
            log.warning("status of pod %s: %s", subject.pod.metadata.name, error)
            self._retry(subject)
        except Exception:
            log.exception("status of pod %s", subject.pod.metadata.name)
            self._retry(subject)
        finally:
            subject.writing = False

    def _retry(self, subject: Subject) -> None:
        client = self._client_of(subject.pod.spec.nodeName)
        seconds = client.world.chance.jitter(RETRY_SECONDS)
        asyncio.get_running_loop().call_later(seconds, self.put, subject)

    async def _patch(self, subject: Subject, status: Status) -> None:
        meta = subject.pod.metadata
        body = {"metadata": {"uid": subject.uid}, "status": changes(status, subject.reported)}
        client = self._client_of(subject.pod.spec.nodeName)
        await client.patch(POD, meta.name, meta.namespace, body, kind="strategic", subresource="status")
        subject.reported = status

    async def _delete(self, subject: Subject) -> None:
        meta = subject.pod.metadata
        client = self._client_of(subject.pod.spec.nodeName)
        await client.delete(POD, meta.name, meta.namespace, uid=subject.uid, grace=0)
        subject.gone = True
