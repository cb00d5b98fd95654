"""What watchers see: transitions, replay, sharing, bookmarks, the bound, the end."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.meta import fields, labels
from knarr.meta.errors import StatusError
from knarr.watchcache import EVENTS, JSON, Frames, Selection, WatchCache
from knarr.world.loop import VirtualLoop


def lines(data: bytes):
    return [orjson.loads(line) for line in data.splitlines()]


def test_objects_move_in_and_out_of_a_selector(run, cache):
    """The story of the parity scenario watch-selectors."""

    async def main():
        c = cache()
        sets = {
            text: c.watch(Selection("ns", labels=labels.parse(text)))[0]
            for text in ("s=in", "s=out", "s notin (out)")
        }
        everything, _ = c.watch()
        await c.put("a", {"s": "in"})  # 2
        await c.put("a", {"s": "in"}, data={"x": "1"})  # 3
        await c.put("a", {"s": "out"}, data={"x": "1"})  # 4
        await c.put("a", {"s": "out"}, data={"x": "2"})  # 5
        await c.put("a", {"s": "in"}, data={"x": "2"})  # 6
        await c.delete("a")  # 7
        await c.put("b", {"s": "out"})  # 8
        await c.delete("b")  # 9
        await c.put("end", {"s": "in"})  # 10
        inside = [
            ("ADDED", "a", 2),
            ("MODIFIED", "a", 3),
            ("DELETED", "a", 4),
            ("ADDED", "a", 6),
            ("DELETED", "a", 7),
            ("ADDED", "end", 10),
        ]
        outside = [
            ("ADDED", "a", 4),
            ("MODIFIED", "a", 5),
            ("DELETED", "a", 6),
            ("ADDED", "b", 8),
            ("DELETED", "b", 9),
        ]
        assert sets == {"s=in": inside, "s=out": outside, "s notin (out)": inside}
        # A watch that begins later tells the same story.
        assert c.watch(Selection("ns", labels=labels.parse("s=in")), since=1)[0] == inside
        assert c.watch(Selection("ns", labels=labels.parse("s=out")), since=4)[0] == outside[1:]
        assert [e[0] for e in everything] == [
            "ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED", "ADDED", "DELETED", "ADDED",
        ]  # fmt: skip

    run(main())


def test_a_deletion_carries_the_last_state_that_matched_under_the_new_revision(run, cache):
    async def main():
        c = cache()
        sent = []
        c.cacher.watch(sent.append, Selection(labels=labels.parse("s=in")))
        await c.put("a", {"s": "in"}, data="last")
        await c.put("a", {"s": "out"}, data="new")
        (event,) = lines(sent[-1])
        assert event["type"] == "DELETED"
        assert event["object"]["data"] == "last"
        assert event["object"]["metadata"] == {
            "resourceVersion": "3",
            "name": "a",
            "namespace": "ns",
            "labels": {"s": "in"},
        }

    run(main())


def test_where_watches_begin(run, cache):
    async def main():
        c = cache()
        await c.put("a")  # 2
        await c.put("b")  # 3
        await c.put("a", data="2")  # 4
        present = [("ADDED", "a", 4), ("ADDED", "b", 3)]
        replay = [("ADDED", "b", 3), ("MODIFIED", "a", 4)]
        begun = {
            "present": c.watch()[0],
            "after 2": c.watch(since=2)[0],
            "now": c.watch(since=4)[0],
            "future": c.watch(since=6)[0],
        }
        assert begun == {"present": present, "after 2": replay, "now": [], "future": []}
        await c.delete("b")  # 5
        await c.put("c")  # 6
        both = [
            c.store.put(c.prefix + b"ns/%d" % i, orjson.dumps({"metadata": {"name": str(i)}})) for i in (7, 8)
        ]
        await asyncio.gather(*both)
        tail = [("DELETED", "b", 5), ("ADDED", "c", 6), ("ADDED", "7", 7), ("ADDED", "8", 8)]
        assert begun == {"present": present + tail, "after 2": replay + tail, "now": tail, "future": tail[2:]}

    run(main())


def test_a_watch_from_the_middle_of_a_batch_in_the_future(run, cache):
    async def main():
        c = cache()
        seen, _ = c.watch(since=3)
        writes = [
            c.store.put(c.prefix + b"ns/%d" % i, orjson.dumps({"metadata": {"name": str(i)}}))
            for i in (2, 3, 4)
        ]
        await asyncio.gather(*writes)
        assert seen == [("ADDED", "4", 4)]

    run(main())


def test_history_beyond_the_ring(run, cache):
    async def main():
        c = cache(ring_changes_max=3)
        strict = c.open(history=False, ring_changes_max=3)
        for i in range(6):
            await c.put("a", data=i)  # 2..7
        await c.delete("a")  # 8
        everything = [("ADDED", "a", 2)] + [("MODIFIED", "a", r) for r in range(3, 8)] + [("DELETED", "a", 8)]
        for since in range(1, 9):
            assert c.watch(since=since)[0] == everything[since - 1 :]
        for since in range(1, 5):
            with pytest.raises(StatusError) as error:
                strict.watch(print, since=since)
            assert error.value.status == {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
                "reason": "Expired", "message": f"too old resource version: {since} (5)",
            }  # fmt: skip
        strict.watch(lambda _: None, since=5)
        await c.store.compact(4)
        with pytest.raises(StatusError, match=r"^too old resource version: 3 \(4\)$"):
            c.watch(since=3)
        assert c.watch(since=4)[0] == everything[3:]
        late = c.open(floor=8)
        with pytest.raises(StatusError, match=r"^too old resource version: 1 \(8\)$"):
            late.watch(print, since=1)
        late.watch(print, since=8)

    run(main())


def test_equal_watchers_share_one_encoding(run, cache):
    async def main():
        c = cache()
        built, sent = [], []

        def frame(event):
            built.append(event)
            return event.json

        table = Frames("table", frame, wrap=lambda data: b"%x\r\n%b\r\n" % (len(data), data))
        for _ in range(5):
            c.cacher.watch(sent.append, Selection("ns"), representation=table)
        c.cacher.watch(sent.append, Selection("ns", labels=labels.parse("a=b")), representation=table)
        await c.put("a", {"a": "b"})
        assert len(built) == 1
        assert len(sent) == 6
        assert len({id(data) for data in sent[:5]}) == 1
        assert sent[0].endswith(b"}\n\r\n")

    run(main())


def test_namespaces_objects_and_indexed_fields(run, cache):
    async def main():
        c = cache()
        selections = {
            "all": Selection(),
            "ns1": Selection("ns1"),
            "object": Selection("ns1", "p"),
            "name": Selection(fields=fields.parse("metadata.name=p")),
            "node": Selection(fields=fields.parse("spec.nodeName=n1")),
            "node in ns1": Selection("ns1", fields=fields.parse("spec.nodeName=n1")),
            "unbound": Selection(fields=fields.parse("spec.nodeName=")),
            "not n1": Selection(fields=fields.parse("spec.nodeName!=n1")),
        }
        seen = {name: c.watch(selection)[0] for name, selection in selections.items()}
        await c.put("p", namespace="ns1")  # 2
        await c.put("p", namespace="ns1", node="n1")  # 3
        await c.put("q", namespace="ns2", node="n1")  # 4
        await c.delete("p", "ns1")  # 5
        p = [("ADDED", "p", 2), ("MODIFIED", "p", 3), ("DELETED", "p", 5)]
        assert seen == {
            "all": [*p[:2], ("ADDED", "q", 4), p[2]],
            "ns1": p,
            "object": p,
            "name": p,
            "node": [("ADDED", "p", 3), ("ADDED", "q", 4), ("DELETED", "p", 5)],
            "node in ns1": [("ADDED", "p", 3), ("DELETED", "p", 5)],
            "unbound": [("ADDED", "p", 2), ("DELETED", "p", 3)],
            "not n1": [("ADDED", "p", 2), ("DELETED", "p", 3)],
        }

    run(main())


def test_how_many_a_change_concerns(run, cache):
    """Who selects one value of an indexed field is not counted: of 5,000 kubelets one is told."""

    async def main():
        c = cache()
        selections = [Selection(), Selection(), Selection("ns1"), Selection("ns2"), Selection("ns1", "p")]
        selections += [Selection(fields=fields.parse(f"spec.nodeName=n{n}")) for n in range(50)]
        for selection in selections:
            c.watch(selection)
        assert c.cacher.interested("ns1", "p") == 4
        assert c.cacher.interested("ns1", "q") == 3
        assert c.cacher.interested("ns3", "") == 2
        await c.put("p", namespace="ns1", node="n1")
        assert (c.cacher.received, c.cacher.sent) == (1, 5)
        assert c.cacher.average_bytes > 50

    run(main())


def test_initial_events_end_with_a_bookmark(run, cache):
    async def main():
        c = cache()
        await c.put("a")
        await c.store.put(b"/elsewhere", b"")
        sent = []
        c.cacher.watch(sent.append, initial_events_end=True)
        events = lines(b"".join(sent))
        assert [e["type"] for e in events] == ["ADDED", "BOOKMARK"]
        assert events[1]["object"] == {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": "3", "annotations": {"k8s.io/initial-events-end": "true"}},
        }

    run(main())


def test_large_initial_states_come_in_pieces_and_do_not_count_as_slowness(run, cache):
    async def main():
        c = cache()
        for i in range(1100):
            c.store.put(c.prefix + b"ns/%04d" % i, orjson.dumps({"metadata": {"name": str(i)}}))
        await c.put("z")
        sent, reasons, unsent = [], [], [0]

        def send(data):
            sent.append(data)
            unsent[0] += len(data)

        c.cacher.watch(send, unsent=lambda: unsent[0], unsent_bytes_max=1000, closed=reasons.append)
        assert [len(lines(data)) for data in sent] == [500, 500, 101]
        await c.put("z")
        assert reasons == []
        unsent[0] = 0  # the client caught up: from here on only the bound counts
        await c.put("z")
        unsent[0] = 1001
        await c.put("z")
        assert reasons == ["slow"]
        assert len(sent) == 5
        await c.put("z")
        assert len(sent) == 5
        assert c.cacher.watcher_count == 0

    run(main())


def test_bookmarks_come_about_every_minute(run, cache):
    async def main():
        c = cache()
        loop = asyncio.get_running_loop()
        times, seen = [], []

        def send(events):
            for event in events:
                seen.append((event.type, event.revision))
                times.append(loop.time())

        watcher = c.cacher.watch(send, Selection("other"), representation=EVENTS, bookmarks=True)
        quiet, _ = c.watch(Selection("other"))
        await c.put("a")
        await asyncio.sleep(600)
        gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
        assert 9 <= len(gaps) <= 11
        assert all(55 <= gap <= 66 for gap in gaps)
        assert len(set(gaps)) > 1
        assert set(seen) == {("BOOKMARK", 2)}
        assert quiet == []
        watcher.close()
        await asyncio.sleep(600)
        assert len(seen) == len(gaps)

    run(main())


def test_a_timeout_ends_the_watch_after_a_last_bookmark(run, cache):
    async def main():
        c = cache()
        loop = asyncio.get_running_loop()
        story = []
        c.cacher.watch(
            lambda events: story.append((loop.time(), events[0].type)),
            representation=EVENTS,
            bookmarks=True,
            timeout=4,
            closed=lambda why: story.append((loop.time(), why)),
        )
        c.cacher.watch(
            lambda events: story.append("no bookmark here"),
            timeout=3,
            closed=lambda why: story.append((loop.time(), why)),
        )
        await asyncio.sleep(100)
        assert story == [(2.0, "BOOKMARK"), (3.0, "timeout"), (4.0, "timeout")]

    run(main())


def test_no_bookmark_for_a_revision_that_has_not_come(run, cache):
    async def main():
        c = cache()
        seen, _ = c.watch(since=5, bookmarks=True)
        await asyncio.sleep(200)
        assert seen == []

    run(main())


def test_subscribers_get_triples_and_first_the_present_state(run, cache):
    async def main():
        c = cache()
        batches = []
        subscription = c.cacher.subscribe(batches.append)
        assert batches == [[]]
        assert subscription.revision == 1
        await c.put("a", data="1")
        await c.put("a", data="2")
        await c.delete("a")
        ((added, one, none),), ((modified, two, before),), ((deleted, last, before_last),) = batches[1:]
        assert (added, modified, deleted, none) == ("ADDED", "MODIFIED", "DELETED", None)
        assert before is one
        assert before_last is two
        assert (last.object["data"], last.mod_revision, two.mod_revision) == ("2", 4, 3)
        subscription.close()
        subscription.close()
        await c.put("b")
        assert len(batches) == 4
        late = []
        c.cacher.subscribe(late.append)
        assert [(t, e.name, p) for t, e, p in late[0]] == [("ADDED", "b", None)]

    run(main())


def test_the_end_of_a_resource_ends_its_watches(run, cache):
    async def main():
        c = cache()
        caches = WatchCache(c.store)
        pods = caches.open(c.prefix, True, c.cacher._shape.extract)
        assert caches.open(c.prefix, True, c.cacher._shape.extract) is pods
        reasons = []
        pods.watch(print, closed=reasons.append, bookmarks=True)
        quiet = pods.watch(print, closed=reasons.append)
        quiet.close()
        caches.close_all()
        assert reasons == ["ended"]

    run(main())


def test_all_caches_are_current_before_any_watcher_hears(run, cache):
    async def main():
        c = cache()
        caches = WatchCache(c.store)
        a, b = (caches.open(b"/registry/%c/" % x, False, c.cacher._shape.extract) for x in b"ab")
        found = []
        a.subscribe(lambda batch: found.append((batch and batch[0][1].name, len(a), len(b))))
        b.subscribe(lambda batch: found.append((batch and batch[0][1].name, len(a), len(b))))
        value = orjson.dumps({"metadata": {"name": "x"}})
        await asyncio.gather(c.store.put(b"/registry/a/x", value), c.store.put(b"/registry/b/y", value))
        assert found[2:] == [("x", 1, 1), ("y", 1, 1)]

    run(main())


def test_watchers_that_come_and_go_in_a_callback(run, cache):
    async def main():
        c = cache()
        story = []

        def first(events):
            story.append(("first", len(events)))
            second.close()
            seen, _ = c.watch(since=1)
            story.append(("third begins with", seen.copy()))
            thirds.append(seen)

        thirds: list = []
        c.cacher.watch(first, since=1, representation=EVENTS)
        second = c.cacher.watch(lambda _: story.append("never"), since=1, representation=EVENTS)
        await c.put("a")
        assert story == [("first", 1), ("third begins with", [("ADDED", "a", 2)])]
        assert thirds == [[("ADDED", "a", 2)]]

    run(main())


ops = st.lists(
    st.tuples(st.sampled_from(["p", "q"]), st.sampled_from(["x", "y", "z", None]), st.integers(0, 3)),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(steps=ops, ring=st.integers(1, 8))
def test_any_watch_leads_to_what_a_list_shows(cache_class, steps, ring):
    """Applying the events of a selected watch, from whatever revision, yields the selected list."""

    async def main():
        c = cache_class(ring_changes_max=ring)
        selection = Selection(labels=labels.parse("l in (x,y)"))
        begun = []

        def begin(since):
            state = {e.name: e.labels for e in c.cacher.select(selection)}

            def apply(events):
                for event in events:
                    if event.type == "DELETED":
                        del state[event.entry.name]
                    else:
                        assert (event.entry.name in state) == (event.type == "MODIFIED")
                        state[event.entry.name] = event.entry.labels

            c.cacher.watch(apply, selection, since=since, representation=EVENTS)
            begun.append(state)

        for name, label, how in steps:
            if how == 0:
                begin(c.cacher.revision)
            if label is None:
                await c.store.delete(c.prefix + f"ns/{name}".encode())
            else:
                await c.put(name, {"l": label})
        states: list[dict] = []
        for since in range(1, c.cacher.revision + 1):
            state = {e.name: e.labels for e in c.cacher.at(c.prefix, b"", since) if selection.matches(e)}
            seen, _ = c.watch(selection, since=since)
            for type_, name, _ in seen:
                if type_ == "DELETED":
                    del state[name]
                else:
                    assert (name in state) == (type_ == "MODIFIED")
                    state[name] = {}
            states.append(state)
        now = {e.name: e.labels for e in c.cacher.select(selection)}
        assert all(state == now for state in begun)
        assert all(state.keys() == now.keys() for state in states)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_json_lines(run, cache):
    async def main():
        c = cache()
        await c.put("a")
        (entry,) = c.cacher.list()
        data = []
        c.cacher.watch(data.append, representation=JSON)
        assert data == [b'{"type":"ADDED","object":' + entry.body + b"}\n"]

    run(main())


def test_a_sink_that_raises_ends_its_watch_and_no_other(run, cache):
    async def main():
        c = cache()
        complaints, reasons = [], []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context["exception"])
        )

        def broken(_):
            raise OSError("gone")

        c.cacher.watch(broken, closed=reasons.append)
        seen, _ = c.watch()
        await c.put("a")
        await c.put("a")
        assert reasons == ["failed"]
        assert [str(error) for error in complaints] == ["gone"]
        assert len(seen) == 2

    run(main())


def test_a_watch_of_a_resource_that_went_away_ends(run, cache):
    async def main():
        c = cache()
        c.cacher.close()
        reasons = []
        c.cacher.watch(print, closed=reasons.append)
        await asyncio.sleep(0)
        assert reasons == ["ended"]

    run(main())


def test_a_sink_may_hold_back_the_initial_events(run, cache):
    async def main():
        c = cache()
        for i in range(1100):
            c.store.put(c.prefix + b"ns/%04d" % i, orjson.dumps({"metadata": {"name": str(i)}}))
        await c.put("z")
        held, reasons, unsent = [], [], [0]
        c.cacher.watch(held.append, unsent=lambda: unsent[0], unsent_bytes_max=1000, closed=reasons.append)
        unsent[0] = sum(map(len, held))
        await c.put("z")
        assert reasons == []
        unsent[0] = 500
        await c.put("z")
        unsent[0] = 2000
        await c.put("z")
        assert reasons == ["slow"]

    run(main())
