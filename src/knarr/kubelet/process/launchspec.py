"""What the launcher is told: the command, its user, its environment, its files.

Where the machine allows namespaces a container has mounts, elsewhere links to its volumes (see runtime.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from knarr.api.types import core_v1
from knarr.client.client import Client, is_not_found
from knarr.client.informer import Informer
from knarr.kubelet.plan import pod_name
from knarr.kubelet.process.container import Container
from knarr.kubelet.process.env import ConfigError, Place, environment
from knarr.kubelet.process.expand import expand
from knarr.kubelet.process.hosts import hostname_of
from knarr.kubelet.process.mounts import Mount, link, mounts_of
from knarr.kubelet.process.pod import ProcessPod
from knarr.kubelet.process.users import User, user_of
from knarr.kubelet.runtime import ContainerRecord
from knarr.meta.errors import StatusError

NO_COMMAND = (
    'no command specified: the process runtime runs no images, so container "{name}" (image "{image}") needs'
    " `command`; or run the pod on simulated nodes (knarr up --runtime simulated)"
)
#: what of our own environment a container gets
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: what child.py hands to the launcher, as JSON
Spec = dict[str, Any]


class NoCommand(Exception):
    """The container has no command, and there is no image to take one from."""


class Laid(NamedTuple):
    """A spec, and where the termination message will stand."""

    spec: Spec
    message_file: Path | None


class LaunchSpecs:
    """Makes specs for runs of containers and for commands inside them.

    `namespaces` is what the launcher separates ("" is nothing), `place` says where a pod is, `warn` reports
    variables of a container that cannot be.
    """

    def __init__(
        self,
        client: Client,
        services: Informer,
        namespaces: str,
        place: Callable[[ProcessPod], Place],
        warn: Callable[[ProcessPod, str, str], None],
    ) -> None:
        self._client, self._services, self._namespaces = client, services, namespaces
        self._place, self._warn = place, warn

    async def of_run(self, mine: ProcessPod, container: Any, run: ContainerRecord, folder: Path) -> Laid:
        """Makes `folder`, the run's own. Raises ConfigError, NoCommand."""
        user = user_of(mine.pod, container, pod_name(mine.pod))
        run.user = user.shown
        env = await self._environment(mine, container)
        if not container.command:
            raise NoCommand(NO_COMMAND.format(name=container.name, image=container.image))
        argv = [expand(word, env) for word in (*container.command, *container.args)]
        mounts = mounts_of(container, mine.volumes.paths, env)
        work = _fresh(folder, mine.folder, user)
        message_file = _message_file(folder, container, mounts)
        spec: Spec = {"argv": argv, "env": env, **_identity(user), "namespaces": self._namespaces}
        files = self._mounted if self._namespaces else self._linked
        files(spec, mine, container.workingDir, folder / "root", work, mounts)
        return Laid(spec, message_file)

    async def of_command(self, mine: ProcessPod, running: Container, command: list[str], tty: bool) -> Spec:
        """A command inside a container that runs. Raises ConfigError."""
        assert running.child is not None
        env = await self._environment(mine, running.spec)
        if tty:
            env["TERM"] = "xterm"
        root, work, cwd = running.folder / "root", running.folder / "work", running.spec.workingDir
        env["KNARR_ROOT"] = "" if self._namespaces else str(root)
        return {
            "argv": command,
            "env": env,
            "cwd": (cwd if self._namespaces else _linked_directory(root, cwd)) or str(work),
            **_identity(user_of(mine.pod, running.spec, pod_name(mine.pod))),
            "join": running.child.pid if self._namespaces else 0,
        }

    # -- files --------------------------------------------------------------------------------------------------

    def _linked(
        self, spec: Spec, mine: ProcessPod, cwd: str | None, root: Path, work: Path, mounts: list[Mount]
    ) -> None:
        link(root, mounts)
        spec["env"]["KNARR_ROOT"] = str(root)
        spec["cwd"] = _linked_directory(root, cwd) or str(work)

    def _mounted(
        self, spec: Spec, mine: ProcessPod, cwd: str | None, root: Path, work: Path, mounts: list[Mount]
    ) -> None:
        spec["env"]["KNARR_ROOT"] = ""
        own_network = not mine.pod.spec.hostNetwork
        if own_network and not any(m.target == "/etc/hosts" for m in mounts):
            mounts.append(Mount(mine.folder / "hosts", "/etc/hosts"))
        if cwd and not Path(cwd).is_dir() and not _covered(cwd, mounts):
            mounts.append(Mount(work, cwd))
        root.mkdir()
        spec |= {
            "hostname": hostname_of(mine.pod) if own_network else "",
            "root": str(root),
            "mounts": [[str(m.source), m.target, m.read_only] for m in mounts],
            "cwd": cwd or str(work),
        }

    # -- environment --------------------------------------------------------------------------------------------

    async def _environment(self, mine: ProcessPod, container: Any) -> dict[str, str]:
        """Raises ConfigError."""
        namespace = mine.pod.metadata.namespace
        objects: dict[tuple[str, str], Any] = {}
        for kind, name in _references(container):
            if (kind, name) not in objects:
                objects[kind, name] = await self._object(kind, namespace, name)
        await self._services.wait_for_sync()
        return _own_environment(mine.pod, container) | environment(
            mine.pod,
            container,
            self._place(mine),
            self._services.indexer.list(namespace),
            lambda kind, name: objects.get((kind, name)),
            lambda message: self._warn(mine, message, container.name),
        )

    async def _object(self, kind: str, namespace: str, name: str) -> Any | None:
        target = core_v1.ConfigMap if kind == "configmap" else core_v1.Secret
        try:
            return await self._client.get(target, name, namespace)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise ConfigError(error.message) from None


def _own_environment(pod: Any, container: Any) -> dict[str, str]:
    env = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    env.setdefault("PATH", DEFAULT_PATH)
    env["HOME"] = os.path.expanduser("~")
    env["HOSTNAME"] = hostname_of(pod)
    if container.tty:
        env["TERM"] = "xterm"
    return env


def _references(container: Any) -> Iterable[tuple[str, str]]:
    """The ConfigMaps and Secrets that a container's environment needs."""
    for source in container.envFrom:
        if source.configMapRef is not None:
            yield "configmap", source.configMapRef.name
        if source.secretRef is not None:
            yield "secret", source.secretRef.name
    for variable in container.env:
        if variable.valueFrom is not None:
            if variable.valueFrom.configMapKeyRef is not None:
                yield "configmap", variable.valueFrom.configMapKeyRef.name
            if variable.valueFrom.secretKeyRef is not None:
                yield "secret", variable.valueFrom.secretKeyRef.name


def _identity(user: User) -> Spec:
    groups = list(user.groups) if user.groups is not None else None
    return {"uid": user.uid, "gid": user.gid, "groups": groups, "inner": user.inner}


def _fresh(folder: Path, pod: Path, user: User) -> Path:
    """An empty directory for a run, and in it the one in which its command starts."""
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "work"
    work.mkdir(parents=True)
    if user.uid is not None:
        os.chown(work, user.uid, user.gid if user.gid is not None else -1)
        for path in (pod, pod / "containers", folder.parent, folder):
            path.chmod(0o711)
    return work


def _message_file(folder: Path, container: Any, mounts: list[Mount]) -> Path | None:
    """Where the container finds it, unless a volume is mounted there."""
    if not container.terminationMessagePath:
        return None
    path = folder / "termination-log"
    path.touch()
    path.chmod(0o666)
    if not any(m.target == container.terminationMessagePath for m in mounts):
        mounts.append(Mount(path, container.terminationMessagePath))
    return path


def _covered(path: str, mounts: list[Mount]) -> bool:
    return any(path == m.target or path.startswith(m.target.rstrip("/") + "/") for m in mounts)


def _linked_directory(root: Path, cwd: str | None) -> str | None:
    """A working directory where there are no mounts: within a volume, or the machine's own."""
    if not cwd:
        return None
    linked = root / cwd.lstrip("/")
    if linked.is_dir():
        return str(linked)
    return cwd if Path(cwd).is_dir() else None
