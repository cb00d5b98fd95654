"""Admission of a scale subresource: plugins see the Scale before and after, not the object behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.registry.context import Request
from knarr.registry.hooks import GVK, Admission, Review
from knarr.registry.storage import Object

SCALE: GVK = ("autoscaling", "v1", "Scale")


class ScaleAdmission:
    """`to_scale` gives the Scale of an object, `apply` takes its number of replicas over."""

    def __init__(
        self,
        admission: Admission,
        to_scale: Callable[[Object], Object],
        apply: Callable[[Object, Object], None],
    ) -> None:
        self._admission, self._to_scale, self._apply = admission, to_scale, apply

    def open(
        self,
        request: Request,
        operation: str,
        kind: GVK,
        obj: Object | None,
        old: Object | None,
        options: Object,
    ) -> Any:
        assert obj is not None and old is not None
        scale = self._to_scale(obj)
        review = self._admission.open(request, operation, SCALE, scale, self._to_scale(old), options)
        return None if review is None else _ScaleReview(review, obj, scale, self._apply)


class _ScaleReview:
    def __init__(
        self, review: Review, obj: Object, scale: Object, apply: Callable[[Object, Object], None]
    ) -> None:
        self._review, self._obj, self._scale, self._apply = review, obj, scale, apply

    async def admit(self) -> None:
        before = self._scale["spec"].get("replicas", 0)
        await self._review.admit()
        if (self._scale.get("spec") or {}).get("replicas", 0) != before:
            self._apply(self._obj, self._scale)

    async def validate(self) -> None:
        await self._review.validate()
