"""Any sequence of operations leaves a store as a naive model has it: every revision readable, every change watched."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knarr.store.base import Compacted, Compare, CompareFailed, Delete, Put, range_end
from knarr.store.memory import MemoryStore
from knarr.store.sqlite import SqliteStore
from knarr.world.loop import VirtualLoop

KEYS = [b"/a", b"/a/1", b"/a/2", b"/b", b"/c"]
RANGES = [(b"", b""), (b"/a", b""), (b"/a/", b"/a0"), (b"/a/2", b"\0"), (b"/b", b"/c")]

key = st.sampled_from(KEYS)
value = st.binary(max_size=3)
#: how far behind the key's true mod_revision the writer is; None does not compare
lag = st.sampled_from([None, 0, 0, 1])
write = st.one_of(
    st.tuples(st.just("put"), key, value, lag),
    st.tuples(st.just("delete"), key, lag),
    st.tuples(
        st.just("txn"),
        st.tuples(key, st.integers(0, 2)),
        st.lists(st.tuples(key, value), max_size=2, unique_by=lambda op: op[0]),
        st.sampled_from([None, *RANGES[1:]]),
    ),
)
step = st.one_of(
    st.tuples(st.just("tick"), st.lists(write, min_size=1, max_size=5)),
    st.tuples(st.just("compact"), st.integers(0, 6)),
    st.tuples(st.just("reopen")),
    st.tuples(st.just("fork")),
)


def inside(key: bytes, start: bytes, end: bytes) -> bool:
    bound = range_end(start, end)
    return key >= start and (bound is None or key < bound)


class Model:
    """A whole copy of the state per revision: {key: (value, created, modified, version)}."""

    def __init__(self):
        self.states = {1: {}}
        self.revision = 1
        self.compacted = 0
        self.changes = []

    @property
    def now(self):
        return self.states[self.revision]

    def commit(self, puts, deletes):
        """One revision for all changes; none if there are none. `puts` come after `deletes` in the log."""
        if not puts and not deletes:
            return
        state, revision = dict(self.now), self.revision + 1
        for key in deletes:
            del state[key]
            self.changes.append((revision, key, None))
        for key, value in puts:
            _, created, _, version = state.get(key, (None, revision, 0, 0))
            state[key] = (value, created, revision, version + 1)
            self.changes.append((revision, key, value))
        self.revision = revision
        self.states[revision] = state

    def expects(self, key, lag):
        if lag is None:
            return None, True
        true = self.now.get(key, (None, 0, 0, 0))[2]
        return max(0, true - lag), max(0, true - lag) == true

    def range(self, start, end, revision):
        return {k: v for k, v in sorted(self.states[revision].items()) if inside(k, start, end)}


def plan(store, model, op):
    """Send one write; (its answer to come, whether its compare holds) while the model takes it in."""
    if op[0] == "put":
        _, key, value, lag = op
        expect, holds = model.expects(key, lag)
        answer = store.put(key, value, expect)
        if holds:
            model.commit([(key, value)], [])
    elif op[0] == "delete":
        _, key, lag = op
        expect, holds = model.expects(key, lag)
        answer = store.delete(key, expect)
        if lag is not None and key not in model.now:
            holds = False
        if holds and key in model.now:
            model.commit([], [key])
    else:
        _, (watched, version), puts, gone = op
        holds = model.now.get(watched, (None, 0, 0, 0))[3] == version
        puts = [(k, v) for k, v in puts if gone is None or not inside(k, *gone)]
        ops = ([Delete(*gone)] if gone else []) + [Put(k, v) for k, v in puts]
        answer = store.txn([Compare(watched, "version", "=", version)], ops, [])
        if holds:
            model.commit(puts, [k for k in sorted(model.now) if inside(k, *gone)] if gone else [])
    return answer, holds


async def check(store, model):
    assert (store.revision, store.compact_revision) == (model.revision, model.compacted)
    for revision in range(max(1, model.compacted), model.revision + 1):
        for start, end in RANGES:
            found = await store.range(start, end, revision)
            got = {kv.key: (kv.value, kv.create_revision, kv.mod_revision, kv.version) for kv in found.kvs}
            expected = model.range(start, end, revision)
            assert list(got.items()) == list(expected.items()), revision
            assert found.count == len(expected)
        for key in KEYS:
            kv = await store.get(key, revision)
            assert (kv.value if kv else None) == model.states[revision].get(key, (None,))[0]
    if model.compacted > 1:
        try:
            await store.range(b"", b"", model.compacted - 1)
            raise AssertionError("a compacted revision was readable")
        except Compacted:
            pass
    seen = []
    store.watch(model.compacted + 1, lambda events, _: seen.extend(events)).cancel()
    assert [(e.kv.mod_revision, e.kv.key, e.kv.value) for e in seen] == [
        change for change in model.changes if change[0] > model.compacted
    ]
    for event in seen:
        before = (
            model.states[event.kv.mod_revision - 1].get(event.kv.key) if event.kv.mod_revision > 1 else None
        )
        assert (event.prev.value if event.prev else None) == (before[0] if before else None)
    sizes = [len(kv.key) + len(kv.value or b"") + 64 for kv in store._index.current.values()]
    sizes += [
        len(kv.key) + len(kv.value or b"") + 64 for past in store._index.history.values() for kv in past
    ]
    assert store.bytes_in_use == sum(sizes)


async def scenario(open_store, steps):
    store, model = open_store(), Model()
    live = []
    watch = store.watch(1, lambda events, _: live.extend(events))
    for name, *arguments in steps:
        if name == "tick":
            answers = [plan(store, model, op) for op in arguments[0]]
            for answer, holds in answers:
                try:
                    result = await answer
                    assert holds or not result.succeeded
                except CompareFailed:
                    assert not holds
        elif name == "compact":
            target = model.revision - arguments[0]
            if target > model.compacted:
                await store.compact(target)
                model.compacted = target
        elif (name == "reopen") is isinstance(store, SqliteStore):
            assert [(e.kv.mod_revision, e.kv.key) for e in live] == [
                change[:2] for change in model.changes[len(model.changes) - len(live) :]
            ]
            watch.cancel()
            live.clear()
            if name == "reopen":
                await store.close()
                store = open_store()
            else:
                old, store = store, store.fork()
                await old.put(b"/a", b"in the old one only")
            watch = store.watch(store.revision + 1, lambda events, _: live.extend(events))
        await check(store, model)
    await store.close()


def run(main):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=12))
def test_memory_store_equals_the_model(steps):
    run(scenario(MemoryStore, steps))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(step, max_size=10))
def test_sqlite_store_equals_the_model(steps):
    with tempfile.TemporaryDirectory() as directory:
        run(scenario(lambda: SqliteStore(Path(directory, "store.db")), steps))
