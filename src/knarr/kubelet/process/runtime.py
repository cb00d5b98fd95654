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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.kubelet import words
from knarr.kubelet.addresses import Exhausted, PodAddresses
from knarr.kubelet.hooks import run_hook
from knarr.kubelet.node import ClientOf
from knarr.kubelet.process import address, cgroups, leftovers, logfile, namespaces
from knarr.kubelet.process.access import Access
from knarr.kubelet.process.child import LaunchError
from knarr.kubelet.process.container import Container
from knarr.kubelet.process.env import ConfigError, Place
from knarr.kubelet.process.hosts import hosts_file
from knarr.kubelet.process.launchspec import LaunchSpecs, NoCommand
from knarr.kubelet.process.pod import ProcessPod
from knarr.kubelet.process.probes import Probes
from knarr.kubelet.process.volumes import MountError, VolumeManager
from knarr.kubelet.restore import lost, restored
from knarr.kubelet.runtime import (
    CREATED,
    EXITED,
    FAILED,
    RUNNING,
    ContainerRecord,
    Listener,
    PodRecord,
)

log = logging.getLogger(__name__)

START_FAILED = 'failed to start container "{id}": {why}'
#: a volume that cannot be made is tried again after so long, doubling
MOUNT_RETRY_SECONDS, MOUNT_RETRY_SECONDS_MAX = 0.5, 10.0
#: how often tokens are looked at
RENEW_SECONDS = 30.0
EXEC_SECONDS_MAX = 4 * 3600.0


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
        client_of: ClientOf | None = None,
    ) -> None:
        self.addresses = PodAddresses(pod_cidr)
        self.settings = settings
        self._client = client
        self._now = client.world.clock.now
        self._own_informers = informers is None
        self._informers = informers or SharedInformers(client)
        self._volumes = VolumeManager(client_of or (lambda node: client), self._now)
        self._pods: dict[str, ProcessPod] = {}
        self._listener: Listener | None = None
        self._specs: LaunchSpecs | None = None
        self._cgroup: Path | None = None
        self._renewer: asyncio.Task[None] | None = None
        self._handlers: list[Any] = []
        self._stopping = False
        access = Access(self._pods, self._made_specs, self._now)
        self.logs, self.exec, self.attach = access.logs, access.exec, access.attach
        self.reach, self.dial = access.reach, access.dial
        self.probe = Probes(self._pods, access.exec).probe

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
        separated = await namespaces.detect() if wanted == "auto" else wanted
        services = self._informers.of(core_v1.Service)
        self._specs = LaunchSpecs(self._client, services, separated, self._place, self._warn_of_variables)
        self._cgroup = cgroups.detect()
        for target, kind in ((core_v1.ConfigMap, "configmap"), (core_v1.Secret, "secret")):
            self._handlers.append(self._informers.of(target).add_handler(*self._refreshing(kind)))
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
        mine = self._pods[uid] = ProcessPod(pod, self._root, self._logs)
        if not self._give_address(mine):
            return
        mine.spawn(self._prepare(mine), f"sandbox of {pod.metadata.name}")

    def _give_address(self, mine: ProcessPod) -> bool:
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

    async def _prepare(self, mine: ProcessPod) -> None:
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

    def _restore(self, mine: ProcessPod) -> None:
        """Nothing survives us: what ran is gone."""
        for run in restored(mine.pod):
            mine.record.add(lost(run, self._now()) if run.state == RUNNING else run)

    def adopt_pod(self, pod: Any) -> None:
        uid = pod.metadata.uid
        mine = self._pods[uid] = ProcessPod(pod, self._root, self._logs)
        if pod.status.podIP and not pod.spec.hostNetwork and self.addresses.keep(pod.status.podIP, uid):
            mine.record.ips = (pod.status.podIP,)
        self._restore(mine)

    async def _make_volumes(self, mine: ProcessPod) -> None:
        async with mine.lock:
            await self._volumes.make(mine.pod, mine.folder, mine.volumes, self._place(mine))

    def _place(self, mine: ProcessPod) -> Place:
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

    def _refresh(self, mine: ProcessPod) -> None:
        if mine.record.ready and not self._stopping:
            mine.spawn(self._refreshed(mine), f"volumes of {mine.pod.metadata.name}")

    async def _refreshed(self, mine: ProcessPod) -> None:
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

    async def _clear(self, mine: ProcessPod) -> None:
        await asyncio.gather(*(container.wait() for container in mine.containers.values()))
        await asyncio.to_thread(shutil.rmtree, mine.folder, True)
        await asyncio.to_thread(shutil.rmtree, mine.logs, True)

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

    async def _start(self, mine: ProcessPod, container: Any, run: ContainerRecord) -> None:
        pod = mine.pod
        try:
            await self._launch(mine, container, run)
        except asyncio.CancelledError:
            raise
        except ConfigError as error:
            self._fail(mine, run, "CreateContainerConfigError", str(error))
        except NoCommand as error:
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

    def _fail(self, mine: ProcessPod, run: ContainerRecord, reason: str, message: str) -> None:
        self._event(mine.pod, words.WARNING, words.FAILED, f"Error: {message}", run.name)
        run.state, run.reason, run.message, run.finished_at = FAILED, reason, message, self._now()
        self._changed(mine)

    async def _launch(self, mine: ProcessPod, container: Any, run: ContainerRecord) -> None:
        """From a spec to a running command. Raises ConfigError, LaunchError."""
        pod = mine.pod
        folder = mine.run_folder(container.name, run.attempt)
        spec, message_file = await self._made_specs().of_run(mine, container, run, folder)
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
            mine.log_path(container.name, run.attempt),
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
        running.watch(lambda _: self._changed(mine))
        lifecycle = getattr(container, "lifecycle", None)
        if lifecycle is not None and lifecycle.postStart is not None:
            await self._post_start(mine, container, running, lifecycle.postStart)
        if run.state == CREATED:
            run.state = RUNNING
            self._changed(mine)

    async def _post_start(self, mine: ProcessPod, container: Any, running: Container, handler: Any) -> None:
        """It runs beside the command; the container counts as running when it is over, and dies if it fails."""
        result = await run_hook(self, mine.pod, container, handler, EXEC_SECONDS_MAX)
        if result.success:
            return
        self._event(mine.pod, words.WARNING, words.FAILED_POST_START, "PostStartHook failed", container.name)
        self._event(mine.pod, words.NORMAL, words.KILLING, "FailedPostStartHook", container.name)
        seconds = mine.pod.spec.terminationGracePeriodSeconds
        running.kill(30.0 if seconds is None else float(seconds))

    def _drop_old(self, mine: ProcessPod, name: str, attempt: int) -> None:
        """Of earlier runs only the last one's log is kept."""
        for path in mine.log_path(name, 0).parent.glob("*.log*"):
            number = path.name.partition(".")[0]
            if number.isdigit() and int(number) < attempt - 1:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
        for folder in mine.run_folder(name, 0).parent.glob("*"):
            if folder.name.isdigit() and int(folder.name) < attempt:
                shutil.rmtree(folder, ignore_errors=True)

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

    def readiness(self, pod: Any, container: Any) -> tuple[float, float | None]:
        raise NotImplementedError("probes of processes are real")

    # -- helpers ------------------------------------------------------------------------------------------------

    def _made_specs(self) -> LaunchSpecs:
        assert self._specs is not None, "start comes first"
        return self._specs

    def _warn_of_variables(self, mine: ProcessPod, message: str, container: str) -> None:
        self._event(mine.pod, words.WARNING, "InvalidEnvironmentVariableNames", message, container)

    def _changed(self, mine: ProcessPod) -> None:
        if self._listener is not None and not self._stopping:
            self._listener.changed(mine.record.uid)

    def _event(self, pod: Any, type_: str, reason: str, message: str, container: str = "") -> None:
        if self._listener is not None and not self._stopping:
            self._listener.event(pod, type_, reason, message, container)
