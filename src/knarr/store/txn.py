"""Deciding a transaction: which branch runs and what it changes, without changing anything."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from knarr.store.base import KV, Compare, Delete, Event, Get, Op, Put, Range, range_end
from knarr.store.errors import DuplicateKey

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


class View(Protocol):
    """The newest written state, durable or not."""

    def head(self, key: bytes) -> KV | None: ...

    def head_range(self, start: bytes, end: bytes) -> list[KV]: ...


def holds(compare: Compare, kv: KV | None) -> bool:
    """Whether one condition is met; a missing key equals no value and has 0 for every number."""
    check = _OPERATORS[compare.op]
    if compare.target == "value":
        return kv is not None and check(kv.value, compare.value)
    return check(getattr(kv, compare.target) if kv is not None else 0, compare.value)


def put_event(key: bytes, value: bytes, lease: int, prev: KV | None, revision: int) -> Event:
    """The change that a put makes at `revision`."""
    if prev is None:
        return Event(KV(key, value, revision, revision, 1, lease), None)
    return Event(KV(key, value, prev.create_revision, revision, prev.version + 1, lease), prev)


def delete_event(prev: KV, revision: int) -> Event:
    """The change that deleting `prev` makes at `revision`."""
    return Event(KV(prev.key, None, 0, revision, 0), prev)


def check_duplicates(ops: Sequence[Op]) -> None:
    """No key may be written twice: neither by two puts nor by a put and a delete that covers it."""
    puts = [op.key for op in ops if isinstance(op, Put)]
    if len(set(puts)) < len(puts):
        raise DuplicateKey()
    for op in ops:
        if isinstance(op, Delete):
            bound = range_end(op.key, op.end)
            if any(key >= op.key and (bound is None or key < bound) for key in puts):
                raise DuplicateKey()


class Draft:
    """The changes of a transaction so far, and reads that see them."""

    def __init__(self, view: View, revision: int) -> None:
        self._view = view
        self._revision = revision
        #: newest state of the keys this transaction changed, in order of change
        self.events: dict[bytes, Event] = {}

    def run(self, op: Op) -> Any:
        """Take one operation into the draft; its answer."""
        if isinstance(op, Put):
            event = put_event(op.key, op.value, op.lease, self._view.head(op.key), self._revision)
            self.events[op.key] = event
            return event.kv
        if isinstance(op, Delete):
            # `_range` hides what an earlier delete of this transaction removed, and puts never overlap deletes.
            events = [delete_event(kv, self._revision) for kv in self._range(op.key, op.end)]
            self.events.update((event.kv.key, event) for event in events)
            return [event.kv for event in events]
        kvs = self._range(op.key, op.end)
        take = op.limit or len(kvs)
        return Range(self._revision, kvs[:take], take < len(kvs), len(kvs))

    def _range(self, start: bytes, end: bytes) -> list[KV]:
        found = {kv.key: kv for kv in self._view.head_range(start, end)}
        bound = range_end(start, end)
        for key, event in self.events.items():
            if key >= start and (bound is None or key < bound):
                found[key] = event.kv
        return [kv for _, kv in sorted(found.items()) if kv.value is not None]


def decide(
    view: View, revision: int, compare: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]
) -> tuple[bool, list[Event], list[Any]]:
    """(whether all compares hold, the changes at `revision`, the answers).

    The revision inside a Get's answer is only right if the transaction changes something; the caller mends it.
    """
    succeeded = all(holds(one, view.head(one.key)) for one in compare)
    draft = Draft(view, revision)
    responses = [draft.run(op) for op in (success if succeeded else failure)]
    return succeeded, list(draft.events.values()), responses


__all__ = ["Draft", "Get", "View", "check_duplicates", "decide", "delete_event", "holds", "put_event"]
