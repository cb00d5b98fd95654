"""An operator written with kopf that validates and mutates: it brings its own web server and configures the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..egress.servers import Authority
from .operators import established, running_operator, until
from .test_kopf_operator import GREETINGS

kopf = pytest.importorskip("kopf", reason="kopf is not installed")
kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")

NAME = "greeters.knarr.example"


def definition() -> dict[str, Any]:
    """Greetings under a name of their own."""
    names = {"plural": "greeters", "singular": "greeter", "kind": "Greeter"}
    return {**GREETINGS, "metadata": {"name": NAME}, "spec": {**GREETINGS["spec"], "names": names}}


def operator(directory: Path) -> tuple[Any, list[Any]]:
    """The registry of an operator with one handler of each sort, and what the validating one saw."""
    seen: list[Any] = []
    registry = kopf.OperatorRegistry()
    authority = Authority("kopf")
    certificate, key = authority.pair("127.0.0.1")
    for name, content in (("ca.pem", authority.pem), ("cert.pem", certificate), ("key.pem", key)):
        (directory / name).write_bytes(content)

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> Any:
        return kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=registry)
    def configure(settings: Any, **_: Any) -> None:
        settings.admission.managed = "auto.knarr.example"
        settings.admission.server = kopf.WebhookServer(
            addr="127.0.0.1",
            certfile=str(directory / "cert.pem"),
            pkeyfile=str(directory / "key.pem"),
            cafile=str(directory / "ca.pem"),
        )

    @kopf.on.mutate("knarr.example", "v1", "greeters", registry=registry)
    def shout(spec: Any, patch: Any, warnings: list[str], **_: Any) -> None:
        if spec.get("text") == "hello":
            patch.spec["text"] = "HELLO"
            warnings.append("made louder")

    @kopf.on.validate("knarr.example", "v1", "greeters", registry=registry)
    def polite(spec: Any, userinfo: Any, operation: str, dryrun: bool, **_: Any) -> None:
        seen.append((operation, spec.get("text"), userinfo["username"], dryrun))
        if "idiot" in (spec.get("text") or ""):
            raise kopf.AdmissionError("be polite", code=429)

    return registry, seen


@pytest.fixture
def running(shared, monkeypatch, tmp_path) -> Iterator[tuple[Any, list[Any]]]:
    """(API client, what the validating handler saw), once the webhooks are in effect."""
    monkeypatch.setenv("KUBECONFIG", str(shared.kubeconfig))
    api = kubernetes.config.new_client_from_config(str(shared.kubeconfig))
    extensions = kubernetes.client.ApiextensionsV1Api(api)
    extensions.create_custom_resource_definition(definition())
    until(lambda: established(extensions, NAME))
    registry, seen = operator(tmp_path)
    with running_operator(registry, namespaces=["default"], standalone=True):
        admission = kubernetes.client.AdmissionregistrationV1Api(api)
        until(
            lambda: (
                len(configured(admission.list_mutating_webhook_configuration().items))
                and len(configured(admission.list_validating_webhook_configuration().items))
            )
        )
        yield api, seen
    for one in admission.list_mutating_webhook_configuration().items:
        admission.delete_mutating_webhook_configuration(one.metadata.name)
    for one in admission.list_validating_webhook_configuration().items:
        admission.delete_validating_webhook_configuration(one.metadata.name)
    extensions.delete_custom_resource_definition(NAME)
    api.close()


def configured(items: list[Any]) -> list[Any]:
    return [one for one in items if one.webhooks]


def test_an_operator_that_admits(running):
    api, seen = running
    custom = kubernetes.client.CustomObjectsApi(api)
    where = ("knarr.example", "v1", "default", "greeters")

    def greeter(name: str, text: str) -> dict[str, Any]:
        head = {"apiVersion": "knarr.example/v1", "kind": "Greeter"}
        return {**head, "metadata": {"name": name}, "spec": {"text": text}}

    created = custom.create_namespaced_custom_object(*where, greeter("a", "hello"))
    assert created["spec"] == {"text": "HELLO"}
    with pytest.raises(kubernetes.client.ApiException) as refused:
        custom.create_namespaced_custom_object(*where, greeter("b", "you idiot"))
    assert refused.value.status == 429
    assert "denied the request: be polite" in refused.value.body
    with pytest.raises(kubernetes.client.ApiException):
        custom.patch_namespaced_custom_object(*where, "a", {"spec": {"text": "idiot"}})
    assert custom.get_namespaced_custom_object(*where, "a")["spec"] == {"text": "HELLO"}
    dry = custom.create_namespaced_custom_object(*where, greeter("c", "hello"), dry_run="All")
    assert dry["spec"] == {"text": "HELLO"}
    assert len(custom.list_namespaced_custom_object(*where)["items"]) == 1
    assert [one[:2] for one in seen] == [
        ("CREATE", "HELLO"),
        ("CREATE", "you idiot"),
        ("UPDATE", "idiot"),
        ("CREATE", "HELLO"),
    ]
    assert [one[3] for one in seen] == [False, False, False, True]
