"""Pods that name a node which is not for them, or is full, are rejected by its kubelet."""

from __future__ import annotations

from typing import Any

import pytest

CPU99 = {"name": "c", "resources": {"requests": {"cpu": "99"}}}
PORT = {"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}

CASES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        CPU99,
        {},
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 99000, used: 500, capacity: 4000",
    ),
    (
        {"name": "c"},
        {"nodeSelector": {"a": "b"}},
        "NodeAffinity",
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    ),
    (
        PORT,
        {},
        "NodePorts",
        "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
    ),
    (
        {"name": "c"},
        {"os": {"name": "windows"}},
        "PodOSNotSupported",
        "Failed to admit pod as the OS field doesn't match node OS",
    ),
]


@pytest.mark.parametrize(("container", "spec", "reason", "message"), CASES, ids=[c[2] for c in CASES])
def test_rejected(play: Any, container: Any, spec: Any, reason: str, message: str) -> None:
    async def story(cluster: Any) -> None:
        await cluster.nodes()
        await cluster.create({**PORT, "resources": {"requests": {"cpu": "500m"}}}, name="first")
        await cluster.create(container, **spec)
        pod = await cluster.until(lambda pod: pod.status.phase == "Failed")
        assert (pod.status.reason, pod.status.message) == (reason, f"Pod was rejected: {message}")
        assert not pod.status.containerStatuses and not pod.status.conditions
        assert (reason, message) in await cluster.events(reason)
        await cluster.kubelets.pop().stop()
        await cluster.nodes()
        await cluster.kubelets[0].flush()
        assert (await cluster.pod()).status == pod.status

    play(story)


def test_room_is_given_back(play: Any) -> None:
    """What has ended leaves its room to the next, and what nobody on the node counts is not counted."""

    async def story(cluster: Any) -> None:
        await cluster.nodes()
        whole = {"name": "c", "resources": {"requests": {"cpu": "4"}}}
        await cluster.create(whole, name="a", restartPolicy="Never")
        await cluster.until(lambda pod: pod.status.phase == "Succeeded", "a")
        await cluster.create(whole, name="b")
        await cluster.until(lambda pod: pod.status.phase == "Running", "b")
        gpu = {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}}
        await cluster.create({"name": "c", "resources": gpu}, name="d")
        await cluster.until(lambda pod: pod.status.phase == "Running", "d")

    play(story)


def test_why_it_waits_stays_while_it_is_pulled_again(play: Any) -> None:
    async def story(cluster: Any) -> None:
        await cluster.nodes()
        await cluster.create(annotations={"image-pull": "fail"})
        await cluster.until(lambda pod: "ErrImagePull" in str(pod.status.containerStatuses), seconds=60)
        await cluster.until(lambda pod: cluster.now > 100)
        shown = cluster.phases()
        assert "Pending ContainerCreating" not in shown[shown.index("Pending ErrImagePull") :]
        assert ("Failed", "Error: ImagePullBackOff") in await cluster.events("Failed")

    play(story)
