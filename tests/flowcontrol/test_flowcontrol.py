"""Flow control: classification, fair queues in hand-set time, levels and waiting in virtual time."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.flowcontrol.bootstrap import GROUP, bootstrap_objects, dangling
from knarr.flowcontrol.borrowing import Claim, current_limits, nominal_limits
from knarr.flowcontrol.controller import PATIENCE_SECONDS, FlowController
from knarr.flowcontrol.fairqueue import FairQueues, Rejected, Shape, deal
from knarr.meta.errors import StatusError
from knarr.registry.context import Request, UserInfo

from ..auth.memory_reader import LoopClock, MemoryReader, run

PARITY = Path(__file__).parents[3] / "shared/parity/docs/bootstrap"


def request(what="get pods", user="jane", groups=("system:authenticated",), namespace="ns"):
    verb, _, target = what.partition(" ")
    who = UserInfo(user, groups=tuple(groups))
    if target.startswith("/"):
        return Request(verb, path=target, user=who)
    target, _, sub = target.partition(":")
    resource, _, group = target.partition(".")
    return Request(verb, "", group, "v1", resource, sub, namespace, user=who)


# -- fair queues -------------------------------------------------------------------------------------------


def test_seats_then_queues_then_refusal():
    level = FairQueues(Shape(seats=2, queues=1, hand=1, queue_length=1))
    first, second, third = (level.arrive(0.0, (0,)) for _ in range(3))
    assert (first.started, second.started, third.started) == (0.0, 0.0, None)
    with pytest.raises(Rejected, match="queue-full"):
        level.arrive(0.0, (0,))
    assert level.finish(first, 1.0) == [third]
    assert third.started == 1.0
    assert level.finish(second, 1.0) == level.finish(third, 2.0) == []
    assert (level.seats_in_use, level.requests_waiting) == (0, 0)


def test_a_level_that_rejects():
    level = FairQueues(Shape(seats=1))
    level.arrive(0.0, (0,))
    with pytest.raises(Rejected, match="concurrency-limit"):
        level.arrive(0.0, (0,))


def test_no_seats_at_all_lets_nobody_in():
    level = FairQueues(Shape(0, 1, 1, 5))
    entry = level.arrive(0.0, (0,))
    assert entry.started is None
    assert level.abandon(entry, 1.0) == []
    assert level.reshape(Shape(1, 1, 1, 5), 1.0) == []
    assert level.arrive(1.0, (0,)).started == 1.0


def drain(level, served, seconds, now=0.0, cost=1.0):
    """Serve one at a time; each takes `cost(entry)` seconds. Returns who was served in that time."""
    running = [e for e in served if e.started is not None]
    order = []
    end = now + seconds
    while running and now < end:
        entry = running.pop(0)
        now += cost(entry) if callable(cost) else cost
        order.append(entry.queue.index)
        running += level.finish(entry, now)
    return Counter(order)


def test_a_flood_does_not_starve_others():
    """One queue with 100 requests, another with 10, one seat: they take turns while both have any."""
    level = FairQueues(Shape(1, 2, 1, 200))
    entries = [level.arrive(0.0, (0,)) for _ in range(100)] + [level.arrive(0.0, (1,)) for _ in range(10)]
    served = drain(level, entries, 20.0)
    assert abs(served[0] - served[1]) <= 2


def test_turns_are_measured_in_work_not_in_requests():
    """Requests of queue 0 take three times as long: it gets a third of the turns, half of the time."""
    level = FairQueues(Shape(1, 2, 1, 400))
    entries = [level.arrive(0.0, (q,)) for _ in range(200) for q in (0, 1)]
    served = drain(level, entries, 240.0, cost=lambda e: 3.0 if e.queue.index == 0 else 1.0)
    assert served[1] / served[0] == pytest.approx(3, rel=0.15)


def test_wide_requests_weigh_more():
    level = FairQueues(Shape(4, 2, 1, 400))
    entries = [level.arrive(0.0, (q,), width=4 if q == 0 else 1) for _ in range(100) for q in (0, 1)]
    served: Counter[int] = Counter()
    now, running = 0.0, [e for e in entries if e.started is not None]
    while now < 60.0:
        now += 1.0
        batch, running = running, []
        for entry in batch:
            served[entry.queue.index] += 1
            running += level.finish(entry, now)
        assert level.seats_in_use <= 4
    assert served[1] / served[0] == pytest.approx(4, rel=0.3)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_invariants(data):
    """Whatever happens: never more seats than there are, no seat idle while somebody could use it, nobody lost."""
    seats, queues = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    level = FairQueues(Shape(seats, queues, 2, 3))
    now, running, waiting = 0.0, [], []
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from([0.0, 0.001, 1.0]))
        action = data.draw(st.sampled_from(["arrive", "arrive", "finish", "abandon", "reshape"]))
        started = []
        if action == "arrive":
            hand = tuple(data.draw(st.permutations(range(queues))))[: data.draw(st.integers(1, queues))]
            try:
                entry = level.arrive(now, hand, data.draw(st.integers(1, 3)))
            except Rejected:
                assert level.seats_in_use + 3 > seats or level.requests_waiting
                continue
            (running if entry.started is not None else waiting).append(entry)
        elif action == "finish" and running:
            started = level.finish(running.pop(data.draw(st.integers(0, len(running) - 1))), now)
        elif action == "abandon" and waiting:
            started = level.abandon(waiting.pop(data.draw(st.integers(0, len(waiting) - 1))), now)
        elif action == "reshape":
            seats = data.draw(st.integers(1, 4))
            started = level.reshape(Shape(seats, queues, 2, 3), now)
        for entry in started:
            waiting.remove(entry)
            running.append(entry)
        assert level.seats_in_use == sum(e.width for e in running)
        assert level.seats_waiting == sum(e.width for e in waiting)
        assert level.requests_waiting == len(waiting)
        assert level._active == sum(q.active for q in level.queues)
        if waiting:
            assert level.seats_in_use + max(e.width for e in waiting) > seats
    while running:
        now += 1.0
        for entry in level.finish(running.pop(), now):
            waiting.remove(entry)
            running.append(entry)
    assert not waiting
    assert level.seats_in_use == level._active == 0


@given(st.text(max_size=20), st.integers(1, 128), st.integers(1, 8))
def test_hands(flow, deck, hand):
    dealt = deal(flow, deck, hand)
    assert len(set(dealt)) == len(dealt) == min(hand, deck)
    assert all(0 <= card < deck for card in dealt)
    assert dealt == deal(flow, deck, hand)


def test_hands_are_spread():
    drawn = Counter(card for n in range(400) for card in deal(f"flow-{n}", 64, 6))
    assert len(drawn) == 64
    assert max(drawn.values()) < 4 * min(drawn.values())


# -- sharing out ---------------------------------------------------------------------------------------------


def test_nominal_limits_follow_shares():
    assert nominal_limits(600, {"a": 100, "b": 20, "c": 0}) == {"a": 500, "b": 100, "c": 0}
    assert nominal_limits(600, {"a": 0}) == {"a": 0}


@pytest.mark.parametrize(
    ("demands", "limits"),
    [
        ((0, 0), (50, 50)),
        ((100, 0), (75, 25)),
        ((100, 100), (50, 50)),
        ((0, 500), (25, 75)),
        ((60, 30), (65, 35)),
    ],
)
def test_idle_seats_are_lent(demands, limits):
    claims = {n: Claim(50, 25, 100, d, d) for n, d in zip("ab", demands, strict=True)}
    found, _ = current_limits(100, claims)
    assert [found[n] for n in "ab"] == pytest.approx(limits, abs=3)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100), st.integers(0, 300)), min_size=1, max_size=5)
)
def test_bounds_of_lending(levels):
    total = sum(nominal for nominal, _, _ in levels)
    claims = {
        str(i): Claim(nominal, nominal - nominal * lent // 100, total, float(demand), demand)
        for i, (nominal, lent, demand) in enumerate(levels)
    }
    found, _ = current_limits(total, claims)
    for name, claim in claims.items():
        assert claim.lowest <= found[name] <= claim.highest_limit
        assert found[name] >= min(claim.nominal, claim.demand)


# -- classification and levels -----------------------------------------------------------------------------


def controller(reader=None, seats=600, bootstrap=True):
    reader = reader or MemoryReader()
    if bootstrap:
        for group, resource, obj in bootstrap_objects(0.0):
            reader.put(group, resource, obj)
    return FlowController(reader, LoopClock(), seats)


def schema_of(flow, asked):
    async def go():
        ticket = await flow().start(asked)
        ticket.finish()
        return ticket.schema.name, ticket.level

    return run(go())


@pytest.mark.parametrize(
    ("asked", "schema", "level"),
    [
        (request(), "global-default", "global-default"),
        (request(groups=("system:masters", "system:authenticated")), "exempt", "exempt"),
        (request("get /healthz"), "probes", "exempt"),
        (request("get /metrics"), "global-default", "global-default"),
        (request(user="system:kube-scheduler"), "kube-scheduler", "workload-high"),
        (
            request("update leases.coordination.k8s.io", user="system:kube-scheduler"),
            "system-leader-election",
            "leader-election",
        ),
        (
            request("patch leases.coordination.k8s.io", user="system:kube-scheduler"),
            "kube-scheduler",
            "workload-high",
        ),
        (
            request(user="system:serviceaccount:kube-system:x", groups=("system:serviceaccounts",)),
            "kube-system-service-accounts",
            "workload-high",
        ),
        (
            request(user="system:serviceaccount:ns:x", groups=("system:serviceaccounts",)),
            "service-accounts",
            "workload-low",
        ),
        (
            request("patch nodes:status", groups=("system:nodes",), namespace=""),
            "system-node-high",
            "node-high",
        ),
        (request("get secrets", groups=("system:nodes",)), "system-nodes", "system"),
        (request(groups=()), "catch-all", "catch-all"),
    ],
)
def test_default_schemas(asked, schema, level):
    assert schema_of(controller, asked) == (schema, level)


def test_before_anything_is_configured():
    assert schema_of(lambda: controller(bootstrap=False), request()) == ("catch-all", "catch-all")
    masters = request(groups=("system:masters",))
    assert schema_of(lambda: controller(bootstrap=False), masters) == ("exempt", "exempt")


def test_bootstrap_objects_are_kubernetes_own():
    if not PARITY.exists():
        pytest.skip("the recorded objects are not on this machine")
    for resource in ("flowschemas", "prioritylevelconfigurations"):
        recorded = json.loads((PARITY / f"{resource}.json").read_text())
        for obj in recorded:
            for condition in obj["status"].get("conditions", ()):
                condition["lastTransitionTime"] = "1970-01-01T00:00:00Z"
        ours = {o["metadata"]["name"]: o for _, r, o in bootstrap_objects(0.0) if r == resource}
        assert {
            n: {k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for n, o in ours.items()
        } == {o["metadata"]["name"]: o for o in recorded}


def level(name, shares=10, **response):
    limited = {"nominalConcurrencyShares": shares, "limitResponse": response or {"type": "Reject"}}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def schema(name, level_name, user="jane", precedence=5):
    rules = [
        {
            "subjects": [{"kind": "User", "user": {"name": user}}],
            "resourceRules": [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["pods"], "namespaces": ["ns"]}
            ],
        }
    ]
    spec = {
        "priorityLevelConfiguration": {"name": level_name},
        "matchingPrecedence": precedence,
        "rules": rules,
    }
    return {"metadata": {"name": name}, "spec": spec}


def test_changes_take_effect():
    async def go():
        reader = MemoryReader()
        flow = controller(reader)

        async def where(asked=None):
            async with flow.admit(asked or request()) as ticket:
                return ticket.level

        found = [await where()]
        reader.put(GROUP, "flowschemas", schema("mine", "tight"))
        found.append(await where())  # its level is not there yet
        reader.put(GROUP, "prioritylevelconfigurations", level("tight"))
        found.append(await where())
        found.append(await where(request(namespace="other")))
        found.append(await where(request(namespace="")))
        reader.drop(GROUP, "flowschemas", "", "mine")
        found.append(await where())
        return found

    default = "global-default"
    assert run(go()) == [default, default, "tight", default, default, default]


HEADERS = (
    ("X-Kubernetes-PF-FlowSchema-UID", "uid-global-default"),
    ("X-Kubernetes-PF-PriorityLevel-UID", "uid-global-default"),
)


def test_headers_name_schema_and_level():
    async def go():
        reader = MemoryReader()
        flow = controller(reader)
        async with flow.admit(request()) as ticket:
            return ticket.headers

    assert run(go()) == HEADERS


def tight(queues=1, length=2):
    """One level with one seat for jane's pods."""
    reader = MemoryReader()
    queuing = {"queues": queues, "handSize": 1, "queueLengthLimit": length}
    reader.put(GROUP, "prioritylevelconfigurations", level("tight", 1, type="Queue", queuing=queuing))
    reader.put(GROUP, "flowschemas", schema("mine", "tight"))
    return controller(reader, seats=6, bootstrap=False), reader


async def outcome(waiting):
    try:
        return await waiting
    except StatusError as error:
        return error


def test_waiting_its_turn():
    async def go():
        flow, _ = tight()
        assert flow.levels["tight"].nominal == 1
        first = await flow.start(request())
        second, third = (asyncio.ensure_future(flow.start(request())) for _ in range(2))
        await asyncio.sleep(1)
        assert not second.done()
        refused = await outcome(flow.start(request()))
        assert (refused.code, refused.headers["Retry-After"]) == (429, "1")
        assert refused.headers["X-Kubernetes-PF-FlowSchema-UID"] == "uid-mine"
        assert refused.message == "Too many requests, please try again later."
        first.finish()
        first.finish()  # no harm
        ticket = await second
        assert not third.done()
        ticket.finish()
        (await third).finish()
        assert flow.levels["tight"].queues.seats_in_use == 0
        assert flow.levels["tight"].rejected == {"queue-full": 1}

    run(go())


def test_patience_ends():
    async def go():
        flow, _ = tight()
        ticket = await flow.start(request())
        began = asyncio.get_running_loop().time()
        refused = await outcome(flow.start(request()))
        assert asyncio.get_running_loop().time() - began == pytest.approx(PATIENCE_SECONDS)
        assert refused.code == 429
        assert flow.levels["tight"].rejected == {"time-out": 1}
        assert flow.levels["tight"].queues.requests_waiting == 0
        ticket.finish()
        (await flow.start(request())).finish()

    run(go())


def test_who_hangs_up_leaves_the_queue():
    async def go():
        flow, _ = tight()
        ticket = await flow.start(request())
        gone, stays = (asyncio.ensure_future(flow.start(request())) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert flow.levels["tight"].queues.requests_waiting == 1
        ticket.finish()
        (await stays).finish()
        # cancelled in the instant in which the seat was given: the seat comes back
        ticket = await flow.start(request())
        lost = asyncio.ensure_future(flow.start(request()))
        await asyncio.sleep(0)
        ticket.finish()
        lost.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lost
        assert flow.levels["tight"].queues.seats_in_use == 0
        assert not flow._futures

    run(go())


def test_a_wider_level_wakes_who_waits():
    async def go():
        flow, reader = tight()
        ticket = await flow.start(request())
        waiting = asyncio.ensure_future(flow.start(request()))
        await asyncio.sleep(0)
        queuing = {"queues": 1, "handSize": 1, "queueLengthLimit": 2}
        reader.put(GROUP, "prioritylevelconfigurations", level("tight", 50, type="Queue", queuing=queuing))
        (await waiting).finish()
        ticket.finish()

    run(go())


def test_others_are_not_disturbed_by_a_flood():
    """jane floods her level; everybody else is answered at once."""

    async def go():
        flow, _ = tight(length=50)
        held = await flow.start(request())
        flood = [asyncio.ensure_future(outcome(flow.start(request()))) for _ in range(200)]
        await asyncio.sleep(0)
        async with flow.admit(request(user="joe")) as ticket:
            assert ticket.level == "catch-all"
        async with flow.admit(request(groups=("system:masters",), user="root")):
            pass
        held.finish()
        await asyncio.sleep(0)
        for task in flood:
            task.cancel()
        results = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(isinstance(r, StatusError) for r in results) == 150

    run(go())


def test_dangling_schemas_are_marked():
    async def go():
        reader = MemoryReader()
        flow = controller(reader)
        reader.put(GROUP, "flowschemas", schema("mine", "tight"))
        keeper = asyncio.ensure_future(flow.run())
        await asyncio.sleep(1)

        def condition():
            return reader.get(GROUP, "flowschemas", "", "mine")["status"]["conditions"][0]

        first = condition()
        reader.put(GROUP, "prioritylevelconfigurations", level("tight"))
        await asyncio.sleep(1)
        second = condition()
        keeper.cancel()
        assert len(reader.updates) == 2  # the default ones were right from the start
        return first, second

    first, second = run(go())
    words = 'This FlowSchema references the PriorityLevelConfiguration object named "tight"'
    assert (first["status"], first["reason"], first["message"]) == (
        "True",
        "NotFound",
        f"{words} but there is no such object",
    )
    assert (second["status"], second["reason"], second["message"]) == (
        "False",
        "Found",
        f"{words} and it exists",
    )


def test_a_true_condition_is_left_alone():
    marked = dangling(schema("a", "b"), {"b"}, 0.0)
    assert dangling(marked, {"b"}, 100.0) is None
