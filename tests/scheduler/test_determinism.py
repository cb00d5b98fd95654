"""The same seed, the same decisions: in another process with other hashes, and whatever way they are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from .test_fuzz import World

ROOT = Path(__file__).parents[2]

STORY = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.scheduler.clusters import ZONE, scheduling
from knarr.api.types import core_v1
from knarr.world.loop import VirtualLoop

async def main():
    async with scheduling(seed=5) as c:
        for i in range(12):
            await c.node(f"n{{i}}", cpu="2", labels={{ZONE: f"z{{i % 3}}", "disk": "ssd" if i % 2 else "hdd"}})
        spread = [{{"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway",
                   "labelSelector": {{"matchLabels": {{"app": "a"}}}}}}]
        for i in range(40):
            more = {{"topologySpreadConstraints": spread}} if i % 3 == 0 else {{}}
            await c.pod(f"p{{i}}", cpu="700m", labels={{"app": "ab"[i % 2]}}, **more)
            if i % 7 == 0:
                await c.settle(0.1)
        await c.settle(20)
        for pod in (await c.client.list(core_v1.Pod, "default")).items:
            print(pod.metadata.name, pod.metadata.uid, pod.spec.nodeName)

VirtualLoop().run_until_complete(main())
"""


def story(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, "-c", STORY.format(root=str(ROOT))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_cluster_is_scheduled_alike_under_other_hashes() -> None:
    first, second = story("1"), story("4242")
    assert first == second
    nodes = [line.split()[2:] for line in first.splitlines()]
    assert len(nodes) == 40
    assert sum(bool(n) for n in nodes) == 24, "two pods of 700m fit a node of 2 CPUs"


def test_a_ranking_and_a_look_at_all_nodes_agree_on_what_is_best() -> None:
    """The choice among equals may differ (their order does); both are among the best."""
    world = World(3)
    for step in range(40):
        world.step(step)
        for known in world.cluster.classes():
            mask = world.framework.feasible(known, world.cluster)
            row = world.decider.pick(known, f"again-{step}")
            assert (row < 0) == (not mask.any())
            if row >= 0:
                scores = world.framework.scores(known, world.cluster, mask)
                assert scores[row] == scores[np.flatnonzero(mask)].max()
