"""Clients of this process and the groups that other API servers serve: what a controller asks of them goes there.

The garbage collector and the namespace controller look after objects of every kind, whoever keeps them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httptools
import orjson

from knarr.apiserver.aggregation.conditions import is_available
from knarr.apiserver.aggregation.extension import Extensions, Fetched, request_head
from knarr.apiserver.streaming import forward
from knarr.client.http import path_of
from knarr.egress import Answer, EgressError, refusal
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry.context import Request, UserInfo

if TYPE_CHECKING:
    from knarr.api.resources import Resource

Object = dict[str, Any]
METHODS = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
CALL_SECONDS = 60.0


class RemoteAPI:
    """`services` are the APIServices of other servers by group and version (`Aggregation.remote`)."""

    def __init__(self, services: Mapping[tuple[str, str], Object], extensions: Extensions) -> None:
        self._services, self._extensions = services, extensions

    def _spec(self, group: str, version: str) -> Object:
        """Raises 503 as a client would get it."""
        service = self._services.get((group, version))
        if service is None:
            raise errors.page_not_found()
        if not is_available(service):
            raise errors.unavailable("service unavailable")
        return service["spec"]

    async def call(self, request: Request, row: Resource, body: bytes, content_type: str) -> Fetched:
        """The answer to a request for one of their resources; raises StatusError."""
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = content_type
        path = path_of(row, request.namespace, request.name, request.subresource)
        return await self._fetch(
            self._spec(row.group, row.version),
            _target(path, request.query),
            request.user,
            METHODS.get(request.verb, "GET"),
            headers,
            body,
        )

    async def raw(self, path: str, query: Mapping[str, str], user: UserInfo) -> bytes:
        """A document below /apis/<group>/<version>; raises StatusError."""
        parts = path.split("/")
        group, version = (parts[2], parts[3]) if len(parts) > 3 and parts[1] == "apis" else ("", "")
        service = self._services.get((group, version))
        if service is not None and not is_available(service):
            raise errors.unavailable(f"stale GroupVersion discovery: {group}/{version}")
        answer = await self._fetch(
            self._spec(group, version), _target(path, query), user, "GET", {"Accept": "application/json"}, b""
        )
        return answer.body

    async def _fetch(
        self, spec: Object, target: str, user: UserInfo, method: str, headers: Mapping[str, str], body: bytes
    ) -> Fetched:
        try:
            answer = await self._extensions.fetch(
                spec, target, user=user, method=method, headers=headers, body=body, timeout=CALL_SECONDS
            )
        except EgressError as error:
            raise forward.unreachable(error) from None
        refused = refusal(Answer(answer.code, list(answer.headers.items()), answer.body))
        if refused is not None:
            raise refused
        return answer

    # -- watching --------------------------------------------------------------------------------------------

    def subscribe(
        self,
        row: Resource,
        namespace: str,
        query: Mapping[str, str],
        since_revision: int | None,
        user: UserInfo,
        callback: Callable[[list[Any]], None],
        closed: Callable[[StatusError | None], None],
    ) -> RemoteSubscription:
        return RemoteSubscription(self, row, namespace, query, since_revision, user, callback, closed)

    async def lines(self, row: Resource, target: str, user: UserInfo) -> AsyncIterator[bytes]:
        """The lines of a watch. Raises StatusError."""
        spec = self._spec(row.group, row.version)
        try:
            route = await self._extensions.route(spec)
            reader, writer = await self._extensions.connect(spec, route)
        except EgressError as error:
            raise forward.unreachable(error) from None
        try:
            writer.write(request_head("GET", target, route.shown, user, [("Accept", "application/json")], 0))
            answer = forward.Answer(reader)
            await answer.head()
            if answer.code != 200:
                raise errors.StatusError(errors.failure(answer.code, "", f"watch of {row.name} refused"))
            rest = b""
            async for piece in answer.pieces():
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    if line:
                        yield line
        except (OSError, EOFError, httptools.HttpParserError) as error:
            raise forward.unreachable(forward.broken(error)) from None
        finally:
            writer.close()


class RemoteEntry:
    """An object of another server, as informers of this process take it."""

    def __init__(self, obj: Object) -> None:
        metadata = obj.get("metadata") or {}
        self.namespace, self.name = metadata.get("namespace", ""), metadata.get("name", "")
        version = metadata.get("resourceVersion", "")
        self.mod_revision = int(version) if version.isdigit() else 0
        self.body = orjson.dumps(obj)
        self._cached: dict[Hashable, Any] = {}

    def cached(self, key: Hashable, builder: Callable[[bytes, int], Any]) -> Any:
        if key not in self._cached:
            self._cached[key] = builder(self.body, self.mod_revision)
        return self._cached[key]


class RemoteSubscription:
    """Lists, then watches. `closed(error)` is called once when the server ends it; whoever wants more subscribes
    again."""

    def __init__(
        self,
        api: RemoteAPI,
        row: Resource,
        namespace: str,
        query: Mapping[str, str],
        since_revision: int | None,
        user: UserInfo,
        callback: Callable[[list[Any]], None],
        closed: Callable[[StatusError | None], None],
    ) -> None:
        self._api, self._row, self._path = api, row, path_of(row, namespace)
        self._query, self._since, self._user = query, since_revision, user
        self._callback, self._closed = callback, closed
        self._task = asyncio.ensure_future(self._run())

    def close(self) -> None:
        self._closed = lambda error: None
        self._task.cancel()

    async def _run(self) -> None:
        failure: StatusError | None = None
        try:
            version = str(self._since) if self._since is not None else await self._list()
            query = {
                **self._query,
                "watch": "true",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
            }
            async for line in self._api.lines(self._row, _target(self._path, query), self._user):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise StatusError(event["object"])
                if event["type"] != "BOOKMARK":
                    self._callback([(event["type"], RemoteEntry(event["object"]), None)])
        except StatusError as error:
            failure = error
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            failure = errors.internal(f"a watch of {self._row.name} cannot be read: {error}")
        self._closed(failure)

    async def _list(self) -> str:
        """Tell the present state; its resourceVersion."""
        request = Request("list", query=dict(self._query), user=self._user)
        request.namespace = _namespace_of(self._path)
        listed = orjson.loads((await self._api.call(request, self._row, b"", "")).body)
        kind = {"kind": self._row.kind, "apiVersion": self._row.api_version}
        entries = [RemoteEntry({**kind, **item}) for item in listed.get("items") or ()]
        self._callback([("ADDED", entry, None) for entry in entries])
        return (listed.get("metadata") or {}).get("resourceVersion", "")


def _namespace_of(path: str) -> str:
    parts = path.split("/")
    return parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-1] else ""


def _target(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
