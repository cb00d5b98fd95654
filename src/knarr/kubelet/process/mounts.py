"""Which volume stands where in a container; and the stand-in for mounts where the machine allows none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from knarr.kubelet.process.env import ConfigError
from knarr.kubelet.process.expand import expand


class Mount(NamedTuple):
    """`source` of the machine at `target` of the container."""

    source: Path
    target: str
    read_only: bool = False


def mounts_of(container: Any, volumes: Mapping[str, Path], env: Mapping[str, str]) -> list[Mount]:
    """In the order of the spec. Raises ConfigError."""
    mounts = []
    for mount in container.volumeMounts:
        path = volumes.get(mount.name)
        if path is None:
            raise ConfigError(
                f"cannot find volume {mount.name!r} to mount into container {container.name!r}".replace(
                    "'", '"'
                )
            )
        sub = mount.subPath or ""
        if mount.subPathExpr:
            sub = expand(mount.subPathExpr, env)
            if "$(" in sub:
                raise ConfigError(f'missing value for "{mount.subPathExpr}"')
        if sub:
            path = _below(path, sub, mount.name)
        mounts.append(Mount(path, _clean(mount.mountPath), bool(mount.readOnly)))
    return mounts


def _clean(path: str) -> str:
    return os.path.normpath("/" + path.lstrip("/"))


def _below(volume: Path, sub: str, name: str) -> Path:
    """A place in a volume, made as a directory where it is missing; never one outside of it."""
    path = volume / sub
    real, base = path.resolve(), volume.resolve()
    if real != base and base not in real.parents:
        raise ConfigError(
            f'failed to prepare subPath for volumeMount "{name}" of container: subPath leaves the volume'
        )
    if not path.exists():
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise ConfigError(
                f'failed to create subPath directory for volumeMount "{name}": {error}'
            ) from None
    return path


def link(root: Path, mounts: list[Mount]) -> None:
    """`root/<target>` links to each source: what KNARR_ROOT offers where there are no mount namespaces."""
    root.mkdir(parents=True, exist_ok=True)
    for mount in sorted(mounts, key=lambda m: m.target.count("/")):
        place = root / mount.target.lstrip("/")
        if any(parent.is_symlink() for parent in place.parents if root in parent.parents):
            # it lies within another mount: a link there would change the volume
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if place.is_symlink():
                place.unlink()
        with contextlib.suppress(FileExistsError):
            place.symlink_to(mount.source)
