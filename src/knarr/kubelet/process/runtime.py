"""ProcessRuntime: see runtime.Runtime. A pod is a directory with volumes; a container is a session of processes.

What a container sees: where the machine allows namespaces, the machine's files with the volumes at their mount paths;
elsewhere the machine's files as they are, and links to the volumes below the directory that KNARR_ROOT names. In both
cases `$KNARR_ROOT/<mountPath>` is the volume (the variable is empty where mounts are real).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.api.nodeapi import Exit, LogOptions, NodeError, Terminal
from knarr.api.types import core_v1
from knarr.client.client import Client, is_not_found
from knarr.client.informer import SharedInformers
from knarr.kubelet import words
from knarr.kubelet.addresses import Exhausted, PodAddresses
from knarr.kubelet.hooks import HookProbe, run_hook
from knarr.kubelet.plan import pod_name
from knarr.kubelet.process import actions, address, cgroups, leftovers, logfile, namespaces
from knarr.kubelet.process.child import LaunchError, launch
from knarr.kubelet.process.container import Container
from knarr.kubelet.process.env import ConfigError, Place, environment
from knarr.kubelet.process.expand import expand
from knarr.kubelet.process.hosts import hostname_of, hosts_file
from knarr.kubelet.process.mounts import Mount, link, mounts_of
from knarr.kubelet.process.session import run_session, show_attached
from knarr.kubelet.process.users import User, user_of
from knarr.kubelet.process.volumes import MountError, VolumeManager, Volumes
from knarr.kubelet.restore import lost, restored
from knarr.kubelet.runtime import (
    CREATED,
    EXITED,
    FAILED,
    RUNNING,
    ContainerRecord,
    Listener,
    PodRecord,
    ProbeResult,
)
from knarr.meta.errors import StatusError

log = logging.getLogger(__name__)

NO_COMMAND = (
    'no command specified: the process runtime runs no images, so container "{name}" (image "{image}") needs'
    " `command`; or run the pod on simulated nodes (knarr up --runtime simulated)"
)
START_FAILED = 'failed to start container "{id}": {why}'
#: a volume that cannot be made is tried again after so long, doubling
MOUNT_RETRY_SECONDS, MOUNT_RETRY_SECONDS_MAX = 0.5, 10.0
#: how often tokens are looked at
RENEW_SECONDS = 30.0
EXEC_SECONDS_MAX = 4 * 3600.0
#: what of our own environment a container gets
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class ProcessSettings:
    """`directory` keeps pods and logs; `api_host` and `api_port` are where pods find the API server."""

    directory: Path
    api_host: str = "127.0.0.1"
    api_port: int = 6443
    #: "auto" finds out; "" uses links even where namespaces would work
    namespaces: str = "auto"
    #: stopping waits at most so long for processes to end after TERM
    stop_seconds_max: float = 10.0
    #: what a container without limits is told it has
    allocatable: dict[str, str] = field(
        default_factory=lambda: {"cpu": str(os.cpu_count() or 1), "memory": "0"}
    )
    log_bytes_max: int = logfile.FILE_BYTES_MAX
    log_files_max: int = logfile.FILES_MAX


class _Pod:
    """What we hold of one pod."""

    def __init__(self, pod: Any, folder: Path) -> None:
        self.pod, self.folder = pod, folder
        self.record = PodRecord(pod.metadata.uid)
        self.address = address.LOCALHOST
        self.volumes = Volumes()
        self.containers: dict[str, Container] = {}
        #: sandbox, starts, refreshes: all tasks on its behalf
        self.tasks: set[asyncio.Task[None]] = set()
        self.starting: dict[str, asyncio.Task[None]] = {}
        self.lock = asyncio.Lock()

    def spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class ProcessRuntime:
    """Real processes of this machine."""

    name = "process"
    real = True

    def __init__(
        self,
        client: Client,
        settings: ProcessSettings,
        pod_cidr: str = "10.244.0.0/16",
        informers: SharedInformers | None = None,
    ) -> None:
        self.addresses = PodAddresses(pod_cidr)
        self.settings = settings
        self._client = client
        self._now = client.world.clock.now
        self._own_informers = informers is None
        self._informers = informers or SharedInformers(client)
        self._volumes = VolumeManager(client, self._now)
        self._pods: dict[str, _Pod] = {}
        self._listener: Listener | None = None
        self._namespaces = ""
        self._cgroup: Path | None = None
        self._renewer: asyncio.Task[None] | None = None
        self._handlers: list[Any] = []
        self._stopping = False

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    # -- life ---------------------------------------------------------------------------------------------------

    @property
    def _root(self) -> Path:
        return self.settings.directory / "pods"

    @property
    def _logs(self) -> Path:
        return self.settings.directory / "logs"

    async def start(self, pods: Iterable[str] = ()) -> None:
        """End what a former life left running, find out what this machine allows."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o700 if os.getuid() != 0 else 0o711)
        await asyncio.to_thread(leftovers.kill_all, self._root)
        known = set(pods)
        for folder in [path for path in self._root.iterdir() if path.name not in known]:
            await asyncio.to_thread(shutil.rmtree, folder, True)
        wanted = self.settings.namespaces
        self._namespaces = await namespaces.detect() if wanted == "auto" else wanted
        self._cgroup = cgroups.detect()
        for target, kind in ((core_v1.ConfigMap, "configmap"), (core_v1.Secret, "secret")):
            self._handlers.append(self._informers.of(target).add_handler(*self._refreshing(kind)))
        self._informers.of(core_v1.Service)
        if self._own_informers:
            self._informers.start()
        self._renewer = asyncio.get_running_loop().create_task(self._renew_for_ever(), name="token renewal")

    async def stop(self) -> None:
        """TERM to everything, KILL after the grace."""
        self._stopping = True
        if self._renewer is not None:
            self._renewer.cancel()
        for handler in self._handlers:
            handler.remove()
        for pod in self._pods.values():
            for task in list(pod.tasks):
                task.cancel()
        running = [c for pod in self._pods.values() for c in pod.containers.values()]
        for pod in self._pods.values():
            seconds = pod.pod.spec.terminationGracePeriodSeconds
            grace = min(30.0 if seconds is None else float(seconds), self.settings.stop_seconds_max)
            for container in pod.containers.values():
                container.kill(grace)
        await asyncio.gather(*(container.wait() for container in running))
        if self._cgroup is not None:
            cgroups.remove(self._cgroup)
        if self._own_informers:
            await self._informers.stop()

    def status(self, uid: str) -> PodRecord | None:
        pod = self._pods.get(uid)
        return pod.record if pod is not None else None

    # -- pods ---------------------------------------------------------------------------------------------------

    def create_pod(self, pod: Any) -> None:
        uid = pod.metadata.uid
        mine = self._pods[uid] = _Pod(pod, self._root / uid)
        if not self._give_address(mine):
            return
        mine.spawn(self._prepare(mine), f"sandbox of {pod.metadata.name}")

    def _give_address(self, mine: _Pod) -> bool:
        pod, record = mine.pod, mine.record
        uid, before = pod.metadata.uid, pod.status.podIP
        if pod.spec.hostNetwork:
            return True
        if before and self.addresses.keep(before, uid):
            record.ips = (before,)
        else:
            try:
                record.ips = (self.addresses.take(uid, pod.spec.nodeName),)
            except Exhausted as error:
                self._event(
                    pod, words.WARNING, words.FAILED_SANDBOX, f"Failed to create pod sandbox: {error}"
                )
                return False
        mine.address = address.local(record.ips[0])
        return True

    async def _prepare(self, mine: _Pod) -> None:
        """Volumes, again and again until they are there; then the pod may start."""
        mine.folder.mkdir(parents=True, exist_ok=True)
        pause = MOUNT_RETRY_SECONDS
        while True:
            try:
                await self._make_volumes(mine)
                break
            except MountError as error:
                message = words.mount_failed(error.volume, str(error))
                self._event(mine.pod, words.WARNING, words.FAILED_MOUNT, message)
            except Exception as error:
                log.exception("volumes of %s", mine.pod.metadata.name)
                self._event(mine.pod, words.WARNING, words.FAILED_MOUNT, str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, MOUNT_RETRY_SECONDS_MAX)
        (mine.folder / "hosts").write_text(hosts_file(mine.pod, mine.address))
        self._restore(mine)
        mine.record.ready = True
        self._changed(mine)

    def _restore(self, mine: _Pod) -> None:
        """Nothing survives us: what ran is gone."""
        for run in restored(mine.pod):
            mine.record.add(lost(run, self._now()) if run.state == RUNNING else run)

    def adopt_pod(self, pod: Any) -> None:
        uid = pod.metadata.uid
        mine = self._pods[uid] = _Pod(pod, self._root / uid)
        if pod.status.podIP and not pod.spec.hostNetwork and self.addresses.keep(pod.status.podIP, uid):
            mine.record.ips = (pod.status.podIP,)
        self._restore(mine)

    async def _make_volumes(self, mine: _Pod) -> None:
        async with mine.lock:
            await self._volumes.make(mine.pod, mine.folder, mine.volumes, self._place(mine))

    def _place(self, mine: _Pod) -> Place:
        hosts = tuple(ip.ip for ip in mine.pod.status.hostIPs) or (
            (mine.pod.status.hostIP or address.LOCALHOST),
        )
        settings = self.settings
        return Place((mine.address,), hosts, settings.allocatable, settings.api_host, settings.api_port)

    def update_pod(self, pod: Any) -> None:
        mine = self._pods.get(pod.metadata.uid)
        if mine is None:
            return
        mine.pod = pod
        if ("pod", pod.metadata.name) in mine.volumes.sources:
            self._refresh(mine)

    def _refresh(self, mine: _Pod) -> None:
        if mine.record.ready and not self._stopping:
            mine.spawn(self._refreshed(mine), f"volumes of {mine.pod.metadata.name}")

    async def _refreshed(self, mine: _Pod) -> None:
        try:
            await self._make_volumes(mine)
        except MountError as error:
            message = words.mount_failed(error.volume, str(error))
            self._event(mine.pod, words.WARNING, words.FAILED_MOUNT, message)

    def _refreshing(self, kind: str) -> tuple[Callable[..., None], ...]:
        """Handlers that bring volumes up to date when their objects change."""

        def changed(obj: Any) -> None:
            key = (kind, obj.metadata.name)
            for mine in self._pods.values():
                if key in mine.volumes.sources and mine.pod.metadata.namespace == obj.metadata.namespace:
                    self._refresh(mine)

        return changed, lambda old, new: changed(new), lambda obj: None

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            now = self._now()
            for mine in list(self._pods.values()):
                if 0 < mine.volumes.renew_at <= now:
                    self._refresh(mine)

    def remove_pod(self, uid: str) -> None:
        mine = self._pods.pop(uid, None)
        if mine is None:
            return
        for task in list(mine.tasks):
            task.cancel()
        for ip in mine.record.ips:
            self.addresses.give_back(ip, uid)
        asyncio.get_running_loop().create_task(self._clear(mine), name=f"removal of {uid}")

    async def _clear(self, mine: _Pod) -> None:
        await asyncio.gather(*(container.wait() for container in mine.containers.values()))
        await asyncio.to_thread(shutil.rmtree, mine.folder, True)
        await asyncio.to_thread(shutil.rmtree, self._log_folder(mine.pod), True)

    def _log_folder(self, pod: Any) -> Path:
        meta = pod.metadata
        return self._logs / "pods" / f"{meta.namespace}_{meta.name}_{meta.uid}"

    def _log_path(self, pod: Any, name: str, attempt: int) -> Path:
        return self._log_folder(pod) / name / f"{attempt}.log"

    # -- containers ---------------------------------------------------------------------------------------------

    def start_container(self, pod: Any, container: Any, attempt: int) -> None:
        mine = self._pods[pod.metadata.uid]
        mine.pod = pod
        run = ContainerRecord(
            container.name,
            attempt,
            self._client.world.chance.randbytes(32).hex(),
            image=container.image,
            made_from=container.image,
        )
        mine.record.add(run)
        task = mine.spawn(self._start(mine, container, run), f"start of {container.name}")
        mine.starting[container.name] = task

    async def _start(self, mine: _Pod, container: Any, run: ContainerRecord) -> None:
        pod = mine.pod
        try:
            await self._launch(mine, container, run)
        except asyncio.CancelledError:
            raise
        except ConfigError as error:
            self._fail(mine, run, "CreateContainerConfigError", str(error))
        except _NoCommand as error:
            self._fail(mine, run, "CreateContainerError", str(error))
        except LaunchError as error:
            message = START_FAILED.format(id=run.id, why=error)
            self._event(pod, words.WARNING, words.FAILED, f"Error: {message}", run.name)
            run.reason, run.message, run.exit_code = "StartError", message, 128
            run.state, run.finished_at = EXITED, self._now()
            self._changed(mine)
        except Exception as error:
            log.exception("start of container %s", run.name)
            self._fail(mine, run, "CreateContainerError", str(error))
        finally:
            mine.starting.pop(container.name, None)

    def _fail(self, mine: _Pod, run: ContainerRecord, reason: str, message: str) -> None:
        self._event(mine.pod, words.WARNING, words.FAILED, f"Error: {message}", run.name)
        run.state, run.reason, run.message, run.finished_at = FAILED, reason, message, self._now()
        self._changed(mine)

    async def _launch(self, mine: _Pod, container: Any, run: ContainerRecord) -> None:
        """From a spec to a running command. Raises ConfigError, LaunchError."""
        pod = mine.pod
        folder = mine.folder / "containers" / container.name / str(run.attempt)
        spec, message_file = await self._spec(mine, container, run, folder)
        cgroup = None
        if self._cgroup is not None:
            name = f"{pod.metadata.uid}-{container.name}-{run.attempt}"
            cgroup = cgroups.make(self._cgroup, name, container.resources)
        if cgroup is not None:
            spec["cgroup"] = str(cgroup / "cgroup.procs")
        else:
            spec["limits"] = cgroups.rlimits(container.resources)
        self._drop_old(mine, container.name, run.attempt)
        writer = logfile.LogWriter(
            self._log_path(pod, container.name, run.attempt),
            self._now,
            self.settings.log_bytes_max,
            self.settings.log_files_max,
        )
        running = Container(container, run, folder, writer, self._now, cgroup, message_file)
        self._event(pod, words.NORMAL, words.CREATED, words.CONTAINER_CREATED, run.name)
        try:
            await running.launch(spec)
        except LaunchError:
            writer.close()
            if cgroup is not None:
                cgroups.remove(cgroup)
            raise
        self._event(pod, words.NORMAL, words.STARTED, words.CONTAINER_STARTED, run.name)
        run.started_at = self._now()
        mine.containers[container.name] = running
        running.watch(lambda _: self._ended(mine))
        lifecycle = getattr(container, "lifecycle", None)
        if lifecycle is not None and lifecycle.postStart is not None:
            await self._post_start(mine, container, running, lifecycle.postStart)
        if run.state == CREATED:
            run.state = RUNNING
            self._changed(mine)

    async def _post_start(self, mine: _Pod, container: Any, running: Container, handler: Any) -> None:
        """It runs beside the command; the container counts as running when it is over, and dies if it fails."""
        result = await run_hook(self, mine.pod, container, handler, EXEC_SECONDS_MAX)
        if result.success:
            return
        self._event(mine.pod, words.WARNING, words.FAILED_POST_START, "PostStartHook failed", container.name)
        self._event(mine.pod, words.NORMAL, words.KILLING, "FailedPostStartHook", container.name)
        seconds = mine.pod.spec.terminationGracePeriodSeconds
        running.kill(30.0 if seconds is None else float(seconds))

    async def _spec(
        self, mine: _Pod, container: Any, run: ContainerRecord, folder: Path
    ) -> tuple[dict[str, Any], Path | None]:
        """What the launcher is told, and where the termination message will stand. Raises ConfigError."""
        pod = mine.pod
        user = user_of(pod, container, pod_name(pod))
        run.user = user.shown
        env = self._base_env(pod, container) | await self._env(mine, container)
        if not container.command:
            raise _NoCommand(NO_COMMAND.format(name=container.name, image=container.image))
        argv = [expand(word, env) for word in (*container.command, *container.args)]
        mounts = mounts_of(container, mine.volumes.paths, env)
        return self._laid_out(mine, container, folder, user, env, argv, mounts)

    def _laid_out(
        self,
        mine: _Pod,
        container: Any,
        folder: Path,
        user: User,
        env: dict[str, str],
        argv: list[str],
        mounts: list[Mount],
    ) -> tuple[dict[str, Any], Path | None]:
        """Makes the container's directory; see `_spec`."""
        work = _fresh(folder, mine.folder, user)
        message_file = None
        if container.terminationMessagePath:
            message_file = folder / "termination-log"
            message_file.touch()
            message_file.chmod(0o666)
            if not any(m.target == container.terminationMessagePath for m in mounts):
                mounts.append(Mount(message_file, container.terminationMessagePath))
        spec: dict[str, Any] = {"argv": argv, "env": env, **_identity(user), "namespaces": self._namespaces}
        cwd, root = container.workingDir, folder / "root"
        if not self._namespaces:
            link(root, mounts)
            env["KNARR_ROOT"] = str(root)
            spec["cwd"] = _linked_directory(root, cwd) or str(work)
            return spec, message_file
        env["KNARR_ROOT"] = ""
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
        return spec, message_file

    def _base_env(self, pod: Any, container: Any) -> dict[str, str]:
        env = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        env.setdefault("PATH", DEFAULT_PATH)
        env["HOME"] = os.path.expanduser("~")
        env["HOSTNAME"] = hostname_of(pod)
        if container.tty:
            env["TERM"] = "xterm"
        return env

    async def _env(self, mine: _Pod, container: Any) -> dict[str, str]:
        """Raises ConfigError."""
        objects: dict[tuple[str, str], Any] = {}
        for kind, name in _references(container):
            if (kind, name) not in objects:
                objects[kind, name] = await self._object(kind, mine.pod.metadata.namespace, name)
        services = self._informers.of(core_v1.Service)
        await services.wait_for_sync()
        return environment(
            mine.pod,
            container,
            self._place(mine),
            services.indexer.list(mine.pod.metadata.namespace),
            lambda kind, name: objects.get((kind, name)),
            lambda message: self._event(
                mine.pod, words.WARNING, "InvalidEnvironmentVariableNames", message, container.name
            ),
        )

    async def _object(self, kind: str, namespace: str, name: str) -> Any | None:
        target = core_v1.ConfigMap if kind == "configmap" else core_v1.Secret
        try:
            return await self._client.get(target, name, namespace)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise ConfigError(error.message) from None

    def _drop_old(self, mine: _Pod, name: str, attempt: int) -> None:
        """Of earlier runs only the last one's log is kept."""
        for path in self._log_path(mine.pod, name, 0).parent.glob("*.log*"):
            number = path.name.partition(".")[0]
            if number.isdigit() and int(number) < attempt - 1:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
        for folder in (mine.folder / "containers" / name).glob("*"):
            if folder.name.isdigit() and int(folder.name) < attempt:
                shutil.rmtree(folder, ignore_errors=True)

    def _ended(self, mine: _Pod) -> None:
        self._changed(mine)

    def kill_container(self, pod: Any, name: str, grace_seconds: float) -> None:
        mine = self._pods.get(pod.metadata.uid)
        if mine is None:
            return
        task = mine.starting.get(name)
        run = mine.record.last(name)
        container = mine.containers.get(name)
        if container is not None and container.record is run:
            container.kill(grace_seconds)
            if task is not None:
                # its postStart hook has nobody left to wait for
                task.cancel()
            return
        if task is not None:
            task.cancel()
        if run is not None and run.state == CREATED:
            run.state, run.exit_code, run.finished_at = EXITED, 137, self._now()
            run.reason = "Error"
            self._changed(mine)

    # -- probes and hooks ---------------------------------------------------------------------------------------

    def readiness(self, pod: Any, container: Any) -> tuple[float, float | None]:
        raise NotImplementedError("probes of processes are real")

    async def probe(self, pod: Any, container: Any, probe: Any) -> ProbeResult:
        mine = self._pods[pod.metadata.uid]
        seconds = float(probe.timeoutSeconds or 1)
        if probe.exec is not None:
            return await self._probe_exec(pod, container, list(probe.exec.command), seconds)
        try:
            if probe.httpGet is not None:
                port = actions.port_of(container, probe.httpGet.port)
                hook = isinstance(probe, HookProbe)
                return await actions.http(probe.httpGet, mine.address, port, seconds, hook)
            if probe.tcpSocket is not None:
                port = actions.port_of(container, probe.tcpSocket.port)
                return await actions.tcp(probe.tcpSocket.host or mine.address, port, seconds)
        except ValueError as error:
            return ProbeResult(False, str(error), unknown=True)
        if probe.grpc is not None:
            return await actions.grpc(mine.address, probe.grpc.port, probe.grpc.service or "", seconds)
        return ProbeResult(False, "missing probe handler", unknown=True)

    async def _probe_exec(self, pod: Any, container: Any, argv: list[str], seconds: float) -> ProbeResult:
        output = _Collected()
        try:
            async with asyncio.timeout(seconds):
                ended = await self.exec(pod, container.name, argv, output)
        except TimeoutError:
            return ProbeResult(False, f'command timed out: "{" ".join(argv)}" timed out after {seconds:g}s')
        except NodeError as error:
            return ProbeResult(False, str(error), unknown=True)
        if ended.message:
            return ProbeResult(False, ended.message)
        return ProbeResult(ended.code == 0, output.text())

    # -- asked by the API server --------------------------------------------------------------------------------

    def _container(self, pod: Any, name: str) -> tuple[_Pod, Container]:
        mine = self._pods.get(pod.metadata.uid)
        container = mine.containers.get(name) if mine is not None else None
        if mine is None or container is None or container.child is None or container.child.ended:
            raise NodeError(f'container not found ("{name}")', 500)
        return mine, container

    async def logs(self, pod: Any, options: LogOptions) -> AsyncIterator[bytes]:
        mine = self._pods.get(pod.metadata.uid)
        runs = mine.record.containers.get(options.container, []) if mine is not None else []
        shown = [run for run in runs if run.started_at]
        if mine is None or not shown:
            raise NodeError(f'container "{options.container}" in pod "{pod.metadata.name}" has no log')
        run = shown[-1]
        if options.previous:
            run = shown[-2] if runs[-1] is run and len(shown) > 1 else run
        container = mine.containers.get(options.container)
        live = container if container is not None and container.record is run else None
        path = self._log_path(pod, options.container, run.attempt)
        if not path.exists():
            message = f"failed to try resolving symlinks in path {str(path)!r}: no such file".replace(
                "'", '"'
            )
            raise NodeError(f"unable to retrieve container logs for process://{run.id}: {message}", 500)
        pieces = logfile.read(
            path,
            options,
            self._now(),
            live.log if live is not None else None,
            lambda: run.state in (CREATED, RUNNING),
        )
        async for piece in pieces:
            yield piece

    async def exec(self, pod: Any, container: str, command: list[str], terminal: Terminal) -> Exit:
        mine, running = self._container(pod, container)
        assert running.child is not None
        user = user_of(pod, running.spec, pod_name(pod))
        env = self._base_env(pod, running.spec) | await self._env(mine, running.spec)
        if terminal.tty:
            env["TERM"] = "xterm"
        root = running.folder / "root"
        env["KNARR_ROOT"] = "" if self._namespaces else str(root)
        work = running.folder / "work"
        cwd = running.spec.workingDir
        spec: dict[str, Any] = {
            "argv": command,
            "env": env,
            "cwd": (cwd or str(work)) if self._namespaces else _linked_directory(root, cwd) or str(work),
            **_identity(user),
            "join": running.child.pid if self._namespaces else 0,
        }
        try:
            child = await launch(spec, running.folder, stdin=terminal.stdin is not None, tty=terminal.tty)
        except LaunchError as error:
            return Exit(message=f"error executing command in container: failed to exec in container: {error}")
        try:
            return await run_session(child, terminal)
        finally:
            if not child.ended:
                leftovers.kill_session(child.pid, signal.SIGKILL)
            child.close()

    async def attach(self, pod: Any, container: str, terminal: Terminal) -> Exit:
        _, running = self._container(pod, container)
        await show_attached(running, terminal)
        return Exit()

    def reach(self, pod: Any, port: int) -> tuple[tuple[str, int], ...]:
        """At the pod's own address, else at 127.0.0.1, as `dial` tries them. Raises NodeError."""
        mine = self._pods.get(pod.metadata.uid)
        if mine is None:
            raise NodeError(f"pod {pod.metadata.name} is not running", 500)
        return tuple((host, port) for host in dict.fromkeys((mine.address, address.LOCALHOST)))

    async def dial(self, pod: Any, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """At the pod's own address, else at 127.0.0.1, where a process may listen that asks for nothing else."""
        mine = self._pods.get(pod.metadata.uid)
        if mine is None:
            raise NodeError(f"pod {pod.metadata.name} is not running", 500)
        try:
            return await asyncio.open_connection(mine.address, port)
        except ConnectionRefusedError:
            try:
                return await asyncio.open_connection(address.LOCALHOST, port)
            except OSError:
                raise NodeError(f"dial tcp4 {mine.address}:{port}: {actions.REFUSED}", 500) from None
        except OSError as error:
            raise NodeError(f"dial tcp4 {mine.address}:{port}: {error.strerror or error}", 500) from None

    # -- helpers ------------------------------------------------------------------------------------------------

    def _changed(self, mine: _Pod) -> None:
        if self._listener is not None and not self._stopping:
            self._listener.changed(mine.record.uid)

    def _event(self, pod: Any, type_: str, reason: str, message: str, container: str = "") -> None:
        if self._listener is not None and not self._stopping:
            self._listener.event(pod, type_, reason, message, container)


class _NoCommand(Exception):
    pass


class _Collected(Terminal):
    """The output of a probe's command, as much as an event will show."""

    def __init__(self) -> None:
        super().__init__()
        self._output = b""

    async def write(self, channel: int, data: bytes) -> None:
        self._output = (self._output + data)[: actions.OUTPUT_BYTES_MAX]

    def text(self) -> str:
        return self._output.decode("utf-8", "replace")


def _identity(user: User) -> dict[str, Any]:
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
