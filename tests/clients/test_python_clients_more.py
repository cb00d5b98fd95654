"""The Python clients where they do more than read and write: apply, leader election, streams, and all of it async."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .test_python_clients import NAMESPACE, config_map, deployment

PATIENCE_SECONDS = 20


def until(test: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := test()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def shell(name: str, script: str) -> dict[str, Any]:
    container = {"name": "main", "image": "none", "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


# -- the official client -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def official(shared) -> Iterator[Any]:
    kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")
    client = kubernetes.config.new_client_from_config(str(shared.kubeconfig))
    yield client
    client.close()


def test_official_patches_of_every_kind(official):
    from kubernetes import client

    core = client.CoreV1Api(official)
    core.create_namespaced_config_map(NAMESPACE, config_map("patched", a="1"))
    core.patch_namespaced_config_map("patched", NAMESPACE, [{"op": "add", "path": "/data/b", "value": "2"}])
    core.patch_namespaced_config_map("patched", NAMESPACE, {"data": {"c": "3"}}, field_manager="me")
    applied = {**config_map("patched", d="4"), "metadata": {"name": "patched", "namespace": NAMESPACE}}
    core.patch_namespaced_config_map(
        "patched",
        NAMESPACE,
        applied,
        field_manager="applier",
        _content_type="application/apply-patch+yaml",
    )
    read = core.read_namespaced_config_map("patched", NAMESPACE)
    assert read.data == {"a": "1", "b": "2", "c": "3", "d": "4"}
    assert ("applier", "Apply") in {(m.manager, m.operation) for m in read.metadata.managed_fields}
    core.delete_namespaced_config_map("patched", NAMESPACE, dry_run="All")
    core.delete_namespaced_config_map("patched", NAMESPACE)


def test_official_creates_from_yaml(official):
    from kubernetes import utils

    first = {**config_map("from-yaml-1", a="1")}
    second = deployment("from-yaml", 1)
    utils.create_from_yaml(official, yaml_objects=[first, second], namespace=NAMESPACE)
    with pytest.raises(utils.FailToCreateError, match="AlreadyExists"):
        utils.create_from_yaml(official, yaml_objects=[first], namespace=NAMESPACE)


def test_official_watch_goes_on_from_a_version(official):
    from kubernetes import client, watch

    core = client.CoreV1Api(official)
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, config_map("since", a="1"))
    core.delete_namespaced_config_map("since", NAMESPACE)
    seen = [
        event["type"]
        for event in watch.Watch().stream(
            core.list_namespaced_config_map,
            NAMESPACE,
            resource_version=start,
            field_selector="metadata.name=since",
            timeout_seconds=1,
        )
    ]
    assert seen == ["ADDED", "DELETED"]


def test_official_leader_election(official):
    election = pytest.importorskip("kubernetes.leaderelection.leaderelection")
    from kubernetes.leaderelection import electionconfig
    from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock

    led: list[str] = []

    def candidate(name: str) -> Any:
        return election.LeaderElection(
            electionconfig.Config(
                ConfigMapLock("leader", NAMESPACE, name),
                lease_duration=3,
                renew_deadline=2,
                retry_period=1,
                onstarted_leading=lambda: led.append(name),
                onstopped_leading=lambda: led.append(f"no longer {name}"),
            )
        )

    import kubernetes.client

    before = kubernetes.client.Configuration.get_default_copy()
    kubernetes.client.Configuration.set_default(official.configuration)
    try:
        running = threading.Thread(target=candidate("one").run, daemon=True)
        running.start()
        until(lambda: led == ["one"])
        assert candidate("two").try_acquire_or_renew() is False
        # Whoever writes its name over the leader's ends its term.
        core = kubernetes.client.CoreV1Api(official)
        key = "control-plane.alpha.kubernetes.io/leader"
        lock = core.read_namespaced_config_map("leader", NAMESPACE)
        record = json.loads(lock.metadata.annotations[key]) | {"holderIdentity": "three"}
        taken = {"metadata": {"annotations": {key: json.dumps(record)}}}
        core.patch_namespaced_config_map("leader", NAMESPACE, taken)
        running.join(PATIENCE_SECONDS)
        assert led == ["one", "no longer one"]
    finally:
        kubernetes.client.Configuration.set_default(before)


def test_official_dynamic_watch_and_subresources(official):
    from kubernetes.dynamic import DynamicClient

    dynamic = DynamicClient(official)
    deployments = dynamic.resources.get(api_version="apps/v1", kind="Deployment")
    deployments.create(body=deployment("dyn", 1), namespace=NAMESPACE)
    for event in deployments.watch(namespace=NAMESPACE, name="dyn", timeout=PATIENCE_SECONDS):
        if event["object"].status.availableReplicas == 1:
            break
    scale = deployments.scale.get(name="dyn", namespace=NAMESPACE)
    assert (scale.kind, scale.spec.replicas) == ("Scale", 1)
    deployments.scale.patch(
        name="dyn",
        namespace=NAMESPACE,
        body={"spec": {"replicas": 0}},
        content_type="application/merge-patch+json",
    )
    assert deployments.get(name="dyn", namespace=NAMESPACE).spec.replicas == 0
    found = {r.kind for r in dynamic.resources.search(api_version="v1") if r.kind == "Pod"}
    assert found == {"Pod"}
    deployments.delete(name="dyn", namespace=NAMESPACE)


def test_official_port_forward_and_terminal(machines):
    kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")
    from kubernetes.stream import stream

    api = kubernetes.config.new_client_from_config(str(machines.kubeconfig))
    core = kubernetes.client.CoreV1Api(api)
    core.create_namespaced_pod(NAMESPACE, shell("tty", "sleep 60"))
    until(lambda: core.read_namespaced_pod("tty", NAMESPACE).status.phase == "Running")
    talk = stream(
        core.connect_get_namespaced_pod_exec,
        "tty",
        NAMESPACE,
        command=["sh", "-c", "stty size; read line; echo got $line"],
        stdin=True,
        stdout=True,
        stderr=False,
        tty=True,
        _preload_content=False,
    )
    talk.write_stdin("x\n")
    talk.run_forever(timeout=10)
    assert "got x" in talk.read_stdout()
    core.delete_namespaced_pod("tty", NAMESPACE)
    api.close()


# -- kubernetes_asyncio --------------------------------------------------------------------------------------


def test_asyncio_exec_and_apply(machines):
    pytest.importorskip("kubernetes_asyncio", reason="kubernetes_asyncio is not installed")
    from kubernetes_asyncio import client, config, dynamic
    from kubernetes_asyncio.stream import WsApiClient

    async def main() -> None:
        configuration = client.Configuration()
        await config.load_kube_config(str(machines.kubeconfig), client_configuration=configuration)
        async with client.ApiClient(configuration) as api, WsApiClient(configuration) as sockets:
            core = client.CoreV1Api(api)
            await core.create_namespaced_pod(NAMESPACE, shell("aio", "sleep 60"))
            for _ in range(500):
                if (await core.read_namespaced_pod("aio", NAMESPACE)).status.phase == "Running":
                    break
                await asyncio.sleep(0.02)
            said = await client.CoreV1Api(sockets).connect_get_namespaced_pod_exec(
                "aio", NAMESPACE, command=["echo", "hello"], stdout=True, stderr=True, stdin=False, tty=False
            )
            assert said == "hello\n"
            await core.delete_namespaced_pod("aio", NAMESPACE)
            made = await dynamic.DynamicClient(api)
            maps = await made.resources.get(api_version="v1", kind="ConfigMap")
            body = config_map("aio", a="1")
            await made.server_side_apply(maps, body, namespace=NAMESPACE, field_manager="aio")
            assert (await made.get(maps, name="aio", namespace=NAMESPACE)).data.a == "1"

    asyncio.run(main())


# -- kr8s ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Kubernetes version")
def test_kr8s_async_watch_exec_and_logs(machines):
    pytest.importorskip("kr8s", reason="kr8s is not installed")
    import kr8s.asyncio
    from kr8s.asyncio.objects import ConfigMap, Pod

    async def main() -> None:
        api = await kr8s.asyncio.api(kubeconfig=str(machines.kubeconfig))
        pod = await Pod(shell("kr8s", "echo up; sleep 60"), api=api)
        await pod.create()
        await pod.wait("condition=Ready", timeout=PATIENCE_SECONDS)
        done = await pod.exec(["sh", "-c", "echo out; echo err >&2"])
        assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 0)
        assert [line async for line in pod.logs()] == ["up"]
        seen: list[str] = []

        async def follow() -> None:
            async for event, item in api.watch("configmaps", namespace=NAMESPACE):
                if item.name == "kr8s-watched":
                    seen.append(event)
                if event == "DELETED":
                    return

        following = asyncio.create_task(follow())
        await asyncio.sleep(0.2)
        made = await ConfigMap(config_map("kr8s-watched", a="1"), api=api)
        await made.create()
        await made.patch([{"op": "replace", "path": "/data/a", "value": "2"}], type="json")
        await made.delete()
        await asyncio.wait_for(following, PATIENCE_SECONDS)
        assert seen == ["ADDED", "MODIFIED", "DELETED"]
        await pod.delete(force=True)
        assert (await api.version())["major"] == "1"
        assert await api.whoami() == "kubernetes-admin"

    asyncio.run(main())


# -- lightkube -------------------------------------------------------------------------------------------------


def test_lightkube_async(shared):
    pytest.importorskip("lightkube", reason="lightkube is not installed")
    from lightkube import ApiError, AsyncClient, KubeConfig
    from lightkube.models.autoscaling_v1 import ScaleSpec
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import ConfigMap, Pod

    async def main() -> None:
        client = AsyncClient(config=KubeConfig.from_file(str(shared.kubeconfig)), field_manager="light")
        await client.create(Deployment.from_dict(deployment("light", 1)))
        await client.wait(Deployment, "light", for_conditions=["Available"])
        await client.replace(
            Deployment.Scale(
                metadata=ObjectMeta(name="light", namespace=NAMESPACE), spec=ScaleSpec(replicas=2)
            )
        )
        seen = set()
        async for event, pod in client.watch(Pod, labels={"app": "light"}):
            assert event in ("ADDED", "MODIFIED")
            if pod.status.phase == "Running":
                seen.add(pod.metadata.name)
            if len(seen) == 2:
                break
        lines = [line async for line in client.log(seen.pop())]
        assert "started" in lines[0]
        mine = ConfigMap.from_dict(config_map("light", a="1"))
        await client.apply(mine, namespace=NAMESPACE)
        mine.data["a"] = "2"
        with pytest.raises(ApiError) as conflict:
            await client.apply(mine, namespace=NAMESPACE, field_manager="other")
        assert conflict.value.status.reason == "Conflict"
        await client.apply(mine, namespace=NAMESPACE, field_manager="other", force=True)
        await client.delete(ConfigMap, "light")
        await client.delete(Deployment, "light")
        await client.close()

    asyncio.run(main())
