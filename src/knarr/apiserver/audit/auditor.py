"""`Auditor`: one per server that has a policy; the handler tells it of each stage of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from knarr.apiserver.audit import policy as policies
from knarr.apiserver.audit.backends import Backend, Failures, Sent, Union, log_backend, webhook_backend
from knarr.apiserver.audit.event import LEVEL_NAMES, Record, source_ips
from knarr.apiserver.audit.options import AuditError, AuditOptions
from knarr.apiserver.audit.policy import COMPLETE, NONE, PANIC, RECEIVED, STARTED, Policy
from knarr.registry.context import Request
from knarr.world import World

if TYPE_CHECKING:
    from knarr.apiserver.exchange import Exchange

NOT_STORED = "failed to store audit event"
CLOSED_EARLY = {"status": "Success", "message": "Connection closed early", "code": 200}


def open_auditor(options: AuditOptions, world: World) -> Auditor | None:
    """None where nothing is to be recorded. Raises AuditError."""
    from knarr.client.kubeconfig import KubeconfigError

    options.check()
    if not options.policy_file:
        return None
    policy = policies.load(options.policy_file)
    failures = Failures()
    backends: list[Backend] = []
    if options.log.path:
        backends.append(log_backend(options.log, failures, world))
    if options.webhook.config_file:
        try:
            backends.append(webhook_backend(options.webhook, failures, world))
        except KubeconfigError as error:
            raise AuditError(f"initializing audit webhook: {error}") from None
    return Auditor(policy, backends, failures, world) if backends else None


class Auditor:
    """The policy and where events go. Counts what /metrics shows as apiserver_audit_*."""

    def __init__(self, policy: Policy, backends: list[Backend], failures: Failures, world: World) -> None:
        self._policy, self._world, self.failures = policy, world, failures
        self._backend: Backend = backends[0] if len(backends) == 1 else Union(backends)
        self._tasks: set[asyncio.Future[bool]] = set()
        self.events = 0
        self.rejected = 0
        self.levels: dict[str, int] = {}

    # -- requests over HTTP ---------------------------------------------------------------------------------

    def open(self, x: Exchange) -> Trail | None:
        """The trail of a request whose user is known (or was refused); None where the policy wants none."""
        http = x.http
        sources = source_ips(http.headers, http.remote)
        trail = self.begin(x.request, http.path, http.uri, sources, x.audit_id, x.long_running, x.received)
        if trail is not None:
            x.request.audit = trail.record
            http.on_answer = trail.answered
        return trail

    def begin(
        self,
        request: Request,
        path: str,
        uri: str,
        sources: list[str],
        audit_id: str,
        long_running: bool,
        received: float,
    ) -> Trail | None:
        verdict = self._policy.evaluate(request, path)
        name = LEVEL_NAMES[verdict.level]
        self.levels[name] = self.levels.get(name, 0) + 1
        if verdict.level == NONE:
            return None
        return Trail(self, Record(request, verdict, audit_id, uri, sources, received), long_running)

    # -- stages ---------------------------------------------------------------------------------------------

    def stage(self, record: Record, stage: str) -> Sent:
        """Send the event of a stage, unless the rule leaves it out."""
        if stage in record.verdict.omit_stages:
            return True
        self.events += 1
        sent = self._backend.send([record.event(stage, self._world.clock.now())])
        if isinstance(sent, bool):
            return sent
        # A task of its own: who waits for it may go away, and the end of the server waits for all of them.
        task = asyncio.ensure_future(sent)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Everything that was begun is sent. Nothing may come after."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._backend.close()

    # -- numbers ----------------------------------------------------------------------------------------------

    def metrics(self) -> Iterator[tuple[str, str, list[tuple[dict[str, str], float]]]]:
        """(name, help, samples) of the counters."""
        yield (
            "apiserver_audit_event_total",
            "Counter of audit events generated and sent to the audit backend.",
            [({}, self.events)],
        )
        yield (
            "apiserver_audit_error_total",
            "Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.",
            [({"plugin": plugin}, count) for plugin, count in self.failures.counts.items()],
        )
        yield (
            "apiserver_audit_level_total",
            "Counter of policy levels for audit events (1 per request).",
            [({"level": level}, count) for level, count in self.levels.items()],
        )
        yield (
            "apiserver_audit_requests_rejected_total",
            "Counter of apiserver requests rejected due to an error in audit logging backend.",
            [({}, self.rejected)],
        )


class Trail:
    """One request's way through the stages."""

    __slots__ = ("_auditor", "_ended", "_long_running", "_refused", "_started", "record")

    def __init__(self, auditor: Auditor, record: Record, long_running: bool) -> None:
        self._auditor, self.record, self._long_running = auditor, record, long_running
        self._started = self._ended = self._refused = False

    async def received(self) -> bool:
        """False where the event could not be stored and the request must not go on."""
        sent = self._auditor.stage(self.record, RECEIVED)
        ok = sent if isinstance(sent, bool) else await sent
        if not ok:
            self._auditor.rejected += 1
        return ok

    def answered(self, code: int) -> None:
        """The head of the answer is being written."""
        self.record.answered(code)
        if self._long_running and not self._started:
            self._started = True
            self._ended = self._refused
            self._auditor.stage(self.record, STARTED)

    def refused(self) -> None:
        """The sender could not be authenticated: the answer's beginning is the one event of such a request."""
        self._refused = self._long_running = True

    async def complete(self) -> None:
        """The request is answered, or its sender went away."""
        if self._ended:
            return
        self._ended = True
        record = self.record
        if record.status is None:
            record.status = dict(CLOSED_EARLY)
            if self._long_running:
                self._auditor.stage(record, STARTED)
        sent = self._auditor.stage(record, COMPLETE)
        if not isinstance(sent, bool):
            await sent

    def complete_behind(self) -> None:
        """`complete` for who cannot wait."""
        if not self._ended:
            self._ended = True
            self._auditor.stage(self.record, COMPLETE)

    def panicked(self, error: BaseException) -> None:
        if self._ended:
            return
        self._ended = True
        self.record.status = {
            "status": "Failure",
            "message": f"APIServer panic'd: {error}",
            "reason": "InternalError",
            "code": 500,
        }
        self._auditor.stage(self.record, PANIC)
