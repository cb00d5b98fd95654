"""HTTPS servers of the test's own, with certificates of the test's own authority."""

from __future__ import annotations

import pytest

from tests.egress.servers import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("authority")


@pytest.fixture(scope="session")
def stranger() -> Authority:
    return Authority("stranger")
