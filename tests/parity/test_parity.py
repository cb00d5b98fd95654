"""The recorded conversations of ../shared/parity, held with a cluster of this process: every step has to match, but for
those of DIFFERENT."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from knarr.auth.configuration.settings import AuthenticationSettings
from knarr.testing import TestCluster

FOLDER = Path(__file__).parents[3] / "shared" / "parity"
#: steps that do not match, and why
DIFFERENT = {
    "rbac-reviews": dict.fromkeys(
        ("non-resource-authenticated", "self-non-resource"), "the recorded answer is to another request"
    ),
    "subresource-pods": {"evicted-terminating": "time had passed in the recording"},
}
#: how long a step may wait for what controllers do; the namespace controller itself pauses up to 8 s for finalizers
PATIENCE_SECONDS = 15.0

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/parity is not here")


def scenarios() -> list[str]:
    return sorted(path.stem for path in (FOLDER / "scenarios").glob("*.json"))


@pytest.fixture(scope="module")
def parity() -> ModuleType:
    """The tool itself, imported."""
    loader = importlib.machinery.SourceFileLoader("parity_tool", str(FOLDER / "parity"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def client(parity: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Of a cluster as the recorded one was: every controller, no nodes, a controller manager without a root CA, and
    an RSA key that signs tokens."""
    folder = tmp_path_factory.mktemp("parity")
    cluster = TestCluster(folder, nodes=0, root_ca="", authentication=signed_with_rsa(folder / "sa.key"))
    cluster.start()
    asked = SimpleNamespace(server=cluster.url, token=cluster.token, ca=None, insecure=True, kubeconfig=None)
    yield parity.make_client(asked)
    cluster.stop()


def signed_with_rsa(file: Path) -> AuthenticationSettings:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return AuthenticationSettings(service_account_signing_key_file=str(file))


@pytest.mark.parametrize("name", scenarios())
def test_scenario(name: str, parity: ModuleType, client: object) -> None:
    scenario = parity.load(str(FOLDER / "scenarios" / f"{name}.json"))
    result = parity.check_one(client, scenario, name, [], PATIENCE_SECONDS)
    different = {step["id"] for step in result["steps"] if not step["ok"]}
    assert different <= DIFFERENT.get(name, {}).keys(), story(result)


def story(result: dict[str, Any]) -> str:
    """What differs, briefly; the tool itself tells more: `./parity check -v scenarios/NAME.json`."""
    lines = [f"{result['passed']} steps match, {result['failed']} differ", *result["notes"]]
    for step in result["steps"]:
        if not step["ok"]:
            first = step["diff"][0] if step["diff"] else step.get("error")
            lines.append(f"{step['id']}: {json.dumps(first, default=str)[:400]}")
    return "\n".join(lines)
