"""ResourceQuota: nothing is created beyond what its namespace may have.

Requests of one namespace that arrive together are judged one after another against the same numbers, and what they
take is written to the quotas' status once for all of them before any of them goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from functools import partial

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.admission.quota import amounts, scopes, usage
from knarr.admission.quota.amounts import Amounts
from knarr.meta import errors
from knarr.registry.reader import Reader
from knarr.world.clock import Clock

#: times a quota is read again because somebody else wrote it
TRIES = 4
#: objects whose growth counts, not only their creation
GROWING = {
    ("", "pods"): "resize",
    ("", "services"): "",
    ("", "persistentvolumeclaims"): "",
    ("resource.k8s.io", "resourceclaims"): "",
}


@dataclass(eq=False)
class _Waiting:
    """One request that waits for its reservation."""

    attributes: Attributes
    done: asyncio.Future[None]


@dataclass(eq=False)
class _Desk:
    """The queue of one namespace; bounded by the requests in flight."""

    queue: list[_Waiting] = field(default_factory=list)
    busy: bool = False
    server: asyncio.Task[None] | None = None


class ResourceQuota(Plugin):
    name = "ResourceQuota"

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._others = usage.Others(self._resource_of_class, partial(reader.get, "", "pods"))
        self._desks: dict[str, _Desk] = {}
        #: what was written last, until the watch cache has it
        self._written: dict[tuple[str, str], Object] = {}

    def handles(self, target: Target) -> bool:
        if target.operation == CREATE:
            return not target.subresource
        if target.operation != UPDATE:
            return False
        return GROWING.get((target.group, target.resource)) == target.subresource

    def validate(self, a: Attributes) -> Awaitable[None] | None:
        if not a.namespace or not self._concerned(a):
            return None
        return self._reserve(a)

    # -- the queue ---------------------------------------------------------------------------------------

    async def _reserve(self, a: Attributes) -> None:
        desk = self._desks.setdefault(a.namespace, _Desk())
        waiting = _Waiting(a, asyncio.get_running_loop().create_future())
        desk.queue.append(waiting)
        if not desk.busy:
            desk.busy = True
            # a task of its own: the first one's client may hang up while others wait for the same write
            task = asyncio.get_running_loop().create_task(self._serve(a.namespace, desk))
            desk.server = task
        await waiting.done

    async def _serve(self, namespace: str, desk: _Desk) -> None:
        try:
            while desk.queue:
                batch, desk.queue = desk.queue, []
                try:
                    await self._settle(namespace, batch)
                except asyncio.CancelledError as end:
                    _answer([*batch, *desk.queue], end)
                    raise
                except Exception as error:  # theirs to report: each of them gets it
                    _answer(batch, error)
        finally:
            desk.busy = False
            if not desk.queue:
                self._desks.pop(namespace, None)

    async def _settle(self, namespace: str, batch: list[_Waiting]) -> None:
        """Judge a batch, write, answer; judge again those whose quota somebody else wrote meanwhile."""
        for attempt in range(TRIES):
            taken: dict[str, Amounts] = {}
            quotas = {q["metadata"]["name"]: q for q in self._quotas(namespace)}
            accepted: list[tuple[_Waiting, list[str]]] = []
            for waiting in batch:
                if waiting.done.done():
                    continue  # its client hung up
                try:
                    accepted.append((waiting, self._charge(waiting.attributes, quotas, taken)))
                except errors.StatusError as refusal:
                    waiting.done.set_exception(refusal)
            failed: dict[str, errors.StatusError] = {}
            for name in sorted(taken):
                try:
                    await self._write(quotas[name], taken[name])
                except errors.StatusError as error:
                    failed[name] = error
            again = []
            for waiting, names in accepted:
                errors_met = [failed[n] for n in names if n in failed]
                if not errors_met:
                    _answer([waiting], None)
                elif attempt == TRIES - 1:
                    _answer([waiting], errors_met[0])
                else:
                    again.append(waiting)
            if not again:
                return
            batch = again

    async def _write(self, quota: Object, used: Amounts) -> None:
        status = {**(quota.get("status") or {}), "used": {n: str(q) for n, q in sorted(used.items())}}
        written = await self._reader.update("", "resourcequotas", quota | {"status": status}, "status")
        metadata = written["metadata"]
        self._written[metadata["namespace"], metadata["name"]] = written

    # -- judging -----------------------------------------------------------------------------------------

    def _quotas(self, namespace: str) -> Iterable[Object]:
        """In the order of their names; our own last write where the watch cache does not have it yet."""
        for quota in self._reader.list("", "resourcequotas", namespace):
            key = namespace, quota["metadata"]["name"]
            ours = self._written.get(key)
            if ours is None:
                yield quota
            elif ours["metadata"].get("uid") == quota["metadata"].get("uid") and _version(ours) > _version(
                quota
            ):
                yield ours
            else:
                del self._written[key]
                yield quota

    def _concerned(self, a: Attributes) -> bool:
        return any(self._matches(a, quota) for quota in self._quotas(a.namespace))

    def _matches(self, a: Attributes, quota: Object) -> list[str]:
        """The resources of a quota that the object counts for; none if its scopes leave the object out."""
        request = a.request
        hard = (quota.get("status") or {}).get("hard") or {}
        names = [name for name in hard if usage.tracks(request.group, request.resource, name)]
        return names if names and scopes.in_scope(quota, request.group, request.resource, a.obj) else []

    def _charge(self, a: Attributes, quotas: dict[str, Object], taken: dict[str, Amounts]) -> list[str]:
        """Check one request and note in `taken` (the new usage by quota) what it takes; 403 if it does not fit.

        Returns the names of the quotas it is charged to.
        """
        concerned = {name: self._matches(a, quota) for name, quota in quotas.items()}
        concerned = {name: names for name, names in concerned.items() if names}
        for name, names in concerned.items():
            self._check_explicit(a, name, names)
            known = (quotas[name].get("status") or {}).get("used") or {}
            if any(n not in known for n in names):
                raise a.forbidden(f"status unknown for quota: {name}, resources: {','.join(sorted(names))}")
        more = self._growth(a)
        charges: dict[str, Amounts] = {}
        for name in concerned:
            status = quotas[name]["status"]
            hard, used = amounts.parse(status["hard"]), taken.get(name) or amounts.parse(status["used"])
            requested = amounts.only(more, hard)
            if not requested:
                continue
            new = amounts.add(used, requested)
            exceeded = amounts.beyond(amounts.only(new, requested), hard)
            if exceeded:
                shown = [amounts.show(amounts.only(x, exceeded)) for x in (requested, used, hard)]
                raise a.forbidden(
                    f"exceeded quota: {name}, requested: {shown[0]}, used: {shown[1]}, limited: {shown[2]}"
                )
            charges[name] = new
        if not a.dry_run:
            taken.update(charges)
        return list(charges)

    def _growth(self, a: Attributes) -> Amounts:
        group, resource, now = a.request.group, a.request.resource, self._clock.now()
        new = usage.usage(group, resource, a.obj, now, self._others)
        old = usage.usage(group, resource, a.old, now, self._others) if a.operation == UPDATE else {}
        return amounts.growth(new, old)

    def _resource_of_class(self, name: str) -> str:
        found = self._reader.get("resource.k8s.io", "deviceclasses", "", name)
        return (found or {}).get("spec", {}).get("extendedResourceName", "")

    @staticmethod
    def _check_explicit(a: Attributes, quota: str, names: list[str]) -> None:
        if (a.request.group, a.request.resource) != ("", "pods"):
            return
        missing = usage.unspecified(a.obj, names)
        if missing:
            words = "; ".join(f"{n} for: {','.join(sorted(set(missing[n])))}" for n in sorted(missing))
            raise a.forbidden(f"failed quota: {quota}: must specify {words}")


def _answer(batch: Iterable[_Waiting], error: BaseException | None) -> None:
    for waiting in batch:
        if waiting.done.done():
            continue
        if error is None:
            waiting.done.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            waiting.done.cancel()
        else:
            waiting.done.set_exception(error)


def _version(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)
