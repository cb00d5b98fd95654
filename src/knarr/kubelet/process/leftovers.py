"""Which processes are ours: a file per container, so that a knarr that was killed finds what it left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PID_FILE = "pid"


def started(pid: int) -> str:
    """When a process started, as the machine counts: with its number it names a process for good; "" for none."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return ""
        # the name in parentheses may hold anything; field 22 counts from behind it
        return stat.rpartition(")")[2].split()[19]
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def remember(folder: Path, pid: int) -> None:
    (folder / PID_FILE).write_text(f"{pid} {started(pid)}\n")


def forget(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (folder / PID_FILE).unlink()


def kill_all(pods: Path) -> int:
    """End every process that a former life left below `pods`; how many there were."""
    count = 0
    for file in pods.glob(f"*/containers/*/*/{PID_FILE}"):
        with contextlib.suppress(OSError, ValueError):
            pid_text, _, when = file.read_text().strip().partition(" ")
            if when and started(int(pid_text)) == when:
                kill_session(int(pid_text), signal.SIGKILL)
                count += 1
            else:
                # its main process is gone, but others of its session may not be
                for pid in session_members(int(pid_text)):
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            file.unlink()
    return count


def session_members(leader: int) -> Iterator[int]:
    """The processes of a session (Linux; elsewhere process groups have to do)."""
    if sys.platform != "linux":
        return
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{entry.name}/stat").read_text().rpartition(")")[2].split()
                # those that have ended and only wait to be collected do not count
                if int(fields[3]) == leader and fields[0] not in "ZX" and int(entry.name) != os.getpid():
                    yield int(entry.name)


def kill_session(leader: int, signal_: int) -> None:
    """A signal to a container's process group and, when it is the last one, to all of its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal_)
    if signal_ == signal.SIGKILL:
        for pid in session_members(leader):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal_)
