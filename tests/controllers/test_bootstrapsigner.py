"""cluster-info bears the signature of every bootstrap token that may sign, and of no other."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from types import SimpleNamespace
from typing import Any

import pytest

from knarr.api.types import core_v1
from knarr.controllers.bootstrapsigner import sign, signing_token
from knarr.meta import times

from .conftest import EPOCH, Cluster

SIGNER = "bootstrap-signer-controller"


def data_of(**changes: str) -> dict[str, str]:
    data = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-signing": "true",
        **{key.replace("_", "-"): value for key, value in changes.items()},
    }
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


@pytest.mark.parametrize(
    ("name", "changes", "signs"),
    [
        ("bootstrap-token-abcdef", {}, True),
        ("bootstrap-token-other", {}, False),
        ("abcdef", {}, False),
        ("bootstrap-token-abcdef", {"usage_bootstrap_signing": "false"}, False),
        ("bootstrap-token-abcdef", {"token_secret": ""}, False),
        ("bootstrap-token-abcdef", {"expiration": times.format(EPOCH + 1)}, True),
        ("bootstrap-token-abcdef", {"expiration": times.format(EPOCH - 1)}, False),
        ("bootstrap-token-abcdef", {"expiration": "soon"}, False),
    ],
)
def test_which_tokens_sign(name: str, changes: dict[str, str], signs: bool) -> None:
    secret: Any = SimpleNamespace(metadata=SimpleNamespace(name=name), data=data_of(**changes))
    expected = ("abcdef", "0123456789abcdef") if signs else None
    assert signing_token(secret, EPOCH) == expected


def test_a_signature_is_a_jws_without_its_content() -> None:
    header, nothing, signature = sign("content", "abcdef", "secret").split(".")
    assert nothing == ""
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "kid": "abcdef"}
    content = base64.urlsafe_b64encode(b"content").rstrip(b"=").decode()
    # go-jose wants keys of 32 bytes: zeros behind the secret change nothing
    key = b"secret" + bytes(26)
    expected = hmac.new(key, f"{header}.{content}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == expected


def test_signatures_come_and_go(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        async def signatures() -> dict[str, str]:
            found = await cluster.client.get(core_v1.ConfigMap, "cluster-info", "kube-public")
            return {key: value for key, value in found.data.items() if key.startswith("jws-")}

        async def secret(identifier: str, **changes: str) -> Any:
            metadata = {"name": f"bootstrap-token-{identifier}", "namespace": "kube-system"}
            return await cluster.create(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "bootstrap.kubernetes.io/token",
                    "metadata": metadata,
                    "data": data_of(token_id=identifier, **changes),
                }
            )

        info = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cluster-info", "namespace": "kube-public"},
            "data": {"kubeconfig": "clusters: []", "jws-kubeconfig-gone00": "x"},
        }
        await cluster.create(info)
        assert await signatures() == {}
        first = await secret("abcdef")
        await secret("silent", usage_bootstrap_signing="false")
        expected = sign("clusters: []", "abcdef", "0123456789abcdef")
        assert await signatures() == {"jws-kubeconfig-abcdef": expected}
        await cluster.client.delete(first)
        await cluster.settle()
        assert await signatures() == {}

    play(story, SIGNER)
