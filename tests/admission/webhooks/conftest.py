from __future__ import annotations

import pytest

from tests.egress.servers import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("authority")
