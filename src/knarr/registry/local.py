"""The registry as clients in this process meet it: the same verbs and rules, no HTTP and no authorization.

Implements `client.inprocess.API` (a sibling layer, so only its shape is known here).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from knarr.meta import errors, fields, labels
from knarr.registry.context import LOOPBACK, Request, UserInfo
from knarr.registry.custom.subscription import ConvertedSubscription
from knarr.registry.operations import Operations
from knarr.registry.result import Result
from knarr.registry.storage import View
from knarr.watchcache import Entry, Selection

EntryEvent = tuple[str, Entry, Entry | None]


class Call(Protocol):
    """`client.inprocess.Call`."""

    verb: str
    resource: Any
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    body: bytes | None
    content_type: str
    user: str
    groups: tuple[str, ...]
    user_agent: str


class Elsewhere(Protocol):
    """What other API servers serve."""

    async def call(self, request: Request, row: Any, body: bytes, content_type: str) -> Any: ...

    async def raw(self, path: str, query: Mapping[str, str], user: UserInfo) -> bytes: ...

    def subscribe(
        self,
        row: Any,
        namespace: str,
        query: Mapping[str, str],
        since_revision: int | None,
        user: UserInfo,
        callback: Callable[[list[Any]], None],
        closed: Callable[[errors.StatusError | None], None],
    ) -> Any: ...


class Others(Protocol):
    """`apiserver.aggregation.Aggregation`: which other servers there are, and the way to them."""

    @property
    def remote(self) -> Mapping[tuple[str, str], Any]: ...

    @property
    def api(self) -> Elsewhere: ...


class LocalAPI:
    """Requests and subscriptions of one process's own clients."""

    def __init__(self, operations: Operations, others: Others | None = None) -> None:
        self._operations, self._others = operations, others
        #: the groups and versions that other API servers serve
        self._remote: Mapping[tuple[str, str], Any] = {} if others is None else others.remote

    def _elsewhere(self, group: str, version: str) -> Elsewhere | None:
        """The way to the server that serves them; None where that is this one."""
        if self._others is None or (group, version) not in self._remote:
            return None
        return self._others.api

    async def call(self, call: Call) -> bytes:
        """The body of the answer; raises StatusError."""
        return (await self.carry_out(self.request_of(call), call)).body

    async def carry_out(self, request: Request, call: Call) -> Result:
        """The answer to a request that `request_of` made of the call; raises StatusError."""
        elsewhere = self._elsewhere(request.group, request.version)
        if elsewhere is not None:
            return await elsewhere.call(request, call.resource, call.body or b"", call.content_type)
        return await self._operations.serve(request, call.body or b"", call.content_type)

    def request_of(self, call: Call) -> Request:
        """The call as the registry takes it."""
        row = call.resource
        request = Request(
            call.verb,
            "",
            row.group,
            row.version,
            row.name,
            call.subresource,
            call.namespace,
            call.name,
            _identity(call.user, call.groups),
            call.user_agent,
            # Bodies are encoded from objects here in this process.
            field_validation="Ignore",
            quiet=True,
            query=dict(call.query),
        )
        if call.verb == "create" and not call.subresource:
            request.name = ""
        request.metadata_only = (
            not call.subresource and call.verb not in ("create", "update") and knows_metadata_only(call.user)
        )
        return request

    async def raw(self, path: str, query: Mapping[str, str]) -> bytes:
        """A document of another server; what is ours, controllers know."""
        if self._others is None or not self._remote:
            raise errors.page_not_found()
        return await self._others.api.raw(path, query, LOOPBACK)

    async def subscribe(
        self,
        resource: Any,
        namespace: str,
        label_selector: str,
        field_selector: str,
        since_revision: int | None,
        callback: Callable[[list[EntryEvent]], None],
        closed: Callable[[errors.StatusError | None], None],
        user: str = "",
    ) -> Any:
        """See `client.inprocess.API.subscribe`; views of another version get their own entries."""
        elsewhere = self._elsewhere(resource.group, resource.version)
        if elsewhere is not None:
            selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
            query = {name: text for name, text in selectors.items() if text}
            return elsewhere.subscribe(
                resource, namespace, query, since_revision, _identity(user), callback, closed
            )
        view = self._operations.registry.view(resource.group, resource.version, resource.name)
        if view is None:
            raise errors.page_not_found()
        cacher = view.storage.cacher
        await cacher.fill()
        try:
            selection = Selection(
                namespace,
                "",
                labels.parse(label_selector) if label_selector else None,
                fields.parse(field_selector) if field_selector else None,
            )
        except ValueError as error:
            raise errors.bad_request(str(error)) from None
        if view.conversion is not None and not knows_metadata_only(user):
            return ConvertedSubscription(view, selection, since_revision, callback, closed)
        deliver = callback if view.to_served is None else _converted(view, callback)
        return cacher.subscribe(deliver, selection, since=since_revision, closed=lambda why: closed(None))


def _identity(user: str, groups: tuple[str, ...] = ()) -> UserInfo:
    return UserInfo(user, groups=groups) if user else LOOPBACK


def knows_metadata_only(user: str) -> bool:
    """Whether this is a controller of the control plane: those know custom resources by their metadata, or by their
    scale, and must go on where a conversion webhook does not."""
    return user.startswith(("system:serviceaccount:kube-system:", "system:kube-controller-manager"))


class _Served:
    """An entry in another version than the stored one."""

    def __init__(self, view: View, entry: Entry) -> None:
        self._view, self._entry = view, entry
        self.namespace, self.name, self.mod_revision = entry.namespace, entry.name, entry.mod_revision

    @property
    def body(self) -> bytes:
        return self._view.served(self._entry.value, self.mod_revision)

    def cached(self, key: Any, builder: Callable[[bytes, int], Any]) -> Any:
        return self._entry.cached(
            (self._view.row.api_version, key), lambda value, revision: builder(self.body, revision)
        )


def _converted(view: View, callback: Callable[[list[Any]], None]) -> Callable[[list[EntryEvent]], None]:
    def deliver(batch: list[EntryEvent]) -> None:
        callback(
            [
                (type_, _Served(view, entry), _Served(view, prev) if prev else None)
                for type_, entry, prev in batch
            ]
        )

    return deliver
