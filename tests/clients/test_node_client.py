"""@kubernetes/client-node, the JavaScript client: its scenarios are in node/scenarios.mjs.

It is installed with npm into a cache of its own (KNARR_TEST_CACHE, ~/.cache/knarr-tests), never into the repository.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from knarr.testing import TestCluster

FOLDER = Path(__file__).parent / "node"
INSTALL_SECONDS, RUN_SECONDS = 180, 120
OBJECTS = (
    *("typed", "deployments", "pages", "watch", "watchThatIsTooOld", "informer"),
    *("serverSideApply", "customObjects", "whatElseIsServed"),
)
STREAMS = ("exec", "logs", "attach", "portForward")


@pytest.fixture(scope="module")
def node_project() -> Path:
    """A folder with the client installed; skips where there is no node, no npm, or no registry."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")
    wanted = (FOLDER / "package.json").read_bytes()
    cache = Path(os.environ.get("KNARR_TEST_CACHE") or Path.home() / ".cache/knarr-tests")
    project = cache / f"node-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if not (project / "installed").exists():
        project.mkdir(parents=True, exist_ok=True)
        (project / "package.json").write_bytes(wanted)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            done = subprocess.run(npm, cwd=project, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.skip("npm could not install @kubernetes/client-node: it took too long")
        if done.returncode:
            why = (done.stderr.strip() or "npm failed").splitlines()[-1]
            pytest.skip(f"npm could not install @kubernetes/client-node: {why}")
        (project / "installed").touch()
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
