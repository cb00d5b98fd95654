"""Watches: where they begin, what they see, and that nothing is lost or seen twice."""

from __future__ import annotations

import asyncio

import pytest

from knarr.store.base import Compacted, Delete, Put, prefix_end


def summary(events):
    return [
        (event.kv.key, event.kv.mod_revision, event.kv.value, event.prev.value if event.prev else None)
        for event in events
    ]


def test_from_the_past_from_now_and_from_the_future(run, open_store):
    async def main():
        store = open_store()
        await store.put(b"a", b"1")
        await store.put(b"a", b"2")
        past, now, future = [], [], []
        store.watch(3, lambda events, _: past.extend(events))
        store.watch(0, lambda events, _: now.extend(events))
        store.watch(5, lambda events, _: future.extend(events))
        await store.delete(b"a")
        await store.put(b"b", b"1")
        three, four, five = (b"a", 3, b"2", b"1"), (b"a", 4, None, b"2"), (b"b", 5, b"1", None)
        assert summary(past) == [three, four, five]
        assert summary(now) == [four, five]
        assert summary(future) == [five]
        await store.close()

    run(main())


def test_ranges_get_their_keys_only(run, open_store):
    async def main():
        store = open_store()
        ranges = {
            "all": (b"", b""),
            "one": (b"/b/1", b""),
            "prefix": (b"/b/", prefix_end(b"/b/")),
            "tail": (b"/b/2", b"\0"),
            "overlap": (b"/a", b"/b/2"),
        }
        seen = {name: [] for name in ranges}
        for name, (start, end) in ranges.items():
            store.watch(1, lambda events, _, to=seen[name]: to.extend(e.kv.key for e in events), start, end)
        keys = [b"/", b"/a", b"/b/", b"/b/1", b"/b/1/x", b"/b/2", b"/b0", b"/c"]
        for key in keys:
            await store.put(key, b"")
        assert seen["all"] == keys
        assert seen["one"] == [b"/b/1"]
        assert seen["prefix"] == [b"/b/", b"/b/1", b"/b/1/x", b"/b/2"]
        assert seen["tail"] == [b"/b/2", b"/b0", b"/c"]
        assert seen["overlap"] == [b"/a", b"/b/", b"/b/1", b"/b/1/x"]
        await store.close()

    run(main())


def test_compacted_history_cannot_be_watched(run, open_store):
    async def main():
        store = open_store()
        for i in range(4):
            await store.put(b"k", b"%d" % i)
        await store.compact(3)
        for start in (1, 2, 3):
            with pytest.raises(Compacted) as compacted:
                store.watch(start, lambda *_: None)
            assert compacted.value.compact_revision == 3
        seen = []
        store.watch(4, lambda events, _: seen.extend(events))
        assert summary(seen) == [(b"k", 4, b"2", b"1"), (b"k", 5, b"3", b"2")]
        await store.close()

    run(main())


def test_progress(run, open_store):
    async def main():
        store = open_store()
        calls = []
        watch = store.watch(0, lambda events, revision: calls.append((len(events), revision)), b"a", b"b")
        await store.put(b"z", b"")
        watch.request_progress()
        assert calls == [(0, 2)]
        watch.cancel()
        watch.request_progress()
        assert calls == [(0, 2)]
        await store.close()

    run(main())


def test_writers_are_answered_after_watches_were_told(run, open_store):
    async def main():
        store = open_store()
        seen = []
        store.watch(0, lambda events, _: seen.extend(e.kv.mod_revision for e in events))
        for _ in range(3):
            kv = await store.put(b"k", b"")
            assert seen[-1] == kv.mod_revision
        await store.close()

    run(main())


def test_settled_comes_after_all_callbacks_of_a_batch(run, open_store):
    async def main():
        store = open_store()
        order = []
        for name in ("a", "b"):
            store.watch(
                0,
                lambda events, _, name=name: order.append(f"take {name}"),
                name.encode(),
                settled=lambda name=name: order.append(f"settled {name}"),
            )
        await store.txn([], [Put(b"a", b""), Put(b"b", b"")])
        assert order == ["take a", "take b", "settled a", "settled b"]
        await store.close()

    run(main())


def test_a_watch_may_cancel_others_and_write_in_its_callback(run, open_store):
    async def main():
        store = open_store()
        seen = []
        echoes = []

        def callback(events, revision):
            seen.extend(e.kv.key for e in events)
            other.cancel()
            if len(seen) < 3:
                echoes.append(store.put(b"echo%d" % len(seen), b""))

        store.watch(0, callback)
        other = store.watch(0, lambda events, _: seen.append(b"never"))
        await store.put(b"first", b"")
        while len(echoes) < 2:
            await asyncio.sleep(0.01)
        await asyncio.gather(*echoes)
        assert seen == [b"first", b"echo1", b"echo2"]
        await store.close()

    run(main())


def test_no_gap_and_no_duplicate_whenever_a_watch_begins(run, open_store):
    async def main():
        store = open_store()
        streams = []

        async def writer(n):
            for i in range(40):
                if i % 7 == 3:
                    await store.txn([], [Delete(b"/%d/" % n, b"/%d0" % n), Put(b"/t%d" % n, b"%d" % i)])
                else:
                    await store.put(b"/%d/%d" % (n, i % 5), b"%d" % i)

        async def watcher():
            for _ in range(30):
                seen: list = []
                after = store.revision
                streams.append((after, seen))
                store.watch(after + 1, lambda events, _, seen=seen: seen.extend(events))
                await asyncio.sleep(0)

        whole: list = []
        store.watch(1, lambda events, _: whole.extend(events))
        await asyncio.gather(watcher(), *[writer(n) for n in range(5)])
        revisions = [event.kv.mod_revision for event in whole]
        assert revisions == sorted(revisions)
        assert set(revisions) == set(range(2, store.revision + 1))
        for after, seen in streams:
            assert seen == [event for event in whole if event.kv.mod_revision > after]
        await store.close()

    run(main())


def test_reached(run, open_store):
    async def main():
        store = open_store()
        await store.reached(1)
        waiter = asyncio.ensure_future(store.reached(3))
        await store.put(b"a", b"")
        await asyncio.sleep(0)
        assert not waiter.done()
        await store.put(b"a", b"")
        await waiter
        abandoned = asyncio.ensure_future(store.reached(99))
        abandoned.cancel()
        await asyncio.wait([abandoned])
        await store.put(b"a", b"")
        await store.close()

    run(main())


def test_a_watch_that_raises_disturbs_nobody(run, open_store):
    async def main():
        store = open_store()
        complaints, seen = [], []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context["exception"])
        )

        def broken(*_):
            raise ValueError("broken")

        store.watch(0, broken, settled=broken)
        store.watch(0, lambda events, _: seen.extend(e.kv.key for e in events))
        await store.put(b"a", b"")
        assert seen == [b"a"]
        assert [str(error) for error in complaints] == ["broken", "broken"]
        await store.close()

    run(main())
