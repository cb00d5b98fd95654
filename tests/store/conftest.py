"""Both stores pass the same tests: `open_store` opens one, `run` runs a coroutine on the loop that fits."""

from __future__ import annotations

import asyncio

import pytest

from knarr.store.memory import MemoryStore
from knarr.store.sqlite import SqliteStore
from knarr.world import LoopClock, World
from knarr.world.loop import VirtualLoop


def run_virtual(main):
    """Run in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtual_world() -> World:
    return World(clock=LoopClock(asyncio.get_running_loop(), 1_000_000.0))


@pytest.fixture
def run():
    return run_virtual


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request, tmp_path):
    """A function that opens a new store on the running (virtual) loop; takes the store's options."""

    def open_one(**options):
        if request.param == "memory":
            return MemoryStore(virtual_world(), **options)
        return SqliteStore(tmp_path / "store.db", virtual_world(), **options)

    return open_one
