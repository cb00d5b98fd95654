"""A pod's volumes, as directories below the pod's own.

Config maps, secrets, the downward API and projected volumes are written by `atomic`; they are written again when what
they show changes. Tokens are renewed when 80 % of their time is over.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client, is_not_found
from knarr.kubelet.node import ClientOf
from knarr.kubelet.process import atomic
from knarr.kubelet.process.atomic import File
from knarr.kubelet.process.downward import Unsupported, field_value, resource_value
from knarr.kubelet.process.env import Place
from knarr.meta import times
from knarr.meta.errors import StatusError

DEFAULT_MODE = 0o644
#: the part of a token's life after which it is renewed, and the longest one is kept
TOKEN_AGE_MAX, TOKEN_SECONDS_MAX = 0.8, 24 * 3600.0
TOKEN_SECONDS = 3600


class MountError(Exception):
    """A volume cannot be made (yet); the message is the kubelet's."""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(message)
        self.volume = volume


@dataclass
class Volumes:
    """What was made for one pod."""

    #: volume name -> directory or file that stands for it
    paths: dict[str, Path] = field(default_factory=dict)
    #: (kind, name) of the objects whose changes must be shown: "configmap", "secret", "pod"
    sources: set[tuple[str, str]] = field(default_factory=set)
    #: when the first token must be renewed; 0 where there is none
    renew_at: float = 0.0
    #: tokens by their place: (token, when to renew)
    tokens: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)


class VolumeManager:
    """Makes and renews volumes. `now` tells the cluster's time."""

    def __init__(self, client_of: ClientOf, now: Callable[[], float]) -> None:
        self._client_of, self._now = client_of, now
        self._kinds: dict[str, Callable[[_Work, Any, Any], Awaitable[Path]]] = {
            "configMap": _config_map,
            "secret": _secret,
            "downwardAPI": _downward,
            "projected": _projected,
            "emptyDir": _empty_dir,
            "hostPath": _host_path,
            "persistentVolumeClaim": _claim,
            "ephemeral": _ephemeral,
        }

    async def make(self, pod: Any, folder: Path, volumes: Volumes, place: Place) -> None:
        """Make all volumes, or bring them up to date. Raises MountError for the first that cannot be."""
        volumes.sources.clear()
        volumes.renew_at = 0.0
        gid = pod.spec.securityContext.fsGroup if pod.spec.securityContext is not None else None
        client = self._client_of(pod.spec.nodeName)
        for volume in pod.spec.volumes:
            work = _Work(client, self._now, pod, volume.name, folder, volumes, place, gid)
            kind = next((name for name in self._kinds if getattr(volume, name) is not None), None)
            if kind is None:
                name = next((n for n in SOURCES if getattr(volume, n, None) is not None), "unknown")
                raise MountError(
                    volume.name, f"the process runtime of knarr cannot mount volumes of type {name}"
                )
            try:
                path = await self._kinds[kind](work, volume, getattr(volume, kind))
            except OSError as error:
                raise MountError(volume.name, str(error)) from None
            except StatusError as error:
                raise MountError(volume.name, error.message) from None
            volumes.paths[volume.name] = path


#: volume types that only container runtimes and storage drivers can serve
SOURCES = [
    "nfs",
    "iscsi",
    "csi",
    "cephfs",
    "rbd",
    "fc",
    "azureFile",
    "azureDisk",
    "awsElasticBlockStore",
    "gcePersistentDisk",
    "vsphereVolume",
    "glusterfs",
    "flexVolume",
    "flocker",
    "cinder",
    "portworxVolume",
    "scaleIO",
    "storageos",
    "quobyte",
    "photonPersistentDisk",
    "gitRepo",
    "image",
]


@dataclass
class _Work:
    """One volume being made."""

    client: Client
    now: Callable[[], float]
    pod: Any
    name: str
    folder: Path
    volumes: Volumes
    place: Place
    gid: int | None

    def directory(self, kind: str) -> Path:
        return self.folder / "volumes" / f"kubernetes.io~{kind}" / self.name

    async def get(self, kind: str, name: str, optional: bool | None) -> Any | None:
        """A ConfigMap or Secret; None where it is missing and may be. Raises MountError."""
        self.volumes.sources.add((kind, name))
        target = core_v1.ConfigMap if kind == "configmap" else core_v1.Secret
        try:
            return await self.client.get(target, name, self.pod.metadata.namespace)
        except StatusError as error:
            if not is_not_found(error):
                raise
        if optional:
            return None
        raise MountError(self.name, f'{kind} "{name}" not found')

    def write(self, kind: str, files: Mapping[str, File]) -> Path:
        path = self.directory(kind)
        atomic.write(path, files, self.gid)
        return path


async def _config_map(work: _Work, volume: Any, source: Any) -> Path:
    return work.write("configmap", await _config_map_files(work, source, _mode(source.defaultMode)))


async def _secret(work: _Work, volume: Any, source: Any) -> Path:
    return work.write(
        "secret", await _secret_files(work, source, source.secretName, _mode(source.defaultMode))
    )


async def _downward(work: _Work, volume: Any, source: Any) -> Path:
    return work.write("downward-api", _downward_files(work, source.items, _mode(source.defaultMode)))


async def _projected(work: _Work, volume: Any, source: Any) -> Path:
    mode = _mode(source.defaultMode)
    files: dict[str, File] = {}
    for part in source.sources:
        if part.configMap is not None:
            files.update(await _config_map_files(work, part.configMap, mode))
        elif part.secret is not None:
            files.update(await _secret_files(work, part.secret, part.secret.name, mode))
        elif part.downwardAPI is not None:
            files.update(_downward_files(work, part.downwardAPI.items, mode))
        elif part.serviceAccountToken is not None:
            token = await _token(work, part.serviceAccountToken)
            files[part.serviceAccountToken.path] = File(token.encode(), _token_mode(work, mode))
        else:
            raise MountError(work.name, "the process runtime of knarr cannot project this source")
    return work.write("projected", files)


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode


def _token_mode(work: _Work, mode: int) -> int:
    """Readable for its owner and group alone, unless nobody else could read it then."""
    return 0o600 if mode == DEFAULT_MODE and work.gid is None and os.getuid() != 0 else mode


async def _config_map_files(work: _Work, source: Any, mode: int) -> dict[str, File]:
    obj = await work.get("configmap", source.name, source.optional)
    data: dict[str, bytes] = {}
    if obj is not None:
        data = {key: value.encode() for key, value in obj.data.items()}
        data.update({key: base64.b64decode(value) for key, value in obj.binaryData.items()})
    return _selected(work, data, source, mode, "configmap")


async def _secret_files(work: _Work, source: Any, name: str, mode: int) -> dict[str, File]:
    obj = await work.get("secret", name, source.optional)
    data = {} if obj is None else {key: base64.b64decode(value) for key, value in obj.data.items()}
    return _selected(work, data, source, mode, "secret")


def _selected(work: _Work, data: dict[str, bytes], source: Any, mode: int, kind: str) -> dict[str, File]:
    """All keys, or those of `items` under their paths."""
    if not source.items:
        return {key: File(value, mode) for key, value in sorted(data.items())}
    files = {}
    for item in source.items:
        if item.key not in data:
            if source.optional:
                continue
            raise MountError(
                work.name,
                f"references non-existent {'config' if kind == 'configmap' else 'secret'} key: {item.key}",
            )
        files[item.path] = File(data[item.key], mode if item.mode is None else item.mode)
    return files


def _downward_files(work: _Work, items: Any, mode: int) -> dict[str, File]:
    work.volumes.sources.add(("pod", work.pod.metadata.name))
    files = {}
    for item in items:
        try:
            if item.fieldRef is not None:
                path = item.fieldRef.fieldPath
                text = field_value(work.pod, path, work.place.ips, work.place.host_ips)
            else:
                text = resource_value(work.pod, None, item.resourceFieldRef, work.place.allocatable)
        except Unsupported as error:
            raise MountError(work.name, str(error)) from None
        files[item.path] = File(text.encode(), mode if item.mode is None else item.mode)
    return files


async def _token(work: _Work, source: Any) -> str:
    """The service account's token, kept until it is time for a new one."""
    key = (work.name, source.path)
    known = work.volumes.tokens.get(key)
    now = work.now()
    if known is None or known[1] <= now:
        status = await work.client.create_token(
            work.pod.spec.serviceAccountName or "default",
            work.pod.metadata.namespace,
            (source.audience,) if source.audience else (),
            source.expirationSeconds or TOKEN_SECONDS,
            work.pod,
        )
        life = times.parse(status["expirationTimestamp"]) - now
        known = (status["token"], now + min(life * TOKEN_AGE_MAX, TOKEN_SECONDS_MAX))
        work.volumes.tokens[key] = known
    due = work.volumes.renew_at
    work.volumes.renew_at = min(due, known[1]) if due else known[1]
    return known[0]


async def _empty_dir(work: _Work, volume: Any, source: Any) -> Path:
    path = work.directory("empty-dir")
    if not path.is_dir():
        path.mkdir(parents=True)
        path.chmod(0o777)
        if work.gid is not None:
            with contextlib.suppress(PermissionError):
                os.chown(path, -1, work.gid)
                path.chmod(0o2777)
    return path


async def _host_path(work: _Work, volume: Any, source: Any) -> Path:
    return _checked(work.name, source)


def _checked(volume: str, source: Any) -> Path:
    """Raises MountError where something else is there than its type says."""
    path, kind = Path(source.path), source.type or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(0o644)
    check = HOST_PATH_CHECKS.get(kind)
    if check is not None and not check[0](path):
        raise MountError(volume, f"hostPath type check failed: {path} is not {check[1]}")
    if not kind and not path.exists():
        # container runtimes make it a directory
        path.mkdir(parents=True, exist_ok=True)
    return path


HOST_PATH_CHECKS: dict[str, tuple[Callable[[Path], bool], str]] = {
    "Directory": (Path.is_dir, "a directory"),
    "DirectoryOrCreate": (Path.is_dir, "a directory"),
    "File": (Path.is_file, "a file"),
    "FileOrCreate": (Path.is_file, "a file"),
    "Socket": (Path.is_socket, "a socket file"),
    "CharDevice": (Path.is_char_device, "a character device"),
    "BlockDevice": (Path.is_block_device, "a block device"),
}


async def _claim(work: _Work, volume: Any, source: Any) -> Path:
    """A claim that is bound to a directory of this machine."""
    return await _bound(work, source.claimName)


async def _ephemeral(work: _Work, volume: Any, source: Any) -> Path:
    return await _bound(work, f"{work.pod.metadata.name}-{work.name}")


async def _bound(work: _Work, claim_name: str) -> Path:
    claim = await work.client.get(core_v1.PersistentVolumeClaim, claim_name, work.pod.metadata.namespace)
    if not claim.spec.volumeName:
        raise MountError(work.name, f'PVC is not bound: persistentvolumeclaim "{claim_name}"')
    persistent = await work.client.get(core_v1.PersistentVolume, claim.spec.volumeName)
    if persistent.spec.hostPath is not None:
        return _checked(work.name, persistent.spec.hostPath)
    if persistent.spec.local is not None:
        return _existing(work.name, Path(persistent.spec.local.path))
    raise MountError(
        work.name, f"the process runtime of knarr cannot mount persistent volume {claim.spec.volumeName}"
    )


def _existing(volume: str, path: Path) -> Path:
    if not path.exists():
        raise MountError(volume, f'path "{path}" does not exist')
    return path
