"""The pytest plugin: fixtures that give each test a cluster of its own.

    def test_rollout(cluster):
        cluster.apply("deployment.yaml")
        cluster.wait("deployment/web", "Available")

Loaded by pytest in every project that has knarr installed, so it imports nothing until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from knarr.testing.cluster import TestCluster


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "cluster(nodes=1, runtime='simulated', virtual_time=False, ...): settings of the test's `cluster`;"
        " see knarr.testing.TestCluster",
    )


@pytest.fixture
def cluster(request: pytest.FixtureRequest, cluster_factory: Callable[..., TestCluster]) -> TestCluster:
    """A fresh cluster in memory, with its own kubeconfig; `@pytest.mark.cluster(...)` gives settings."""
    marker = request.node.get_closest_marker("cluster")
    return cluster_factory(**(marker.kwargs if marker else {}))


@pytest.fixture
def cluster_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TestCluster]]:
    """Makes as many clusters as a test needs; all are stopped after it."""
    from knarr.testing.cluster import TestCluster

    running: list[Any] = []

    def make(**settings: Any) -> TestCluster:
        made = TestCluster(directory=tmp_path_factory.mktemp("knarr"), **settings)
        made.start()
        running.append(made)
        return made

    yield make
    for made in reversed(running):
        made.stop()


@pytest.fixture
def kubeconfig(cluster: TestCluster) -> str:
    """The path of the test cluster's kubeconfig."""
    return str(cluster.kubeconfig)
