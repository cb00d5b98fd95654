"""Delete: at once, after a grace period, or when the last finalizer is gone.

The decisions follow the API server's `BeforeDelete` and `updateForGracefulDeletionAndFinalizers`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from knarr.meta import errors, times
from knarr.registry import encoding
from knarr.registry.context import Request
from knarr.registry.hooks import Admission
from knarr.registry.options import DeleteOptions
from knarr.registry.result import Result, success_status
from knarr.registry.storage import Object, View
from knarr.store.base import KV, CompareFailed

#: what DELETE answers with the object itself; the others with a Status that names it
RETURNS_OBJECT = frozenset(
    {
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "pods"),
        ("", "podtemplates"),
        ("", "resourcequotas"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("resource.k8s.io", "deviceclasses"),
        ("resource.k8s.io", "resourceclaims"),
        ("resource.k8s.io", "resourceclaimtemplates"),
        ("resource.k8s.io", "resourceslices"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "volumeattachments"),
        ("storage.k8s.io", "volumeattributesclasses"),
    }
)
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
DELETE_TRIES = 64


class Step(Enum):
    """What a delete does to the object it finds."""

    REMOVE = "remove it now"
    MARK = "store deletionTimestamp or finalizers and wait"
    MARK_AND_REMOVE = "store a grace period of zero, then remove"
    KEEP = "it is already being deleted; nothing new to say"


async def delete(
    view: View, request: Request, options: DeleteOptions, admission: Admission, hook: Any = None
) -> Result:
    """Raises 404, 409 for preconditions, 403 by admission."""
    storage = view.storage
    key = storage.key(request.namespace, request.name)
    entry = storage.cacher.get(key)
    current: KV | None = entry.kv if entry is not None else None
    is_stored = view.to_served is None and view.conversion is None
    marked: tuple[Object, Object] | None = None
    for attempt in range(DELETE_TRIES):
        if current is None or current.value is None:
            if marked is not None:
                # Its node saw the grace period of zero and was quicker.
                return _answer(view, options, *marked, removed=True)
            raise errors.not_found(view.row.group, view.row.name, request.name)
        obj = encoding.decode_stored(current.value, current.mod_revision)
        check_preconditions(view, request, options, obj)
        # What the client knows it by, before anything happens: a webhook that fails keeps the object.
        shown = obj if is_stored else await view.live(current.value, current.mod_revision)
        if attempt == 0:
            if options.orphan_dependents is None and not options.propagation_policy:
                request.warn(storage.kind.orphan_warning)
            # As for other writes: in the version that is stored, where no webhook has to convert it.
            held = obj if view.conversion is None else shown
            review = admission.open(request, "DELETE", view.gvk, None, held, options.raw)
            if review is not None and not _is_pending(view, obj, options):
                await review.admit()
                await review.validate()
        step = decide(view, obj, options, storage.world.clock.now())
        if step is Step.KEEP:
            return _answer(view, options, obj, shown, removed=False)
        if options.dry_run or request.dry_run:
            return _answer(view, options, obj, shown, removed=step is not Step.MARK)
        try:
            if step is not Step.REMOVE:
                value = storage.encode(obj)
                write = storage.store.put(key, value, expect=current.mod_revision, lease=current.lease)
                current = await storage.timed(request, "update", write)
                obj["metadata"]["resourceVersion"] = str(current.mod_revision)
                marked = obj, shown
            if step is not Step.MARK:
                gone = storage.store.delete(key, expect=current.mod_revision)
                await storage.timed(request, "delete", gone)
                if hook is not None:
                    hook.after_delete(obj)
        except CompareFailed as lost:
            current = lost.current
            continue
        return _answer(view, options, obj, shown, removed=step is not Step.MARK)
    raise errors.conflict(view.row.group, view.row.name, request.name, errors.STALE)


def _is_pending(view: View, obj: Object, options: DeleteOptions) -> bool:
    """It is being deleted and this changes nothing: the API server answers that without asking anybody."""
    if "deletionTimestamp" not in obj["metadata"]:
        return False
    probe = {**obj, "metadata": dict(obj["metadata"])}
    return _grace(view.storage.kind, probe, options, view.storage.world.clock.now())[1]


def check_preconditions(view: View, request: Request, options: DeleteOptions, obj: Object) -> None:
    metadata = obj["metadata"]
    uid, version = metadata.get("uid", ""), metadata["resourceVersion"]
    if options.uid is not None and options.uid != uid:
        raise errors.conflict(
            view.row.group,
            view.row.kind,
            request.name,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid})."
            " The object might have been deleted and then recreated",
        )
    if options.resource_version is not None and options.resource_version != version:
        raise errors.conflict(
            view.row.group,
            view.row.kind,
            request.name,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the"
            f" ResourceVersion in record ({version}). The object might have been modified",
        )


def decide(view: View, obj: Object, options: DeleteOptions, now: float) -> Step:
    """The next step; marks are made on `obj` in place."""
    kind, metadata = view.storage.kind, obj["metadata"]
    if kind.mark_deletion(obj, now):
        return Step.MARK
    graceful, pending = _grace(kind, obj, options, now)
    if pending:
        return Step.KEEP
    before = list(metadata.get("finalizers") or ())
    finalizers = wanted_finalizers(kind, metadata, options)
    if finalizers != before:
        _set(metadata, "finalizers", finalizers)
    waits = kind.on_delete(obj)
    if not graceful:
        if not finalizers and not waits:
            return Step.REMOVE
        if "deletionTimestamp" in metadata and finalizers == before and not waits:
            return Step.KEEP
        changed = mark_deleting(metadata, now)
        if waits:
            # A namespace has no grace period: it waits for its contents.
            metadata.pop("deletionGracePeriodSeconds", None)
        return Step.MARK if changed or finalizers != before or waits else Step.KEEP
    if finalizers or metadata.get("deletionGracePeriodSeconds"):
        return Step.MARK
    return Step.MARK_AND_REMOVE


def _grace(kind: Any, obj: Object, options: DeleteOptions, now: float) -> tuple[bool, bool]:
    """(the object gets or got a grace period by this request, it is already pending and stays as it is)."""
    metadata = obj["metadata"]
    asked = options.grace_period_seconds
    if asked is not None and asked < 0:
        asked = 1
    if "deletionTimestamp" in metadata:
        left = metadata.get("deletionGracePeriodSeconds")
        if left is None or not kind.graceful:
            return False, False
        if asked is None:
            return (False, True) if left > 0 else (False, bool(metadata.get("finalizers")))
        if asked >= left:
            return (False, True) if left > 0 else (False, bool(metadata.get("finalizers")))
        # Only a shorter period is accepted; the clock started with the first request.
        started = times.parse(metadata["deletionTimestamp"]) - duration(left)
        ends = started + duration(asked)
        if ends < now:
            # The shorter period is over already: as good as now, and somebody else's to end unless none was asked for.
            ends, asked = now, min(asked, 1)
        metadata["deletionTimestamp"] = times.format(ends)
        metadata["deletionGracePeriodSeconds"] = asked
        return True, False
    if not kind.graceful:
        return False, False
    seconds = kind.grace_period(obj, asked)
    metadata["deletionTimestamp"] = times.format(now + duration(seconds))
    metadata["deletionGracePeriodSeconds"] = seconds
    if metadata.get("generation"):
        metadata["generation"] += 1
    return True, False


def duration(seconds: int) -> int:
    """In Go it is nanoseconds in 64 bits: one of centuries comes round again."""
    return ((seconds * 10**9 + 2**63) % 2**64 - 2**63) // 10**9


def mark_deleting(metadata: Object, now: float) -> bool:
    """Set deletionTimestamp where it is not yet; true if that changed anything."""
    changed = "deletionTimestamp" not in metadata
    if changed:
        metadata["deletionTimestamp"] = times.format(now)
        if metadata.get("generation"):
            metadata["generation"] += 1
    if metadata.get("deletionGracePeriodSeconds") != 0:
        metadata["deletionGracePeriodSeconds"] = 0
        changed = True
    return changed


def wanted_finalizers(kind: Any, metadata: Object, options: DeleteOptions) -> list[str]:
    """The object's finalizers with garbage collection's two as this delete asks for them."""
    before = list(metadata.get("finalizers") or ())
    orphan, foreground = _orphans(kind, before, options), _foreground(before, options)
    after = [f for f in before if f not in (ORPHAN, FOREGROUND)]
    if orphan:
        after.append(ORPHAN)
    if foreground:
        after.append(FOREGROUND)
    return before if sorted(after) == sorted(before) else after


def _orphans(kind: Any, before: list[str], options: DeleteOptions) -> bool:
    if options.orphan_dependents is not None:
        return options.orphan_dependents
    if options.propagation_policy:
        return options.propagation_policy == "Orphan"
    return ORPHAN in before or kind.orphans_by_default


def _foreground(before: list[str], options: DeleteOptions) -> bool:
    if options.orphan_dependents is not None:
        return False
    if options.propagation_policy:
        return options.propagation_policy == "Foreground"
    return FOREGROUND in before


def _set(metadata: Object, key: str, value: list[str]) -> None:
    if value:
        metadata[key] = value
    else:
        metadata.pop(key, None)


def _answer(view: View, options: DeleteOptions, obj: Object, shown: Object, removed: bool) -> Result:
    """`obj` is the object as it is stored now; `shown` what it was before, in the view's version."""
    row = view.row
    if removed and (row.group, row.name) not in RETURNS_OBJECT:
        details = errors.details_of(
            row.group, row.name, obj["metadata"]["name"], uid=obj["metadata"].get("uid")
        )
        return Result(encoding.orjson.dumps(success_status(details=details)))
    code = 200
    if not removed and options.orphan_dependents is False:
        code = 202
    if view.conversion is not None:
        # Deletion changes metadata only, which is the same in all versions.
        obj = {**shown, "metadata": obj["metadata"] | _own_texts(shown["metadata"])}
    elif view.to_served is not None:
        obj = view.to_served(obj)
    body = encoding.orjson.dumps({"kind": row.kind, "apiVersion": row.api_version, **obj})
    return Result(body, code, view)


def _own_texts(metadata: Object) -> Object:
    """What a conversion webhook may have changed."""
    return {field: metadata[field] for field in ("labels", "annotations") if field in metadata}
