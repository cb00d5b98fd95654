"""The README's second command: what the tests need, then the tests, then which of them were left out and why."""

from __future__ import annotations

import os
import subprocess
import sys

import kubectl
from setup_venv import PYTHON, ROOT, SetupError, say, set_up


def main() -> int:
    os.chdir(ROOT)
    try:
        set_up(("dev",))
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    environment = dict(os.environ)
    found = kubectl.find()
    if found is None:
        say("▸ no kubectl could be had from Debian's packages: the tests with kubectl are left out")
        environment["KNARR_KUBECTL"] = ""
    else:
        path, version = found
        shown = ".".join(map(str, version))
        say(f"▸ kubectl {shown}: {path}")
        if version < kubectl.WANTED:
            say(
                f"  older than {'.'.join(map(str, kubectl.WANTED))}: tests of what it cannot do yet are left out"
            )
        environment["KNARR_KUBECTL"] = path
    say("▸ running the tests")
    # -rfEs: what failed, and each test that was left out, with its reason, at the end
    command = [str(PYTHON), "-m", "pytest", "-rfEs", *(sys.argv[1:] or workers())]
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode


def workers() -> list[str]:
    """As many processes as there are cores."""
    return ["-n", str(min(os.cpu_count() or 1, 8)), "--dist", "loadfile"]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
