"""An operator written with kopf: what it sees, what it writes, its finalizer and its timer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .operators import established, running_operator, until

kopf = pytest.importorskip("kopf", reason="kopf is not installed")
kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")

GREETINGS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "greetings.knarr.example"},
    "spec": {
        "group": "knarr.example",
        "scope": "Namespaced",
        "names": {"plural": "greetings", "singular": "greeting", "kind": "Greeting"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"text": {"type": "string"}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def operator(core: Any) -> tuple[Any, dict[str, list[Any]]]:
    """The registry of an operator that keeps a ConfigMap for each Greeting, and what its handlers saw."""
    seen: dict[str, list[Any]] = {"deleted": [], "ticks": []}
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> Any:
        return kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.create("knarr.example", "v1", "greetings", registry=registry, id="created")
    def created(name: str, namespace: str, spec: Any, **_: Any) -> dict[str, str]:
        body = {"metadata": {"name": name}, "data": {"text": spec["text"]}}
        kopf.adopt(body)
        core.create_namespaced_config_map(namespace, body)
        return {"greeted": spec["text"]}

    @kopf.on.update("knarr.example", "v1", "greetings", field="spec.text", registry=registry, id="updated")
    def updated(name: str, namespace: str, new: str, **_: Any) -> None:
        core.patch_namespaced_config_map(name, namespace, {"data": {"text": new}})

    @kopf.on.delete("knarr.example", "v1", "greetings", registry=registry, id="deleted")
    def deleted(name: str, **_: Any) -> None:
        seen["deleted"].append(name)

    @kopf.timer("knarr.example", "v1", "greetings", interval=0.2, registry=registry)
    def tick(name: str, **_: Any) -> None:
        seen["ticks"].append(name)

    return registry, seen


@pytest.fixture
def running(shared, monkeypatch, tmp_path) -> Iterator[tuple[Any, dict[str, list[Any]]]]:
    """(API client, what the handlers saw), with the operator running in a thread."""
    monkeypatch.setenv("KUBECONFIG", str(shared.kubeconfig))
    api = kubernetes.config.new_client_from_config(str(shared.kubeconfig))
    extensions = kubernetes.client.ApiextensionsV1Api(api)
    extensions.create_custom_resource_definition(GREETINGS)
    until(lambda: established(extensions, "greetings.knarr.example"))
    registry, seen = operator(kubernetes.client.CoreV1Api(api))
    with running_operator(registry, namespaces=["default"], standalone=True):
        yield api, seen
    extensions.delete_custom_resource_definition("greetings.knarr.example")
    api.close()


def test_a_life_of_a_custom_resource(running):
    api, seen = running
    core, custom = kubernetes.client.CoreV1Api(api), kubernetes.client.CustomObjectsApi(api)
    where = ("knarr.example", "v1", "default", "greetings")

    def greeting() -> dict[str, Any]:
        return custom.get_namespaced_custom_object(*where, "hello")

    def text() -> str:
        return core.read_namespaced_config_map("hello", "default").data["text"]

    body = {
        "apiVersion": "knarr.example/v1",
        "kind": "Greeting",
        "metadata": {"name": "hello"},
        "spec": {"text": "good day"},
    }
    custom.create_namespaced_custom_object(*where, body)
    until(lambda: greeting().get("status", {}).get("created") == {"greeted": "good day"})
    assert greeting()["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
    assert text() == "good day"
    custom.patch_namespaced_custom_object(*where, "hello", {"spec": {"text": "good night"}})
    until(lambda: text() == "good night")
    until(lambda: len(seen["ticks"]) >= 2)
    custom.delete_namespaced_custom_object(*where, "hello")
    until(lambda: not custom.list_namespaced_custom_object(*where)["items"])
    assert seen["deleted"] == ["hello"]
    # the ConfigMap was adopted: the garbage collector takes it away
    until(lambda: not core.list_namespaced_config_map("default", field_selector="metadata.name=hello").items)
