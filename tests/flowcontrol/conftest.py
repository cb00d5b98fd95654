import pytest

from ..auth.memory_reader import HandClock, MemoryReader


@pytest.fixture
def reader():
    return MemoryReader()


@pytest.fixture
def clock():
    return HandClock()
