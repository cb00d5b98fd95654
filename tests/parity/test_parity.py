"""The recorded conversations of ../shared/parity, held with a cluster of this process.

known.json has, per scenario, how many of its steps match; fewer is a failure. `KNARR_PARITY_RECORD=1 pytest
tests/parity -m ""` writes it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from knarr.testing import TestCluster

FOLDER = Path(__file__).parents[3] / "shared" / "parity"
KNOWN_FILE = Path(__file__).parent / "known.json"
KNOWN: dict[str, int] = json.loads(KNOWN_FILE.read_text()) if KNOWN_FILE.exists() else {}
RECORD = bool(os.environ.get("KNARR_PARITY_RECORD"))
#: how long a step may wait for what controllers do; the namespace controller itself pauses up to 8 s for finalizers
PATIENCE_SECONDS = 15.0
#: these wait for what comes late (and, while parts are missing, never)
SLOW = frozenset({"admission-policies", "admission-policy-params", "admission-webhooks", "mutating-policies"})

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/parity is not here")


def scenarios() -> list[pytest.param]:
    names = sorted(path.stem for path in (FOLDER / "scenarios").glob("*.json")) if FOLDER.is_dir() else []
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


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
    """Of a cluster as the recorded one was: every controller, no nodes, a controller manager without a root CA."""
    cluster = TestCluster(tmp_path_factory.mktemp("parity"), nodes=0, root_ca="")
    cluster.start()
    asked = SimpleNamespace(server=cluster.url, token=cluster.token, ca=None, insecure=True, kubeconfig=None)
    yield parity.make_client(asked)
    cluster.stop()


@pytest.mark.parametrize("name", scenarios())
def test_scenario(name: str, parity: ModuleType, client: object) -> None:
    scenario = parity.load(str(FOLDER / "scenarios" / f"{name}.json"))
    result = parity.check_one(client, scenario, name, [], PATIENCE_SECONDS)
    if RECORD:
        KNOWN[name] = result["passed"]
        KNOWN_FILE.write_text(json.dumps(dict(sorted(KNOWN.items())), indent=2) + "\n")
    assert result["passed"] >= KNOWN.get(name, 0), story(result)


def story(result: dict[str, Any]) -> str:
    """What differs, briefly; the tool itself tells more: `./parity check -v scenarios/NAME.json`."""
    lines = [f"{result['passed']} steps match, {result['failed']} differ", *result["notes"]]
    for step in result["steps"]:
        if not step["ok"]:
            first = step["diff"][0] if step["diff"] else step.get("error")
            lines.append(f"{step['id']}: {json.dumps(first, default=str)[:400]}")
    return "\n".join(lines)
