"""The status of validating admission policies."""

from __future__ import annotations

from typing import Any

from knarr.controllers.validatingadmissionpolicystatus import POLICIES

from .conftest import Cluster

NAME = "validatingadmissionpolicy-status-controller"


def policy(expression: str) -> dict[str, Any]:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "p"},
        "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}]},
    }


def test_each_generation_is_checked_once(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(policy("object.spec.nope == 1"))
        found = await c.client.get(POLICIES, "p")
        assert found["status"]["observedGeneration"] == 1
        (warning,) = found["status"]["typeChecking"]["expressionWarnings"]
        assert warning["fieldRef"] == "spec.validations[0].expression"
        assert "undefined field 'nope'" in warning["warning"]
        entry = next(e for e in found["metadata"]["managedFields"] if e.get("subresource") == "status")
        assert (entry["manager"], entry["operation"]) == (NAME, "Apply")
        body = {"spec": policy("object.spec.replicas == 1")["spec"]}
        await c.client.patch(POLICIES, "p", body=body)
        await c.settle()
        found = await c.client.get(POLICIES, "p")
        # what is left of typeChecking is empty: applying that takes it away
        assert found["status"] == {"observedGeneration": 2}
        before = found["metadata"]["resourceVersion"]
        await c.client.patch(POLICIES, "p", body={"metadata": {"labels": {"a": "b"}}})
        await c.settle()
        found = await c.client.get(POLICIES, "p")
        assert int(found["metadata"]["resourceVersion"]) > int(before)
        assert found["status"]["observedGeneration"] == 2

    play(story, NAME)
