"""What the scheduler counts, under kube-scheduler's names."""

from __future__ import annotations

from typing import Any

from .clusters import SchedulingCluster, scheduling


def values(cluster: SchedulingCluster) -> dict[str, float]:
    """By name and label values, but for buckets and sums."""
    found = {}
    for family in cluster.scheduler.handle.metrics.families(cluster.scheduler):
        for suffix, labels, value in family.samples:
            if suffix not in ("_bucket", "_sum"):
                shown = ",".join(labels.values())
                found[f"{family.name}{suffix}{{{shown}}}".removeprefix("scheduler_")] = value
    return found


def test_how_attempts_end(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as cluster:
            await cluster.pod("early")
            await cluster.settle()
            assert values(cluster)["unschedulable_pods{*,default-scheduler}"] == 1
            await cluster.node("n", cpu="2")
            await cluster.pod("fits", cpu="1")
            await cluster.pod("large", cpu="4")
            await cluster.pod("gated", schedulingGates=[{"name": "wait"}])
            await cluster.settle(30)
            found = values(cluster)
            assert found["schedule_attempts_total{scheduled,default-scheduler}"] == 2
            assert found["schedule_attempts_total{unschedulable,default-scheduler}"] >= 2
            attempts = "scheduling_attempt_duration_seconds_count{scheduled,default-scheduler}"
            assert found[attempts] == found["pod_scheduling_attempts_count{}"] == 2
            assert found["pod_scheduling_sli_duration_seconds_count{1}"] == 1
            prefix = "pod_scheduling_sli_duration_seconds_count"
            assert sum(n for name, n in found.items() if name.startswith(prefix)) == 2
            assert found["preemption_attempts_total{}"] >= 1
            assert found["pending_pods{unschedulable}"] == 1
            assert found["pending_pods{gated}"] == 1
            assert found["cache_size{nodes}"] == 1
            assert found["cache_size{pods}"] == 2
            assert found["unschedulable_pods{NodeResourcesFit,default-scheduler}"] == 1

    run(main())
