"""Many calls to the API at once, begun carefully."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def slow_start(
    call: Callable[[T], Awaitable[object]],
    items: Sequence[T],
    lost: Callable[[T], None] | None = None,
) -> int:
    """Call for 1, 2, 4, ... items at a time, so that a refusal (quota, say) is met early and cheaply.

    A batch is awaited as a whole; the first error in it ends everything and is raised. `lost(item)` is told of
    every item whose call failed or was never made, before this returns or raises: lower the expectations there.
    Returns the number of calls, all of which succeeded.
    """
    begun, size = 0, 1
    while begun < len(items):
        batch = items[begun : begun + size]
        begun += len(batch)
        results = await asyncio.gather(*(call(item) for item in batch), return_exceptions=True)
        failures = [
            (item, result)
            for item, result in zip(batch, results, strict=True)
            if isinstance(result, BaseException)
        ]
        if failures:
            if lost is not None:
                for item, _ in failures:
                    lost(item)
                for item in items[begun:]:
                    lost(item)
            raise failures[0][1]
        size *= 2
    return begun


async def all_of(
    call: Callable[[T], Awaitable[object]], items: Sequence[T], lost: Callable[[T], None] | None = None
) -> None:
    """Call for all items at once and await all; then raise the first error, if any."""
    results = await asyncio.gather(*(call(item) for item in items), return_exceptions=True)
    failures = [
        (item, result)
        for item, result in zip(items, results, strict=True)
        if isinstance(result, BaseException)
    ]
    if failures:
        for item, _ in failures:
            if lost is not None:
                lost(item)
        raise failures[0][1]
