"""Who owns which object: adopt orphans that match, release what no longer does.

The rules of Kubernetes' ControllerRefManager: an object has at most one controller; only matching orphans are
adopted, and only by an owner that still lives; both are patches that name the object's uid, so that an object
of the same name which came since is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from knarr.client.client import Client, is_not_found
from knarr.client.codec import Target, resource_of
from knarr.client.objects import controller_of, controller_ref, meta_of
from knarr.meta.errors import StatusError
from knarr.meta.labels import Selector, from_label_selector


class OwnerGone(Exception):
    """The owner was deleted, or replaced by another of its name, since it was read: look again."""


async def claim(
    client: Client,
    owner: Any,
    objects: Iterable[Any],
    selector: Selector | None = None,
    adoptable: Callable[[Any], bool] = lambda _: True,
    finalizers: tuple[str, ...] = (),
) -> list[Any]:
    """Those of `objects` that `owner` controls after adopting and releasing, in their order.

    `objects` may hold others' too (see `indexer.owned_or_orphaned`). `selector` defaults to
    owner.spec.selector (a LabelSelector). `adoptable` refuses orphans for a reason of the controller's own.
    `finalizers` are added with adoption (jobs). Raises StatusError, and OwnerGone where adoption finds the owner
    gone.
    """
    if selector is None:
        selector = from_label_selector(msgspec.to_builtins(owner.spec.selector))
    claiming = Claiming(client, owner, finalizers)
    kept = []
    for obj in objects:
        ref = controller_of(obj)
        matches = selector.matches(meta_of(obj, "labels") or {})
        if ref is not None:
            if not claiming.is_ours(ref):
                continue
            if matches:
                kept.append(obj)
            elif not claiming.owner_is_deleted:
                await claiming.release(obj)
        elif matches and claiming.may_adopt(obj) and adoptable(obj):
            if await claiming.adopt(obj):
                kept.append(obj)
    return kept


class Claiming:
    """The writes of one claim; the owner is looked up afresh at most once, before the first adoption."""

    def __init__(self, client: Client, owner: Any, finalizers: tuple[str, ...] = ()) -> None:
        self._client = client
        self._owner = owner
        self._uid = meta_of(owner, "uid")
        self._finalizers = finalizers
        self._owner_checked = False
        self.owner_is_deleted = bool(meta_of(owner, "deletionTimestamp"))

    def is_ours(self, ref: Any) -> bool:
        return (ref["uid"] if type(ref) is dict else ref.uid) == self._uid

    def may_adopt(self, obj: Any) -> bool:
        """Neither side is being deleted, both live in one namespace."""
        return (
            not self.owner_is_deleted
            and not meta_of(obj, "deletionTimestamp")
            and (meta_of(obj, "namespace") or "") == (meta_of(self._owner, "namespace") or "")
        )

    async def adopt(self, obj: Any) -> bool:
        """Become the controller; False where the object is gone."""
        await self._check_owner()
        metadata: dict[str, Any] = {
            "uid": meta_of(obj, "uid"),
            "ownerReferences": [controller_ref(self._owner)],
        }
        if self._finalizers:
            metadata["finalizers"] = list(self._finalizers)
        return await self._patch(obj, metadata, ignore_invalid=False)

    async def release(self, obj: Any) -> None:
        """Give up control; nothing happens where somebody did so before, or the object is gone."""
        metadata: dict[str, Any] = {
            "uid": meta_of(obj, "uid"),
            "ownerReferences": [{"$patch": "delete", "uid": self._uid}],
        }
        if self._finalizers:
            metadata["$deleteFromPrimitiveList/finalizers"] = list(self._finalizers)
        await self._patch(obj, metadata, ignore_invalid=True)

    async def _check_owner(self) -> None:
        """The cache may be behind: an owner that was deleted must not gather orphans on its way out."""
        if self._owner_checked:
            return
        row = resource_of(self._owner)
        target: Target = row if type(self._owner) is dict else type(self._owner)
        name, namespace = meta_of(self._owner, "name"), meta_of(self._owner, "namespace") or ""
        try:
            fresh = await self._client.get(target, name, namespace)
        except StatusError as error:
            if is_not_found(error):
                raise OwnerGone(f"{row.kind} {namespace}/{name} is gone") from error
            raise
        if meta_of(fresh, "uid") != self._uid:
            raise OwnerGone(f"{row.kind} {namespace}/{name} was replaced by another of its name")
        if meta_of(fresh, "deletionTimestamp"):
            raise OwnerGone(f"{row.kind} {namespace}/{name} is being deleted")
        self._owner_checked = True

    async def _patch(self, obj: Any, metadata: dict[str, Any], ignore_invalid: bool) -> bool:
        target: Target = resource_of(obj) if type(obj) is dict else type(obj)
        try:
            await self._client.patch(
                target,
                meta_of(obj, "name"),
                meta_of(obj, "namespace") or "",
                {"metadata": metadata},
                kind="strategic",
            )
        except StatusError as error:
            # Invalid on release: the references were emptied, or the uid is another's by now
            if is_not_found(error) or (ignore_invalid and error.reason == "Invalid"):
                return False
            raise
        return True
