"""A `knarr up` of the bench's own: started as a process, asked from outside, stopped."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

TOKEN = "bench-token-0123456789abcdef"
#: compiled modules, shared by all runs
COMPILED = str(Path(tempfile.gettempdir()) / f"knarr-bench-compiled-{os.getuid()}")


class Server:
    """One cluster; `began` is perf_counter at the start of its process."""

    def __init__(self, *options: str, nodes: int = 0) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="knarr-bench-")
        self.port = free_port()
        home = Path(self.folder.name)
        environment = {**os.environ, "KNARR_HOME": str(home / "knarr"), "HOME": str(home)}
        # A user's second start finds compiled modules; a shell that forbids writing them would time the compiler.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = COMPILED
        command = [
            sys.executable,
            "-m",
            "knarr.cli",
            "up",
            "--name=bench",
            f"--port={self.port}",
            f"--nodes={nodes}",
            f"--data-dir={home / 'data'}",
            f"--kubeconfig={home / 'kubeconfig'}",
            f"--token={TOKEN}",
            *options,
        ]
        self.log = (home / "log").open("wb")
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        self._context = ssl._create_unverified_context()

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, context=self._context, timeout=30) as answer:
            return answer.read()

    def wait(self, path: str, seconds: float = 30) -> float:
        """Seconds from the start of the process until `path` is answered with success."""
        while time.perf_counter() - self.began < seconds:
            try:
                self.get(path)
                return time.perf_counter() - self.began
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.002)
        raise RuntimeError(f"{path} was not answered: {(Path(self.folder.name) / 'log').read_text()[-2000:]}")

    def resident_mb(self) -> float:
        """As the operating system counts it."""
        text = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True
        )
        return int(text.stdout) / 1024

    def count(self, path: str) -> int:
        return len(json.loads(self.get(path))["items"])

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
