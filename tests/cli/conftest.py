"""`knarr` as a user runs it: a process, a home of its own, nothing of the machine's own clusters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KNARR = [sys.executable, "-m", "knarr.cli"]
#: an API server alone: what these tests are about, started in half the time
ALONE = ("--nodes", "0", "--no-controllers", "--no-scheduler")
SECONDS_MAX = 30


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


class Machine:
    """A home directory and the clusters that were started in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kubeconfig = home / "kube" / "config"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("KNARR", "KUBE"))},
            "HOME": str(home),
            "KNARR_HOME": str(home / "knarr"),
            "KUBECONFIG": str(self.kubeconfig),
        }
        self._started: list[subprocess.Popen[str]] = []

    def knarr(self, *arguments: str, stdin: str = "") -> Done:
        done = subprocess.run(
            [*KNARR, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def up(self, *arguments: str) -> Done:
        """Detached, the API server alone."""
        done = self.knarr("up", "--detach", *ALONE, *arguments)
        assert done.code == 0, done
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """In the foreground; returns when it is ready."""
        process = subprocess.Popen(
            [*KNARR, "up", *ALONE, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready"):
                return process
        raise AssertionError(f"the cluster ended with exit code {process.wait()}")

    def facts(self, name: str = "knarr") -> dict[str, Any]:
        """cluster.json"""
        return json.loads((self.path(name) / "cluster.json").read_text())

    def path(self, name: str = "knarr") -> Path:
        return self.home / "knarr" / "clusters" / name

    def kill(self, name: str = "knarr") -> None:
        os.kill(self.facts(name)["pid"], signal.SIGKILL)

    def clean_up(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        for name in self.knarr("ls", "-o", "name").out.split():
            self.knarr("down", "--name", name)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.clean_up()
