"""Everything that must hold before a commit: format, lint, types, import contracts, tests."""

from __future__ import annotations

import os
import subprocess
import sys

from setup_venv import ROOT, VENV, SetupError, say, set_up

BIN = VENV / "bin"
CODE = ["src", "tests", "tools", "bench"]
CHECKS = [
    ("format", [BIN / "ruff", "format", "--check", *CODE], "ruff format " + " ".join(CODE)),
    ("lint", [BIN / "ruff", "check", *CODE], "ruff check --fix " + " ".join(CODE)),
    ("types", [BIN / "mypy"], ""),
    ("import contracts", [BIN / "lint-imports"], ""),
    ("tests", [sys.executable, ROOT / "tools" / "test.py"], ""),
]


def main() -> int:
    os.chdir(ROOT)
    try:
        set_up(("dev",))
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    wanted = sys.argv[1:]
    failed = []
    for name, command, cure in CHECKS:
        if wanted and name not in wanted:
            continue
        say(f"▸ {name}")
        if subprocess.run(list(map(str, command))).returncode:
            failed.append(name + (f" (.venv/bin/{cure})" if cure else ""))
    if failed:
        say(f"✗ {', '.join(failed)}")
        return 1
    say("✓ all good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
