"""Probes: thresholds as a table, and whole pods whose probes are scripted, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.kubelet.prober import Thresholds
from knarr.kubelet.runtime import ProbeResult
from knarr.kubelet.simulated.runtime import SimulatedRuntime
from tests.kubelet.conftest import Cluster

PROBE = {"tcpSocket": {"port": 80}}


@pytest.mark.parametrize(
    ("success", "failure", "results", "outcomes"),
    [
        (1, 3, "+", "T"),
        (1, 3, "--", ".."),
        (1, 3, "---", "..F"),
        (1, 3, "--+--", "..T.."),
        (2, 2, "+-+", "..."),
        (2, 2, "++--", ".T.F"),
        (1, 1, "-+-", "FTF"),
        (1, 3, "----", "..FF"),
    ],
)
def test_thresholds(success: int, failure: int, results: str, outcomes: str) -> None:
    thresholds = Thresholds(success, failure)
    words = {None: ".", True: "T", False: "F"}
    assert "".join(words[thresholds.observe(r == "+")] for r in results) == outcomes


class Scripted(SimulatedRuntime):
    """Simulated containers whose probes are real calls: `answers(kind of probe, seconds since the start)`."""

    real = True

    def __init__(self, world: Any, answers: Any) -> None:
        super().__init__(world)
        self._answers = answers
        self.asked: list[tuple[str, float]] = []

    async def probe(self, pod: Any, container: Any, probe: Any) -> ProbeResult:
        kind = next(
            k for k in ("startup", "readiness", "liveness") if getattr(container, f"{k}Probe") == probe
        )
        run = self.status(pod.metadata.uid).last(container.name)
        age = round(self._world.clock.now() - run.started_at, 1)
        self.asked.append((kind, age))
        return ProbeResult(self._answers(kind, age), "nope\n")


def ready(p: Any) -> bool:
    return bool(p.status.containerStatuses) and p.status.containerStatuses[0].ready


def test_readiness_comes_and_goes(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        runtime = Scripted(cluster.world, lambda kind, age: not 30 <= age < 60)
        await cluster.nodes(runtime=runtime)
        probe = {**PROBE, "initialDelaySeconds": 5, "periodSeconds": 10, "failureThreshold": 2}
        await cluster.create({"name": "c", "readinessProbe": probe})
        await cluster.until(ready)
        begun = runtime.status((await cluster.pod()).metadata.uid).last("c").started_at
        times = []
        for wanted in (True, False, True):
            await cluster.until(lambda p, w=wanted: ready(p) == w)
            times.append(round(cluster.world.clock.now() - begun))
        assert times == [5, 45, 65]
        assert [a for _, a in runtime.asked[:3]] == [5, 15, 25]
        assert ("Unhealthy", "Readiness probe failed: nope\n") in await cluster.events()

    play(story)


def test_the_others_wait_for_the_startup_probe(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        runtime = Scripted(cluster.world, lambda kind, age: kind != "startup" or age >= 20)
        await cluster.nodes(runtime=runtime)
        probe = {**PROBE, "periodSeconds": 5}
        startup = {**probe, "failureThreshold": 30}
        await cluster.create(
            {"name": "c", "startupProbe": startup, "readinessProbe": probe, "livenessProbe": probe}
        )
        await cluster.until(ready)
        await asyncio.sleep(20)
        startups = [age for kind, age in runtime.asked if kind == "startup"]
        others = [age for kind, age in runtime.asked if kind != "startup"]
        assert startups == [0, 5, 10, 15, 20]
        assert min(others) >= 20

    play(story)


@pytest.mark.parametrize("kind", ["startup", "liveness"])
def test_a_container_that_fails_is_replaced(play: Any, kind: str) -> None:
    async def story(cluster: Cluster) -> None:
        runtime = Scripted(cluster.world, lambda asked, age: False)
        await cluster.nodes(runtime=runtime)
        probe = {**PROBE, "periodSeconds": 10, "failureThreshold": 3}
        await cluster.create({"name": "c", f"{kind}Probe": probe})
        await cluster.until(
            lambda p: p.status.containerStatuses and p.status.containerStatuses[0].restartCount == 1
        )
        assert [age for _, age in runtime.asked[:3]] == [0, 10, 20]
        assert ("Killing", f"Container c failed {kind} probe, will be restarted") in await cluster.events()
        last = (await cluster.pod()).status.containerStatuses[0].lastState.terminated
        assert last.exitCode == 143

    play(story)


def test_an_error_of_the_probe_itself_counts_for_nothing(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        class Broken(Scripted):
            async def probe(self, pod: Any, container: Any, probe: Any) -> ProbeResult:
                raise RuntimeError("no such thing")

        await cluster.nodes(runtime=Broken(cluster.world, None))
        await cluster.create({"name": "c", "livenessProbe": {**PROBE, "failureThreshold": 1}})
        await asyncio.sleep(100)
        assert (await cluster.pod()).status.containerStatuses[0].restartCount == 0
        message = "Liveness probe errored and resulted in unknown state: no such thing"
        assert ("Unhealthy", message) in await cluster.events()

    play(story)


def test_a_container_without_probes_is_ready_at_once(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        runtime = Scripted(cluster.world, None)
        await cluster.nodes(runtime=runtime)
        await cluster.create()
        await cluster.until(ready)
        assert runtime.asked == []

    play(story)
