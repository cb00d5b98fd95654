import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "auth"))

from memory_reader import HandClock, MemoryReader


@pytest.fixture
def reader():
    return MemoryReader()


@pytest.fixture
def clock():
    return HandClock()
