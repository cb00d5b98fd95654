"""ResourceQuota: what counts, what is said, and that many at once cannot take more than there is."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.admission.chain import Chain
from knarr.admission.quota import scopes, usage
from knarr.admission.quota.plugin import ResourceQuota
from knarr.meta import errors

from ..auth.memory_reader import HandClock, MemoryReader, refusal, run
from .asking import attributes, claim, container, pod

CPU_POD = [container("c", {"cpu": "600m"}, {"memory": "500Mi"})]


def quota(reader, name="q", used=None, spec=None, **hard):
    hard = {k.replace("__", "/").replace("_", "."): v for k, v in hard.items()}
    used = dict.fromkeys(hard, "0") if used is None else used
    obj = {
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"hard": hard} | (spec or {}),
        "status": {"hard": hard, "used": used},
    }
    return reader.put("", "resourcequotas", obj)


def used(reader, name="q"):
    return reader.get("", "resourcequotas", "ns", name)["status"]["used"]


def ask(plugin, obj, resource="pods", operation="CREATE", old=None, group="", sub="", dry_run=False):
    a = attributes(obj, resource, operation, old, group, sub)
    a.request.dry_run = dry_run
    assert plugin.handles(a.target)
    return Chain([plugin]).validate(a)


@pytest.fixture
def plugin(reader, clock):
    return ResourceQuota(reader, clock)


CONFIG = {"metadata": {"name": "c", "namespace": "ns"}}


def test_counts(reader, plugin):
    quota(reader, "counts", configmaps="3", used={"configmaps": "1"})
    run(ask(plugin, CONFIG, "configmaps"))
    run(ask(plugin, CONFIG, "configmaps"))
    assert used(reader, "counts") == {"configmaps": "3"}
    full = (
        403,
        'configmaps "c" is forbidden: exceeded quota: counts, requested: configmaps=1, used: configmaps=3, limited: '
        "configmaps=3",
    )
    assert refusal(lambda: ask(plugin, CONFIG, "configmaps")) == full
    assert refusal(lambda: ask(plugin, CONFIG, "configmaps", dry_run=True)) == full
    run(ask(plugin, CONFIG, "secrets"))
    deployment = {"metadata": {"name": "d", "namespace": "ns"}, "spec": {}}
    quota(reader, "apps", **{"count__deployments.apps": "0"})
    assert (
        "requested: count/deployments.apps=1, used: count/deployments.apps=0"
        in refusal(lambda: ask(plugin, deployment, "deployments", group="apps"))[1]
    )


def test_a_pod_with_resources_of_its_own_need_not_name_those_of_its_containers(reader, plugin):
    quota(reader, "compute", requests_cpu="1", limits_memory="1Gi")
    whole = pod(containers=[container()])
    whole["spec"]["resources"] = {"requests": {"cpu": "100m"}}
    run(ask(plugin, whole))
    assert used(reader, "compute")["requests.cpu"] == "100m"


def test_dry_runs_take_nothing(reader, plugin):
    quota(reader, configmaps="1")
    run(ask(plugin, CONFIG, "configmaps", dry_run=True))
    assert reader.updates == []


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ([container()], "failed quota: compute: must specify limits.memory for: c; requests.cpu for: c"),
        ([container(requests={"cpu": "100m"})], "failed quota: compute: must specify limits.memory for: c"),
        (
            [container("c", {"cpu": "2"}, {"memory": "100Mi"})],
            "exceeded quota: compute, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1",
        ),
        (
            [container("c", {"cpu": "2"}, {"memory": "2Gi"})],
            "exceeded quota: compute, requested: limits.memory=2Gi,requests.cpu=2, used: "
            "limits.memory=0,requests.cpu=0, limited: limits.memory=1Gi,requests.cpu=1",
        ),
    ],
)
def test_compute(reader, plugin, containers, words):
    quota(reader, "compute", requests_cpu="1", limits_memory="1Gi", pods="2")
    found = refusal(lambda: ask(plugin, pod(containers=containers)))
    assert found == (403, f'pods "p" is forbidden: {words}')
    assert reader.updates == []


def test_compute_is_taken_and_resized(reader, plugin):
    quota(reader, "compute", requests_cpu="1", limits_memory="1Gi", pods="2")
    run(ask(plugin, pod(containers=CPU_POD)))
    assert used(reader, "compute") == {"limits.memory": "500Mi", "pods": "1", "requests.cpu": "600m"}
    bigger = pod(containers=[container("c", {"cpu": "1200m"}, {"memory": "500Mi"})])
    old = pod(containers=CPU_POD)
    message = refusal(lambda: ask(plugin, bigger, "pods", "UPDATE", old, sub="resize"))[1]
    assert message.endswith("requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1")
    smaller = pod(containers=[container("c", {"cpu": "100m"}, {"memory": "500Mi"})])
    run(ask(plugin, smaller, "pods", "UPDATE", old, sub="resize"))
    assert (
        used(reader, "compute")["requests.cpu"] == "600m"
    )  # the controller gives back, admission only takes


def test_a_quota_nobody_has_counted_yet(reader, plugin):
    quota(reader, used={"pods": "0"}, **{"pods": "1", "count/pods": "1"})
    words = "status unknown for quota: q, resources: count/pods,pods"
    assert refusal(lambda: ask(plugin, pod()))[1].endswith(words)
    fresh = reader.put("", "resourcequotas", CONFIG | {"spec": {"hard": {"pods": "0"}}})
    assert "status" not in fresh
    reader.drop("", "resourcequotas", "ns", "q")
    run(ask(plugin, pod()))


@pytest.mark.parametrize(
    ("group", "resource", "obj", "amounts"),
    [
        (
            "",
            "services",
            {"spec": {"type": "NodePort", "ports": [{}, {}]}},
            {
                "count/services": "1",
                "services": "1",
                "services.nodeports": "2",
                "services.loadbalancers": "0",
            },
        ),
        (
            "",
            "services",
            {
                "spec": {
                    "type": "LoadBalancer",
                    "allocateLoadBalancerNodePorts": False,
                    "ports": [{"nodePort": 30000}, {}],
                }
            },
            {
                "count/services": "1",
                "services": "1",
                "services.nodeports": "1",
                "services.loadbalancers": "1",
            },
        ),
        (
            "",
            "persistentvolumeclaims",
            claim("3Gi", storageClassName="gold"),
            {
                "count/persistentvolumeclaims": "1",
                "persistentvolumeclaims": "1",
                "requests.storage": "3Gi",
                "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
                "gold.storageclass.storage.k8s.io/requests.storage": "3Gi",
            },
        ),
        ("apps", "deployments", {}, {"count/deployments.apps": "1"}),
        ("", "secrets", {}, {"count/secrets": "1", "secrets": "1"}),
        ("", "podtemplates", {}, {"count/podtemplates": "1"}),
        (
            "",
            "pods",
            pod(
                containers=[
                    container("a", {"cpu": "1", "x.io/gpu": "2"}, {"cpu": "2", "x.io/gpu": "2"}),
                    container("b", {"memory": "1Gi"}),
                ],
                initContainers=[
                    container("side", {"cpu": "500m"}) | {"restartPolicy": "Always"},
                    container("init", {"cpu": "2"}),
                ],
                overhead={"cpu": "250m"},
            ),
            {
                "count/pods": "1",
                "pods": "1",
                "cpu": "2750m",
                "requests.cpu": "2750m",
                "memory": "1Gi",
                "requests.memory": "1Gi",
                "requests.x.io/gpu": "2",
                "limits.cpu": "2250m",
            },
        ),
        ("", "pods", pod() | {"status": {"phase": "Succeeded"}}, {"count/pods": "1"}),
        (
            "resource.k8s.io",
            "resourceclaims",
            {
                "spec": {
                    "devices": {
                        "requests": [
                            {"exactly": {"deviceClassName": "gpu", "count": 2}},
                            {
                                "firstAvailable": [
                                    {"deviceClassName": "gpu", "count": 3},
                                    {"deviceClassName": "gpu", "count": 1},
                                    {"deviceClassName": "nic", "allocationMode": "All"},
                                ]
                            },
                        ]
                    }
                }
            },
            {
                "count/resourceclaims.resource.k8s.io": "1",
                "gpu.deviceclass.resource.k8s.io/devices": "5",
                "requests.deviceclass.resource.kubernetes.io/gpu": "5",
                "nic.deviceclass.resource.k8s.io/devices": "32",
                "requests.deviceclass.resource.kubernetes.io/nic": "32",
            },
        ),
    ],
)
def test_what_objects_use(group, resource, obj, amounts):
    found = usage.usage(group, resource, obj, 0.0)
    assert {k: str(v) for k, v in found.items()} == amounts
    assert all(usage.tracks(group, resource, name) for name in amounts)


@pytest.mark.parametrize(
    ("reason", "requests", "limits"), [("Deferred", "3", "4"), ("Infeasible", "2500m", "3"), ("", "3", "4")]
)
def test_pods_count_for_what_they_still_have_while_they_are_resized(reason, requests, limits):
    sizing = pod(
        containers=[container("c", {"cpu": "2"}, {"cpu": "3"})],
        initContainers=[
            container("s", {"cpu": "1"}, {"cpu": "1"}) | {"restartPolicy": "Always"},
            container("i", {"cpu": "500m"}),
        ],
    )
    had = {
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
        "allocatedResources": {"cpu": "1500m"},
    }
    sizing["status"] = {
        "containerStatuses": [{"name": "c"} | had],
        # of one that has ended before the others start what it has does not count
        "initContainerStatuses": [{"name": "i", "resources": {"requests": {"cpu": "64"}}}],
        "conditions": [{"type": "PodResizePending", "reason": reason}] if reason else [],
    }
    found = usage.usage("", "pods", sizing, 0.0)
    assert (str(found["requests.cpu"]), str(found["limits.cpu"])) == (requests, limits)
    # on the way down: it still has more than it should have
    sizing["status"]["containerStatuses"] = [
        {"name": "c", "resources": {"requests": {"cpu": "7"}, "limits": {"cpu": "8"}}}
    ]
    found = usage.usage("", "pods", sizing, 0.0)
    assert (str(found["requests.cpu"]), str(found["limits.cpu"])) == ("8", "9")


CLASS_RESOURCE = "requests.deviceclass.resource.kubernetes.io/gpu"


@pytest.mark.parametrize(
    ("asked", "devices", "left"),
    [
        (None, 2, {CLASS_RESOURCE: "2", "requests.x.io/gpu": "2"}),
        ({"deviceclass.resource.kubernetes.io/gpu": "1"}, 1, {"requests.x.io/gpu": "1"}),
        ({"x.io/gpu": "1"}, 1, {CLASS_RESOURCE: "1"}),
        (
            {"x.io/gpu": "1", "deviceclass.resource.kubernetes.io/gpu": "1"},
            2,
            {CLASS_RESOURCE: "1", "requests.x.io/gpu": "1"},
        ),
    ],
)
def test_devices_count_for_the_resources_that_their_class_serves(asked, devices, left):
    owner = pod(containers=[container("c", asked or {})])
    owner["metadata"]["uid"] = "u"
    claim = {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"devices": {"requests": [{"exactly": {"deviceClassName": "gpu", "count": devices}}]}},
    }
    if asked is not None:
        claim["metadata"] |= {
            "annotations": {"resource.kubernetes.io/extended-resource-claim": "true"},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
            ],
        }
    others = usage.Others({"gpu": "x.io/gpu"}.get, lambda namespace, name: owner)
    found = usage.usage("resource.k8s.io", "resourceclaims", claim, 0.0, others)
    assert found.pop("count/resourceclaims.resource.k8s.io") == usage.ONE
    assert str(found.pop("gpu.deviceclass.resource.k8s.io/devices")) == str(devices)
    assert {k: str(v) for k, v in found.items()} == left
    # a pod that does not know this claim as its own is charged apart
    owner["status"] = {"extendedResourceClaimStatus": {"resourceClaimName": "other"}}
    again = usage.usage("resource.k8s.io", "resourceclaims", claim, 0.0, others)
    assert {str(again[name]) for name in (CLASS_RESOURCE, "requests.x.io/gpu")} == {str(devices)}


def test_deleted_pods_count_until_their_grace_ends():
    going = pod()
    going["metadata"] |= {"deletionTimestamp": "1970-01-01T00:01:00Z", "deletionGracePeriodSeconds": 30}
    assert usage.counts_now(going, 90.0)
    assert not usage.counts_now(going, 91.0)


AFFINITY = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}


@pytest.mark.parametrize(
    ("spec", "scope", "inside"),
    [
        ({}, "BestEffort", True),
        ({"containers": CPU_POD}, "BestEffort", False),
        ({"containers": CPU_POD}, "NotBestEffort", True),
        ({"activeDeadlineSeconds": 5}, "Terminating", True),
        ({}, "Terminating", False),
        ({}, "NotTerminating", True),
        ({"affinity": AFFINITY}, "CrossNamespacePodAffinity", True),
        ({}, "CrossNamespacePodAffinity", False),
        ({"priorityClassName": "a"}, "PriorityClass", True),
        ({}, "PriorityClass", False),
        ({"priorityClassName": "a"}, {"operator": "In", "values": ["a", "b"]}, True),
        ({"priorityClassName": "c"}, {"operator": "In", "values": ["a", "b"]}, False),
        ({"priorityClassName": "c"}, {"operator": "NotIn", "values": ["a"]}, True),
        ({}, {"operator": "DoesNotExist"}, True),
    ],
)
def test_scopes(spec, scope, inside):
    if isinstance(scope, dict):
        terms = {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass"} | scope]}}
    else:
        terms = {"scopes": [scope]}
    assert scopes.in_scope({"spec": terms}, "", "pods", pod(**spec)) == inside
    assert not scopes.in_scope({"spec": terms}, "", "services", {})


def test_scoped_quotas_refuse_their_own_only(reader, plugin):
    quota(reader, "be", pods="0", spec={"scopes": ["BestEffort"]})
    message = refusal(lambda: ask(plugin, pod()))[1]
    assert message.endswith("exceeded quota: be, requested: pods=1, used: pods=0, limited: pods=0")
    run(ask(plugin, pod(containers=CPU_POD)))


# -- many at once ------------------------------------------------------------------------------------------


async def outcomes(plugin, count):
    found = await asyncio.gather(*(ask(plugin, pod()) for _ in range(count)), return_exceptions=True)
    unexpected = [f for f in found if f is not None and not isinstance(f, errors.StatusError)]
    assert not unexpected
    return sum(f is None for f in found)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 20), st.integers(0, 3), st.booleans())
def test_never_more_than_there_is(count, hard, conflicts, late_cache):
    reader = MemoryReader()
    plugin = ResourceQuota(reader, HandClock())
    quota(reader, pods=str(hard))
    reader.update_errors = [
        errors.conflict("", "resourcequotas", "q", errors.STALE) for _ in range(conflicts)
    ]
    if late_cache:
        # the watch cache shows a write only later: the plugin must remember its own
        seen = list(reader.list("", "resourcequotas", "ns"))
        reader.list = lambda *args: iter(seen)
    admitted = run(outcomes(plugin, count))
    assert admitted == min(count, hard)
    assert int(used(reader)["pods"]) == admitted
    assert not plugin._desks


def test_a_burst_writes_the_quota_once_or_twice(reader, plugin):
    quota(reader, pods="100")
    assert run(outcomes(plugin, 50)) == 50
    assert len(reader.updates) <= 2


def test_who_hangs_up_takes_nothing_from_the_others(reader, plugin):
    quota(reader, pods="2")

    async def go():
        tasks = [asyncio.ensure_future(ask(plugin, pod())) for _ in range(3)]
        await asyncio.sleep(0)  # all wait at the desk now
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = run(go())
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [None, None]


def test_conflicts_without_end_are_reported(reader, plugin):
    quota(reader, pods="2")
    reader.update_errors = [errors.conflict("", "resourcequotas", "q", errors.STALE) for _ in range(9)]
    assert refusal(lambda: ask(plugin, pod()))[0] == 409


def test_a_broken_store_reaches_every_caller(reader, plugin):
    quota(reader, pods="9")

    async def broken(*_):
        raise OSError("disk")

    reader.update = broken

    async def go():
        return await asyncio.gather(*(ask(plugin, pod()) for _ in range(3)), return_exceptions=True)

    assert [str(e) for e in run(go())] == ["disk"] * 3
