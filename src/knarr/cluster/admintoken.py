"""The admin token: drawn once, kept beside the certificates."""

from __future__ import annotations

import contextlib
from pathlib import Path

from knarr.world import Chance

BYTES = 16


def kept_token(directory: Path | None, chance: Chance) -> str:
    """That of `directory`, made if need be; a fresh one where nothing is kept."""
    if directory is None:
        return chance.token(BYTES)
    path = directory / "admin.token"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    token = chance.token(BYTES)
    path.touch(mode=0o600)
    path.write_text(token + "\n")
    return token
