"""The door below HTTP: one function per verb. Whoever comes in here meets decoding, admission, validation and store.

Authentication, authorization and flow control are above (apiserver/); in-process clients enter here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import orjson

from knarr.meta import errors, gojson
from knarr.meta.managed import default_manager
from knarr.registry import encoding, patch, routes
from knarr.registry.context import Request
from knarr.registry.create import create, place
from knarr.registry.decode import Decoder
from knarr.registry.delete import delete
from knarr.registry.lists import (
    REVISION_WAIT_SECONDS,
    answer,
    list_,
    parse_bare_revision,
    select,
    too_large,
)
from knarr.registry.molds import Molds
from knarr.registry.options import (
    check_write,
    delete_options,
    list_options,
    parse_bool,
)
from knarr.registry.registry import Registry
from knarr.registry.result import Result
from knarr.registry.storage import Object, View
from knarr.registry.update import Write, update
from knarr.store.base import NoSpace, RequestTooLarge, StoreFailed
from knarr.watchcache import Entry

#: `DeleteCollectionWorkers`: how many deletes of a collection are under way at once
COLLECTION_WORKERS = 256
OPTIONS_OF = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
#: what admission is shown: a patch is an update
ADMITTED_AS = {**OPTIONS_OF, "patch": "UpdateOptions"}


class Operations:
    """Carries out resource requests against a registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.decoder = Decoder()
        self._molds = Molds(self.decoder)
        self._verbs: dict[str, Callable[[Request, View, bytes, str], Awaitable[Result]]] = {
            "get": self.get,
            "list": self.list,
            "create": self.create,
            "update": self.update,
            "patch": self.patch,
            "delete": self.delete,
            "deletecollection": self.deletecollection,
        }

    async def serve(
        self, request: Request, body: bytes = b"", content_type: str = "application/json"
    ) -> Result:
        """Answer any resource request but watch. Raises StatusError."""
        view = routes.find(self.registry, request)
        if request.metadata_only and view.bare is not None:
            view = view.bare
        if content_type.endswith("json"):
            body = gojson.sound(body)
        handler = self.registry.handlers.get((request.group, request.resource, request.subresource))
        try:
            if handler is not None:
                return await handler(request, view, body, content_type)
            return await self._verbs[request.verb](request, view, body, content_type)
        except NoSpace as error:
            raise errors.StatusError(errors.failure(500, "", str(error))) from None
        except RequestTooLarge as error:
            raise errors.StatusError(errors.failure(500, "", str(error))) from None
        except StoreFailed as error:
            raise errors.internal(str(error)) from None
        except (RecursionError, TypeError) as error:
            if not encoding.is_too_deep(error):
                raise
            raise errors.bad_request("exceeded max depth") from None

    # -- reading -----------------------------------------------------------------------------------------

    async def get(self, request: Request, view: View, body: bytes = b"", content_type: str = "") -> Result:
        cacher = view.storage.cacher
        if version := request.query.get("resourceVersion"):
            await self._wait_for(cacher, version)
        entry = cacher.get(view.storage.key(request.namespace, request.name))
        if entry is None:
            raise errors.not_found(view.row.group, view.row.name, request.name)
        if view.conversion is not None:
            return Result(await view.answer(entry.value, entry.mod_revision), 200, view)
        return Result(view.served(entry.value, entry.mod_revision), 200, view)

    async def _wait_for(self, cacher: object, version: str) -> None:
        revision = parse_bare_revision(version)
        if revision > cacher.revision and not await cacher.wait_until(revision, REVISION_WAIT_SECONDS):  # type: ignore[attr-defined]
            raise too_large(revision, cacher.revision)  # type: ignore[attr-defined]

    async def list(self, request: Request, view: View, body: bytes = b"", content_type: str = "") -> Result:
        return await list_(view, request, list_options(request.query))

    # -- writing -----------------------------------------------------------------------------------------

    def sent(self, request: Request, view: View, body: bytes, content_type: str) -> Object:
        """What was posted or put to a handler of its own, in the request's namespace. Raises 400, 415."""
        obj = self.decoder.body(view, request, body, content_type)
        place(view, request, obj)
        return obj

    async def create(self, request: Request, view: View, body: bytes, content_type: str) -> Result:
        read_write_options(request, view)
        molded = self._molds.fits(request, view, body, content_type)
        if molded:
            obj = await self._molds.cast(request, view, body)
        else:
            obj = self.decoder.body(view, request, body, content_type)
        return await create(view, request, obj, self.registry.admission, self._hook(view), molded)

    async def update(self, request: Request, view: View, body: bytes, content_type: str) -> Result:
        read_write_options(request, view)
        obj = self.decoder.body(view, request, body, content_type)
        patch.check_name(request, obj)

        snapshot, first = orjson.dumps(obj), [obj]

        async def transform(live: Object | None) -> Object:
            # An attempt changes what it is given; one that follows a lost race starts from what was sent.
            return first.pop() if first else orjson.loads(snapshot)

        write = Write(
            create=view.storage.kind.allow_create_on_update and not request.subresource,
            uid_is_precondition=True,
        )
        return await update(view, request, transform, self.registry.admission, write, self._hook(view))

    async def patch(self, request: Request, view: View, body: bytes, content_type: str) -> Result:
        patch.check_content_type(content_type, view.custom)
        if request.audit is not None:
            request.audit.patch_sent(body)
        is_apply = content_type == patch.APPLY
        read_write_options(request, view, is_apply)
        transform = patch.transform(view, request, content_type, body, self.decoder)
        write = Write(applied=is_apply, create=is_apply and not request.subresource)
        return await update(view, request, transform, self.registry.admission, write, self._hook(view))

    async def delete(self, request: Request, view: View, body: bytes, content_type: str) -> Result:
        options = self._delete_options(request, body, content_type)
        if why := view.storage.kind.why_kept(request.name):
            raise errors.forbidden(request.group, request.resource, request.name, why)
        return await delete(view, request, options, self.registry.admission, self._hook(view))

    async def deletecollection(self, request: Request, view: View, body: bytes, content_type: str) -> Result:
        """Delete all that a list would have given; an object that went away meanwhile is no error."""
        options = list_options(request.query)
        deletion = self._delete_options(request, body, content_type)
        if options.resource_version and deletion.resource_version is None:
            # The API server hands the list's resourceVersion on to each delete as a precondition.
            deletion.resource_version = options.resource_version
        chosen = await select(view, request, options)
        admission, hook = self.registry.admission, self._hook(view)
        if view.conversion is not None:
            # All at once: each delete will want its object in the view's version.
            await view.conversion.objects([(entry.value, entry.mod_revision) for entry in chosen.entries])

        async def one(entry: Entry) -> None:
            single = replace(request, namespace=entry.namespace, name=entry.name)
            try:
                await delete(view, single, deletion, admission, hook)
            except errors.StatusError as error:
                if error.code != 404:
                    raise

        entries = chosen.entries
        for at in range(0, len(entries), COLLECTION_WORKERS):
            await asyncio.gather(*map(one, entries[at : at + COLLECTION_WORKERS]))
        return await answer(view, chosen)

    def _delete_options(self, request: Request, body: bytes, content_type: str):
        from knarr.registry import deletebody

        sent = deletebody.parse(body, content_type)
        if request.audit is not None and sent is not None:
            request.audit.object_sent(sent, "DeleteOptions", "meta.k8s.io/v1")
        options = delete_options(request.query, sent)
        request.dry_run = options.dry_run
        return options

    def _hook(self, view: View):
        return self.registry.hooks.get((view.storage.row.group, view.storage.row.name))


def read_write_options(request: Request, view: View, is_apply: bool = False) -> None:
    """dryRun, fieldManager, fieldValidation and force from the query onto the request. Raises 422."""
    query = request.query
    if query:
        if found := check_write(query, request.verb, is_apply):
            raise errors.invalid("meta.k8s.io", OPTIONS_OF[request.verb], "", found)
        request.dry_run = "dryRun" in query
        request.field_manager = query.get("fieldManager", "")
        request.field_validation = query.get("fieldValidation") or request.field_validation
        request.force = parse_bool(query, "force")
    elif is_apply:
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", check_write({}, "patch", True))
    if not request.field_manager:
        request.field_manager = default_manager(request.user_agent)
    options: Object = {"kind": ADMITTED_AS[request.verb], "apiVersion": "meta.k8s.io/v1"}
    if query:
        if request.dry_run:
            options["dryRun"] = ["All"]
        for field in ("fieldManager", "fieldValidation"):
            if query.get(field):
                options[field] = query[field]
    request.options = options
