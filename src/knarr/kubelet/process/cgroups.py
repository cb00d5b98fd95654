"""Limits by cgroup v2, where this machine gives us a subtree to write in."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from knarr.meta.quantity import Quantity

MOUNT = Path("/sys/fs/cgroup")
PERIOD_MICROS = 100_000
NAME = "knarr"


def detect() -> Path | None:
    """A cgroup below which we may make others with cpu, memory and pids; None where there is none."""
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError):
        line = Path("/proc/self/cgroup").read_text().strip()
        if not line.startswith("0::"):
            return None
        own = MOUNT / line[3:].lstrip("/")
        # processes may only live in leaves: ours must stand beside, not below, what we make
        for parent in (own, own.parent):
            if not os.access(parent / "cgroup.subtree_control", os.W_OK):
                continue
            found = parent / f"{NAME}-{os.getpid()}"
            try:
                found.mkdir(exist_ok=True)
                _enable(parent)
                _enable(found)
            except OSError:
                with contextlib.suppress(OSError):
                    found.rmdir()
                continue
            if "memory" in (found / "cgroup.subtree_control").read_text().split():
                return found
            with contextlib.suppress(OSError):
                found.rmdir()
    return None


def _enable(cgroup: Path) -> None:
    (cgroup / "cgroup.subtree_control").write_text("+cpu +memory +pids")


def make(root: Path, name: str, resources: Any) -> Path | None:
    """A container's cgroup with its limits; None where it cannot be made."""
    path = root / name
    try:
        path.mkdir(exist_ok=True)
        for file, text in settings(resources).items():
            (path / file).write_text(text)
    except OSError:
        remove(path)
        return None
    return path


def settings(resources: Any) -> dict[str, str]:
    """The files of a cgroup, from requests and limits."""
    limits = dict(resources.limits) if resources is not None else {}
    requests = dict(resources.requests) if resources is not None else {}
    wanted: dict[str, str] = {}
    if "cpu" in limits:
        quota = max(Quantity.parse(limits["cpu"]).milli * PERIOD_MICROS // 1000, 1000)
        wanted["cpu.max"] = f"{quota} {PERIOD_MICROS}"
    if cpu := requests.get("cpu") or limits.get("cpu"):
        shares = max(Quantity.parse(cpu).milli * 1024 // 1000, 2)
        wanted["cpu.weight"] = str(1 + (min(shares, 262144) - 2) * 9999 // 262142)
    if "memory" in limits:
        wanted["memory.max"] = str(Quantity.parse(limits["memory"]).value)
        wanted["memory.oom.group"] = "1"
    return wanted


def oom_kills(cgroup: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in (cgroup / "memory.events").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0


def remove(cgroup: Path) -> None:
    with contextlib.suppress(OSError):
        cgroup.rmdir()


def rlimits(resources: Any) -> list[tuple[str, int]]:
    """What stands in for a memory limit without a cgroup: writable private memory, which is near to what is used
    (address space would not be: many programs reserve far more than they ever touch)."""
    if resources is None or "memory" not in resources.limits:
        return []
    return [("RLIMIT_DATA", Quantity.parse(resources.limits["memory"]).value)]
