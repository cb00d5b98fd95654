"""The Available condition of APIServices: is the service there, has it endpoints, does it answer discovery?

Checked when an APIService, its service or that one's endpoints change, and every half minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from knarr.api.conditions import put_condition
from knarr.apiserver.aggregation.conditions import condition
from knarr.apiserver.aggregation.extension import HTTPS_PORT, Extensions
from knarr.egress import EgressError
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.registry import endpoints
from knarr.registry.registry import Registry
from knarr.watchcache import Watcher

log = logging.getLogger("knarr.aggregation")

Object = dict[str, Any]
GROUP, RESOURCE = "apiregistration.k8s.io", "apiservices"
RESYNC_SECONDS = 30.0
RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 0.005, 30.0
#: how often at once an extension server is asked; one good answer is enough
ATTEMPTS = 5
CHECK_SECONDS = 5.0


class Verdict(NamedTuple):
    """What the condition should say; `failed` is worth another try soon."""

    status: str
    reason: str
    message: str
    failed: bool = False


LOCAL = Verdict("True", "Local", "Local APIServices are always available")
PASSED = Verdict("True", "Passed", "all checks passed")


class Availability:
    """`services` are all APIServices by name, kept up to date by who owns this."""

    def __init__(
        self,
        registry: Registry,
        extensions: Extensions,
        services: Mapping[str, Object],
        passed: Callable[[str], None],
    ) -> None:
        """`passed(name)` is called after each check that found an extension server well."""
        self._registry, self._extensions, self._services = registry, extensions, services
        self._passed = passed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        #: (namespace, service) -> the APIServices behind it
        self._behind: dict[tuple[str, str], set[str]] = {}
        self._watchers: list[Watcher] = []
        self._closed = False
        #: how often each became unavailable, by (name, reason)
        self.losses: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        for watcher in self._watchers:
            watcher.close()

    # -- when ------------------------------------------------------------------------------------------------

    def changed(self, name: str) -> None:
        """An APIService was written or is gone."""
        self._behind = {}
        for known, service in self._services.items():
            if (place := service["spec"].get("service")) is not None:
                self._behind.setdefault((place["namespace"], place["name"]), set()).add(known)
        if self._behind and not self._watchers:
            self._watchers = [
                self._registry.storage("", "services").cacher.subscribe(self._services_changed),
                self._registry.storage("discovery.k8s.io", "endpointslices").cacher.subscribe(
                    self._slices_changed
                ),
            ]
        self._enqueue(name)

    def _services_changed(self, batch: list[Any]) -> None:
        if self._behind:
            for _, entry, _ in batch:
                for name in self._behind.get((entry.namespace, entry.name), ()):
                    self._enqueue(name)

    def _slices_changed(self, batch: list[Any]) -> None:
        if self._behind:
            for _, entry, _ in batch:
                service = entry.labels.get(endpoints.SERVICE_NAME, "")
                for name in self._behind.get((entry.namespace, service), ()):
                    self._enqueue(name)

    def _enqueue(self, name: str) -> None:
        if self._closed:
            return
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        if name in self._tasks:
            self._again.add(name)
        else:
            self._tasks[name] = asyncio.ensure_future(self._work(name))

    async def _work(self, name: str) -> None:
        try:
            while True:
                self._again.discard(name)
                failed = await self._sync(name)
                if name not in self._again:
                    break
        finally:
            self._tasks.pop(name, None)
        service = self._services.get(name)
        if service is None or service["spec"].get("service") is None or self._closed:
            self._failures.pop(name, None)
            return
        delay = RESYNC_SECONDS
        if failed:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            delay = min(RETRY_SECONDS_MIN * 2 ** min(failures - 1, 20), RETRY_SECONDS_MAX)
        else:
            self._failures.pop(name, None)
        self._timers[name] = asyncio.get_running_loop().call_later(delay, self._enqueue, name)

    # -- what ------------------------------------------------------------------------------------------------

    async def _sync(self, name: str) -> bool:
        """Bring the condition up to date; whether to try again soon."""
        service = self._services.get(name)
        if service is None:
            return False
        try:
            verdict = await self._verdict(service)
            if self._services.get(name) is service:
                await self._write(service, verdict)
        except StatusError as error:
            if error.code not in (404, 409):
                log.warning("APIService %s: %s", name, error)
            return error.code != 404
        if verdict is PASSED:
            self._passed(name)
        return verdict.failed

    async def _verdict(self, service: Object) -> Verdict:
        spec = service["spec"]
        place = spec.get("service")
        if place is None:
            return LOCAL
        return self._reachable(place) or await self._answers(service)

    def _reachable(self, place: Object) -> Verdict | None:
        """What the objects say against it; None where nothing does."""
        namespace, name, port = place["namespace"], place["name"], place.get("port") or HTTPS_PORT
        service = self._registry.get("", "services", namespace, name)
        if service is None:
            return Verdict("False", "ServiceNotFound", f'service/{name} in "{namespace}" is not present')
        if service["spec"].get("type", "ClusterIP") != "ClusterIP":
            return None
        found = endpoints.port_of(service, port)
        if found is None:
            message = f'service/{name} in "{namespace}" is not listening on port {port}'
            return Verdict("False", "ServicePortError", message)
        if not endpoints.exist(self._registry, namespace, name):
            message = f'cannot find endpointslices for service/{name} in "{namespace}"'
            return Verdict("False", "EndpointsNotFound", message)
        port_name = found.get("name") or ""
        if next(endpoints.ready(self._registry, namespace, name, port_name), None) is None:
            message = f'endpointslices for service/{name} in "{namespace}" have no addresses with port name "{port_name}"'
            return Verdict("False", "MissingEndpoints", message)
        return None

    async def _answers(self, service: Object) -> Verdict:
        """Whether discovery works. TLS is not verified here: the condition is no secret."""
        spec = service["spec"]
        path = f"/apis/{spec['group']}/{spec['version']}" if spec.get("group") else f"/api/{spec['version']}"
        attempts = [asyncio.ensure_future(self._attempt(spec, path)) for _ in range(ATTEMPTS)]
        error = ""
        try:
            for attempt in asyncio.as_completed(attempts):
                error = await attempt
                if not error:
                    return PASSED
        finally:
            for task in attempts:
                task.cancel()
        return Verdict("False", "FailedDiscoveryCheck", error, failed=True)

    async def _attempt(self, spec: Object, path: str) -> str:
        """What is wrong; "" for a good answer."""
        try:
            route = await self._extensions.route(spec)
        except EgressError as error:
            return str(error)
        url = f"https://{route.shown}{path}"
        try:
            answer = await self._extensions.fetch(spec, path, verified=False, timeout=CHECK_SECONDS)
        except EgressError as error:
            return f"failing or missing response from {url}: {error}"
        if not 200 <= answer.code < 300:
            return f"failing or missing response from {url}: bad status from {url}: {answer.code}"
        return ""

    async def _write(self, service: Object, verdict: Verdict) -> None:
        now = condition(service)
        if now is not None and (now.get("status"), now.get("reason"), now.get("message")) == verdict[:3]:
            return
        if now is not None and now.get("status") == "True" and verdict.status != "True":
            lost = service["metadata"]["name"], verdict.reason
            self.losses[lost] = self.losses.get(lost, 0) + 1
        wanted = {
            "type": "Available",
            "status": verdict.status,
            "lastTransitionTime": times.format(self._registry.world.clock.now()),
            "reason": verdict.reason,
            "message": verdict.message,
        }
        new = orjson.loads(orjson.dumps(service))
        new["status"] = new.get("status") or {}
        put_condition(new["status"], wanted)
        await self._registry.update(GROUP, RESOURCE, new, "status")
