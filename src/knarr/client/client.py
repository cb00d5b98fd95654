"""`Client`: the verbs of the API on typed objects, over any transport.

Errors are `meta.errors.StatusError`; nothing is retried here except by the transport (429 with Retry-After).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from knarr.api.resources import Resource
from knarr.client.codec import Target, codec_of, decode_page, decoder_like, encode, resource_of
from knarr.client.objects import meta_of, object_reference
from knarr.client.ratelimit import TokenBucket
from knarr.client.transport import JSON, PATCH_TYPES, Transport
from knarr.meta.errors import StatusError
from knarr.world import World

#: items per request of `pages`, as client-go's pager
PAGE_ITEMS = 500


class List(NamedTuple):
    """One page of a list; `continue_` is "" on the last, `remaining` counts what lies beyond it if known."""

    items: list[Any]
    resource_version: str
    continue_: str = ""
    remaining: int = 0


class Client:
    """Typed access to every resource.

    `manager` is recorded as field manager of every write. `limiter`, if given, is waited for before each
    request. `world` is for the parts built on this client (jitter, the time an event happened). Where a method takes a *target* see `codec`: a Struct class, a `Resource` row or `Partial(row)`;
    methods that take an object take a Struct or a plain dict (for a custom resource pass its row too).
    """

    def __init__(
        self,
        transport: Transport,
        manager: str = "knarr",
        limiter: TokenBucket | None = None,
        world: World | None = None,
    ) -> None:
        self.transport = transport
        self.manager = manager
        self.world = world or World()
        self._limiter = limiter

    def named(self, manager: str) -> Client:
        """The same way to the server for another part: its own field manager, no limiter."""
        return Client(self.transport, manager, world=self.world)

    async def close(self) -> None:
        await self.transport.close()

    # -- reading -----------------------------------------------------------------------------------------

    async def get(
        self,
        target: Target,
        name: str,
        namespace: str = "",
        resource_version: str = "",
        subresource: str = "",
    ) -> Any:
        """One object, newest state unless `resource_version` ("0": any) says otherwise."""
        codec = codec_of(target)
        query = _query(resourceVersion=resource_version)
        return codec.decode(await self._request("get", codec.resource, namespace, name, subresource, query))

    async def list(
        self,
        target: Target,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> List:
        """One request: everything, or the next `limit` items (410 Expired where a token is too old)."""
        codec = codec_of(target)
        query = _query(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            resourceVersionMatch=resource_version_match,
            limit=limit,
            **{"continue": continue_},
        )
        page = decode_page(await self._request("list", codec.resource, namespace, query=query), codec)
        return List(page.items, page.resource_version, page.continue_, page.remaining)

    async def pages(
        self, target: Target, namespace: str = "", limit: int = PAGE_ITEMS, **selectors: str
    ) -> Any:
        """Async iterator over the `List`s of one consistent state."""
        continue_ = ""
        while True:
            page = await self.list(target, namespace, limit=limit, continue_=continue_, **selectors)
            yield page
            if not (continue_ := page.continue_):
                return

    async def watch(
        self,
        target: Target,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        bookmarks: bool = False,
        timeout_seconds: int = 0,
    ) -> AsyncIterator[tuple[str, Any]]:
        """(type, object) as they happen; ends when the server ends the stream. For keeping up use an Informer."""
        codec = codec_of(target)
        query = _query(
            watch="true",
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            allowWatchBookmarks="true" if bookmarks else "",
            timeoutSeconds=timeout_seconds,
        )
        stream: Any = self.transport.watch(codec.resource, namespace, query)
        try:
            async for batch in stream:
                for type_, body in batch:
                    yield type_, codec.decode(body)
        finally:
            await stream.aclose()

    # -- writing -----------------------------------------------------------------------------------------

    async def create(
        self, obj: Any, resource: Resource | None = None, *, namespace: str = "", dry_run: bool = False
    ) -> Any:
        """The object as stored. `namespace` defaults to the object's own."""
        return await self._send(
            "create",
            obj,
            resource,
            namespace or meta_of(obj, "namespace") or "",
            "",
            "",
            self._writing(dry_run),
        )

    async def update(
        self, obj: Any, resource: Resource | None = None, subresource: str = "", dry_run: bool = False
    ) -> Any:
        """Replace; 409 Conflict where the object's resourceVersion is no longer the newest."""
        namespace, name = meta_of(obj, "namespace") or "", meta_of(obj, "name")
        return await self._send("update", obj, resource, namespace, name, subresource, self._writing(dry_run))

    async def update_status(self, obj: Any, resource: Resource | None = None) -> Any:
        """Replace the status only."""
        return await self.update(obj, resource, "status")

    async def patch(
        self,
        target: Target,
        name: str,
        namespace: str = "",
        body: Any = None,
        kind: str = "merge",
        subresource: str = "",
        force: bool = False,
        manager: str = "",
        dry_run: bool = False,
    ) -> Any:
        """Patch by "json" (body: list of operations), "merge", "strategic" or "apply" (body: dict).

        Put metadata.resourceVersion or metadata.uid into a merge patch to make it conditional (409).
        """
        codec = codec_of(target)
        query = self._writing(dry_run, manager)
        if kind == "apply" and force:
            query["force"] = "true"
        answer = await self._request(
            "patch", codec.resource, namespace, name, subresource, query, encode(body), PATCH_TYPES[kind]
        )
        return codec.decode(answer)

    async def apply(
        self,
        obj: Any,
        manager: str = "",
        force: bool = False,
        resource: Resource | None = None,
        subresource: str = "",
    ) -> Any:
        """Server-side apply of the fields that `obj` has; 409 where others own some of them and not `force`."""
        query = self._writing(False, manager)
        if force:
            query["force"] = "true"
        namespace, name = meta_of(obj, "namespace") or "", meta_of(obj, "name")
        return await self._send(
            "patch", obj, resource, namespace, name, subresource, query, PATCH_TYPES["apply"]
        )

    async def delete(
        self,
        target: Any,
        name: str = "",
        namespace: str = "",
        *,
        resource: Resource | None = None,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        grace: int | None = None,
    ) -> None:
        """Delete by name, or the very object given as `target` (its uid is then a precondition).

        `propagation`: Background, Foreground or Orphan; `grace` in seconds (0: at once). 409 Conflict where a
        precondition fails, 404 where there is none.
        """
        if not name:
            name, namespace = meta_of(target, "name"), meta_of(target, "namespace") or ""
            uid = uid or meta_of(target, "uid") or ""
        options = _delete_options(uid, resource_version, propagation, grace)
        await self._request("delete", resource or resource_of(target), namespace, name, body=options)

    async def delete_collection(
        self,
        target: Target,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        propagation: str = "",
        grace: int | None = None,
    ) -> None:
        """Delete all that match."""
        query = _query(labelSelector=label_selector, fieldSelector=field_selector)
        options = _delete_options("", "", propagation, grace)
        await self._request("deletecollection", resource_of(target), namespace, query=query, body=options)

    # -- subresources ------------------------------------------------------------------------------------

    async def get_scale(self, target: Target, name: str, namespace: str) -> Any:
        """The autoscaling/v1 Scale, as a dict."""
        body = await self._request("get", resource_of(target), namespace, name, "scale")
        return decoder_like({})(body)

    async def scale(self, target: Target, name: str, namespace: str, replicas: int) -> Any:
        """Set spec.replicas, whatever it is now; the Scale that results."""
        return await self._patch_dict(target, name, namespace, {"spec": {"replicas": replicas}}, "scale")

    async def bind(self, pod: Any, node: str) -> None:
        """Assign a pod to a node; 409 where it already has one or is not this pod any more (uid)."""
        metadata = {key: value for key in ("name", "namespace", "uid") if (value := meta_of(pod, key))}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": metadata,
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._post(pod, "binding", binding)

    async def evict(self, pod: Any, grace: int | None = None, dry_run: bool = False) -> None:
        """Delete a pod if its disruption budgets allow it (429 TooManyRequests where not)."""
        metadata = {"name": meta_of(pod, "name"), "namespace": meta_of(pod, "namespace")}
        eviction: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        options: dict[str, Any] = {}
        if uid := meta_of(pod, "uid"):
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if options:
            eviction["deleteOptions"] = options
        await self._post(pod, "eviction", eviction, dry_run)

    async def create_token(
        self,
        service_account: str,
        namespace: str,
        audiences: tuple[str, ...] = (),
        expiration_seconds: int = 3600,
        bound_to: Any = None,
    ) -> dict[str, Any]:
        """A TokenRequest's status: {"token", "expirationTimestamp"}; `bound_to` is a Pod, Secret or Node."""
        spec: dict[str, Any] = {"audiences": list(audiences), "expirationSeconds": expiration_seconds}
        if bound_to is not None:
            reference = object_reference(bound_to)
            spec["boundObjectRef"] = {
                k: reference[k] for k in ("apiVersion", "kind", "name", "uid") if k in reference
            }
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        row = resource_of({"apiVersion": "v1", "kind": "ServiceAccount"})
        body = await self._request("create", row, namespace, service_account, "token", {}, encode(request))
        return decoder_like({})(body)["status"]

    async def logs(
        self, name: str, namespace: str, container: str = "", **options: str | int | bool
    ) -> bytes:
        """A container's log; options are the wire's (tailLines, previous, sinceSeconds, timestamps ...)."""
        query = _query(container=container, **{k: _wire(v) for k, v in options.items()})
        return await self._request(
            "get", resource_of({"apiVersion": "v1", "kind": "Pod"}), namespace, name, "log", query
        )

    # -- helpers -----------------------------------------------------------------------------------------

    async def _send(
        self,
        verb: str,
        obj: Any,
        resource: Resource | None,
        namespace: str,
        name: str,
        subresource: str,
        query: Mapping[str, str],
        content_type: str = JSON,
    ) -> Any:
        row = resource or resource_of(obj)
        body = await self._request(verb, row, namespace, name, subresource, query, encode(obj), content_type)
        return decoder_like(obj)(body)

    async def _post(self, pod: Any, subresource: str, body: dict[str, Any], dry_run: bool = False) -> None:
        namespace, name = meta_of(pod, "namespace"), meta_of(pod, "name")
        row = resource_of({"apiVersion": "v1", "kind": "Pod"})
        await self._request("create", row, namespace, name, subresource, self._writing(dry_run), encode(body))

    async def _patch_dict(
        self, target: Target, name: str, namespace: str, patch: dict[str, Any], subresource: str
    ) -> Any:
        body = await self._request(
            "patch",
            resource_of(target),
            namespace,
            name,
            subresource,
            self._writing(False),
            encode(patch),
            PATCH_TYPES["merge"],
        )
        return decoder_like({})(body)

    def _writing(self, dry_run: bool, manager: str = "") -> dict[str, str]:
        query = {"fieldManager": manager or self.manager}
        if dry_run:
            query["dryRun"] = "All"
        return query

    async def _request(
        self,
        verb: str,
        resource: Resource,
        namespace: str,
        name: str = "",
        subresource: str = "",
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> bytes:
        if self._limiter is not None:
            await self._limiter.wait()
        return await self.transport.request(
            verb, resource, namespace, name, subresource, query or {}, body, content_type
        )


def _query(**parameters: str | int) -> dict[str, str]:
    """The parameters that say something."""
    return {name: str(value) for name, value in parameters.items() if value}


def _wire(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _delete_options(uid: str, resource_version: str, propagation: str, grace: int | None) -> bytes | None:
    preconditions = {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}
    options: dict[str, Any] = {}
    if preconditions:
        options["preconditions"] = preconditions
    if propagation:
        options["propagationPolicy"] = propagation
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if not options:
        return None
    return encode({"apiVersion": "v1", "kind": "DeleteOptions", **options})


def is_conflict(error: Exception) -> bool:
    """True for 409 Conflict: somebody else wrote in between, or a precondition failed."""
    return isinstance(error, StatusError) and error.reason == "Conflict"


def is_not_found(error: Exception) -> bool:
    return isinstance(error, StatusError) and error.reason == "NotFound"


def is_already_exists(error: Exception) -> bool:
    return isinstance(error, StatusError) and error.reason == "AlreadyExists"


def namespace_terminating(error: Exception) -> bool:
    """True where a create was refused because its namespace is being deleted."""
    if not isinstance(error, StatusError):
        return False
    causes = error.status.get("details", {}).get("causes", ())
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
