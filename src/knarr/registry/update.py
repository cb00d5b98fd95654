"""Update: the retry of compare-and-swap that PUT, PATCH and subresources share.

The new object is made from the newest one by a `Transform`; when another writer was faster, it is made again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from knarr.meta import errors, fielderrors, objectmeta, times
from knarr.meta.fielderrors import FieldError
from knarr.meta.managed import keep_times
from knarr.meta.strconv import parse_uint
from knarr.registry import encoding, rawfields
from knarr.registry.context import Request
from knarr.registry.create import create, manage_fields, place
from knarr.registry.empties import as_sent, nullify
from knarr.registry.hooks import Admission
from knarr.registry.result import Result
from knarr.registry.storage import Object, View
from knarr.store.base import KV, CompareFailed

#: gives the new object (in the view's version) for the live one, which it must not change; None: there is none
Transform = Callable[[Object | None], Awaitable[Object]]
UPDATE_TRIES = 64


class Rules(NamedTuple):
    """What an update through one door (the resource itself, its status, ...) may do."""

    prepare: Callable[[Object, Object], None]
    validate: Callable[[Object, Object], list[FieldError]]
    warnings: Callable[[Object, Object], list[str]]


#: of changes that the server itself makes
NO_RULES = Rules(lambda new, old: None, lambda new, old: [], lambda new, old: [])


def check_revision(version: str) -> None:
    """Raises 500, as Kubernetes does, for a resourceVersion that is no number."""
    try:
        parse_uint(version)
    except ValueError as error:
        raise errors.StatusError(errors.failure(500, "", str(error))) from None


def rules_of(view: View, subresource: str) -> Rules:
    """The rules of a subresource; a kind may bring its own in `subresource_rules`."""
    kind = view.storage.kind
    if subresource == "":
        # Preparing works on what is stored; what may change is a matter of the version it is changed through.
        return Rules(kind.prepare_for_update, view.kind.validate_update, kind.warnings_on_update)
    if subresource == "status":
        return Rules(
            kind.prepare_for_status_update, kind.validate_status_update, kind.warnings_on_status_update
        )
    own: dict[str, Any] = getattr(kind, "subresource_rules", {})
    prepare, validate = own[subresource]
    return Rules(getattr(kind, prepare), getattr(kind, validate), NO_RULES.warnings)


class Write(NamedTuple):
    """How one kind of write differs from another."""

    #: managedFields were already written by server-side apply
    applied: bool = False
    #: what to do when the object does not exist: refuse, or create
    create: bool = False
    #: metadata.uid of a PUT must match (else it is an immutable field)
    uid_is_precondition: bool = False
    rules: Rules | None = None


async def update(
    view: View, request: Request, transform: Transform, admission: Admission, write: Write, hook: Any = None
) -> Result:
    """Read, transform, admit, validate, compare and swap; again when somebody else was faster."""
    storage = view.storage
    key = storage.key(request.namespace, request.name)
    entry = storage.cacher.get(key)
    current: KV | None = entry.kv if entry is not None else None
    for _ in range(UPDATE_TRIES):
        if current is None:
            return await _create_instead(view, request, transform, admission, write, hook)
        attempt = _Attempt(view, request, admission, write, current, hook)
        try:
            return await attempt.run(transform)
        except CompareFailed as lost:
            attempt.undo()
            current = attempt.lost(lost)
        except BaseException:
            attempt.undo()
            raise
    raise errors.conflict(view.row.group, view.row.name, request.name, errors.STALE)


async def _create_instead(
    view: View, request: Request, transform: Transform, admission: Admission, write: Write, hook: Any
) -> Result:
    if not write.create:
        raise errors.not_found(view.row.group, view.row.name, request.name)
    obj = await transform(None)
    metadata = obj.setdefault("metadata", {})
    if uid := metadata.get("uid"):
        raise errors.conflict(
            view.row.group,
            view.row.name,
            request.name,
            f"uid mismatch: the provided object specified uid {uid}, and no existing object was found",
        )
    metadata.pop("resourceVersion", None)
    metadata["name"] = request.name
    if request.options:
        request.options = {**request.options, "kind": "CreateOptions"}
    return await create(view, request, obj, admission, hook, write.applied)


def _without_type(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


class _Attempt:
    """One pass from a live object to a new one."""

    def __init__(
        self, view: View, request: Request, admission: Admission, write: Write, current: KV, hook: Any
    ) -> None:
        self.view, self.request, self.admission, self.write, self.hook = view, request, admission, write, hook
        self.current = current
        self.old: Object = {}
        self.new: Object = {}
        self.rules = write.rules or rules_of(view, request.subresource)
        #: the client named a resourceVersion: losing a race is its conflict, not ours to retry
        self.pinned = False
        self.deletes = False

    async def run(self, transform: Transform) -> Result:
        """Raises CompareFailed when somebody else was faster. What the hook holds is the caller's to undo then."""
        view, storage, current = self.view, self.view.storage, self.current
        new = await self.make(transform)
        if self.deletes:
            return await self.delete()
        assert current.value is not None
        if self.changed_nothing():
            self.undo()
            return Result(await view.answer(current.value, current.mod_revision), 200, view)
        value = storage.encode(new, self.words()) if view.conversion is None else await view.encode(new)
        if view.custom and (self.request.dry_run or value == current.value):
            self.undo()
            return Result(await view.answer(value, current.mod_revision), 200, view)
        if self.request.dry_run:
            self.undo()
            return Result(encoding.orjson.dumps(self.served(new)), 200, view)
        key = storage.key(self.request.namespace, self.request.name)
        write = storage.store.put(key, value, expect=current.mod_revision, lease=current.lease)
        kv = await storage.timed(self.request, "update", write)
        self.done(new)
        if view.conversion is not None:
            return Result(await view.answer(value, kv.mod_revision), 200, view)
        return Result(view.served(value, kv.mod_revision), 200, view)

    async def make(self, transform: Transform) -> Object:
        view, request, storage = self.view, self.request, self.view.storage
        assert self.current.value is not None
        if view.conversion is not None:
            stored = live = await view.live(self.current.value, self.current.mod_revision)
        else:
            stored = encoding.decode_stored(self.current.value, self.current.mod_revision)
            live = stored if view.to_served is None else view.to_served(stored)
        new = await transform(live)
        self._check_identity(new, live)
        place(view, request, new)
        now = storage.world.clock.now()
        if not self.write.applied:
            await manage_fields(view, request, live, new, times.format(now))
        if request.empty:
            nullify(new, request.empty)
        if view.to_stored is not None:
            new = view.to_stored(new)
        self.old, self.new = stored, new
        review = self.admission.open(request, "UPDATE", view.gvk, new, stored, request.options)
        if review is not None:
            await review.admit()
        if owners := objectmeta.owner_reference_warning(new["metadata"].get("ownerReferences") or ()):
            request.warn(owners)
        objectmeta.prepare_update(new["metadata"], stored["metadata"])
        if self.hook is not None:
            await self.hook.before_update(request, new, stored)
        self.rules.prepare(new, stored)
        found = objectmeta.validate_update(
            new["metadata"], stored["metadata"], "metadata", kube_finalizers=storage.kind.kube_finalizers
        )
        found += self._errors_of_kind(new, stored)
        if found:
            raise errors.invalid(storage.row.group, view.row.kind, request.name, found)
        if not request.quiet:
            for text in self.rules.warnings(new, stored):
                request.warn(text)
        if review is not None:
            await review.validate()
        metadata = new["metadata"]
        self.deletes = self._finished(metadata)
        return new

    def _errors_of_kind(self, new: Object, stored: Object) -> list[FieldError]:
        """What the kind has against the update, worded as of what was sent where that had empty lists or maps."""
        view, request = self.view, self.request
        if raw := view.kind.raw_fields:
            assert self.current.value is not None
            new = rawfields.as_worded(new, self.words(), raw)
            stored = rawfields.as_worded(stored, self.current.value, raw)
        found = self.rules.validate(new, stored)
        if not found or not request.sent or view.custom or view.to_stored is not None:
            return found
        if request.subresource not in ("", "status"):
            return found
        sent = as_sent(view.definition, request.sent, new)
        if sent is None:
            return found
        # What is equal but for empty lists counts as unchanged, so only the words are taken over.
        words = {(e.type, e.field, e.detail): e for e in self.rules.validate(sent, stored)}
        return [words.get((e.type, e.field, e.detail), e) for e in found]

    def words(self) -> bytes:
        """The body that the new object is; what a patch makes has no words of its own."""
        return self.request.sent if self.request.verb == "update" else b""

    def changed_nothing(self) -> bool:
        """The new object is the stored one: nothing is written, and its resourceVersion stays."""
        new, old = self.new, self.old
        if new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if self._stored_in_old_version():
            return False
        return _without_type(new) == _without_type(old) or keep_times(old, new)

    def _stored_in_old_version(self) -> bool:
        """A custom object that lies in the store in another version than its definition's storage version: any
        write moves it."""
        head, value = self.view.stored_head, self.current.value
        return bool(head) and value is not None and not value.startswith(head)

    def _finished(self, metadata: Object) -> bool:
        """The last finalizer of an object that is being deleted was removed."""
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return False
        if not self.view.storage.kind.finished(self.new):
            return False
        return not metadata.get("deletionGracePeriodSeconds")

    def _check_identity(self, new: Object, live: Object) -> None:
        metadata, ours = new.get("metadata") or {}, live["metadata"]
        row, request = self.view.row, self.request
        uid = metadata.get("uid")
        if uid and uid != ours["uid"] and self.write.uid_is_precondition:
            key = self.view.storage.key(request.namespace, request.name).decode()
            raise errors.conflict(
                row.group,
                row.name,
                request.name,
                f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {ours['uid']}",
            )
        version = metadata.get("resourceVersion")
        if version and version != "0":
            check_revision(version)
            if version != ours["resourceVersion"]:
                raise errors.conflict(row.group, row.name, request.name, errors.STALE)
            self.pinned = self.write.uid_is_precondition
        elif not self.view.storage.kind.allow_unconditional_update and self.write.uid_is_precondition:
            raise errors.invalid(
                row.group,
                row.name,  # the resource, not the kind: so says the API server here
                request.name,
                [fielderrors.invalid("metadata.resourceVersion", 0, "must be specified for an update")],
            )
        metadata["resourceVersion"] = ours["resourceVersion"]

    def served(self, obj: Object) -> Object:
        """The new object as a dry run answers it: with the old resourceVersion."""
        obj["metadata"]["resourceVersion"] = str(self.current.mod_revision)
        if self.view.to_served is not None:
            obj = self.view.to_served(obj)
        return {"kind": self.view.row.kind, "apiVersion": self.view.row.api_version, **obj}

    def undo(self) -> None:
        if self.hook is not None:
            self.hook.undo(self.new)

    def done(self, new: Object) -> None:
        if self.hook is not None:
            self.hook.done(new, self.old)

    def lost(self, failed: CompareFailed) -> KV | None:
        """Somebody was faster: what there is now, for another try. Raises Conflict where the version was given."""
        if self.pinned:
            row = self.view.row
            raise errors.conflict(row.group, row.name, self.request.name, errors.STALE) from None
        current = failed.current
        return current if current is not None and current.value is not None else None

    async def delete(self) -> Result:
        """Take the object away instead of writing a version that nobody holds any more."""
        view, storage = self.view, self.view.storage
        self.undo()
        if self.request.dry_run:
            return Result(encoding.orjson.dumps(self.served(self.new)), 200, view)
        key = storage.key(self.request.namespace, self.request.name)
        write = storage.store.delete(key, expect=self.current.mod_revision)
        await storage.timed(self.request, "delete", write)
        if self.hook is not None:
            self.hook.after_delete(self.new)
        return Result(encoding.orjson.dumps(self.served(self.new)), 200, view)
