"""Clients that npm has: installed into a cache of their own (KNARR_TEST_CACHE, ~/.cache/knarr-tests), never into the
repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_SECONDS = 180
INSTALL = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


def installed(package: bytes, what: str) -> Path:
    """A folder with what a package.json depends on; skips where there is no node, no npm, or no registry."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")
    cache = Path(os.environ.get("KNARR_TEST_CACHE") or Path.home() / ".cache/knarr-tests")
    project = cache / f"node-{hashlib.sha256(package).hexdigest()[:12]}"
    if not (project / "installed").exists():
        project.mkdir(parents=True, exist_ok=True)
        (project / "package.json").write_bytes(package)
        try:
            done = subprocess.run(
                INSTALL, cwd=project, capture_output=True, text=True, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm could not install {what}: it took too long")
        if done.returncode:
            why = (done.stderr.strip() or "npm failed").splitlines()[-1]
            pytest.skip(f"npm could not install {what}: {why}")
        (project / "installed").touch()
    return project
