"""Real processes: a pod's way through the process runtime, in each of the ways this machine allows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from knarr.api.nodeapi import Exit, LogOptions, Terminal
from knarr.api.types import core_v1
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.kubelet.process import leftovers, namespaces
from knarr.kubelet.process.runtime import ProcessRuntime, ProcessSettings
from knarr.store.memory import MemoryStore
from knarr.world import World
from tests.kubelet.conftest import Cluster

ALLOWED = asyncio.run(namespaces.detect())
#: "" is what every machine can do; the others only where the kernel lets us
MODES = ["", *dict.fromkeys(filter(None, (ALLOWED, "user" if ALLOWED else "")))]


class Output(Terminal):
    """A client that keeps what it is sent."""

    def __init__(self, *typed: bytes, tty: bool = False) -> None:
        super().__init__(tty=tty, stdin=asyncio.Queue() if typed else None)
        for data in typed:
            assert self.stdin is not None
            self.stdin.put_nowait(data)
        self.got = {1: b"", 2: b""}

    async def write(self, channel: int, data: bytes) -> None:
        self.got[channel] += data


Story = Callable[[Cluster], Coroutine[Any, Any, None]]


def play(folder: Path, story: Story, mode: str = "") -> None:
    """In real time: processes have no other."""

    async def main() -> None:
        world = World()
        cluster = Cluster(ControlPlane(Config(serve=False), world, MemoryStore(world)), world)
        await cluster.start()
        data = {"ca.crt": "the root"}
        root = {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": data}
        await cluster.client.create({"apiVersion": "v1", "kind": "ConfigMap", **root})
        settings = ProcessSettings(folder, namespaces=mode, stop_seconds_max=1.0)
        runtime = ProcessRuntime(
            cluster.plane.client(manager="kubelet"), settings, informers=cluster.informers
        )
        await cluster.nodes(runtime=runtime)
        try:
            await story(cluster)
        finally:
            await cluster.stop()

    asyncio.run(main())


def sh(script: str, name: str = "c", **more: Any) -> dict[str, Any]:
    return {"name": name, "command": ["sh", "-c", script], **more}


async def logs(cluster: Cluster, container: str = "c", pod: str = "p", **options: Any) -> bytes:
    api = cluster.plane.nodes.get("n0")
    return b"".join([piece async for piece in api.logs("default", pod, LogOptions(container, **options))])


async def execute(cluster: Cluster, terminal: Terminal, *command: str) -> Exit:
    return await cluster.plane.nodes.get("n0").exec("default", "p", "c", list(command), terminal)


def gone(leader: int) -> None:
    """Waits until nothing of a session is left; what was killed takes a moment to end."""
    while list(leftovers.session_members(leader)):
        os.sched_yield()


def volume_of(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(f"pods/*/{pattern}")
    return found


def running(p: Any) -> bool:
    return p.status.phase == "Running" and all(s.ready for s in p.status.containerStatuses)


def over(p: Any) -> bool:
    return p.status.phase in ("Succeeded", "Failed")


VOLUMES = [
    {"name": "cm", "configMap": {"name": "cm"}},
    {"name": "shared", "emptyDir": {}},
    {
        "name": "down",
        "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]},
    },
]
MOUNTS = [
    {"name": "cm", "mountPath": "/etc/knarr-test/conf", "readOnly": True},
    {"name": "shared", "mountPath": "/knarr-shared"},
    {"name": "down", "mountPath": "/var/knarr/down"},
]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode or "links")
def test_a_pod_with_everything(tmp_path: Path, mode: str) -> None:
    script = """
        cat $KNARR_ROOT/etc/knarr-test/conf/a $KNARR_ROOT/knarr-shared/from-init $KNARR_ROOT/var/knarr/down/labels; echo
        cd $KNARR_ROOT/var/run/secrets/kubernetes.io/serviceaccount && cat ca.crt namespace && wc -c < token
        echo $POD_IP $GREETING; echo done > $KNARR_ROOT/dev/termination-log"""

    async def story(cluster: Cluster) -> None:
        config = {"metadata": {"name": "cm", "namespace": "default"}, "data": {"a": "from config\n"}}
        await cluster.client.create({"apiVersion": "v1", "kind": "ConfigMap", **config})
        env = [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "GREETING", "value": "I am at $(POD_IP)"},
        ]
        await cluster.create(
            sh(script, env=env, volumeMounts=MOUNTS),
            inits=(sh("echo init > $KNARR_ROOT/knarr-shared/from-init", "i", volumeMounts=MOUNTS),),
            restartPolicy="Never",
            volumes=VOLUMES,
        )
        found = await cluster.until(over, seconds=10)
        text = (await logs(cluster)).decode()
        assert found.status.phase == "Succeeded", text
        lines = text.split("\n")
        assert lines[:3] == ["from config", "init", ""]
        where = "127.244.255.254" if sys.platform == "linux" else "127.0.0.1"
        assert (
            lines[3].startswith("the root" + "default")
            and int(lines[3].removeprefix("the rootdefault") or 500) > 100
        )
        assert lines[-2] == f"{where} I am at {where}"
        assert found.status.containerStatuses[0].state.terminated.message == "done\n"

    play(tmp_path, story, mode)
    assert not os.path.exists("/knarr-shared") and not os.path.exists("/etc/knarr-test")


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode or "links")
def test_exec_sees_what_the_container_sees(tmp_path: Path, mode: str) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(
            sh("sleep 60", volumeMounts=[MOUNTS[1]]), volumes=[VOLUMES[1]], terminationGracePeriodSeconds=1
        )
        await cluster.until(running, seconds=10)
        out = Output()
        ended = await execute(
            cluster, out, "sh", "-c", "echo hi > $KNARR_ROOT/knarr-shared/x; echo out; echo err >&2; exit 3"
        )
        assert (ended, out.got) == (Exit(3), {1: b"out\n", 2: b"err\n"})
        volume = volume_of(tmp_path, "volumes/kubernetes.io~empty-dir/shared")
        assert (volume / "x").read_text() == "hi\n"
        typed = Output(b"one\n", b"two\n", b"")
        assert await execute(cluster, typed, "cat") == Exit(0)
        assert typed.got[1] == b"one\ntwo\n"
        terminal = Output(b"stty size; tty; exit 4\n", tty=True)
        terminal.resizes.put_nowait((99, 33))
        assert (await execute(cluster, terminal, "sh")).code == 4
        assert b"33 99" in terminal.got[1] and b"not a tty" not in terminal.got[1]
        missing = await execute(cluster, Output(), "no-such-command")
        assert 'exec: "no-such-command": executable file not found in $PATH' in missing.message

    play(tmp_path, story, mode)


def test_config_maps_change_in_place(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        config = {"metadata": {"name": "cm", "namespace": "default"}, "data": {"a": "1"}}
        made = await cluster.client.create({"apiVersion": "v1", "kind": "ConfigMap", **config})
        await cluster.create(
            sh("sleep 60", volumeMounts=[MOUNTS[0]]), volumes=[VOLUMES[0]], terminationGracePeriodSeconds=1
        )
        await cluster.until(running, seconds=10)
        await cluster.client.update({**made, "data": {"b": "2"}})
        volume = volume_of(tmp_path, "volumes/kubernetes.io~configmap/cm")
        async with asyncio.timeout(5):
            while not (volume / "b").exists() or (volume / "a").is_symlink():
                await asyncio.sleep(0.01)
        assert (volume / "b").read_text() == "2"

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("container", "reason", "message"),
    [
        ({"name": "c"}, "CreateContainerError", "no command specified: the process runtime runs no images"),
        (
            sh("true", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k"}}}]),
            "CreateContainerConfigError",
            'configmap "no" not found',
        ),
        (
            sh("true", securityContext={"runAsNonRoot": True, "runAsUser": 0}),
            "CreateContainerConfigError",
            "container's runAsUser breaks non-root policy",
        ),
    ],
)
def test_containers_that_cannot_be_made(tmp_path: Path, container: Any, reason: str, message: str) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(container)
        waiting = lambda p: p.status.containerStatuses and p.status.containerStatuses[0].state.waiting  # noqa: E731
        found = await cluster.until(lambda p: waiting(p) and waiting(p).reason == reason, seconds=10)
        assert waiting(found).message.startswith(message)
        events = await cluster.events("Failed")
        assert events and events[0][1].startswith(f"Error: {message}")

    play(tmp_path, story)


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create({"name": "c", "command": ["no-such-command"]}, restartPolicy="Never")
        ended = (await cluster.until(over, seconds=10)).status.containerStatuses[0].state.terminated
        assert (ended.reason, ended.exitCode) == ("StartError", 128)
        assert 'exec: "no-such-command": executable file not found in $PATH' in ended.message

    play(tmp_path, story)


def test_a_missing_volume_holds_the_pod_until_it_is_there(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(
            sh("true", volumeMounts=[MOUNTS[0]]), volumes=[VOLUMES[0]], restartPolicy="Never"
        )
        async with asyncio.timeout(5):
            while not (failed := await cluster.events("FailedMount")):
                await asyncio.sleep(0.02)
        assert failed[0][1] == 'MountVolume.SetUp failed for volume "cm" : configmap "cm" not found'
        assert (await cluster.pod()).status.containerStatuses[0].state.waiting.reason == "ContainerCreating"
        config = {"metadata": {"name": "cm", "namespace": "default"}, "data": {"a": "1"}}
        await cluster.client.create({"apiVersion": "v1", "kind": "ConfigMap", **config})
        assert (await cluster.until(over, seconds=10)).status.phase == "Succeeded"

    play(tmp_path, story)


def test_term_first_and_kill_after_the_grace(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(
            sh("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"), name="kind"
        )
        stubborn = sh("trap '' TERM; sleep 61 & while :; do sleep 0.05; done")
        await cluster.create(stubborn, name="stubborn", terminationGracePeriodSeconds=1)
        await cluster.until(running, "kind", seconds=10)
        found = await cluster.until(running, "stubborn", seconds=10)
        leader = int((tmp_path / f"pods/{found.metadata.uid}/containers/c/0/pid").read_text().split()[0])
        ends: dict[str, int] = {}
        note = lambda p: ends.__setitem__(  # noqa: E731
            p.metadata.name, p.status.containerStatuses[0].state.terminated.exitCode
        )
        cluster.informers.of(core_v1.Pod).add_handler(None, None, note)
        for name in ("kind", "stubborn"):
            await cluster.client.delete(core_v1.Pod, name, "default")
        async with asyncio.timeout(8):
            while len(ends) < 2:
                await asyncio.sleep(0.05)
        assert ends == {"kind": 7, "stubborn": 137}
        await asyncio.to_thread(gone, leader)

    play(tmp_path, story)


def test_restarts_previous_logs_and_hooks(tmp_path: Path) -> None:
    hook = {"exec": {"command": ["sh", "-c", f"echo started >> {tmp_path}/hook"]}}

    async def story(cluster: Cluster) -> None:
        await cluster.create(
            sh(
                f"echo run; test -e {tmp_path}/once && exec sleep 60; touch {tmp_path}/once; exit 9",
                lifecycle={"postStart": hook},
            ),
            terminationGracePeriodSeconds=1,
        )
        again = lambda p: running(p) and p.status.containerStatuses[0].restartCount == 1  # noqa: E731
        found = await cluster.until(again, seconds=10)
        assert found.status.containerStatuses[0].lastState.terminated.exitCode == 9
        assert await logs(cluster, previous=True) == b"run\n"
        assert (tmp_path / "hook").read_text().count("started") >= 1

    play(tmp_path, story)


def test_a_pre_stop_hook_comes_before_term(tmp_path: Path) -> None:
    trap = f"trap 'echo term >> {tmp_path}/order; exit 0' TERM; while :; do sleep 0.02; done"
    hook = {"exec": {"command": ["sh", "-c", f"sleep 0.1; echo hook >> {tmp_path}/order"]}}

    async def story(cluster: Cluster) -> None:
        await cluster.create(sh(trap, lifecycle={"preStop": hook}), terminationGracePeriodSeconds=5)
        await cluster.until(running, seconds=10)
        await cluster.client.delete(core_v1.Pod, "p", "default")
        async with asyncio.timeout(5):
            while cluster.informers.of(core_v1.Pod).indexer.list():
                await asyncio.sleep(0.02)
        assert (tmp_path / "order").read_text() == "hook\nterm\n"

    play(tmp_path, story)


def test_pods_start_again_after_knarr_did(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(sh("echo run; exec sleep 60"), terminationGracePeriodSeconds=1)
        before = await cluster.until(running, seconds=10)
        await cluster.kubelets.pop().stop()
        assert (await cluster.pod()).status.phase == "Running"
        runtime = ProcessRuntime(
            cluster.plane.client(manager="kubelet"),
            ProcessSettings(tmp_path, namespaces="", stop_seconds_max=1.0),
            informers=cluster.informers,
        )
        await cluster.nodes(runtime=runtime)
        again = lambda p: running(p) and p.status.containerStatuses[0].restartCount == 1  # noqa: E731
        found = await cluster.until(again, seconds=10)
        last = found.status.containerStatuses[0].lastState.terminated
        assert (last.exitCode, last.reason) == (137, "ContainerStatusUnknown")
        assert found.status.podIP == before.status.podIP
        assert await logs(cluster, previous=True) == b"run\n"

    play(tmp_path, story)


def test_http_probes_and_dialling(tmp_path: Path) -> None:
    server = "import http.server as h,os; h.HTTPServer((os.environ['IP'],18080),h.SimpleHTTPRequestHandler).serve_forever()"

    async def story(cluster: Cluster) -> None:
        probe = {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1}
        env = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
        container = {
            "name": "c",
            "command": [sys.executable, "-c", server],
            "env": env,
            "readinessProbe": probe,
        }
        await cluster.create(
            {**container, "ports": [{"name": "web", "containerPort": 18080}]}, terminationGracePeriodSeconds=1
        )
        await cluster.until(running, seconds=10)
        reader, writer = await cluster.plane.nodes.get("n0").dial("default", "p", 18080)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 200")
        writer.close()

    play(tmp_path, story)


def test_attach_talks_to_the_container_itself(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(
            sh("while read line; do echo got $line; done; echo eof", stdin=True, stdinOnce=True),
            restartPolicy="Never",
        )
        await cluster.until(running, seconds=10)
        client = Output(b"one\n", b"")
        await cluster.plane.nodes.get("n0").attach("default", "p", "c", client)
        assert client.got[1] == b"got one\neof\n"
        assert (await cluster.until(over, seconds=5)).status.phase == "Succeeded"

    play(tmp_path, story)


@pytest.mark.skipif(sys.platform != "linux", reason="sessions are found through /proc")
def test_what_a_killed_knarr_left_running_is_ended(tmp_path: Path) -> None:
    process = subprocess.Popen(["sh", "-c", "sleep 61 & sleep 61"], start_new_session=True)
    folder = tmp_path / "pods/u/containers/c/0"
    folder.mkdir(parents=True)
    leftovers.remember(folder, process.pid)
    stranger = tmp_path / "pods/u/containers/d/0"
    stranger.mkdir(parents=True)
    (stranger / "pid").write_text(f"{os.getpid()} 1\n")  # our number, but not our start: a number used again
    assert leftovers.kill_all(tmp_path / "pods") == 1
    assert process.wait(5) == -signal.SIGKILL
    gone(process.pid)


@pytest.mark.skipif(not ALLOWED, reason="this machine allows no mount namespaces")
def test_read_only_mounts_and_users_inside(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "root").mkdir()
    told, telling = os.pipe()
    spec = {
        "argv": [
            "sh",
            "-c",
            "id -u; touch /knarr-ro/x; cat /etc/hostname >/dev/null; hostname; ls /knarr-ro",
        ],
        "env": {"PATH": os.environ["PATH"]},
        "cwd": "/",
        "namespaces": "user",
        "inner": [1234, 1234],
        "hostname": "inside",
        "root": str(tmp_path / "root"),
        "mounts": [[str(tmp_path / "v"), "/knarr-ro", True]],
    }
    (tmp_path / "spec").write_text(json.dumps(spec))
    done = subprocess.run(
        namespaces.command(str(tmp_path / "spec"), str(telling)),
        pass_fds=(telling,),
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(telling)
    assert os.read(told, 999) == b""
    os.close(told)
    assert done.stdout.splitlines() == ["1234", "inside"]
    assert "Read-only file system" in done.stderr
