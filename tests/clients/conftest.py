"""Clients nobody here wrote, against a cluster behind its real port.

One cluster for each module, and a namespace for each test: what is tested is the conversation, not the start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from knarr.testing import TestCluster

#: the oldest kubectl that the project supports
OLDEST = (1, 28)
KUBECTL_SECONDS = 30


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A cluster with simulated nodes."""
    cluster = TestCluster(tmp_path_factory.mktemp("clients"), nodes=2)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A cluster whose pods are processes."""
    cluster = TestCluster(tmp_path_factory.mktemp("machines"), runtime="process")
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def kubectl_binary() -> str:
    """kubectl's path; skips where there is none."""
    binary = os.environ.get("KNARR_KUBECTL", "kubectl")
    path = shutil.which(binary) if binary else None
    if path is None:
        pytest.skip("no kubectl on this machine (KNARR_KUBECTL names one)")
    return path


@pytest.fixture(scope="session")
def kubectl_version(kubectl_binary: str) -> tuple[int, int]:
    shown = subprocess.run(
        [kubectl_binary, "version", "--client", "-o", "json"], capture_output=True, check=True
    )
    client = json.loads(shown.stdout)["clientVersion"]
    return int(client["major"]), int(client["minor"].rstrip("+"))


@pytest.fixture(autouse=True)
def new_enough(request: pytest.FixtureRequest) -> None:
    """`@pytest.mark.kubectl(1, 28)`: left out with an older one."""
    marker = request.node.get_closest_marker("kubectl")
    if marker is None:
        return
    version = request.getfixturevalue("kubectl_version")
    if version < marker.args:
        shown = ".".join(map(str, version))
        pytest.skip(f"kubectl {shown} cannot do this; {'.'.join(map(str, marker.args))} can")


class Kubectl:
    """kubectl in one namespace of one cluster."""

    def __init__(self, binary: str, cluster: TestCluster, namespace: str) -> None:
        self.binary, self.cluster, self.namespace = binary, cluster, namespace
        self.command = [binary, f"--kubeconfig={cluster.kubeconfig}", f"--namespace={namespace}"]
        self.environment = {**os.environ, "HOME": str(cluster.directory), "KUBECTL_COMMAND_HEADERS": "0"}

    def __call__(self, *arguments: str, stdin: str | None = None, code: int = 0, **environment: str) -> str:
        """What it printed; it must end with exit code `code`."""
        done = subprocess.run(
            [*self.command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=KUBECTL_SECONDS,
            env={**self.environment, **environment},
        )
        assert done.returncode == code, (
            f"kubectl {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """One that goes on, but not for ever: a test that waits for it in vain fails."""
        process = subprocess.Popen(
            [*self.command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
        end = threading.Timer(KUBECTL_SECONDS, process.kill)
        end.daemon = True
        end.start()
        return process

    def apply(self, manifest: str) -> str:
        return self("apply", "-f", "-", stdin=manifest)


@pytest.fixture
def in_namespace(
    kubectl_binary: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[TestCluster], Kubectl]]:
    """kubectl in a namespace that is this test's own; what it holds goes with it."""
    name = request.node.name.lower()
    namespace = "".join(letter if letter.isalnum() else "-" for letter in name)[:60].strip("-")

    def make(cluster: TestCluster) -> Kubectl:
        made = Kubectl(kubectl_binary, cluster, namespace)
        made("create", "namespace", namespace)
        used.append(made)
        return made

    used: list[Kubectl] = []
    yield make
    for kubectl in used:
        kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def kubectl(shared: TestCluster, in_namespace: Callable[[TestCluster], Kubectl]) -> Kubectl:
    return in_namespace(shared)


@pytest.fixture
def manifests() -> Path:
    return Path(__file__).parents[2] / "examples"
