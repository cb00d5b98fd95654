"""Resource quotas are counted again, disruption budgets follow their pods, cluster roles are aggregated."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import apps_v1, core_v1, policy_v1, resource_v1
from knarr.client.codec import built_in
from knarr.controllers.disruption import Counts, counts_of, disruptions, healthy, stale_in, status_of
from knarr.controllers.resourcequota import shrank
from knarr.meta import times

from .conftest import Cluster, workload

QUOTA, BUDGETS = "resourcequota-controller", "disruption-controller"
NOW = 1_800_000_000.0


def obj(kind: str, name: str, api: str = "v1", namespace: str = "default", **fields: Any) -> dict[str, Any]:
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


def pod(name: str = "p", **fields: Any) -> Any:
    return scheme().from_dict(
        core_v1.Pod, {"metadata": {"name": name, **fields.pop("metadata", {})}, **fields}
    )


HAS_NONE = {"name": "c"}
HAS_ONE, HAS_TWO = ({"name": "c", "resources": {"requests": {"cpu": n}}} for n in "12")
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


# -- quotas ----------------------------------------------------------------------------------------------------


async def used(c: Cluster, name: str = "q") -> dict[str, str]:
    quota = await c.get(core_v1.ResourceQuota, name)
    assert quota.status.hard == quota.spec.hard
    return dict(quota.status.used)


def bare_pod(name: str, cpu: str = "100m", **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    containers = [{"name": "c", "image": "i", "resources": resources}]
    return obj("Pod", name, spec={"containers": containers, **spec})


def test_a_quota_follows_what_is_there(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(obj("ConfigMap", "one"))
        hard = {
            "configmaps": "5",
            "pods": "5",
            "requests.cpu": "1",
            "count/deployments.apps": "3",
            "secrets": "1",
        }
        await c.create(obj("ResourceQuota", "q", spec={"hard": hard}))
        before = await used(c)
        assert before["secrets"] == "0" and before["count/deployments.apps"] == "0"
        maps = int(before["configmaps"])
        await c.create(bare_pod("p"))
        await c.create(bare_pod("r", "200m"))
        await c.create(workload("Deployment", replicas=0))
        await c.create(obj("ConfigMap", "two"))
        assert await used(c) == {
            "configmaps": str(maps + 1),
            "pods": "2",
            "requests.cpu": "300m",
            "count/deployments.apps": "1",
            "secrets": "0",
        }
        await c.delete(core_v1.ConfigMap, "one")
        await c.delete(apps_v1.Deployment)
        await c.succeed(*[p for p in await c.pods() if p.metadata.name == "p"])
        assert await used(c) == {
            "configmaps": str(maps),
            "pods": "1",
            "requests.cpu": "200m",
            "count/deployments.apps": "0",
            "secrets": "0",
        }
        await c.client.patch(
            core_v1.ResourceQuota, "q", "default", {"spec": {"hard": {"pods": "9", "secrets": None}}}
        )
        await c.settle()
        assert "secrets" not in await used(c)

    play(story, QUOTA)


def test_devices_are_counted_in_claims_that_were_there_before(play: Any) -> None:
    async def story(c: Cluster) -> None:
        wanted = {"name": "r", "exactly": {"deviceClassName": "gpu", "count": 2}}
        spec = {"devices": {"requests": [wanted]}}
        await c.create(obj("ResourceClaim", "one", "resource.k8s.io/v1", spec=spec))
        devices, events = "gpu.deviceclass.resource.k8s.io/devices", "count/events"
        await c.create(obj("ResourceQuota", "q", spec={"hard": {devices: "5", events: "1"}}))
        # events are nothing that quotas count
        assert await used(c) == {devices: "2"}

    play(story, QUOTA)


def test_devices_count_for_the_extended_resource_of_their_class(play: Any) -> None:
    async def story(c: Cluster) -> None:
        wanted = {"name": "r", "exactly": {"deviceClassName": "gpu", "count": 2}}
        spec = {"devices": {"requests": [wanted]}}
        await c.create(obj("ResourceClaim", "one", "resource.k8s.io/v1", spec=spec))
        implicit, named = "requests.deviceclass.resource.kubernetes.io/gpu", "requests.x.io/gpu"
        await c.create(obj("ResourceQuota", "q", spec={"hard": {implicit: "5", named: "5"}}))
        assert await used(c) == {implicit: "2", named: "0"}
        serves = {"extendedResourceName": "x.io/gpu"}
        await c.create(obj("DeviceClass", "gpu", "resource.k8s.io/v1", "", spec=serves))
        await c.create(obj("ResourceClaim", "two", "resource.k8s.io/v1", spec=spec))
        await c.delete(resource_v1.ResourceClaim, "two")
        assert await used(c) == {implicit: "2", named: "2"}

    play(story, QUOTA)


def test_scopes(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(bare_pod("burst"))
        await c.create(bare_pod("best", ""))
        await c.create(obj("ResourceQuota", "q", spec={"hard": {"pods": "5"}, "scopes": ["BestEffort"]}))
        assert await used(c) == {"pods": "1"}
        await c.delete(core_v1.Pod, "burst", grace=0)
        assert await used(c) == {"pods": "1"}
        await c.delete(core_v1.Pod, "best", grace=0)
        assert await used(c) == {"pods": "0"}

    play(story, QUOTA)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"phase": "Running"}, {"phase": "Succeeded"}, True),
        ({"phase": "Pending"}, {"phase": "Running"}, False),
        ({"phase": "Running"}, {"phase": "Running", **READY}, False),
        ({"containerStatuses": [HAS_NONE]}, {"containerStatuses": [HAS_TWO]}, False),
        ({"containerStatuses": [HAS_TWO]}, {"containerStatuses": [HAS_TWO], **READY}, False),
        ({"containerStatuses": [HAS_TWO]}, {"containerStatuses": [HAS_ONE]}, True),
        ({"initContainerStatuses": [HAS_TWO]}, {"initContainerStatuses": [HAS_ONE]}, True),
    ],
)
def test_which_changes_of_a_pod_count(old: Any, new: Any, expected: bool) -> None:
    assert shrank(("", "pods"), pod(status=old), pod(status=new)) is expected


# -- budgets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected", "counts"),
    [
        ({"minAvailable": 2}, 5, Counts(5, 2)),
        ({"minAvailable": "50%"}, 5, Counts(5, 3)),
        ({"maxUnavailable": 1}, 5, Counts(5, 4)),
        ({"maxUnavailable": "30%"}, 10, Counts(10, 7)),
        ({"maxUnavailable": "25%"}, 3, Counts(3, 2)),
        ({"maxUnavailable": 9}, 5, Counts(5, 0)),
        ({}, 5, Counts(0, 0)),
    ],
)
def test_how_many_must_be_healthy(spec: Any, expected: int, counts: Counts) -> None:
    assert counts_of(scheme().from_dict(policy_v1.PodDisruptionBudgetSpec, spec), expected, ()) == counts


def budget(disrupted: dict[str, str] | None = None) -> Any:
    meta = {"name": "b", "namespace": "n", "generation": 3}
    body = {"metadata": meta, "status": {"disruptedPods": disrupted or {}}}
    return scheme().from_dict(policy_v1.PodDisruptionBudget, body)


def test_evictions_under_way_count_for_two_minutes() -> None:
    fresh, old = times.format(NOW - 60), times.format(NOW - 121)
    pods = [pod(n, status=READY) for n in ("fresh", "old", "other")]
    pods.append(pod("going", metadata={"deletionTimestamp": fresh}, status=READY))
    given = {"fresh": fresh, "old": old, "going": fresh, "gone": fresh}
    pending, late = disruptions(budget(given), pods, NOW)
    assert (pending, [p.metadata.name for p in late]) == ({"fresh": fresh}, ["old"])
    assert healthy(pods, pending) == 2


@pytest.mark.parametrize(
    ("counts", "now_healthy", "allowed", "reason"),
    [
        (Counts(5, 3), 5, 2, "SufficientPods"),
        (Counts(5, 3), 3, 0, "InsufficientPods"),
        (Counts(5, 3), 1, 0, "InsufficientPods"),
        (Counts(0, 0), 3, 0, "InsufficientPods"),
    ],
)
def test_how_many_may_go(counts: Counts, now_healthy: int, allowed: int, reason: str) -> None:
    status = status_of(budget(), counts, now_healthy, {}, "t")
    assert (status.disruptionsAllowed, status.observedGeneration) == (allowed, 3)
    (condition,) = status.conditions
    assert (condition.reason, condition.status) == (reason, "True" if allowed else "False")


@pytest.mark.parametrize(
    ("age", "reason", "state", "meta", "left"),
    [
        (0, "PreemptionByScheduler", "True", {}, 120.0),
        (50, "EvictionByEvictionAPI", "True", {}, 70.0),
        (500, "EvictionByEvictionAPI", "True", {}, 0.0),
        (500, "TerminationByKubelet", "True", {}, None),
        (500, "EvictionByEvictionAPI", "False", {}, None),
        (500, "EvictionByEvictionAPI", "True", {"deletionTimestamp": times.format(NOW)}, None),
    ],
)
def test_stale_disruption_targets(age: float, reason: str, state: str, meta: Any, left: float | None) -> None:
    condition = {
        "type": "DisruptionTarget",
        "status": state,
        "reason": reason,
        "lastTransitionTime": times.format(NOW - age),
    }
    assert stale_in(pod(metadata=meta, status={"conditions": [condition]}), NOW) == left


def test_a_budget_follows_its_pods_and_evictions(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicaSet", replicas=4))
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
        await c.create(obj("PodDisruptionBudget", "b", "policy/v1", spec=spec))
        status = (await c.get(policy_v1.PodDisruptionBudget, "b")).status
        assert (status.expectedPods, status.desiredHealthy, status.disruptionsAllowed) == (4, 3, 0)
        await c.run()
        status = (await c.get(policy_v1.PodDisruptionBudget, "b")).status
        assert (status.currentHealthy, status.disruptionsAllowed) == (4, 1)
        assert [(x.type, x.status, x.reason) for x in status.conditions] == [
            ("DisruptionAllowed", "True", "SufficientPods")
        ]
        victim = (await c.pods())[0]
        await c.client.evict(victim)
        await c.settle()
        status = (await c.get(policy_v1.PodDisruptionBudget, "b")).status
        assert (status.disruptionsAllowed, dict(status.disruptedPods)) == (0, {})
        await c.run()
        status = (await c.get(policy_v1.PodDisruptionBudget, "b")).status
        assert status.disruptionsAllowed == 1

    play(story, BUDGETS, "replicaset-controller")


def test_a_share_of_pods_that_nobody_manages(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(
            bare_pod("p") | {"metadata": {"name": "p", "namespace": "default", "labels": {"app": "web"}}}
        )
        spec = {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}
        await c.create(obj("PodDisruptionBudget", "b", "policy/v1", spec=spec))
        (message,) = await c.told("UnmanagedPods")
        assert message.endswith('please set ".spec.minAvailable" field of the PDB to an integer value.')
        ref = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
        await c.client.patch(core_v1.Pod, "p", "default", {"metadata": {"ownerReferences": [ref]}})
        await c.settle()
        status = (await c.get(policy_v1.PodDisruptionBudget, "b")).status
        assert [(x.status, x.reason) for x in status.conditions] == [("False", "SyncFailed")]

    play(story, BUDGETS)


def test_a_pod_that_was_spared_is_no_target_any_more(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(bare_pod("p"))
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
        body = {"status": {"conditions": [{**condition, "lastTransitionTime": c.now}]}}
        await c.client.patch(core_v1.Pod, "p", "default", body, "strategic", subresource="status")
        await c.later(119)
        assert (await c.get(core_v1.Pod, "p")).status.conditions[0].status == "True"
        await c.later(2)
        found = {x.type: x.status for x in (await c.get(core_v1.Pod, "p")).status.conditions}
        assert found["DisruptionTarget"] == "False"

    play(story, BUDGETS)


# -- cluster roles ---------------------------------------------------------------------------------------------


def test_aggregated_roles_gather_rules(play: Any) -> None:
    row = built_in("rbac.authorization.k8s.io/v1", "ClusterRole")

    async def story(c: Cluster) -> None:
        rule = {"apiGroups": ["example.com"], "resources": ["boats"], "verbs": ["get"]}
        await c.create(
            obj(
                "ClusterRole",
                "all",
                row.api_version,
                "",
                aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]},
                rules=[],
            )
        )
        part = obj(
            "ClusterRole", "part", row.api_version, "", rules=[rule], metadata={"labels": {"to": "all"}}
        )
        await c.create(part)
        assert (await c.client.get(row, "all"))["rules"] == [rule]
        await c.client.delete(row, "part", resource=row)
        await c.settle()
        assert not (await c.client.get(row, "all")).get("rules")

    play(story, "clusterrole-aggregation-controller")


def test_roles_that_are_part_of_each_other_come_to_rest(play: Any) -> None:
    row = built_in("rbac.authorization.k8s.io/v1", "ClusterRole")
    mutual = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]}}

    def role(name: str, *resources: str, **more: Any) -> dict[str, Any]:
        rules = [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]} for resource in resources]
        metadata = {"labels": {"to": "all"}}
        return obj("ClusterRole", name, row.api_version, "", rules=rules, metadata=metadata, **more)

    async def story(c: Cluster) -> None:
        for made in (
            role("b", "pods", "nodes", **mutual),
            role("c", "nodes", "pods", **mutual),
            role("x", "events"),
        ):
            await c.create(made)
        await c.settle()
        before = [(await c.client.get(row, name))["metadata"]["resourceVersion"] for name in "bc"]
        await c.settle()
        assert before == [(await c.client.get(row, name))["metadata"]["resourceVersion"] for name in "bc"]
        found = (await c.client.get(row, "b"))["rules"]
        assert sorted(rule["resources"][0] for rule in found) == ["events", "nodes", "pods"]

    play(story, "clusterrole-aggregation-controller")
