"""The Python clients: the official one, its asyncio sibling, kr8s, lightkube."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest

NAMESPACE = "default"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.example/x:1"}]},
            },
        },
    }


SHIPS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.harbour.example"},
    "spec": {
        "group": "harbour.example",
        "scope": "Namespaced",
        "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


# -- the official client --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def official(shared) -> Iterator[Any]:
    kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")
    client = kubernetes.config.new_client_from_config(str(shared.kubeconfig))
    yield client
    client.close()


def test_official_typed(official):
    from kubernetes import client

    core, apps = client.CoreV1Api(official), client.AppsV1Api(official)
    created = core.create_namespaced_config_map(NAMESPACE, config_map("official", a="1"))
    assert created.metadata.uid
    core.patch_namespaced_config_map("official", NAMESPACE, {"data": {"b": "2"}})
    read = core.read_namespaced_config_map("official", NAMESPACE)
    assert read.data == {"a": "1", "b": "2"}
    read.data["a"] = "3"
    core.replace_namespaced_config_map("official", NAMESPACE, read)
    with pytest.raises(client.ApiException) as conflict:  # the version just replaced
        core.replace_namespaced_config_map("official", NAMESPACE, read)
    assert conflict.value.status == 409
    core.delete_namespaced_config_map("official", NAMESPACE)
    with pytest.raises(client.ApiException) as missing:
        core.read_namespaced_config_map("official", NAMESPACE)
    assert missing.value.reason == "Not Found"

    apps.create_namespaced_deployment(NAMESPACE, deployment("official", 2))
    scale = apps.read_namespaced_deployment_scale("official", NAMESPACE)
    scale.spec.replicas = 3
    scale.metadata.resource_version = None  # the deployment's controller writes too
    assert apps.replace_namespaced_deployment_scale("official", NAMESPACE, scale).spec.replicas == 3
    apps.delete_namespaced_deployment("official", NAMESPACE, propagation_policy="Foreground")
    assert client.VersionApi(official).get_code().git_version.startswith("v1.36")


def test_official_watch(official):
    from kubernetes import client, watch

    core, apps = client.CoreV1Api(official), client.AppsV1Api(official)
    apps.create_namespaced_deployment(NAMESPACE, deployment("watched", 2))
    running = set()
    watching = watch.Watch()
    for event in watching.stream(
        core.list_namespaced_pod, NAMESPACE, label_selector="app=watched", timeout_seconds=20
    ):
        if event["object"].status.phase == "Running":
            running.add(event["object"].metadata.name)
        if len(running) == 2:
            watching.stop()
    assert len(running) == 2


def test_official_dynamic(official):
    from kubernetes.dynamic import DynamicClient
    from kubernetes.dynamic.exceptions import NotFoundError

    dynamic = DynamicClient(official)
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    maps.server_side_apply(body=config_map("dynamic", a="1"), namespace=NAMESPACE, field_manager="test")
    assert maps.get(name="dynamic", namespace=NAMESPACE).data.a == "1"
    maps.delete(name="dynamic", namespace=NAMESPACE)
    with pytest.raises(NotFoundError):
        maps.get(name="dynamic", namespace=NAMESPACE)


def test_official_pages(official):
    from kubernetes import client

    core = client.CoreV1Api(official)
    for number in range(7):
        core.create_namespaced_config_map(
            NAMESPACE,
            {**config_map(f"page-{number}"), "metadata": {"name": f"page-{number}", "labels": {"p": "1"}}},
        )
    names, following = [], None
    while following != "":
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="p=1", limit=3, _continue=following)
        names += [item.metadata.name for item in page.items]
        following = page.metadata._continue or ""
    assert names == [f"page-{number}" for number in range(7)]


def test_official_exec(machines):
    kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")
    from kubernetes.stream import stream

    api = kubernetes.config.new_client_from_config(str(machines.kubeconfig))
    core = kubernetes.client.CoreV1Api(api)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "official"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "none", "command": ["sh", "-c", "echo up; sleep 60"]}],
        },
    }
    core.create_namespaced_pod(NAMESPACE, pod)
    for event in kubernetes.watch.Watch().stream(
        core.list_namespaced_pod, NAMESPACE, field_selector="metadata.name=official", timeout_seconds=20
    ):
        if event["object"].status.phase == "Running":
            break
    talk = stream(
        core.connect_get_namespaced_pod_exec,
        "official",
        NAMESPACE,
        command=["sh", "-c", "read line; echo got $line; echo problem >&2; exit 4"],
        stdin=True,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
    )
    talk.write_stdin("a line\n")
    talk.run_forever(timeout=10)
    assert talk.read_stdout() == "got a line\n"
    assert talk.read_stderr() == "problem\n"
    assert talk.returncode == 4
    assert core.read_namespaced_pod_log("official", NAMESPACE) == "up\n"
    core.delete_namespaced_pod("official", NAMESPACE)
    api.close()


# -- kubernetes_asyncio ---------------------------------------------------------------------------------------


def test_asyncio_client(shared):
    kubernetes_asyncio = pytest.importorskip(
        "kubernetes_asyncio", reason="kubernetes_asyncio is not installed"
    )
    from kubernetes_asyncio import client, config, watch

    async def main() -> list[str]:
        await config.load_kube_config(str(shared.kubeconfig))
        async with kubernetes_asyncio.client.ApiClient() as api:
            core = client.CoreV1Api(api)
            seen: list[str] = []

            async def follow() -> None:
                async with watch.Watch().stream(
                    core.list_namespaced_config_map,
                    NAMESPACE,
                    label_selector="by=asyncio",
                    timeout_seconds=20,
                ) as stream:
                    async for event in stream:
                        seen.append(event["type"])
                        if event["type"] == "DELETED":
                            return

            following = asyncio.create_task(follow())
            body = config_map("asyncio", a="1")
            body["metadata"]["labels"] = {"by": "asyncio"}
            await core.create_namespaced_config_map(NAMESPACE, body)
            while not seen:
                await asyncio.sleep(0.01)
            await core.patch_namespaced_config_map("asyncio", NAMESPACE, {"data": {"a": "2"}})
            await core.delete_namespaced_config_map("asyncio", NAMESPACE)
            await asyncio.wait_for(following, 20)
            return seen

    assert asyncio.run(main()) == ["ADDED", "MODIFIED", "DELETED"]


# -- kr8s -----------------------------------------------------------------------------------------------------


def test_kr8s(shared):
    kr8s = pytest.importorskip("kr8s", reason="kr8s is not installed")
    from kr8s.objects import ConfigMap, Deployment, Pod

    api = kr8s.api(kubeconfig=str(shared.kubeconfig))
    made = ConfigMap(config_map("kr8s", a="1"), api=api)
    made.create()
    assert made.exists()
    made.patch({"data": {"b": "2"}})
    made.label(tier="front")
    assert ConfigMap.get("kr8s", api=api).raw["data"] == {"a": "1", "b": "2"}
    made.delete()
    web = Deployment(deployment("kr8s", 1), api=api)
    web.create()
    web.wait("condition=Available", timeout=20)
    web.scale(2)
    pods = list(api.get("pods", label_selector={"app": "kr8s"}))
    assert pods
    assert all(isinstance(pod, Pod) for pod in pods)
    web.delete(propagation_policy="Foreground")
    assert {node.name for node in api.get("nodes")} == {"test-node-0", "test-node-1"}


# -- lightkube ------------------------------------------------------------------------------------------------


def test_lightkube(shared):
    pytest.importorskip("lightkube", reason="lightkube is not installed")
    from lightkube import ApiError, Client, KubeConfig
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import ConfigMap, Pod, Secret
    from lightkube.types import PatchType

    client = Client(config=KubeConfig.from_file(str(shared.kubeconfig)), field_manager="lightkube")
    client.create(Secret(metadata=ObjectMeta(name="lightkube"), stringData={"word": "sesame"}))
    assert base64.b64decode(client.get(Secret, "lightkube").data["word"]) == b"sesame"
    client.apply(
        ConfigMap(
            apiVersion="v1",
            kind="ConfigMap",
            metadata=ObjectMeta(name="lightkube", namespace=NAMESPACE),
            data={"a": "1"},
        )
    )
    client.patch(ConfigMap, "lightkube", {"data": {"b": "2"}}, patch_type=PatchType.MERGE)
    assert client.get(ConfigMap, "lightkube").data == {"a": "1", "b": "2"}
    client.delete(ConfigMap, "lightkube")
    with pytest.raises(ApiError) as missing:
        client.get(ConfigMap, "lightkube")
    assert missing.value.status.code == 404
    client.create(Deployment.from_dict(deployment("lightkube", 2)))
    client.wait(Deployment, "lightkube", for_conditions=["Available"])
    assert len(list(client.list(Pod, labels={"app": "lightkube"}))) == 2


def test_lightkube_custom_resources(shared):
    pytest.importorskip("lightkube", reason="lightkube is not installed")
    from lightkube import Client, KubeConfig
    from lightkube.generic_resource import create_namespaced_resource
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.apiextensions_v1 import CustomResourceDefinition

    client = Client(config=KubeConfig.from_file(str(shared.kubeconfig)))
    client.create(CustomResourceDefinition.from_dict(SHIPS))
    client.wait(CustomResourceDefinition, "boats.harbour.example", for_conditions=["Established"])
    boat = create_namespaced_resource("harbour.example", "v1", "Boat", "boats")
    made = client.create(boat(metadata=ObjectMeta(name="one"), spec={"oars": 4}), namespace=NAMESPACE)
    made["status"] = {"afloat": True}
    client.replace(made)
    assert client.get(boat, "one", namespace=NAMESPACE)["spec"] == {"oars": 4}
    client.delete(CustomResourceDefinition, "boats.harbour.example")
