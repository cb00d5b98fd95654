"""Priority levels over time: what requests cost, who borrows from whom, what is kept up, and who is starved: nobody."""

from __future__ import annotations

import asyncio
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.catalog import kind_of
from knarr.flowcontrol import upkeep
from knarr.flowcontrol.bootstrap import GROUP, LEVELS, SCHEMAS, bootstrap_objects
from knarr.flowcontrol.borrowing import Claim, current_limits, entitled
from knarr.flowcontrol.controller import FlowController
from knarr.flowcontrol.demand import Demand, Meter
from knarr.flowcontrol.estimate import ONE, Work, seats_max, work_of
from knarr.flowcontrol.retryafter import RetryAfter
from knarr.meta.errors import StatusError
from knarr.registry.context import Request, UserInfo

from ..auth.memory_reader import LoopClock, MemoryReader, run


class Loads:
    """So many objects of a size, watched by so many."""

    def __init__(self, objects: int = 0, size: int = 0, watchers: int = 0) -> None:
        self.found, self.watching = (objects, size), watchers

    def load(self, group: str, resource: str):
        return None if resource == "unknown" else self.found

    def watchers(self, group: str, resource: str, namespace: str, name: str) -> int:
        return self.watching


def asked(verb: str, resource: str = "pods", user: str = "jane", **query: str) -> Request:
    return Request(verb, "", "", "v1", resource, "", "ns", query=query, user=UserInfo(user))


# -- what requests cost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "loads", "seats"),
    [
        (asked("get"), Loads(10**6, 10**6), 1),
        (asked("list"), Loads(0, 0), 1),
        (asked("list"), Loads(100, 1000), 1),
        (asked("list"), Loads(101, 1000), 2),
        (asked("list"), Loads(1000, 400), 4),
        # a list is sent piece by piece: it never needs more than a megabyte
        (asked("list"), Loads(10**6, 10**6), 10),
        (asked("list", limit="100"), Loads(10**6, 1000), 1),
        (asked("list", limit="0"), Loads(300, 1000), 3),
        (asked("list", "unknown"), Loads(10**6, 10**6), 1),
        (asked("watch"), Loads(10**6, 10**6), 1),
        (asked("watch", sendInitialEvents="true"), Loads(300, 1000), 3),
        (asked("deletecollection"), Loads(10**6, 1000), 1),
    ],
)
def test_reads_by_what_they_read(request_, loads, seats):
    assert work_of(request_, loads, 100).width == seats


def test_writes_by_who_watches():
    def work(verb: str, watchers: int, resource: str = "pods", subresource: str = "") -> Work:
        request = asked(verb, resource)
        request.subresource = subresource
        return work_of(request, Loads(), 10, watchers)

    assert work("create", 9) == ONE
    assert work("create", 10) == Work(1, 1, 0.005)
    assert work("patch", 35) == Work(1, 4, 0.005)
    # no more seats than one request may have, but then for longer
    wide = work("delete", 1000)
    assert (wide.final_seats, wide.width) == (10, 10)
    assert wide.final_seconds == pytest.approx(0.05)
    assert work("create", 1000, "serviceaccounts", "token") == ONE
    assert work("get", 1000) == ONE


def test_no_request_takes_much_of_its_level():
    assert seats_max(245, 6) == 36
    assert seats_max(100, 8) == 12
    assert seats_max(10, 8) == 1
    assert seats_max(0, 1) == 1


# -- demand ----------------------------------------------------------------------------------------------------------


def test_demand_is_an_average_over_time():
    meter = Meter(0.0)
    meter.set(10, 2.0)
    meter.set(0, 4.0)
    assert meter.read(10.0) == (2.0, 4.0, 10)
    # the next period begins with what is now
    meter.set(3, 10.0)
    assert meter.read(20.0) == (3.0, 0.0, 3)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 10)), max_size=20))
def test_demand_is_within_what_was_wanted(steps):
    meter, now, seen = Meter(0.0), 0.0, [0]
    for value, seconds in steps:
        meter.set(value, now)
        seen.append(value)
        now += seconds
    average, deviation, highest = meter.read(now)
    assert highest == max(seen)
    assert -1e-9 <= average <= highest + 1e-9
    assert 0 <= deviation <= highest + 1e-9


def test_demand_rises_at_once_and_falls_slowly():
    demand = Demand()
    demand.update(100.0, 0.0, 100)
    assert demand.smoothed == 100
    demand.update(0.0, 0.0, 0)
    assert demand.smoothed == pytest.approx(97.7)


# -- sharing out ---------------------------------------------------------------------------------------------------


def test_who_is_entitled_to_what():
    assert entitled(Claim(50, 25, 100, 0.0, 0)) == 25
    assert entitled(Claim(50, 25, 100, 0.0, 40)) == 40
    assert entitled(Claim(50, 25, 100, 0.0, 90)) == 50


def test_what_exempt_requests_use_is_not_there_for_others():
    claims = {name: Claim(50, 20, 150, 100.0, 100) for name in "ab"}
    assert current_limits(100, claims)[0] == {"a": 50, "b": 50}
    # less than all are entitled to: all give way alike
    assert current_limits(70, claims)[0] == {"a": 35, "b": 35}
    # never below what they do not lend
    assert current_limits(10, claims)[0] == {"a": 20, "b": 20}


def controller(reader: MemoryReader, seats: int = 600, loads: Loads | None = None) -> FlowController:
    return FlowController(reader, LoopClock(), seats, loads)


def bootstrapped() -> MemoryReader:
    reader = MemoryReader()
    for group, resource, obj in bootstrap_objects(0.0):
        reader.put(group, resource, obj)
    return reader


def level_object(name: str, shares: int, lendable: int = 0, borrowing: int | None = None, **queuing: int):
    response = {"type": "Queue", "queuing": queuing} if queuing else {"type": "Reject"}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    if borrowing is not None:
        limited["borrowingLimitPercent"] = borrowing
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def schema_object(name: str, level: str, *users: str, by: str = "ByUser"):
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}} for user in users],
        "resourceRules": [everything],
    }
    spec = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": 5,
        "distinguisherMethod": {"type": by},
        "rules": [rule],
    }
    return {"metadata": {"name": name}, "spec": spec}


def test_a_busy_level_borrows_what_idle_ones_lend_and_gives_it_back():
    async def go():
        reader = MemoryReader()
        for name in ("busy", "idle"):
            reader.put(GROUP, LEVELS, level_object(name, 50, 80, queues=1, handSize=1, queueLengthLimit=99))
            reader.put(GROUP, SCHEMAS, schema_object(name, name, name))
        flow = controller(reader, 105)
        busy, idle = flow.levels["busy"], flow.levels["idle"]
        assert (busy.nominal, busy.lowest, busy.highest) == (50, 10, 155)
        tasks = [asyncio.ensure_future(flow.start(asked("get", user="busy"), 60.0)) for _ in range(90)]
        await asyncio.sleep(1)
        assert (busy.queues.seats_in_use, busy.queues.requests_waiting) == (50, 40)
        flow.rebalance()
        await asyncio.sleep(1)
        # the other one keeps what it never lends
        assert (busy.limit, idle.limit) == (90, 10)
        assert busy.queues.requests_waiting == 0
        # now the other one needs its own
        tasks += [asyncio.ensure_future(flow.start(asked("get", user="idle"), 60.0)) for _ in range(50)]
        await asyncio.sleep(1)
        assert (idle.queues.seats_in_use, idle.queues.requests_waiting) == (10, 40)
        flow.rebalance()
        assert (busy.limit, idle.limit) == (50, 50)
        await asyncio.sleep(1)
        assert idle.queues.requests_waiting == 0
        for task in tasks:
            (await task).finish()
        assert busy.queues.idle and idle.queues.idle

    run(go())


def test_borrowing_has_the_limit_it_was_given():
    async def go():
        reader = MemoryReader()
        reader.put(GROUP, LEVELS, level_object("lender", 50, 100))
        reader.put(
            GROUP, LEVELS, level_object("modest", 50, 0, 20, queues=1, handSize=1, queueLengthLimit=99)
        )
        reader.put(GROUP, SCHEMAS, schema_object("modest", "modest", "jane"))
        flow = controller(reader, 105)
        tasks = [asyncio.ensure_future(flow.start(asked("get"), 60.0)) for _ in range(90)]
        await asyncio.sleep(1)
        flow.rebalance()
        await asyncio.sleep(1)
        assert flow.levels["modest"].limit == 60
        for task in tasks:
            task.cancel()

    run(go())


def test_exempt_requests_are_counted_but_never_wait():
    async def go():
        reader = bootstrapped()
        flow = controller(reader, 60)
        root = UserInfo("root", groups=("system:masters",))
        request = Request("get", "", "", "v1", "pods", user=root)
        tickets = [await flow.start(request) for _ in range(50)]
        exempt = flow.levels["exempt"]
        assert exempt.queues.seats_in_use == 50
        nominal = sum(level.nominal for level in flow.levels.values())
        await asyncio.sleep(1)
        flow.rebalance()
        assert exempt.limit == 50
        others = [level for level in flow.levels.values() if not level.exempt]
        assert sum(level.limit for level in others) <= max(nominal - 50, sum(x.lowest for x in others)) + len(
            others
        )
        for ticket in tickets:
            ticket.finish()
        assert exempt.queues.idle
        assert exempt.counts["exempt"].dispatched == 50

    run(go())


def test_a_level_that_goes_away_serves_who_is_in_it():
    async def go():
        reader = MemoryReader()
        reader.put(GROUP, LEVELS, level_object("gone", 50, queues=1, handSize=1, queueLengthLimit=9))
        reader.put(GROUP, SCHEMAS, schema_object("mine", "gone", "jane"))
        flow = controller(reader, 2)
        level = flow.levels["gone"]
        first = [await flow.start(asked("get")) for _ in range(level.limit)]
        waiting = asyncio.ensure_future(flow.start(asked("get")))
        await asyncio.sleep(0)
        reader.drop(GROUP, LEVELS, "", "gone")
        assert "gone" not in flow.levels
        assert [x.name for x in flow.all_levels() if x.quiescing] == ["gone"]
        async with flow.admit(asked("get")) as ticket:
            assert ticket.level == "catch-all"
        for ticket in first:
            ticket.finish()
        (await waiting).finish()
        assert [x.name for x in flow.all_levels()] == ["catch-all", "exempt"]

    run(go())


def test_who_is_told_of_a_write_keeps_seats_for_a_moment():
    async def go():
        reader = MemoryReader()
        reader.put(GROUP, LEVELS, level_object("mine", 95))
        reader.put(GROUP, SCHEMAS, schema_object("mine", "mine", "jane"))
        flow = controller(reader, 100, Loads(1, 1, 100))
        queues = flow.levels["mine"].queues
        ticket = await flow.start(asked("create"))
        assert queues.seats_in_use == 10
        ticket.finish()
        assert queues.seats_in_use == 10
        await asyncio.sleep(0.006)
        assert queues.seats_in_use == 0
        assert flow.levels["mine"].counts["mine"].seats.buckets == [0, 0, 0, 1, 0]

    run(go())


# -- overload ----------------------------------------------------------------------------------------------------------


def test_a_flood_by_one_user_does_not_starve_another():
    """Both are in one level. The flood keeps every queue of its hand full; the other one still is served soon."""

    async def go():
        reader = MemoryReader()
        reader.put(GROUP, LEVELS, level_object("shared", 95, queues=64, handSize=6, queueLengthLimit=50))
        reader.put(GROUP, SCHEMAS, schema_object("everybody", "shared", "flood", "jane"))
        flow = controller(reader, 10)
        level = flow.levels["shared"]
        refused, served = 0, 0
        ending = False

        async def one(user: str) -> float:
            began = asyncio.get_running_loop().time()
            ticket = await flow.start(asked("get", user=user))
            waited = asyncio.get_running_loop().time() - began
            await asyncio.sleep(0.1)
            ticket.finish()
            return waited

        async def flood() -> None:
            nonlocal refused, served
            while not ending:
                try:
                    await one("flood")
                    served += 1
                except StatusError:
                    refused += 1
                    await asyncio.sleep(0.05)

        attackers = [asyncio.ensure_future(flood()) for _ in range(400)]
        await asyncio.sleep(5)
        assert level.queues.requests_waiting > 250
        waits = [await one("jane") for _ in range(50)]
        ending = True
        # alone in a queue, so next in turn: a seat is free after a tenth of a second at the latest
        assert max(waits) <= 0.2
        assert refused > 0
        # and the flood goes on being served meanwhile
        assert served > 400
        await asyncio.gather(*attackers)
        assert level.queues.idle

    run(go())


def test_those_sent_away_are_asked_to_stay_away_longer_while_they_are_many():
    waiting = RetryAfter()
    told = []
    for second in range(1, 12):
        for _ in range(10):
            told.append(waiting.dropped(second))
    assert told[0] == 1
    assert sorted(set(told)) == [1, 2, 4, 8]
    # one second less for each that passes with hardly any
    later = [waiting.dropped(200 + 40 * n) for n in range(10)]
    assert later[0] < 8 and later[-1] == 1
    assert later == sorted(later, reverse=True)


def test_refusals_say_where_the_request_belongs():
    async def go():
        reader = MemoryReader()
        reader.put(GROUP, LEVELS, level_object("tight", 1))
        reader.put(GROUP, SCHEMAS, schema_object("mine", "tight", "jane"))
        flow = controller(reader, 6)
        await flow.start(asked("get"))
        with pytest.raises(StatusError) as refusal:
            await flow.start(asked("get"))
        assert refusal.value.headers == {
            "Retry-After": "1",
            "X-Kubernetes-PF-FlowSchema-UID": "uid-mine",
            "X-Kubernetes-PF-PriorityLevel-UID": "uid-tight",
        }

    run(go())


# -- the objects that every cluster has ----------------------------------------------------------------------------


def ensured(change) -> MemoryReader:
    reader = bootstrapped()
    for resource in (SCHEMAS, LEVELS):
        for obj in list(reader.list(GROUP, resource)):
            obj["metadata"]["generation"] = 1
    change(reader)
    run(upkeep.ensure(reader))
    return reader


def spec_of(reader: MemoryReader, resource: str, name: str):
    return reader.get(GROUP, resource, "", name)["spec"]


def annotate(reader: MemoryReader, resource: str, name: str, value: str | None, generation: int = 1, **spec):
    obj = copy.deepcopy(reader.get(GROUP, resource, "", name))
    obj["metadata"]["generation"] = generation
    annotations = obj["metadata"].setdefault("annotations", {})
    annotations.pop("apf.kubernetes.io/autoupdate-spec", None)
    if value is not None:
        annotations["apf.kubernetes.io/autoupdate-spec"] = value
    obj["spec"] |= spec
    reader.put(GROUP, resource, obj)


def annotation(reader: MemoryReader, resource: str, name: str) -> str:
    return reader.get(GROUP, resource, "", name)["metadata"]["annotations"][
        "apf.kubernetes.io/autoupdate-spec"
    ]


def test_nothing_to_do():
    assert ensured(lambda reader: None).updates == []


def test_what_was_deleted_comes_back():
    reader = ensured(lambda reader: reader.drop(GROUP, SCHEMAS, "", "probes"))
    assert spec_of(reader, SCHEMAS, "probes")["matchingPrecedence"] == 2


@pytest.mark.parametrize(
    ("value", "generation", "kept", "then"),
    [
        ("true", 2, False, "true"),
        ("false", 2, True, "false"),
        # the annotation says nothing: as long as nobody changed the spec it is ours
        (None, 1, False, "true"),
        (None, 2, True, "false"),
        ("perhaps", 2, True, "false"),
        ("T", 3, False, "T"),
    ],
)
def test_suggested_objects_can_be_taken_over(value, generation, kept, then):
    reader = ensured(
        lambda reader: annotate(
            reader, SCHEMAS, "service-accounts", value, generation, matchingPrecedence=7777
        )
    )
    found = spec_of(reader, SCHEMAS, "service-accounts")["matchingPrecedence"]
    assert (found == 7777) is kept
    assert annotation(reader, SCHEMAS, "service-accounts") == then


def test_mandatory_objects_cannot():
    reader = ensured(lambda reader: annotate(reader, SCHEMAS, "catch-all", "false", 5, matchingPrecedence=7))
    assert spec_of(reader, SCHEMAS, "catch-all")["matchingPrecedence"] == 10000
    assert annotation(reader, SCHEMAS, "catch-all") == "true"


def test_but_what_the_exempt_level_lends_is_the_administrators():
    spec = {"exempt": {"nominalConcurrencyShares": 5, "lendablePercent": 50}}
    reader = ensured(lambda reader: annotate(reader, LEVELS, "exempt", "false", 5, **spec))
    assert spec_of(reader, LEVELS, "exempt")["exempt"] == spec["exempt"]


def test_objects_of_other_versions_go_unless_somebody_took_them_over():
    def change(reader: MemoryReader) -> None:
        for name, value in (("old", "true"), ("kept", "false")):
            obj = level_object(name, 1)
            obj["metadata"]["annotations"] = {"apf.kubernetes.io/autoupdate-spec": value}
            reader.put(GROUP, LEVELS, obj)
        reader.put(GROUP, LEVELS, level_object("own", 1))

    reader = ensured(change)
    names = {obj["metadata"]["name"] for obj in reader.list(GROUP, LEVELS)}
    assert {"kept", "own"} < names
    assert "old" not in names


def test_conditions_are_not_fought_over():
    """Another server that believes something else: each has its say a few times a minute, no more."""

    async def go():
        reader = MemoryReader()
        flow = controller(reader)
        reader.put(GROUP, SCHEMAS, schema_object("mine", "nowhere", "jane"))
        keeper = asyncio.ensure_future(flow._keep_conditions())
        for _ in range(30):
            await asyncio.sleep(1)
            schema = copy.deepcopy(reader.get(GROUP, SCHEMAS, "", "mine"))
            schema["status"] = {"conditions": []}
            reader.put(GROUP, SCHEMAS, schema)
        await asyncio.sleep(1)
        early = len(reader.updates)
        await asyncio.sleep(120)
        keeper.cancel()
        return early, reader.get(GROUP, SCHEMAS, "", "mine")["status"]["conditions"][0]["status"]

    early, last = run(go())
    assert early <= 6
    assert last == "True"


# -- validation ------------------------------------------------------------------------------------------------------


def errors_of(resource: str, obj) -> list[str]:
    kind = kind_of(GROUP, "v1", resource)
    obj = copy.deepcopy(obj)
    kind.default(obj)
    return [str(error) for error in kind.validate(obj)]


def default_object(resource: str, name: str):
    return next(
        copy.deepcopy(obj)
        for _, r, obj in bootstrap_objects(0.0)
        if r == resource and obj["metadata"]["name"] == name
    )


@pytest.mark.parametrize("resource", [SCHEMAS, LEVELS])
def test_the_default_objects_are_valid(resource):
    for _, r, obj in bootstrap_objects(0.0):
        if r == resource:
            assert errors_of(resource, obj) == []


def test_fixed_specs_stay():
    schema = default_object(SCHEMAS, "catch-all")
    schema["spec"]["matchingPrecedence"] = 9999
    (error,) = errors_of(SCHEMAS, schema)
    assert error.startswith(
        'spec: Invalid value: {"PriorityLevelConfiguration":{"Name":"catch-all"},"MatchingPrecedence":9999,'
    )
    assert error.endswith(": spec of 'catch-all' must equal the fixed value")
    level = default_object(LEVELS, "catch-all")
    level["spec"]["limited"]["nominalConcurrencyShares"] = 6
    assert errors_of(LEVELS, level) == [
        'spec: Invalid value: {"Type":"Limited","Limited":{"NominalConcurrencyShares":6,"LimitResponse":'
        '{"Type":"Reject","Queuing":null},"LendablePercent":0,"BorrowingLimitPercent":null},"Exempt":null}: spec of'
        " 'catch-all' must equal the fixed value"
    ]


def test_the_exempt_level():
    level = default_object(LEVELS, "exempt")
    level["spec"]["exempt"] = {"nominalConcurrencyShares": 10, "lendablePercent": 50}
    assert errors_of(LEVELS, level) == []
    level["spec"] = level_object("exempt", 5)["spec"]
    found = errors_of(LEVELS, level)
    assert (
        found[0]
        == "spec.type: Invalid value: \"Limited\": type must be 'Exempt' if and only if name is 'exempt'"
    )
    assert found[1].endswith("spec of 'exempt' except the 'spec.exempt' field must equal the fixed value")
    other = {"metadata": {"name": "other"}, "spec": {"type": "Exempt"}}
    assert errors_of(LEVELS, other) == [
        "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'"
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            {"verbs": ["get", "fly"]},
            'spec.rules[0].resourceRules[0].verbs: Unsupported value: ["get","fly"]: supported values: "create", '
            '"delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"',
        ),
        (
            {"namespaces": ["*", "a"]},
            'spec.rules[0].resourceRules[0].namespaces: Invalid value: ["*","a"]: if \'*\' is present, must not specify'
            " other namespaces",
        ),
    ],
)
def test_what_rules_may_name(change, error):
    schema = schema_object("mine", "tight", "jane")
    schema["spec"]["rules"][0]["resourceRules"][0] |= change
    assert errors_of(SCHEMAS, schema) == [error]


@pytest.mark.parametrize("resource", [SCHEMAS, LEVELS])
def test_conditions_have_types_of_their_own(resource):
    obj = default_object(resource, "system" if resource == LEVELS else "system-nodes")
    obj["status"] = {"conditions": [{"type": "A"}, {"type": ""}, {"type": "A"}]}
    wanted = [
        "status.conditions[1].type: Required value: must not be empty",
        'status.conditions[2].type: Duplicate value: "A"',
    ]
    assert errors_of(resource, obj) == wanted
    found = kind_of(GROUP, "v1", resource).validate_status_update(obj, obj)
    assert [str(error) for error in found] == wanted
