"""What readers of the cache see."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from knarr.meta import fields, labels
from knarr.store.base import Compacted, FutureRevision
from knarr.watchcache import Attributes, Selection


def names(entries):
    return [entry.name for entry in entries]


def test_a_writer_finds_its_write(run, cache):
    async def main():
        c = cache()
        assert c.cacher.revision == 1
        revision = await c.put("a", {"l": "1"})
        entry = c.cacher.get(b"/registry/pods/ns/a")
        assert (entry.namespace, entry.name, entry.mod_revision, entry.labels) == (
            "ns",
            "a",
            revision,
            {"l": "1"},
        )
        assert entry.fields["metadata.name"] == "a"
        assert entry.object["metadata"]["resourceVersion"] == str(revision)
        assert b'"metadata":{"resourceVersion":"2","name":"a"' in entry.body
        assert orjson.loads(entry.body) == entry.object
        assert c.cacher.revision == revision
        await c.delete("a")
        assert c.cacher.get(b"/registry/pods/ns/a") is None
        await c.store.put(b"/registry/podsx", b"")
        assert c.cacher.revision == c.store.revision == 4

    run(main())


def test_lists_are_in_key_order_by_namespace_and_selection(run, cache):
    async def main():
        c = cache()
        for namespace, name, color in [
            ("b", "x", "red"),
            ("a", "z", "blue"),
            ("a", "y", "red"),
            ("ab", "w", "red"),
        ]:
            await c.put(name, {"color": color}, namespace)
        red, only_z = labels.parse("color=red"), fields.parse("metadata.name=z")
        cases = [
            (Selection(), ["y", "z", "w", "x"]),
            (Selection("a"), ["y", "z"]),
            (Selection("none"), []),
            (Selection(labels=red), ["y", "w", "x"]),
            (Selection("a", labels=red), ["y"]),
            (Selection("a", "z"), ["z"]),
            (Selection("a", "z", red), []),
            (Selection(fields=only_z), ["z"]),
            (Selection(name="w"), ["w"]),
            (Selection(fields=fields.parse("metadata.namespace=a")), ["y", "z"]),
            (Selection(labels=labels.everything()), ["y", "z", "w", "x"]),
            (Selection(labels=labels.nothing()), []),
        ]
        for selection, expected in cases:
            assert names(c.cacher.select(selection)) == expected, selection
        assert names(c.cacher.list("a")) == ["y", "z"]
        assert names(c.cacher.list(wanted=lambda e: e.labels["color"] == "blue")) == ["z"]

    run(main())


def test_at_an_older_revision(run, cache):
    async def main():
        c = cache()
        first = await c.put("a", data="1")
        await c.put("b")
        await c.put("a", data="2")
        await c.delete("b")
        prefix = c.prefix + b"ns/"
        assert [(e.name, e.mod_revision) for e in c.cacher.at(prefix, b"", 3)] == [("a", first), ("b", 3)]
        assert names(c.cacher.at(prefix, prefix + b"a\0", 3)) == ["b"]
        assert names(c.cacher.at(c.prefix, b"", c.cacher.revision)) == ["a"]
        with pytest.raises(FutureRevision):
            c.cacher.at(prefix, b"", 99)
        await c.store.compact(4)
        with pytest.raises(Compacted):
            c.cacher.at(prefix, b"", 3)

    run(main())


def test_waiting_for_a_revision(run, cache):
    async def main():
        c = cache()
        assert await c.cacher.wait_until(1, 3)
        loop = asyncio.get_running_loop()
        before = loop.time()
        assert not await c.cacher.wait_until(99, 3)
        assert loop.time() == before + 3
        waiter = asyncio.ensure_future(c.cacher.wait_until(2, 3))
        await asyncio.sleep(1)
        await c.put("a")
        assert await waiter

    run(main())


def test_what_is_built_is_kept_and_dropped_with_a_newer_entry(run, cache):
    async def main():
        c = cache(keep_objects=True)
        await c.put("a")
        entry = c.cacher.get(b"/registry/pods/ns/a")
        built = []

        def build(value, revision):
            built.append((value, revision))
            return len(built)

        assert [entry.cached("k", build), entry.cached("k", build)] == [1, 1]
        assert entry.object is entry.object
        c.watch(since=c.cacher.revision)
        await c.put("a")
        assert entry.cached("k", build) == 2
        assert c.cacher.get(b"/registry/pods/ns/a").object is not entry.object

    run(main())


def test_attributes_a_writer_had_at_hand_are_not_extracted(run, cache):
    async def main():
        extracted = []

        def extract(value, key):
            extracted.append(key)
            return Attributes({}, {})

        c = cache(attributes=extract)
        value = orjson.dumps({"metadata": {"name": "a"}})
        c.cacher.remember(value, Attributes({"known": "yes"}, {}))
        await c.store.put(c.prefix + b"ns/a", value)
        await c.store.put(c.prefix + b"ns/b", orjson.dumps({"metadata": {"name": "b"}}))
        a, b = c.cacher.list()
        assert (a.labels, b.labels, b.labels) == ({"known": "yes"}, {}, {})
        assert extracted == [c.prefix + b"ns/b"]
        for i in range(3000):
            c.cacher.remember(b"never written %d" % i, Attributes({}, {}))
        assert len(c.cacher._shape._known) <= 1024

    run(main())


def test_cluster_scoped_and_other_prefixes(run, cache):
    async def main():
        c = cache()
        nodes = c.open(namespaced=False)
        nodes_seen, _ = c.watch()
        await c.store.put(c.prefix + b"n1", orjson.dumps({"metadata": {"name": "n1"}}))
        (entry,) = nodes.list()
        assert (entry.namespace, entry.name) == ("", "n1")
        assert names(nodes.select(Selection(name="n1"))) == ["n1"]
        assert names(nodes.select(Selection("ns"))) == []

    run(main())


def test_a_cache_over_a_store_with_content(run, cache):
    async def main():
        c = cache()
        await c.put("a")
        await c.put("b")
        late = c.open()
        assert names(late.list()) == ["a", "b"]
        await c.put("c")
        assert names(late.list()) == ["a", "b", "c"]
        late.close()
        await c.put("d")
        assert len(late) == 0

    run(main())
