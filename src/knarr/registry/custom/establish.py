"""Follows CustomResourceDefinitions: accepts their names, serves them, and empties them when they are deleted.

Part of the API server. Each change of a definition is served at once (`_serve` is called by the write itself); what has
to be written in answer to it (conditions, the cleanup) follows in a task, one definition after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import orjson

from knarr.api.conditions import put_condition
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.registry.context import LOOPBACK, Request
from knarr.registry.custom import names, scale, views, webhook
from knarr.registry.custom.views import Definition
from knarr.registry.custom.webhookcounts import WebhookCounts
from knarr.registry.delete import delete
from knarr.registry.hooks import AdmitAll
from knarr.registry.operations import Operations
from knarr.registry.options import DeleteOptions

log = logging.getLogger("knarr.customresources")

Object = dict[str, Any]
GROUP, RESOURCE = "apiextensions.k8s.io", "customresourcedefinitions"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
RETRY_SECONDS = 1.0
DELETION_IN_PROGRESS = names.condition(
    "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
)
DELETION_COMPLETED = names.condition(
    "Terminating", "False", "InstanceDeletionCompleted", "removed all instances"
)
#: objects that are still there after this long are told of; then their deletion begins anew
CHECK_SECONDS = 60.0
DELETION_CHECK = names.condition(
    "Terminating",
    "True",
    "InstanceDeletionCheck",
    "could not confirm zero CustomResources remaining: timed out waiting for the condition",
)
NEVER_ESTABLISHED = names.condition(
    "Terminating", "False", "NeverEstablished", "resource was never established"
)


class CustomResources:
    """The custom resources of one API server.

    `changed()` is called after anything that is served changed; `post` reaches conversion webhooks.
    """

    def __init__(
        self,
        operations: Operations,
        changed: Callable[[], None] = lambda: None,
        post: webhook.Post | None = None,
    ) -> None:
        self.operations, self.registry = operations, operations.registry
        self._changed, self._post = changed, post
        self.webhook_counts = WebhookCounts()
        self._crds: dict[str, Object] = {}
        #: what is served, by name of the definition, with the parts of the definition it was made from
        self.definitions: dict[str, Definition] = {}
        self._made_from: dict[str, bytes] = {}
        #: definitions whose last object is waited for
        self._emptying: set[str] = set()
        #: when it is looked at again whether anything is left of them
        self._checks: dict[str, asyncio.TimerHandle] = {}
        self._waiting: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Serve what is established already and follow changes from here on."""
        self.registry.subscribe(GROUP, RESOURCE, self._event)

    def close(self) -> None:
        self._closed = True
        for timer in self._checks.values():
            timer.cancel()
        if self._task is not None:
            self._task.cancel()

    # -- serving ------------------------------------------------------------------------------------------

    def _event(self, type_: str, crd: Object) -> None:
        name = crd["metadata"]["name"]
        if type_ == "DELETED":
            self._crds.pop(name, None)
            self._stop_serving(name)
            self._enqueue(*self._group(crd["spec"]["group"]))
            return
        self._crds[name] = crd
        self._serve(name, crd)
        self._enqueue(name)

    def _group(self, group: str) -> list[str]:
        return [name for name, crd in self._crds.items() if crd["spec"]["group"] == group]

    def _serve(self, name: str, crd: Object) -> None:
        if not names.is_true(crd, "Established"):
            self._stop_serving(name)
            return
        terminating = "deletionTimestamp" in crd["metadata"]
        parts = orjson.dumps([crd["metadata"]["uid"], crd["spec"], crd["status"].get("acceptedNames")])
        if self._made_from.get(name) != parts:
            self._stop_serving(name)
            definition = Definition(crd, self._webhook(crd))
            key = f"/registry/{GROUP}/{RESOURCE}/{name}".encode()
            entry = self.registry.storage(GROUP, RESOURCE).cacher.get(key)
            floor = entry.kv.create_revision if entry is not None else 0
            views.install(self.registry, definition, floor, terminating)
            scale.register(self.operations, definition)
            self.definitions[name], self._made_from[name] = definition, parts
            self._changed()
        elif terminating:
            self._mark_terminating(self.definitions[name])

    def _webhook(self, crd: Object) -> webhook.ConversionWebhook | None:
        strategy = (crd["spec"].get("conversion") or {}).get("strategy")
        if strategy != "Webhook" or self._post is None:
            return None
        world = self.registry.world
        return webhook.ConversionWebhook(crd, self._post, world.chance.uid, self.webhook_counts, world.clock)

    def _mark_terminating(self, definition: Definition) -> None:
        for version in definition.served:
            view = self.registry.custom[definition.group, version["name"], definition.plural]
            view.kind.terminating = True  # type: ignore[attr-defined]

    def _stop_serving(self, name: str) -> None:
        definition = self.definitions.pop(name, None)
        self._made_from.pop(name, None)
        if definition is not None:
            views.remove(self.registry, definition)
            self.registry.handlers.pop((definition.group, definition.plural, "scale"), None)
            self._changed()

    # -- writing ------------------------------------------------------------------------------------------

    def _enqueue(self, *crds: str) -> None:
        self._waiting.update(dict.fromkeys(crds))
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._waiting:
            name = next(iter(self._waiting))
            del self._waiting[name]
            crd = self._crds.get(name)
            if crd is None:
                continue
            try:
                await self._sync(crd)
            except StatusError as error:
                if error.code not in (404, 409):
                    log.warning("custom resource definition %s: %s", name, error)
                    await asyncio.sleep(RETRY_SECONDS)
                # A conflict means that a newer definition is already waiting, or about to.
                if error.code != 404 and self._crds.get(name) is not None:
                    self._waiting[name] = None
                    await asyncio.sleep(0)

    async def _sync(self, crd: Object) -> None:
        if "deletionTimestamp" in crd["metadata"]:
            if CLEANUP in (crd["metadata"].get("finalizers") or ()):
                await self._empty(crd)
            return
        decision = names.decide(crd, self._crds.values())
        conditions = [c for c in (names.approval(crd), decision.names_accepted, decision.established) if c]
        await self._write(crd, tuple(conditions), decision.accepted)

    async def _write(
        self,
        crd: Object,
        conditions: tuple[Object, ...],
        accepted: Object | None = None,
        release: bool = False,
    ) -> None:
        """Update the status, where that changes anything."""
        new = orjson.loads(orjson.dumps(crd))
        status = new.setdefault("status", {})
        now = times.format(self.registry.world.clock.now())
        for wanted in conditions:
            put_condition(status, names.timed(wanted, now))
        if accepted is not None:
            status["acceptedNames"] = accepted
        if release:
            finalizers = [f for f in new["metadata"].get("finalizers") or () if f != CLEANUP]
            new["metadata"]["finalizers"] = finalizers
            if not finalizers:
                del new["metadata"]["finalizers"]
        if new != crd:
            await self.registry.update(GROUP, RESOURCE, new, "status")

    # -- the end ------------------------------------------------------------------------------------------

    async def _empty(self, crd: Object) -> None:
        """Delete all objects; the finalizer goes with the last of them."""
        name = crd["metadata"]["name"]
        definition = self.definitions.get(name)
        if definition is None:
            await self._write(crd, (NEVER_ESTABLISHED,), release=True)
            return
        cacher = self.registry.storage(definition.group, definition.plural).cacher
        if name not in self._emptying:
            self._emptying.add(name)
            if name not in self._checks:
                cacher.subscribe(lambda batch: None if len(cacher) else self._enqueue(name))
            self._check_later(name)
            await self._write(crd, (DELETION_IN_PROGRESS,))
            self._enqueue(name)
        elif len(cacher) and self._checks[name].when() <= asyncio.get_running_loop().time():
            self._emptying.discard(name)
            await self._write(crd, (DELETION_CHECK,))
            self._enqueue(name)
        elif len(cacher):
            await self._delete_all(definition)
        else:
            self._checks.pop(name).cancel()
            self._emptying.discard(name)
            await self._write(self._crds[name], (DELETION_COMPLETED,), release=True)

    def _check_later(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        self._checks[name] = loop.call_later(CHECK_SECONDS, self._enqueue, name)

    async def _delete_all(self, definition: Definition) -> None:
        view = definition.stored
        assert view is not None
        for entry in view.storage.cacher.list():
            request = Request(
                "delete",
                "",
                view.row.group,
                view.row.version,
                view.row.name,
                "",
                entry.namespace,
                entry.name,
                LOOPBACK,
            )
            try:
                await delete(view, request, DeleteOptions(), AdmitAll())
            except StatusError as error:
                if error.code != 404:
                    raise
