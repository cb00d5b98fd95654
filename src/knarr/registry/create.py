"""Create: name, fill in, admit, validate, store."""

from __future__ import annotations

from typing import Any

from knarr.meta import errors, objectmeta, times
from knarr.registry import encoding
from knarr.registry.context import Request
from knarr.registry.empties import as_sent, nullify
from knarr.registry.hooks import Admission, Review
from knarr.registry.result import Result
from knarr.registry.storage import Object, View
from knarr.store.base import KV, CompareFailed

#: how often a generated name that is taken is drawn again
NAME_TRIES = 8


async def create(
    view: View, request: Request, obj: Object, admission: Admission, hook: Any = None, applied: bool = False
) -> Result:
    """Store a new object, given in the view's version, already decoded and defaulted.

    `applied`: its managedFields are already written, as by server-side apply.

    `hook` is the resource's own step around storing (allocations); see registry/services.py.
    """
    storage = view.storage
    place(view, request, obj)
    metadata = obj["metadata"]
    objectmeta.wipe_system_fields(metadata)
    now = storage.world.clock.now()
    if not applied:
        await manage_fields(view, request, None, obj, times.format(now))
    if request.empty:
        nullify(obj, request.empty)
    if view.to_stored is not None:
        obj = view.to_stored(obj)
    review = admission.open(request, "CREATE", view.gvk, obj, None, request.options)
    if review is not None:
        await review.admit()
        # What a webhook makes of these counts as little as what a client does.
        place(view, request, obj)
        metadata = obj["metadata"]
        objectmeta.wipe_system_fields(metadata)
    # Mutating admission sees an object that has no name yet, as in the API server.
    generated = objectmeta.ensure_name(metadata, storage.world.chance)
    for tries_left in reversed(range(NAME_TRIES)):
        try:
            return await _attempt(view, request, obj, hook, review, now)
        except errors.StatusError as error:
            if error.reason != "AlreadyExists" or not generated or not tries_left:
                raise
        # Who may create it, and what admission says of it, is settled: only the name was taken.
        request.may_create = review = None
        metadata["name"] = ""
        objectmeta.ensure_name(metadata, storage.world.chance)
    raise AssertionError("unreachable")


async def _attempt(
    view: View, request: Request, obj: Object, hook: Any, review: Review | None, now: float
) -> Result:
    """Create the object under the name it has by now. What the hook took is given back where that fails."""
    storage, metadata = view.storage, obj["metadata"]
    if owners := objectmeta.owner_reference_warning(metadata.get("ownerReferences") or ()):
        request.warn(owners)
    objectmeta.prepare_create(metadata, storage.world.chance, now)
    if hook is not None:
        await hook.before_create(request, obj)
    for text in storage.kind.prepare_for_create(obj) or ():
        request.warn(text)
    try:
        _validate(view, request, obj)
        if request.may_create is not None:
            await request.may_create(request)
        if review is not None:
            await review.validate()
        result = await _store(view, request, obj)
    except BaseException:
        if hook is not None:
            hook.undo(obj)
        raise
    if hook is not None:
        if request.dry_run:
            hook.undo(obj)
        else:
            hook.done(obj, None)
    return result


def _validate(view: View, request: Request, obj: Object) -> None:
    """Raises 422; what is only to be warned of goes to the request."""
    storage, metadata = view.storage, obj["metadata"]
    found = objectmeta.validate(
        metadata,
        storage.row.namespaced,
        view.kind.validate_name,
        "metadata",
        kube_finalizers=storage.kind.kube_finalizers,
    )
    errors_of_kind = view.kind.validate(obj)
    if errors_of_kind and view.to_stored is None and not view.custom:
        sent = as_sent(view.definition, request.sent, obj)
        errors_of_kind = errors_of_kind if sent is None else view.kind.validate(sent)
    found += errors_of_kind
    if found:
        raise errors.invalid(storage.row.group, view.row.kind, metadata.get("name", ""), found)
    if not request.quiet:
        for text in storage.kind.warnings_on_create(obj):
            request.warn(text)


async def _store(view: View, request: Request, obj: Object) -> Result:
    storage, metadata = view.storage, obj["metadata"]
    name = metadata["name"]
    key = storage.key(metadata.get("namespace", ""), name)
    if request.dry_run:
        if (present := storage.cacher.get(key)) is not None:
            raise _exists(view, name, metadata, present.kv)
        if view.custom:
            return Result(without_revision(await view.answer(await view.encode(obj), 0)), 201, view)
        body = encoding.orjson.dumps(_first_three(view, obj))
        return Result(body, 201, view)
    if metadata.get("resourceVersion") not in (None, "", "0"):
        message = "resourceVersion should not be set on objects to be created"
        raise errors.StatusError(errors.failure(500, "", message))
    value = storage.encode(obj, request.sent) if view.conversion is None else await view.encode(obj)
    lease = await storage.lease() if storage.lease is not None else 0
    try:
        kv = await storage.timed(request, "create", storage.store.put(key, value, expect=0, lease=lease))
    except CompareFailed as lost:
        raise _exists(view, name, metadata, lost.current) from None
    if view.conversion is not None:
        return Result(await view.answer(value, kv.mod_revision), 201, view)
    return Result(view.served(value, kv.mod_revision), 201, view)


async def manage_fields(view: View, request: Request, live: Object | None, new: Object, now: str) -> None:
    """Note in `new` who owns what after this write."""
    fields, manager, subresource = view.fields, request.field_manager, request.subresource
    if view.conversion is None:
        fields.update(live, new, manager, subresource, now)
        return
    sent = new["metadata"].get("managedFields", ABSENT)

    def note() -> None:
        if sent is not ABSENT:
            new["metadata"]["managedFields"] = sent
        fields.update(live, new, manager, subresource, now)

    await view.manage(note)


ABSENT = object()


def without_revision(body: bytes) -> bytes:
    """What a dry run would have created has none yet."""
    obj = encoding.orjson.loads(body)
    del obj["metadata"]["resourceVersion"]
    return encoding.orjson.dumps(obj)


def _exists(view: View, name: str, metadata: Object, present: KV | None) -> errors.StatusError:
    error = errors.already_exists(view.row.group, view.row.name, name)
    if present is not None and present.value is not None:
        if "deletionTimestamp" in encoding.decode_stored(present.value, present.mod_revision)["metadata"]:
            error.status["message"] = "object is being deleted: " + error.status["message"]
    if metadata.get("generateName"):
        error.status["message"] += ", the server was not able to generate a unique name for the object"
        error.status["details"]["retryAfterSeconds"] = 1
    return error


def _first_three(view: View, obj: Object) -> Object:
    if view.to_served is not None:
        obj = view.to_served(obj)
    return {"kind": view.row.kind, "apiVersion": view.row.api_version, **obj}


def place(view: View, request: Request, obj: Object) -> None:
    """The object's namespace must be the request's; a cluster-scoped object has none."""
    metadata = obj.setdefault("metadata", {})
    if not objectmeta.place_in_namespace(metadata, request.namespace, view.row.namespaced):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
