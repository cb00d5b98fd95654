"""A kubectl for the tests: the newest of this machine, else the one of Debian's packages, unpacked without root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from setup_venv import ROOT, say

#: where one is unpacked
KEPT = ROOT / ".tools" / "kubectl"
#: the oldest that every test is written for
WANTED = (1, 28)
PACKAGE = "kubernetes-client"


def find() -> tuple[str, tuple[int, int]] | None:
    """(path, version) of the best kubectl there is, installing one where there is none."""
    named = os.environ.get("KNARR_KUBECTL")
    candidates = [named] if named else [shutil.which("kubectl"), str(KEPT)]
    found = [(path, version) for path in candidates if path and (version := version_of(path))]
    if found:
        return max(found, key=lambda pair: pair[1])
    if named:
        return None
    say(f"▸ no kubectl on this machine: trying Debian's package {PACKAGE}")
    if _from_debian() and (version := version_of(str(KEPT))):
        return str(KEPT), version
    return None


def version_of(path: str) -> tuple[int, int] | None:
    """(1, 33), or None where it does not run."""
    try:
        shown = subprocess.run(
            [path, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=30
        )
        client = json.loads(shown.stdout)["clientVersion"]
        return int(client["major"]), int(client["minor"].rstrip("+"))
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None


def _from_debian() -> bool:
    """Download needs no root, and neither does unpacking."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return False
    with tempfile.TemporaryDirectory(prefix="knarr-kubectl-") as directory:
        got = subprocess.run(
            ["apt-get", "download", "-qq", PACKAGE],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=300,
        )
        packages = list(Path(directory).glob("*.deb"))
        if got.returncode or not packages:
            return False
        unpacked = Path(directory) / "unpacked"
        if subprocess.run(["dpkg-deb", "-x", packages[0], unpacked], capture_output=True).returncode:
            return False
        binary = unpacked / "usr" / "bin" / "kubectl"
        if not binary.exists():
            return False
        KEPT.parent.mkdir(exist_ok=True)
        shutil.copy(binary, KEPT)
        return True
