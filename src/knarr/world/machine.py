"""What the machine says of itself and of a process."""

from __future__ import annotations

import contextlib
import platform
import subprocess


def host_name() -> str:
    """What the machine is called."""
    return platform.node() or "localhost"


def resident_bytes(pid: int) -> int:
    """Memory a process holds; 0 where the machine does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/status") as file:
        line = next((line for line in file if line.startswith("VmRSS:")), "")
        return int(line.split()[1]) << 10
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):  # macOS and the BSDs
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=5
        )
        return int(shown.stdout) << 10
    return 0
