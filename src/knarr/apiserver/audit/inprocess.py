"""The clients of this process in the audit log: controllers, scheduler and kubelets are recorded as if they had come
over the loopback interface, because in a cluster whose parts are processes they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from knarr.apiserver.audit.auditor import Auditor, Trail
from knarr.auth.identity import ALL_AUTHENTICATED
from knarr.auth.satokens import group_names, split_username
from knarr.client.http import path_of
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry.context import LOOPBACK, Request, UserInfo
from knarr.registry.local import Call, LocalAPI
from knarr.world import World, chance

if TYPE_CHECKING:
    from knarr.api.resources import Resource

LOOPBACK_IP = "127.0.0.1"
#: nobody asks whether the parts of the control plane may
ALLOWED = {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}


class AuditedAPI:
    """A LocalAPI (`client.inprocess.API`) whose calls are recorded."""

    def __init__(self, local: LocalAPI, auditor: Auditor, world: World) -> None:
        self._local, self._auditor, self._clock = local, auditor, world.clock
        self._draw = chance()

    async def call(self, call: Call) -> bytes:
        request = self._local.request_of(call)
        trail = self._begin(request, call.resource, call.query)
        if trail is None:
            return (await self._local.carry_out(request, call)).body
        request.audit = trail.record
        if not await trail.received():
            raise errors.internal("failed to store audit event")
        try:
            result = await self._local.carry_out(request, call)
            trail.record.object_answered(result.body)
            trail.answered(result.code)
            return result.body
        except StatusError as error:
            trail.record.object_answered(orjson.dumps(error.status))
            trail.answered(error.code)
            raise
        except Exception as error:
            trail.panicked(error)
            raise
        finally:
            await trail.complete()

    def _begin(
        self, request: Request, row: Resource, query: Mapping[str, str], watch: bool = False
    ) -> Trail | None:
        request.annotations.update(ALLOWED)
        path = path_of(row, request.namespace, request.name, request.subresource)
        uri = f"{path}?{urlencode(query)}" if query else path
        return self._auditor.begin(
            request, path, uri, [LOOPBACK_IP], self._draw.uid(), watch, self._clock.now()
        )

    async def raw(self, path: str, query: Mapping[str, str]) -> bytes:
        return await self._local.raw(path, query)

    async def subscribe(
        self,
        resource: Any,
        namespace: str,
        label_selector: str,
        field_selector: str,
        since_revision: int | None,
        callback: Callable[..., None],
        closed: Callable[[StatusError | None], None],
        user: str = "",
    ) -> Any:
        """A watch from its beginning to its end."""
        what = resource, namespace, label_selector, field_selector, since_revision, callback
        r = resource
        request = Request("watch", "", r.group, r.version, r.name, namespace=namespace, user=identity(user))
        query = {"watch": "true", "labelSelector": label_selector, "fieldSelector": field_selector}
        trail = self._begin(request, resource, {k: v for k, v in query.items() if v}, watch=True)
        if trail is None:
            return await self._local.subscribe(*what, closed, user)
        await trail.received()
        end = _End(trail, closed)
        try:
            inner = await self._local.subscribe(*what, end.by_server, user)
        except StatusError as error:
            trail.record.object_answered(orjson.dumps(error.status))
            trail.answered(error.code)
            await trail.complete()
            raise
        trail.answered(200)
        return _Subscription(inner, end)


def identity(user: str) -> UserInfo:
    """Who watches: a subscription says no more than the name."""
    if not user:
        return LOOPBACK
    account = split_username(user)
    groups = group_names(account[0]) if account is not None else ()
    return UserInfo(user, groups=(*groups, ALL_AUTHENTICATED))


class _End:
    """The end of a watch, whoever brings it about."""

    def __init__(self, trail: Trail, closed: Callable[[StatusError | None], None]) -> None:
        self._trail, self._closed = trail, closed

    def by_server(self, error: StatusError | None) -> None:
        self.come()
        self._closed(error)

    def come(self) -> None:
        self._trail.complete_behind()


class _Subscription:
    def __init__(self, inner: Any, end: _End) -> None:
        self._inner, self._end = inner, end

    def close(self) -> None:
        self._end.come()
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
