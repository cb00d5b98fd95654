"""Files that change all at once: the way of the kubelet's AtomicWriter.

A volume's files stand in a directory with a time in its name, `..data` links to it, and the names that users see
are links through `..data`. An update writes a new directory and replaces that one link.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

DATA, NEW_DATA = "..data", "..data_tmp"


class File(NamedTuple):
    content: bytes
    mode: int = 0o644


def write(volume: Path, files: Mapping[str, File], gid: int | None = None) -> bool:
    """Make the volume hold exactly `files` (by relative path); False where it does already."""
    volume.mkdir(parents=True, exist_ok=True)
    link = volume / DATA
    present = volume / os.readlink(link) if link.is_symlink() else None
    if present is not None and _same(present, files):
        return False
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=volume))
    fresh.chmod(0o755)
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
        if gid is not None:
            with contextlib.suppress(PermissionError):
                os.chown(path, -1, gid)
    replacement = volume / NEW_DATA
    with contextlib.suppress(FileNotFoundError):
        replacement.unlink()
    replacement.symlink_to(fresh.name)
    replacement.rename(link)
    _names(volume, files)
    if present is not None:
        shutil.rmtree(present, ignore_errors=True)
    return True


def _same(folder: Path, files: Mapping[str, File]) -> bool:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    if found.keys() != files.keys():
        return False
    return all(
        found[name].read_bytes() == file.content and found[name].stat().st_mode & 0o777 == file.mode
        for name, file in files.items()
    )


def _names(volume: Path, files: Mapping[str, File]) -> None:
    """The links that users see, one per first part of a path; those of removed files go."""
    wanted = dict.fromkeys(name.split("/", 1)[0] for name in files)
    for entry in list(volume.iterdir()):
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    for name in wanted:
        link = volume / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
