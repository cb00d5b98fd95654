"""kopf beyond a handler: daemons, retries with their progress, optional finalizers, indexes, peering of two operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .operators import established, running_operator, until

kopf = pytest.importorskip("kopf", reason="kopf is not installed")
kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")

GROUP, VERSION, NAMESPACE = "more.knarr.example", "v1", "default"


def definition(group: str, plural: str, kind: str, scope: str = "Namespaced") -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": schema,
                }
            ],
        },
    }


@pytest.fixture
def api(shared, monkeypatch) -> Iterator[Any]:
    monkeypatch.setenv("KUBECONFIG", str(shared.kubeconfig))
    client = kubernetes.config.new_client_from_config(str(shared.kubeconfig))
    yield client
    client.close()


@pytest.fixture
def jobs(api) -> Iterator[tuple[str, str, str, str]]:
    """A kind of the test's own, gone afterwards."""
    extensions = kubernetes.client.ApiextensionsV1Api(api)
    extensions.create_custom_resource_definition(definition(GROUP, "jobs", "Job"))
    until(lambda: established(extensions, f"jobs.{GROUP}"))
    yield (GROUP, VERSION, NAMESPACE, "jobs")
    extensions.delete_custom_resource_definition(f"jobs.{GROUP}")
    until(lambda: f"jobs.{GROUP}" not in names(extensions))


def names(extensions: Any) -> set[str]:
    return {item.metadata.name for item in extensions.list_custom_resource_definition().items}


@contextmanager
def operating(registry: Any, **options: Any) -> Iterator[None]:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = True
    settings.peering.lifetime = 3
    with running_operator(registry, settings=settings, namespaces=[NAMESPACE], **options):
        yield


def registry() -> Any:
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    def login(**kwargs: Any) -> Any:
        return kopf.login_with_kubeconfig(**kwargs)

    return found


def body(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": spec,
    }


def test_retries_daemons_indexes_and_events(api, jobs):
    custom, core = kubernetes.client.CustomObjectsApi(api), kubernetes.client.CoreV1Api(api)
    handlers = registry()
    seen: dict[str, list[Any]] = {"tries": [], "daemon": [], "stopped": [], "index": [], "labels": []}

    @kopf.index(GROUP, VERSION, "jobs", registry=handlers, id="sizes")
    def sizes(name: str, spec: Any, **_: Any) -> dict[str, int]:
        return {name: spec["size"]}

    @kopf.on.create(GROUP, VERSION, "jobs", registry=handlers, id="create", backoff=0.2)
    def create(retry: int, sizes: Any, patch: Any, body: Any, **_: Any) -> str:
        seen["tries"].append(retry)
        if retry < 2:
            raise kopf.TemporaryError("not yet", delay=0.1)
        seen["index"].append(sorted(sizes))
        patch.metadata.labels["made"] = "yes"
        kopf.info(body, reason="Made", message="at the third try")
        return "third"

    @kopf.daemon(GROUP, VERSION, "jobs", registry=handlers, id="watcher", cancellation_timeout=1)
    async def watcher(name: str, stopped: Any, **_: Any) -> None:
        while not stopped:
            seen["daemon"].append(name)
            await stopped.wait(0.1)
        seen["stopped"].append(name)

    @kopf.on.field(GROUP, VERSION, "jobs", field="metadata.labels", registry=handlers, id="labels")
    def labels(new: Any, **_: Any) -> None:
        seen["labels"].append(dict(new or {}))

    @kopf.on.delete(GROUP, VERSION, "jobs", registry=handlers, id="gone", optional=True)
    def gone(**_: Any) -> None: ...

    with operating(handlers, standalone=True):
        custom.create_namespaced_custom_object(*jobs, body("one", size=3))
        until(
            lambda: (
                custom.get_namespaced_custom_object(*jobs, "one").get("status", {}).get("create") == "third"
            )
        )
        assert (seen["tries"], seen["index"]) == ([0, 1, 2], [["one"]])
        made = custom.get_namespaced_custom_object(*jobs, "one")["metadata"]
        assert made["labels"] == {"made": "yes"}
        assert "kopf.zalando.org/last-handled-configuration" in made["annotations"]
        until(lambda: len(seen["daemon"]) > 2)
        until(lambda: {"made": "yes"} in seen["labels"])
        selector = "involvedObject.name=one,reason=Made"
        until(lambda: core.list_namespaced_event(NAMESPACE, field_selector=selector).items)
        custom.delete_namespaced_custom_object(*jobs, "one")
        until(lambda: seen["stopped"] == ["one"])
        until(lambda: not custom.list_namespaced_custom_object(*jobs)["items"])


def test_of_two_peers_the_more_important_works(api, jobs):
    extensions, custom = kubernetes.client.ApiextensionsV1Api(api), kubernetes.client.CustomObjectsApi(api)
    extensions.create_custom_resource_definition(definition("kopf.dev", "kopfpeerings", "KopfPeering"))
    until(lambda: established(extensions, "kopfpeerings.kopf.dev"))
    peering = {"apiVersion": "kopf.dev/v1", "kind": "KopfPeering", "metadata": {"name": "peers"}}
    custom.create_namespaced_custom_object("kopf.dev", "v1", NAMESPACE, "kopfpeerings", peering)
    handled: list[str] = []

    def worker(name: str) -> Any:
        handlers = registry()

        @kopf.on.create(GROUP, VERSION, "jobs", registry=handlers, id="create")
        def create(**_: Any) -> None:
            handled.append(name)

        return handlers

    def peers() -> dict[str, Any]:
        found = custom.get_namespaced_custom_object("kopf.dev", "v1", NAMESPACE, "kopfpeerings", "peers")
        return {key: value for key, value in found.get("status", {}).items() if value}

    def with_priorities(*wanted: int) -> Callable[[], bool]:
        return lambda: sorted(peer["priority"] for peer in peers().values()) == sorted(wanted)

    with operating(worker("low"), peering_name="peers", priority=1):
        until(with_priorities(1))
        with operating(worker("high"), peering_name="peers", priority=2):
            until(with_priorities(1, 2))
            custom.create_namespaced_custom_object(*jobs, body("first"))
            until(lambda: handled == ["high"])
        until(with_priorities(1))
        custom.create_namespaced_custom_object(*jobs, body("second"))
        until(lambda: handled == ["high", "low"])
    extensions.delete_custom_resource_definition("kopfpeerings.kopf.dev")
