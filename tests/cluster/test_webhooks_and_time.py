"""A cluster whose time is made to pass waits for the webhooks that it has called."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from knarr.testing import TestCluster
from tests.egress.servers import Authority, WebServer


def test_an_hour_passes_without_calls_that_time_out(tmp_path):
    authority = Authority("hooks")
    asked: list[str] = []

    async def answer(seen: Any) -> Any:
        review = json.loads(seen.body)
        asked.append(review["request"]["operation"])
        for _ in range(50):  # longer than nothing, without a timer of the cluster's loop
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        review["response"] = {"uid": review["request"]["uid"], "allowed": True}
        return 200, {}, json.dumps(review).encode()

    cluster = TestCluster(tmp_path, virtual_time=True, nodes=1, seed=1)
    cluster.start()
    try:
        web = WebServer(authority.context("127.0.0.1"), answer)
        cluster.run(web.__aenter__())
        client = {"url": f"https://127.0.0.1:{web.port}", "caBundle": authority.bundle}
        rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        webhook = {
            "name": "pods.example.com",
            "clientConfig": client,
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1,
        }
        configuration = {
            "kind": "ValidatingWebhookConfiguration",
            "apiVersion": "admissionregistration.k8s.io/v1",
            "metadata": {"name": "it"},
            "webhooks": [webhook],
        }
        job = {
            "kind": "CronJob",
            "apiVersion": "batch/v1",
            "metadata": {"name": "tick", "namespace": "default"},
            "spec": {
                "schedule": "*/10 * * * *",
                "successfulJobsHistoryLimit": 9,
                "jobTemplate": {
                    "spec": {
                        "template": {
                            "spec": {
                                "restartPolicy": "Never",
                                "containers": [{"name": "c", "image": "i"}],
                            }
                        }
                    }
                },
            },
        }
        api = cluster.cluster.client()
        for obj in (configuration, job):
            cluster.run(api.create(obj))
        cluster.advance("1h")
        assert len(asked) == 6
        events = list(cluster.cluster.plane.registry.list("", "events", "default"))
        assert [e["message"] for e in events if "webhook" in e.get("message", "")] == []
        cluster.run(web.__aexit__())
    finally:
        cluster.stop()
