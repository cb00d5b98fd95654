"""WorkQueue against a model, and its ways with time, workers and shutdowns."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from knarr.client.workqueue import BucketLimiter, ExponentialFailures, MaxOf, ShutDown, WorkQueue
from knarr.world.loop import VirtualLoop

ITEMS = st.sampled_from("abcd")


class AgainstAModel(RuleBasedStateMachine):
    """The model: a list of waiting items, the items in work, those to do again, and due times."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.queue = WorkQueue()
        self.waiting: list[str] = []
        self.working: list[str] = []
        self.again: set[str] = set()
        self.due: dict[str, tuple[float, int]] = {}
        self.order = 0

    def teardown(self) -> None:
        self.loop.close()

    def within(self, function, *args):
        async def call():
            return function(*args)

        return self.loop.run_until_complete(call())

    def model_add(self, item: str) -> None:
        if item in self.working:
            self.again.add(item)
        elif item not in self.waiting:
            self.waiting.append(item)

    @rule(item=ITEMS)
    def add(self, item):
        self.within(self.queue.add, item)
        self.model_add(item)

    @rule(item=ITEMS, seconds=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.5]))
    def add_after(self, item, seconds):
        self.within(self.queue.add_after, item, seconds)
        if seconds <= 0:
            self.model_add(item)
        elif item not in self.due or self.loop.time() + seconds < self.due[item][0]:
            self.order += 1
            self.due[item] = (self.loop.time() + seconds, self.order)

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0]))
    def let_time_pass(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))
        for item in sorted(self.due, key=self.due.__getitem__):
            if self.due[item][0] <= self.loop.time():
                del self.due[item]
                self.model_add(item)

    @rule()
    def get(self):
        item = self.queue.try_get()
        assert item == (self.waiting.pop(0) if self.waiting else None)
        if item is not None:
            self.working.append(item)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data):
        item = data.draw(st.sampled_from(self.working))
        self.within(self.queue.done, item)
        self.working.remove(item)
        if item in self.again:
            self.again.remove(item)
            self.waiting.append(item)

    @invariant()
    def sizes_agree(self):
        assert len(self.queue) == len(self.waiting)
        assert self.queue.processing == len(self.working)
        assert self.queue.waiting == len(self.due)


TestAgainstAModel = AgainstAModel.TestCase


def test_an_item_added_during_its_work_is_worked_on_again_and_never_twice_at_once(run):
    async def main():
        queue, at_once, turns = WorkQueue(), 0, []

        async def worker():
            nonlocal at_once
            while True:
                item = await queue.get()
                at_once += 1
                assert at_once == 1
                await asyncio.sleep(1)
                at_once -= 1
                turns.append(asyncio.get_running_loop().time())
                queue.done(item)

        workers = [asyncio.create_task(worker()) for _ in range(3)]
        queue.add("a")
        await asyncio.sleep(0.5)
        for _ in range(5):
            queue.add("a")
        await asyncio.sleep(10)
        for task in workers:
            task.cancel()
        return turns

    assert run(main()) == [1.0, 2.0]


def test_of_several_delays_the_earliest_counts(run):
    async def main():
        queue = WorkQueue()
        queue.add_after("a", 5)
        queue.add_after("a", 2)
        queue.add_after("a", 9)
        queue.add_after("b", 3)
        seen = []
        for _ in range(2):
            item = await queue.get()
            seen.append((item, asyncio.get_running_loop().time()))
            queue.done(item)
        await asyncio.sleep(20)
        return seen, len(queue), queue.waiting

    assert run(main()) == ([("a", 2.0), ("b", 3.0)], 0, 0)


def test_a_cancelled_getter_does_not_swallow_a_wake_up(run):
    async def main():
        queue = WorkQueue()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()  # woken already, but cancelled before it ran
        return await second

    assert run(main()) == "a"


def test_shutting_down_lets_workers_finish_what_is_queued(run):
    async def main():
        queue, done = WorkQueue(), []

        async def worker():
            try:
                while True:
                    item = await queue.get()
                    await asyncio.sleep(1)
                    done.append(item)
                    queue.done(item)
            except ShutDown:
                return "ended"

        workers = [asyncio.create_task(worker()) for _ in range(2)]
        for item in "abc":
            queue.add(item)
        queue.add_after("late", 1)
        await asyncio.sleep(0)
        await queue.shut_down_with_drain()
        queue.add("too late")
        return sorted(done), await asyncio.gather(*workers), len(queue)

    assert run(main()) == (["a", "b", "c"], ["ended", "ended"], 0)


def test_exponential_delays_per_item():
    limiter = ExponentialFailures()
    assert [limiter.when("a") for _ in range(4)] == [0.005, 0.01, 0.02, 0.04]
    assert limiter.when("b") == 0.005
    assert limiter.num_requeues("a") == 4
    limiter.forget("a")
    assert limiter.num_requeues("a") == 0
    assert limiter.when("a") == 0.005
    for _ in range(200):
        last = limiter.when("c")
    assert last == 1000.0


def test_the_bucket_limits_all_items_together_and_fills_up_again(run):
    async def main():
        limiter = BucketLimiter(10, 3)
        delays = [limiter.when(n) for n in range(6)]
        await asyncio.sleep(1)
        return delays, limiter.when("x")

    delays, later = run(main())
    assert delays == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])
    assert later == 0


@given(st.lists(ITEMS, max_size=30))
def test_the_longest_delay_counts(failing):
    combined, alone = MaxOf(ExponentialFailures(1, 8), ExponentialFailures(2, 4)), {}
    for item in failing:
        failures = alone.get(item, 0)
        assert combined.when(item) == max(min(2**failures, 8), min(2 * 2**failures, 4))
        alone[item] = failures + 1


def test_rate_limited_items_come_back_later_and_later(run):
    async def main():
        queue, times = WorkQueue(), []
        queue.add("a")
        for _ in range(4):
            item = await queue.get()
            times.append(asyncio.get_running_loop().time())
            queue.add_rate_limited(item)
            queue.done(item)
        return times

    assert run(main()) == pytest.approx([0, 0.005, 0.015, 0.035])
