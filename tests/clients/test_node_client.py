"""@kubernetes/client-node, the JavaScript client: its scenarios are in node/scenarios.mjs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from knarr.testing import TestCluster

from .npm import installed

FOLDER = Path(__file__).parent / "node"
RUN_SECONDS = 120
OBJECTS = (
    *("typed", "deployments", "pages", "watch", "watchThatIsTooOld", "informer"),
    *("serverSideApply", "customObjects", "whatElseIsServed"),
)
STREAMS = ("exec", "logs", "attach", "portForward")


@pytest.fixture(scope="module")
def node_project() -> Path:
    """A folder with the client installed."""
    project = installed((FOLDER / "package.json").read_bytes(), "@kubernetes/client-node")
    shutil.copy(FOLDER / "scenarios.mjs", project)
    return project


def play(project: Path, cluster: TestCluster, kind: str) -> dict[str, str]:
    """What became of each scenario: "" or why it failed."""
    done = subprocess.run(
        ["node", "scenarios.mjs", str(cluster.kubeconfig), kind],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        env={**os.environ, "NODE_OPTIONS": "", "NO_PROXY": "127.0.0.1"},
    )
    assert done.returncode == 0 and done.stdout, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def of_objects(node_project: Path, shared: TestCluster) -> dict[str, str]:
    return play(node_project, shared, "objects")


@pytest.fixture(scope="module")
def of_streams(node_project: Path, machines: TestCluster) -> dict[str, str]:
    return play(node_project, machines, "streams")


@pytest.mark.parametrize("scenario", OBJECTS)
def test_objects(of_objects: dict[str, str], scenario: str) -> None:
    assert not of_objects[scenario], of_objects[scenario]
    assert "(outside)" not in of_objects, of_objects["(outside)"]


@pytest.mark.parametrize("scenario", STREAMS)
def test_streams(of_streams: dict[str, str], scenario: str) -> None:
    assert not of_streams[scenario], of_streams[scenario]
    assert "(outside)" not in of_streams, of_streams["(outside)"]
