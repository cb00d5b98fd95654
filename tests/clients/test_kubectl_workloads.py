"""kubectl and what runs: rollouts of sets, debugging, drains."""

from __future__ import annotations

import re

import pytest

from .conftest import OLDEST
from .rows import play

SETS = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ss}
spec:
  replicas: 2
  serviceName: ss
  selector: {matchLabels: {a: ss}}
  template:
    metadata: {labels: {a: ss}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "registry.example/x:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds}
spec:
  selector: {matchLabels: {a: ds}}
  template:
    metadata: {labels: {a: ds}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "registry.example/x:1"}]}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  replicas: 1
  selector: {a: rc}
  template:
    metadata: {labels: {a: rc}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "registry.example/x:1"}]}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "registry.example/x:1", ports: [{containerPort: 80}]}]
"""


@pytest.mark.kubectl(*OLDEST)
def test_sets_roll_scale_and_go_back(kubectl):
    kubectl.apply(SETS)
    play(
        kubectl,
        """
        rollout status sts/ss --timeout=20s -> ^partitioned roll out complete: 2 new pods have been updated
        rollout status ds/ds --timeout=20s -> ^daemon set "ds" successfully rolled out$
        set image sts/ss c=registry.example/x:2 -> ^statefulset.apps/ss image updated$
        rollout status sts/ss --timeout=20s -> ^partitioned roll out complete
        rollout history sts/ss -> ^1 +<none>\\n2 +<none>
        rollout undo sts/ss --to-revision=1 -> ^statefulset.apps/ss rolled back$
        rollout status sts/ss --timeout=20s -> ^partitioned roll out complete
        get sts ss -o jsonpath={..image} -> x:1$
        rollout restart ds/ds -> ^daemonset.apps/ds restarted$
        rollout status ds/ds --timeout=20s -> successfully rolled out$
        rollout history ds/ds --revision=1 -> Image:\\s+registry.example/x:1
        rollout undo ds/ds --dry-run=server -> (rolled back|skipped rollback)
        scale rc/rc --replicas=2 -> ^replicationcontroller/rc scaled$
        scale sts,rc --all --replicas=1 -> ^statefulset.apps/ss scaled$
        ! scale sts/ss --replicas=2 --resource-version=1 -> Expected resource version to be 1
        get rc rc -o jsonpath={.spec.replicas} -> ^1$
        patch sts ss --subresource=scale --type=merge -p '{"spec":{"replicas":3}}' -> ^scale.autoscaling/ss patched
        get sts ss -o jsonpath={.spec.replicas} -> ^3$
        """,
    )


@pytest.mark.kubectl(*OLDEST)
def test_debug(kubectl):
    kubectl("create", "-f", "-", stdin=POD)
    kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=20s")
    kubectl("debug", "box", "--image=busybox", "--container=look", "--profile=general")
    kubectl("debug", "box", "--copy-to=copy", "--set-image=*=other", "--profile=general")
    assert "Creating debugging pod node-debugger-test-node-0" in kubectl(
        "debug", "node/test-node-0", "--image=busybox", "--profile=general"
    )
    play(
        kubectl,
        """
        get pod box -o jsonpath={.spec.ephemeralContainers[*].name} -> ^look$
        wait pod/box --for=jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt} -> condition met
        logs box -c look -> started, image busybox
        get pod copy -o jsonpath={..image} -> other
        describe pod box -> ^Ephemeral Containers:\\n  look:
        """,
    )


def test_run_waits_by_a_protobuf_watch(kubectl):
    """Typed clients of kubectl watch in protobuf; whatever they cannot read they print."""
    said = kubectl("run", "once", "--image=i", "--rm", "--attach", "--restart=Never", "--", "echo", "hi")
    assert "watch ended" not in said and 'pod "once" deleted' in said


@pytest.mark.kubectl(*OLDEST)
def test_drain_and_what_stands_in_its_way(cluster_factory, in_namespace):
    kubectl = in_namespace(cluster_factory(nodes=2))
    kubectl.apply(SETS)
    kubectl("create", "-f", "-", stdin=POD)
    kubectl("rollout", "status", "ds/ds", "--timeout=20s")
    kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=20s")
    node = kubectl("get", "pod", "box", "-o", "jsonpath={.spec.nodeName}")
    said = kubectl("drain", node, code=1)
    assert "cannot delete DaemonSet-managed Pods" in said and "(use --force to override)" in said
    flags = ("--ignore-daemonsets", "--force", "--timeout=20s")
    assert f"evicting pod {kubectl.namespace}/box (server dry run)" in kubectl(
        "drain", node, *flags, "--dry-run=server"
    )
    drained = kubectl("drain", node, *flags)
    assert drained.count("evicting pod") == len(re.findall(r" evicted$", drained, re.M)) > 0
    assert "already cordoned" in kubectl("cordon", node)
    play(
        kubectl,
        f"""
        uncordon -l kubernetes.io/os=linux -> ^node/{node} uncordoned$
        taint node {node} k=v:NoExecute k2:PreferNoSchedule -> ^node/{node} tainted$
        ! taint node {node} k=w:NoExecute -> already has k taint\\(s\\) with same effect\\(s\\)
        taint node {node} k=w:NoExecute --overwrite -> ^node/{node} modified$
        taint node {node} k- k2- -> ^node/{node} untainted$
        ! taint node {node} absent- -> taint "absent" not found
        label node {node} a=b -> ^node/{node} labeled$
        """,
    )
