"""The life of simulated pods, in virtual time, through the API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.api.nodeapi import LogOptions
from knarr.api.types import core_v1
from knarr.kubelet.settings import Settings
from knarr.kubelet.simulated import life
from knarr.meta.errors import StatusError
from tests.kubelet.conftest import Cluster, summary
from tests.kubelet.pods import pod


def running(p: Any) -> bool:
    return p.status.phase == "Running" and all(s.ready for s in p.status.containerStatuses)


def test_a_pod_is_created_and_then_runs(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create()
        await cluster.until(running)
        assert cluster.phases() == ["Pending", "Pending ContainerCreating", "Running ready"]
        reasons = [reason for reason, _ in await cluster.events()]
        assert reasons == ["Pulling", "Pulled", "Created", "Started"]
        await asyncio.sleep(3600)
        assert cluster.phases()[-1] == "Running ready"

    play(story)


def test_the_second_pod_finds_the_image(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create({"name": "c", "imagePullPolicy": "IfNotPresent"})
        await cluster.until(running)
        await cluster.create({"name": "c", "imagePullPolicy": "IfNotPresent"}, name="q")
        await cluster.until(running, "q")
        pulled = [message for reason, message in await cluster.events() if reason == "Pulled"]
        assert (
            pulled[1] == 'Container image "app:1" already present on machine and can be accessed by the pod'
        )

    play(story)


def test_one_write_per_pod_where_that_is_wanted(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes(settings=Settings(creating_shown=False))
        await cluster.create("c", "d")
        await cluster.until(running)
        assert cluster.phases() == ["Pending", "Running ready"]

    play(story)


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [
        ("Never", "0", "Succeeded Completed(0)"),
        ("Never", "3", "Failed Error(3)"),
        ("OnFailure", "0", "Succeeded Completed(0)"),
    ],
)
def test_work_that_ends(play: Any, policy: str, code: str, expected: str) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(restartPolicy=policy, annotations={"exit-code": code, "duration": "90s"})
        over = await cluster.until(lambda p: p.status.phase in ("Succeeded", "Failed"))
        assert summary(over) == expected
        started = over.status.containerStatuses[0].state.terminated
        assert (started.startedAt < started.finishedAt) and 90 < cluster.now < 96

    play(story)


def test_a_crash_loop(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(annotations={"crash-loop": "true"})
        await cluster.until(
            lambda p: p.status.containerStatuses and p.status.containerStatuses[0].restartCount == 5
        )
        starts = [
            at
            for at, p in cluster.history
            if p.status.containerStatuses and p.status.containerStatuses[0].state.running is not None
        ]
        gaps = [round(b - a, -1) for a, b in zip(starts, starts[1:], strict=False)]
        assert gaps == [0, 10, 20, 40, 80]
        shown = cluster.phases()
        assert shown[2:6] == ["Running ready", "Running Error(1)", "Running ready", "Running Error(1)"]
        assert shown[6] == "Running CrashLoopBackOff"
        assert (
            "BackOff",
            f"Back-off restarting failed container c in pod p_default({(await cluster.pod()).metadata.uid})",
        ) in await cluster.events()

    play(story)


def test_an_image_that_does_not_exist(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(annotations={"image-pull": "fail"})
        await asyncio.sleep(600)
        shown = cluster.phases()
        assert shown[:4] == [
            "Pending",
            "Pending ContainerCreating",
            "Pending ErrImagePull",
            "Pending ImagePullBackOff",
        ]
        assert (await cluster.pod()).status.containerStatuses[0].restartCount == 0
        attempts = [m for r, m in await cluster.events("Pulling")]
        assert attempts == ['Pulling image "app:1"']  # one event, counted up

    play(story)


def test_readiness_comes_by_the_probes_own_times(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        probe = {"tcpSocket": {"port": 80}}
        await cluster.create(
            {
                "name": "c",
                "startupProbe": {**probe, "initialDelaySeconds": 20},
                "readinessProbe": {**probe, "initialDelaySeconds": 60},
            }
        )
        await cluster.until(lambda p: p.status.phase == "Running")
        begun = cluster.now
        first = await cluster.until(lambda p: p.status.containerStatuses[0].started)
        assert not first.status.containerStatuses[0].ready
        assert cluster.now - begun == pytest.approx(20, abs=0.3)
        await cluster.until(running)
        assert cluster.now - begun == pytest.approx(60, abs=0.3)

    play(story)


def test_a_pod_that_never_becomes_ready(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(annotations={"never-ready": "true"})
        await asyncio.sleep(3600)
        assert cluster.phases()[-1] == "Running unready"

    play(story)


def test_deletion_ends_containers_within_their_grace(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create()
        await cluster.create(name="slow", annotations={"stop-delay": "1h"}, terminationGracePeriodSeconds=20)
        await cluster.until(running)
        await cluster.until(running, "slow")
        begun, ends = cluster.now, {}
        pods = cluster.informers.of(core_v1.Pod)
        pods.add_handler(
            None, None, lambda p: ends.__setitem__(p.metadata.name, (cluster.now - begun, summary(p)))
        )
        await cluster.client.delete(core_v1.Pod, "p", "default")
        await cluster.client.delete(core_v1.Pod, "slow", "default")
        await asyncio.sleep(60)
        assert ends["p"][0] < 1 and ends["p"][1] == "Failed Error(143)"
        assert ends["slow"][0] == pytest.approx(20, abs=0.3) and ends["slow"][1] == "Failed Error(137)"
        assert [m for r, m in await cluster.events("Killing")] == ["Stopping container c"] * 2

    play(story)


def test_deletion_of_a_pod_that_is_over_takes_no_time(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(restartPolicy="Never")
        await cluster.until(lambda p: p.status.phase == "Succeeded")
        await cluster.client.delete(core_v1.Pod, "p", "default")
        await asyncio.sleep(0.1)
        with pytest.raises(StatusError):
            await cluster.pod()

    play(story)


def test_force_deletion_frees_the_address(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        kubelets = await cluster.nodes()
        made = await cluster.create()
        found = await cluster.until(running)
        await cluster.client.delete(core_v1.Pod, "p", "default", grace=0)
        await asyncio.sleep(0.1)
        assert kubelets.runtime.status(made["metadata"]["uid"]) is None
        assert kubelets.runtime.addresses.owner(found.status.podIP) is None

    play(story)


def test_active_deadline(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(activeDeadlineSeconds=30)
        over = await cluster.until(lambda p: p.status.phase == "Failed")
        assert over.status.reason == "DeadlineExceeded"
        assert over.status.message == "Pod was active on the node longer than the specified deadline"
        assert 30 <= cluster.now < 32

    play(story)


def test_init_containers_and_sidecars(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(
            "c", inits=("i", {"name": "s", "restartPolicy": "Always"}), restartPolicy="Never"
        )
        await cluster.until(lambda p: p.status.phase == "Succeeded")
        begun = [m for r, m in await cluster.events("Started")]
        assert begun == ["Container started"] * 3
        found = await cluster.pod()
        names = {s.name: s.state.terminated.exitCode for s in found.status.initContainerStatuses}
        assert names == {"i": 0, "s": 143}
        assert cluster.phases()[1] == "Pending PodInitializing"

    play(story)


def test_pods_go_on_where_they_were_when_everything_restarts(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        first = await cluster.nodes()
        await cluster.create(annotations={"duration": "100s"}, restartPolicy="Never")
        before = await cluster.until(running)
        await first.stop()
        cluster.kubelets.clear()
        await asyncio.sleep(30)
        await cluster.nodes()
        await asyncio.sleep(30)
        now = await cluster.pod()
        assert now.status.containerStatuses == before.status.containerStatuses
        assert now.status.podIP == before.status.podIP
        await cluster.until(lambda p: p.status.phase == "Succeeded")
        assert cluster.now == pytest.approx(102, abs=2)

    play(story)


def test_pods_that_are_over_stay_what_they_are(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        first = await cluster.nodes()
        for name, code in (("good", "0"), ("bad", "4")):
            await cluster.create(name=name, restartPolicy="Never", annotations={"exit-code": code})
        await cluster.until(lambda p: p.status.phase == "Succeeded", "good")
        await cluster.until(lambda p: p.status.phase == "Failed", "bad")
        await first.stop()
        cluster.kubelets.clear()
        before = [await cluster.pod("good"), await cluster.pod("bad")]
        again = await cluster.nodes()
        await asyncio.sleep(60)
        await again.flush()
        assert [(await cluster.pod(name)).status for name in ("good", "bad")] == [p.status for p in before]
        api = cluster.plane.nodes.get("n0")
        assert b"".join([piece async for piece in api.logs("default", "good", LogOptions("c"))])
        await cluster.client.delete(core_v1.Pod, "good", "default")
        await asyncio.sleep(1)
        with pytest.raises(StatusError):
            await cluster.pod("good")

    play(story)


def test_the_kubelet_insists_on_its_own_word(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create()
        await cluster.until(running)
        status = {"status": {"phase": "Pending"}}
        await cluster.client.patch(core_v1.Pod, "p", "default", status, subresource="status")
        await asyncio.sleep(1)
        assert (await cluster.pod()).status.phase == "Running"

    play(story)


def test_a_phase_that_others_end_is_obeyed(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        kubelets = await cluster.nodes()
        made = await cluster.create()
        await cluster.until(running)
        status = {"status": {"phase": "Failed", "reason": "Evicted", "message": "no room"}}
        await cluster.client.patch(core_v1.Pod, "p", "default", status, subresource="status")
        await asyncio.sleep(5)
        found = await cluster.pod()
        assert (found.status.phase, found.status.reason) == ("Failed", "Evicted")
        assert not kubelets.runtime.status(made["metadata"]["uid"]).running

    play(story)


def test_host_network(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes("n0", addresses=("192.0.2.7",))
        await cluster.create(hostNetwork=True)
        found = await cluster.until(running)
        assert found.status.podIP == found.status.hostIP == "192.0.2.7"

    play(story)


def test_an_image_change_restarts_the_container(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create()
        await cluster.until(running)
        patch = {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}
        await cluster.client.patch(core_v1.Pod, "p", "default", patch, kind="strategic")
        found = await cluster.until(lambda p: running(p) and p.status.containerStatuses[0].restartCount == 1)
        assert found.status.containerStatuses[0].image == "docker.io/library/app:2"
        assert found.status.observedGeneration == found.metadata.generation == 2
        assert ("Killing", "Container c definition changed, will be restarted") in await cluster.events()

    play(story)


def test_a_readiness_gate_is_waited_for(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(readinessGates=[{"conditionType": "example.com/ok"}])
        ready = lambda p: next(c.status for c in p.status.conditions if c.type == "Ready")  # noqa: E731
        found = await cluster.until(running)
        assert ready(found) == "False"
        gate = {"status": {"conditions": [{"type": "example.com/ok", "status": "True"}]}}
        await cluster.client.patch(core_v1.Pod, "p", "default", gate, "strategic", "status")
        await cluster.until(lambda p: ready(p) == "True")
        types = [c.type for c in (await cluster.pod()).status.conditions]
        assert "example.com/ok" in types

    play(story)


def test_logs_of_simulated_containers(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes()
        await cluster.create(annotations={"log-lines": "one\ntwo", "duration": "50s"}, restartPolicy="Never")
        await cluster.until(running)
        api = cluster.plane.nodes.get("n0")
        read = lambda **more: api.logs("default", "p", LogOptions("c", **more))  # noqa: E731
        text = b"".join([piece async for piece in read()])
        assert text.splitlines()[1:] == [b"one", b"two"]
        assert b"".join([piece async for piece in read(tail_lines=1)]) == b"two\n"
        assert b"".join([piece async for piece in read(limit_bytes=9)]) == b"simulated"
        stamped = b"".join([piece async for piece in read(tail_lines=1, timestamps=True)])
        assert stamped.endswith(b"Z two\n") and stamped.startswith(b"2027-01-15T")
        followed = b"".join([piece async for piece in read(follow=True)])
        assert followed.endswith(b"ends with code 0\n") and cluster.now > 50

    play(story)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, (None, 0)),
        ({"duration": "90s"}, (90.0, 0)),
        ({"duration": "1h30m", "exit-code": "7"}, (5400.0, 7)),
        ({"duration.c": "3", "duration": "9"}, (3.0, 0)),
        ({"duration.other": "3"}, (None, 0)),
        ({"fail-after": "10s"}, (10.0, 1)),
        ({"crash-loop": "true"}, (1.0, 1)),
        ({"duration": "nonsense"}, (5.0, 0)),
        ({"exit-code": "x"}, (5.0, 0)),
    ],
)
def test_annotations_steer_a_life(annotations: dict[str, str], expected: tuple[float | None, int]) -> None:
    from knarr.api.scheme import evolve
    from knarr.world import chance

    made = evolve(pod("c"), metadata={"annotations": {f"knarr.dev/{k}": v for k, v in annotations.items()}})
    it = life.life_of(made, made.spec.containers[0], False, True, life.SimulatedSettings(), chance(1))
    assert (it.runs_seconds, it.exit_code) == expected


def test_the_same_seed_lives_the_same_life(play: Any) -> None:
    lives = []
    for _ in range(2):

        async def story(cluster: Cluster) -> None:
            await cluster.nodes("n0", "n1")
            for i in range(20):
                await cluster.create(
                    name=f"p{i}", restartPolicy="OnFailure", annotations={"fail-after": f"{i}"}
                )
            await asyncio.sleep(300)
            lives.append([(at, p.metadata.name, p.metadata.uid, summary(p)) for at, p in cluster.history])

        play(story)
    assert lives[0] == lives[1]
    assert len(lives[0]) > 100
