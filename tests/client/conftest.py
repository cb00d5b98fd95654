"""A virtual loop to run in, and a client of an API in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from knarr.client.client import Client
from knarr.client.inprocess import InProcess
from knarr.world import LoopClock, World, chance
from knarr.world.loop import VirtualLoop

from .fakeapi import FakeAPI

EPOCH = 1_800_000_000.0


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def run(loop: VirtualLoop) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs to completion, or fails after a day of virtual time."""
    return lambda main: loop.run_until_complete(asyncio.wait_for(main, 86_400))


@pytest.fixture
def world(loop: VirtualLoop) -> World:
    return World(LoopClock(loop, EPOCH), chance(7))


@pytest.fixture
def api() -> FakeAPI:
    return FakeAPI()


@pytest.fixture
def client(api: FakeAPI, world: World) -> Client:
    return Client(InProcess(api), "tests", world=world)
