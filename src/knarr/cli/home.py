"""What this machine knows of its clusters: one directory each under ~/.knarr/clusters ($KNARR_HOME overrides).

clusters/<name>/cluster.json   settings and, while it runs, where it answers
                kubeconfig     of this cluster alone
                pid            locked by the running process; after a crash the lock is gone, so nothing is stale
                log            of a cluster started with --detach
                state.db, pki/ the data, unless --data-dir puts it elsewhere or --memory nowhere
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from knarr.cli.say import Failure
from knarr.world.clock import RealClock

DEFAULT_NAME = "knarr"
#: a cluster's name becomes a file name and a context's name
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
#: another command may look at the lock for an instant
LOCK_TRIES, LOCK_RETRY_SECONDS = 10, 0.02


def directory() -> Path:
    """Where everything is kept."""
    named = os.environ.get("KNARR_HOME")
    return Path(named).expanduser() if named else Path.home() / ".knarr"


@dataclass(frozen=True)
class Place:
    """One cluster's directory; it may not exist."""

    name: str

    @property
    def path(self) -> Path:
        return directory() / "clusters" / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def exists(self) -> bool:
        return (self.path / "cluster.json").exists()

    def read(self) -> dict[str, Any]:
        """cluster.json; empty where there is none or it is damaged."""
        try:
            kept = json.loads((self.path / "cluster.json").read_text())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def write(self, kept: dict[str, Any]) -> None:
        self.put("cluster.json", json.dumps(kept, indent=2) + "\n")

    def put(self, name: str, text: str) -> None:
        """A file of this directory, readable by its owner alone, replaced at once."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self.path / f".{name}.{os.getpid()}"
            with open(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            temporary.replace(self.path / name)
        except OSError as error:
            raise unwritable(self.path, error) from None

    def pid(self) -> int:
        """Of the process that runs this cluster, or 0."""
        try:
            with open(self.path / "pid") as file:
                if _lock(file, fcntl.LOCK_SH):
                    return 0
                return int(file.read() or "0")
        except (OSError, ValueError):
            return 0

    def claim(self) -> IO[str]:
        """Be the process of this cluster for as long as the file stays open. Raises Failure where another one is."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = open(self.path / "pid", "a+")  # noqa: SIM115 - open as long as the process lives
        except OSError as error:
            raise unwritable(self.path, error) from None
        for _ in range(LOCK_TRIES):
            if _lock(file, fcntl.LOCK_EX):
                file.truncate(0)
                file.write(f"{os.getpid()}\n")
                file.flush()
                return file
            pause(LOCK_RETRY_SECONDS)
        file.close()
        where = self.read().get("server", "")
        raise Failure(
            f'cluster "{self.name}" is already running{f" at {where}" if where else ""} (pid {self.pid()});'
            f" stop it with `{command('down', self.name)}`, or start another one with `knarr up --name OTHER`"
        )

    def end(self, seconds: float) -> bool:
        """SIGTERM and wait; SIGKILL after `seconds`. False where it had to be killed."""
        pid = self.pid()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = RealClock.monotonic() + seconds
        while self.pid() == pid:
            if RealClock.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return False
            pause(0.02)
        return True

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def places() -> list[Place]:
    """Every known cluster, by name."""
    try:
        names = sorted(path.name for path in (directory() / "clusters").iterdir())
    except OSError:
        return []
    return [place for place in map(Place, names) if place.exists]


def place(name: str) -> Place:
    """A known cluster. Raises Failure."""
    check_name(name)
    found = Place(name)
    if not found.exists:
        known = ", ".join(other.name for other in places())
        hint = f"there is: {known}" if known else f"start it with `{command('up', name)}`"
        raise Failure(f'there is no cluster "{name}"; {hint}')
    return found


def check_name(name: str) -> None:
    if not NAME.fullmatch(name) or ".." in name:
        raise Failure(
            f'"{name}" cannot be a cluster\'s name: use up to 63 lower case letters, digits, "-" and "."', 2
        )


def command(verb: str, name: str) -> str:
    """How a user would say it."""
    return f"knarr {verb}" if name == DEFAULT_NAME else f"knarr {verb} --name {name}"


def short(path: Path) -> str:
    """With ~ for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def unwritable(path: Path, error: OSError) -> Failure:
    return Failure(
        f"cannot write to {path} ({error.strerror}); correct its permissions, or choose another place with"
        " KNARR_HOME"
    )


def pause(seconds: float) -> None:
    """Wait, in a command that has no event loop."""
    import threading

    threading.Event().wait(seconds)


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
