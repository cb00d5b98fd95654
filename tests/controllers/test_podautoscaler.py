"""Horizontal pod autoscalers: arithmetic by tables, what they say and do as stories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from knarr.api.scheme import scheme
from knarr.api.types import apps_v1, autoscaling_v2, core_v1
from knarr.controllers.podautoscaler import behavior, replicas
from knarr.controllers.podautoscaler.behavior import Limits, Memory, Past
from knarr.controllers.podautoscaler.metrics import PodMetric
from knarr.controllers.podautoscaler.replicas import Target, Tolerances
from knarr.controllers.podautoscaler.words import Uncomputable, printed
from knarr.meta import errors, times
from knarr.meta.labels import everything

from .conftest import EPOCH, NAMESPACE, Cluster, workload

HPA = "horizontal-pod-autoscaler-controller"
NAMES = (HPA, "replicaset-controller")
NOW = 1_000_000.0
CPU_TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [
            {"name": "c", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "100m"}}}
        ]
    },
}


def pod(name: str, phase: str = "Running", ready: str = "True", cpu: str = "1", **more: Any) -> Any:
    """Started, and ready, an hour ago."""
    since = times.format(NOW - 3600)
    status = {
        "phase": phase,
        "startTime": since,
        "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}],
    }
    containers = [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]
    wire = {"metadata": {"name": name}, "spec": {"containers": containers}, "status": status}
    return scheme().from_dict(core_v1.Pod, {**wire, **more})


def scaled(replicas_now: int, pods: Sequence[Any] = ()) -> Target:
    return Target("ns", replicas_now, replicas_now, everything(), pods, Tolerances(), NOW)


def metrics(*milli: int) -> dict[str, PodMetric]:
    return {f"p{i}": PodMetric(value, NOW, 60) for i, value in enumerate(milli)}


def running(count: int) -> list[Any]:
    return [pod(f"p{i}") for i in range(count)]


# (replicas now, target percent, pods, metrics in thousandths, replicas wanted, percent shown)
UTILIZATION = [
    (3, 30, running(3), (300, 500, 700), 5, 50),
    (3, 30, running(3), (300, 300, 300), 3, 30),
    (3, 50, running(3), (100, 100, 100), 1, 10),
    # a pod that starts counts as idle where more are wanted, and not at all where fewer are
    (3, 30, [*running(2), pod("p2", "Pending")], (500, 700), 4, 60),
    (3, 50, [*running(2), pod("p2", "Pending")], (100, 100), 1, 10),
    # a pod without metrics counts as idle where more are wanted, as busy where fewer are
    (3, 30, running(3), (500, 700), 4, 60),
    (4, 100, running(4), (500, 500), 3, 50),
    # what is on its way out or has failed does not count
    (3, 30, [*running(2), pod("p2", "Failed")], (500, 700, 900), 4, 60),
    # within the tolerance
    (3, 100, running(3), (900, 1000, 1100), 3, 100),
    (3, 100, running(3), (1080, 1100, 1100), 3, 109),
    (3, 100, running(3), (1110, 1110, 1110), 4, 111),
]


@pytest.mark.parametrize(("current", "target", "pods", "used", "wanted", "percent"), UTILIZATION)
def test_utilization(
    current: int, target: int, pods: list[Any], used: tuple[int, ...], wanted: int, percent: int
) -> None:
    found = replicas.of_utilization(scaled(current, pods), target, metrics(*used), "cpu", "")
    assert (found.replicas, found.percent) == (wanted, percent)


def test_requests_are_needed() -> None:
    bare = scheme().from_dict(
        core_v1.Pod, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
    )
    with pytest.raises(Uncomputable, match="missing request for cpu in container c of Pod p"):
        replicas.requests_of([bare], "", "cpu")
    with pytest.raises(Uncomputable, match="container x not found in Pod p0"):
        replicas.requests_of(running(1), "x", "cpu")


# (replicas now, used, target, ready pods, wanted)
VALUES = [(2, 4000, 1000, 2, 8), (2, 1050, 1000, 2, 2), (4, 500, 1000, 4, 2), (0, 2500, 1000, 0, 3)]


@pytest.mark.parametrize(("current", "used", "target", "ready", "wanted"), VALUES)
def test_values_of_all_pods_together(current: int, used: int, target: int, ready: int, wanted: int) -> None:
    found = replicas.of_value(scaled(current, running(ready)), used, target)
    assert found.replicas == wanted


# (replicas now, used, target of each, wanted, shown)
SHARES = [(2, 4000, 1000, 4, 2000), (3, 3100, 1000, 3, 1034), (3, 900, 1000, 1, 300)]


@pytest.mark.parametrize(("current", "used", "target", "wanted", "shown"), SHARES)
def test_values_shared_among_the_pods(current: int, used: int, target: int, wanted: int, shown: int) -> None:
    assert replicas.of_share(scaled(current), used, target) == (wanted, shown, None)


def rules(*policies: tuple[str, int, int], select: str = "Max", window: int | None = None) -> dict[str, Any]:
    made = [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in policies]
    return {"policies": made, "selectPolicy": select} | (
        {} if window is None else {"stabilizationWindowSeconds": window}
    )


DEFAULT = {
    "scaleUp": rules(("Pods", 4, 15), ("Percent", 100, 15), window=0),
    "scaleDown": rules(("Percent", 100, 15)),
}
SLOW = {"scaleUp": rules(("Pods", 1, 60), window=0), "scaleDown": rules(("Pods", 1, 60), window=0)}
LEAST = {
    "scaleUp": rules(("Pods", 4, 15), ("Percent", 50, 15), select="Min", window=0),
    "scaleDown": rules(("Pods", 4, 15), ("Percent", 50, 15), select="Min", window=0),
}
OFF = {"scaleUp": rules(select="Disabled", window=0), "scaleDown": rules(select="Disabled", window=0)}

# (behavior, replicas now, asked for, within, size, AbleToScale, ScalingLimited)
LIMITS = [
    (None, 2, 3, (1, 10), 3, "ReadyForNewScale", "DesiredWithinRange"),
    (None, 2, 9, (1, 10), 4, "ReadyForNewScale", "ScaleUpLimit"),
    (None, 8, 20, (1, 10), 10, "ReadyForNewScale", "TooManyReplicas"),
    (None, 4, 0, (2, 10), 2, "ReadyForNewScale", "TooFewReplicas"),
    (DEFAULT, 2, 9, (1, 10), 6, "ReadyForNewScale", "ScaleUpLimit"),
    (DEFAULT, 9, 40, (1, 10), 10, "ReadyForNewScale", "TooManyReplicas"),
    (DEFAULT, 4, 0, (2, 10), 2, "ReadyForNewScale", "TooFewReplicas"),
    (SLOW, 4, 9, (1, 10), 5, "ReadyForNewScale", "ScaleUpLimit"),
    (SLOW, 4, 1, (1, 10), 3, "ReadyForNewScale", "ScaleDownLimit"),
    (LEAST, 4, 9, (1, 10), 6, "ReadyForNewScale", "ScaleUpLimit"),
    (LEAST, 6, 1, (1, 10), 3, "ReadyForNewScale", "ScaleDownLimit"),
    (OFF, 4, 9, (1, 10), 4, "ReadyForNewScale", "ScaleUpLimit"),
    (OFF, 4, 1, (1, 10), 4, "ReadyForNewScale", "ScaleDownLimit"),
]


@pytest.mark.parametrize(("how", "now", "asked", "within", "size", "able", "limited"), LIMITS)
def test_limits(
    how: Any, now: int, asked: int, within: tuple[int, int], size: int, able: str, limited: str
) -> None:
    found = behavior.limit(how, Memory(), now, asked, Limits(*within), NOW)
    assert (found.replicas, found.able.reason, found.limited.reason) == (size, able, limited)


def test_a_workload_shrinks_to_the_most_that_was_asked_for_lately() -> None:
    for how in (None, DEFAULT):
        memory = Memory(asked=[Past(7, NOW - 400), Past(5, NOW - 200)])
        found = behavior.limit(how, memory, 8, 2, Limits(1, 10), NOW)
        assert (found.replicas, found.able.reason) == (5, "ScaleDownStabilized")


def test_what_was_added_lately_counts() -> None:
    memory = Memory()
    memory.scaled(SLOW, 4, 5, NOW - 30)
    found = behavior.limit(SLOW, memory, 5, 9, Limits(1, 10), NOW)
    assert (found.replicas, found.limited.reason) == (5, "ScaleUpLimit")
    assert behavior.limit(SLOW, memory, 5, 9, Limits(1, 10), NOW + 31).replicas == 6


def test_selectors_are_printed_as_go_prints_them() -> None:
    assert printed(None) == "nil"
    wire = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}],
    }
    assert printed(wire) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}"
    )


# -- stories -----------------------------------------------------------------------------------------------------


def autoscaler(
    name: str = "web", target: str = "web", kind: str = "ReplicaSet", **spec: Any
) -> dict[str, Any]:
    ref = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"scaleTargetRef": ref, "maxReplicas": 5, **spec},
    }


async def said(cluster: Cluster, name: str = "web") -> dict[str, tuple[str, str, str]]:
    hpa = await cluster.get(autoscaling_v2.HorizontalPodAutoscaler, name)
    return {c.type: (c.status, c.reason, c.message) for c in hpa.status.conditions}


def test_a_target_that_is_not_there(play: Callable[..., None]) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(autoscaler())
        await cluster.create(autoscaler("odd", kind="Unheard"))
        await cluster.create(autoscaler("daemons", kind="DaemonSet"))
        assert await said(cluster) == {}, "nothing happens for fifteen seconds"
        await cluster.later(16)
        prefix = "the HPA controller was unable to get the target's current scale: "
        why = {
            "web": 'replicasets.apps "web" not found',
            "odd": 'no matches for kind "Unheard" in group "apps"',
            "daemons": "the server could not find the requested resource (get daemonsets web)",
        }
        for name, message in why.items():
            assert await said(cluster, name) == {"AbleToScale": ("False", "FailedGetScale", prefix + message)}
        assert sorted(await cluster.told("FailedGetScale")) == sorted(why.values())

    play(story, *NAMES)


NO_METRICS = (
    "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource"
    " metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
)


def test_without_metrics(play: Callable[..., None]) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(workload("ReplicaSet", replicas=2))
        await cluster.create(autoscaler())
        await cluster.later(16)
        assert await said(cluster) == {
            "AbleToScale": (
                "True",
                "SucceededGetScale",
                "the HPA controller was able to get the target's current scale",
            ),
            "ScalingActive": (
                "False",
                "FailedGetResourceMetric",
                f"the HPA was unable to compute the replica count: {NO_METRICS}",
            ),
        }
        hpa = await cluster.get(autoscaling_v2.HorizontalPodAutoscaler)
        status = scheme().to_dict(hpa.status)
        assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 0)
        assert status["currentMetrics"] == [{"type": ""}]
        assert await cluster.told("FailedGetResourceMetric") == [NO_METRICS]
        assert await cluster.told("FailedComputeMetricsReplicas") == [
            "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: "
            + NO_METRICS
        ]
        entry = next(e for e in hpa.metadata.managedFields if e.subresource == "status")
        assert (entry.manager, entry.apiVersion) == ("kube-controller-manager", "autoscaling/v2")

    play(story, *NAMES)


# (metrics of the spec, reason, message behind "the HPA was unable to compute the replica count: ")
UNSERVED: list[tuple[dict[str, Any], str, str]] = [
    (
        {
            "type": "Pods",
            "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}},
        },
        "FailedGetPodsMetric",
        "unable to get metric m: unable to fetch metrics from custom metrics API: no custom metrics API"
        " (custom.metrics.k8s.io) registered",
    ),
    (
        {
            "type": "Object",
            "object": {
                "metric": {"name": "m"},
                "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"},
                "target": {"type": "Value", "value": "1"},
            },
        },
        "FailedGetObjectMetric",
        "unable to get metric m: Service on default s/unable to fetch metrics from custom metrics API: no custom"
        " metrics API (custom.metrics.k8s.io) registered",
    ),
    (
        {
            "type": "External",
            "external": {
                "metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "Value", "value": "1"},
            },
        },
        "FailedGetExternalMetric",
        "unable to get external metric default/m/&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:"
        "[]LabelSelectorRequirement{},}: unable to fetch metrics from external metrics API: the server could not find"
        " the requested resource (get m.external.metrics.k8s.io)",
    ),
    (
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "memory",
                "container": "c",
                "target": {"type": "AverageValue", "averageValue": "1Gi"},
            },
        },
        "FailedGetContainerResourceMetric",
        "failed to get memory usage: unable to get metrics for resource memory: unable to fetch metrics from resource"
        " metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)",
    ),
]


def test_what_is_said_of_apis_that_are_not_served(play: Callable[..., None]) -> None:
    async def story(cluster: Cluster) -> None:
        for number, (metric, _, _) in enumerate(UNSERVED):
            labels = {"app": f"web{number}"}
            template = {**CPU_TEMPLATE, "metadata": {"labels": labels}}
            made = workload("ReplicaSet", f"w{number}", template=template, selector={"matchLabels": labels})
            await cluster.create(made)
            await cluster.create(autoscaler(f"w{number}", f"w{number}", metrics=[metric]))
        await cluster.later(17)
        for number, (_, reason, message) in enumerate(UNSERVED):
            prefix = "the HPA was unable to compute the replica count: "
            assert (await said(cluster, f"w{number}"))["ScalingActive"] == ("False", reason, prefix + message)

    play(story, *NAMES)


class FakeMetrics:
    """A metrics API; `cpu` in thousandths is what each pod uses."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.cpu = cluster, 0

    async def raw(self, path: str, query: dict[str, str]) -> bytes:
        if not path.startswith("/apis/metrics.k8s.io/"):
            raise errors.page_not_found()
        items = [
            {
                "metadata": {"name": pod.metadata.name, "namespace": NAMESPACE},
                "timestamp": self.cluster.now,
                "window": "30s",
                "containers": [{"name": "c", "usage": {"cpu": f"{self.cpu}m"}}],
            }
            for pod in await self.cluster.pods(query["labelSelector"])
        ]
        return orjson.dumps({"items": items})


def test_growing_and_shrinking(play: Callable[..., None]) -> None:
    async def story(cluster: Cluster) -> None:
        assert cluster.manager is not None
        fake: Any = FakeMetrics(cluster)
        controller: Any = cluster.manager.controllers[HPA]
        controller.metrics._transport = fake
        await cluster.create(workload("ReplicaSet", replicas=1, template=CPU_TEMPLATE))
        await cluster.run()
        for one in await cluster.active():
            since = times.format(EPOCH - 3600)
            body = {"status": {"startTime": since}}
            await cluster.client.patch(core_v1.Pod, one.metadata.name, NAMESPACE, body, subresource="status")
        await cluster.later(60)
        fake.cpu = 160  # of 100 requested; 80 % are wanted
        await cluster.create(autoscaler())
        await cluster.later(17)
        assert (await cluster.get(apps_v1.ReplicaSet)).spec.replicas == 2
        told = await said(cluster)
        assert told["AbleToScale"][1:] == (
            "SucceededRescale",
            "the HPA controller was able to update the target scale to 2",
        )
        assert told["ScalingActive"] == (
            "True",
            "ValidMetricFound",
            "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of"
            " request)",
        )
        assert told["ScalingLimited"][:2] == ("False", "DesiredWithinRange")
        hpa = await cluster.get(autoscaling_v2.HorizontalPodAutoscaler)
        status = scheme().to_dict(hpa.status)
        assert status["currentMetrics"] == [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": 160, "averageValue": "160m"}},
            }
        ]
        assert (status["currentReplicas"], status["desiredReplicas"], "lastScaleTime" in status) == (
            1,
            2,
            True,
        )
        message = "New size: 2; reason: cpu resource utilization (percentage of request) above target"
        assert await cluster.told("SuccessfulRescale") == [message]
        await cluster.run()
        fake.cpu = 10
        await cluster.later(120)
        assert (await cluster.get(apps_v1.ReplicaSet)).spec.replicas == 2, "two were asked for a moment ago"
        assert (await said(cluster))["AbleToScale"][1] == "ScaleDownStabilized"
        await cluster.later(400)
        assert (await cluster.get(apps_v1.ReplicaSet)).spec.replicas == 1
        assert "New size: 1; reason: All metrics below target" in await cluster.told("SuccessfulRescale")

    play(story, *NAMES)


# (replicas, minReplicas, replicas after, reason of the event)
FORCED = [
    (7, 1, 5, "Current number of replicas above Spec.MaxReplicas"),
    (1, 3, 3, "Current number of replicas below Spec.MinReplicas"),
]


@pytest.mark.parametrize(("before", "least", "after", "why"), FORCED)
def test_limits_hold_without_metrics(
    play: Callable[..., None], before: int, least: int, after: int, why: str
) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(workload("ReplicaSet", replicas=before))
        await cluster.create(autoscaler(minReplicas=least))
        await cluster.later(16)
        rs = await cluster.get(apps_v1.ReplicaSet)
        assert rs.spec.replicas == after
        assert "scale" in {entry.subresource for entry in rs.metadata.managedFields}
        assert await cluster.told("SuccessfulRescale") == [f"New size: {after}; reason: {why}"]
        assert set(await said(cluster)) == {"AbleToScale"}

    play(story, *NAMES)


def test_a_target_of_zero_rests(play: Callable[..., None]) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(workload("ReplicaSet", replicas=0))
        await cluster.create(autoscaler())
        await cluster.later(16)
        message = "scaling is disabled since the replica count of the target is zero"
        assert (await said(cluster))["ScalingActive"] == ("False", "ScalingDisabled", message)

    play(story, *NAMES)


def test_two_for_one(play: Callable[..., None]) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(workload("ReplicaSet", replicas=1))
        for name in ("a", "b"):
            await cluster.create(autoscaler(name))
        await cluster.later(32)
        message = "pods by selector app=web are controlled by multiple HPAs: [{a default} {b default}]"
        for name in ("a", "b"):
            assert (await said(cluster, name))["ScalingActive"] == ("False", "AmbiguousSelector", message)

    play(story, *NAMES)
