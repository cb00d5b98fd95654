"""Requests recorded on a v1.36 server, made again: what they are refused with is the same to the letter."""

import asyncio
import json
from pathlib import Path

import pytest

from knarr.meta.errors import StatusError
from knarr.registry.certificates import CertificateHook
from knarr.registry.custom.establish import CustomResources

from .conftest import in_new_world

SCENARIOS = Path(__file__).parents[3] / "shared" / "parity" / "scenarios"
pytestmark = pytest.mark.skipif(not SCENARIOS.exists(), reason="needs the recordings in ../shared")

#: groups whose kinds need nothing but the registry
ALONE = (
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "certificates.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "resource.k8s.io",
)
REFUSALS = ["validation-autoscaling-policy", "validation-config", "validation-crd", "validation-storage"]
#: scenarios whose steps build on each other
STORIES = ["crd-cel", "crd-schema", "crd-cluster-scoped", "crd-subresources", "crd-versions", "crd-columns"]


def steps_of(name):
    return json.loads((SCENARIOS / f"{name}.json").read_text())["steps"]


def refusals():
    if not SCENARIOS.exists():
        return
    for name in REFUSALS:
        for step in steps_of(name):
            expect = step.get("expect", {})
            if step.get("method") == "POST" and expect.get("status") == 422:
                if step["path"].startswith(tuple(f"/apis/{group}/" for group in ALONE)):
                    yield pytest.param(step, id=f"{name}/{step['id']}")


@pytest.mark.parametrize("step", list(refusals()))
def test_refused_as_recorded(step):
    async def main(api):
        api.registry.hooks["certificates.k8s.io", "certificatesigningrequests"] = CertificateHook(
            api.world.clock
        )
        error = await api.refused("POST", step["path"], step["body"], **step.get("query", {}))
        want = step["expect"]["body"]
        assert error.status["message"] == want["message"]
        assert error.status["details"] == want["details"]

    in_new_world(main)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_as_recorded(name):
    """Status codes and the messages of errors."""

    async def main(api):
        CustomResources(api.operations).start()
        for step in steps_of(name):
            expect = step.get("expect", {})
            if step.get("method") not in ("GET", "POST", "PUT", "PATCH", "DELETE") or "status" not in expect:
                continue
            if (
                not step["path"].startswith("/apis/")
                or step["path"].count("/") < 4
                or "watch" in step.get("query", {})
            ):
                continue
            await asyncio.sleep(5)
            try:
                code, message = (await once(api, step)), None
            except StatusError as error:
                code, message = error.code, error.message
            assert code == expect["status"], (step["id"], message)
            want = expect.get("body")
            if message is not None and isinstance(want, dict) and "message" not in step.get("ignore", ()):
                assert message == want.get("message"), step["id"]

    in_new_world(main)


async def once(api, step):
    content_type = step.get("headers", {}).get("Content-Type", "application/json")
    query = {"fieldManager": "parity"} | step.get("query", {})
    result = await api.result(step["method"], step["path"], step.get("body"), content_type, **query)
    return result.code
