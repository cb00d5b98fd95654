"""Indexer and DeltaFIFO against plain dicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.client.deltafifo import DELETED, DeletedFinalStateUnknown, DeltaFIFO
from knarr.client.indexer import BY_CONTROLLER, Indexer, controller_index, owned_or_orphaned
from knarr.client.objects import Key, key_of, parse_key

KEYS = st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["x", "y", "z"]))
VALUES = st.lists(st.sampled_from("pqr"), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["put", "delete", "replace", "index"]), KEYS, VALUES), max_size=40))
def test_indexer_equals_a_dict(steps):
    def words(value):
        return value

    indexer, model = Indexer({"first": words}), {}
    for step, key, value in steps:
        if step == "put":
            assert indexer.put(key, value) == model.get(key)
            model[key] = value
        elif step == "delete":
            assert indexer.delete(key) == model.pop(key, None)
        elif step == "replace":
            model = {key: value, ("a", "x"): ["p"]}
            indexer.replace(model)
        else:
            indexer.add_index("second", words)
        assert dict(zip(indexer.keys(), indexer.list(), strict=True)) == model
        assert len(indexer) == len(model)
        for namespace in ("a", "b"):
            expected = [v for k, v in model.items() if k[0] == namespace]
            assert sorted(indexer.list(namespace)) == sorted(expected)
        for name in indexer._functions:
            assert set(indexer.index_values(name)) == {word for v in model.values() for word in v}
            for word in "pqr":
                assert set(indexer.index_keys(name, word)) == {k for k, v in model.items() if word in v}
                assert sorted(indexer.by_index(name, word)) == sorted(v for v in model.values() if word in v)


def test_an_index_has_one_function():
    indexer = Indexer({"i": controller_index})
    indexer.add_index("i", controller_index)
    with pytest.raises(ValueError, match="'i'"):
        indexer.add_index("i", lambda obj: ())


def owned(name, uid, namespace="n"):
    refs = [{"kind": "ReplicaSet", "name": "o", "uid": uid, "controller": True}] if uid else []
    return {"metadata": {"name": name, "namespace": namespace, "ownerReferences": refs}}


def test_what_an_owner_may_claim():
    indexer = Indexer({BY_CONTROLLER: controller_index})
    for obj in (owned("mine", "1"), owned("other", "2"), owned("orphan", ""), owned("far", "", "m")):
        indexer.put(key_of(obj), obj)
    owner = {"metadata": {"namespace": "n", "name": "o", "uid": "1"}}
    assert [o["metadata"]["name"] for o in owned_or_orphaned(indexer, owner)] == ["mine", "orphan"]


@pytest.mark.parametrize(("text", "key"), [("a/b", Key("a", "b")), ("b", Key("", "b"))])
def test_keys_as_text(text, key):
    assert parse_key(text) == key
    assert str(key) == text


# -- DeltaFIFO ------------------------------------------------------------------------------------------------


def thing(key, version):
    return {"metadata": {"namespace": key[0], "name": key[1], "resourceVersion": str(version)}}


def applied(fifo, indexer):
    """Pop one key and apply it as an informer does."""
    key, deltas = fifo.try_pop()
    for delta in deltas:
        if delta.type == DELETED:
            indexer.delete(key)
        else:
            indexer.put(key, delta.object)
    return key, deltas


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["add", "update", "delete"]), KEYS),
            st.tuples(st.just("replace"), st.lists(KEYS, max_size=5, unique=True)),
            st.tuples(st.sampled_from(["pop", "resync"]), st.none()),
        ),
        max_size=50,
    )
)
def test_whoever_pops_everything_has_what_the_server_has(steps):
    indexer = Indexer()
    fifo = DeltaFIFO(indexer)
    server = {}
    for version, (step, arg) in enumerate(steps, 1):
        if step in ("add", "update"):
            server[arg] = thing(arg, version)
            getattr(fifo, step)(server[arg])
        elif step == "delete":
            fifo.delete(server.pop(arg, thing(arg, version)))
        elif step == "replace":
            server = {key: thing(key, version) for key in arg}
            fifo.replace(server.values())
        elif step == "resync":
            fifo.resync()
        elif len(fifo):
            _, deltas = applied(fifo, indexer)
            kinds = [delta.type for delta in deltas]
            assert all(pair != (DELETED, DELETED) for pair in zip(kinds, kinds[1:], strict=False))
    while len(fifo):
        applied(fifo, indexer)
    assert dict(zip(indexer.keys(), indexer.list(), strict=True)) == server


def test_synced_when_the_first_state_was_popped():
    indexer = Indexer()
    fifo = DeltaFIFO(indexer)
    assert not fifo.has_synced
    fifo.replace([thing(("", "a"), 1), thing(("", "b"), 1)])
    fifo.add(thing(("", "c"), 2))
    for synced in (False, True, True):
        applied(fifo, indexer)
        assert fifo.has_synced is synced


def test_synced_at_once_where_there_is_nothing():
    fifo = DeltaFIFO(Indexer())
    fifo.replace([])
    assert fifo.has_synced


def test_a_missed_deletion_is_a_tombstone_with_the_last_known_state():
    indexer = Indexer()
    fifo = DeltaFIFO(indexer)
    old = thing(("n", "a"), 1)
    indexer.put(("n", "a"), old)
    fifo.replace([])
    assert fifo.try_pop() == (("n", "a"), [(DELETED, DeletedFinalStateUnknown(("n", "a"), old))])


def test_a_seen_deletion_tells_more_than_a_tombstone():
    indexer = Indexer()
    fifo = DeltaFIFO(indexer)
    indexer.put(("n", "a"), thing(("n", "a"), 1))
    fifo.replace([])
    final = thing(("n", "a"), 5)
    fifo.delete(final)
    assert fifo.try_pop() == (("n", "a"), [(DELETED, final)])


def test_deleting_the_unknown_is_nothing():
    fifo = DeltaFIFO(Indexer())
    fifo.delete(thing(("n", "a"), 1))
    assert fifo.try_pop() is None


def test_resync_does_not_touch_what_has_news():
    indexer = Indexer()
    fifo = DeltaFIFO(indexer)
    for name in "ab":
        indexer.put(("", name), thing(("", name), 1))
    fifo.update(thing(("", "a"), 2))
    fifo.resync()
    assert [fifo.try_pop()[1][0].type for _ in range(2)] == ["Updated", "Sync"]


def test_pop_waits(run):
    import asyncio

    async def main():
        fifo = DeltaFIFO(Indexer())
        popping = asyncio.create_task(fifo.pop())
        await asyncio.sleep(1)
        assert not popping.done()
        fifo.add(thing(("n", "a"), 1))
        return (await popping)[0]

    assert run(main()) == Key("n", "a")
