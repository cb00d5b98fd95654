"""A cluster on data that a former life left: everything is there when its parts begin."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from knarr.api.types import apps_v1
from knarr.cluster.cluster import Cluster
from knarr.cluster.config import Config

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


@pytest.mark.parametrize("life", [1, 2], ids=["new", "restarted"])
def test_parts_find_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture, life: int) -> None:
    """Nothing is logged above information, whether objects come after the controllers or were there before."""
    config = Config(data_dir=tmp_path, nodes=1)

    async def live(first: bool) -> None:
        cluster = Cluster(config)
        await cluster.start()
        await cluster.complete.wait()
        client = cluster.client()
        if first:
            for obj in (DEFINITION, DEPLOYMENT):
                await client.create(obj)
        async with asyncio.timeout(20):
            while (await client.get(apps_v1.Deployment, "web", "default")).status.readyReplicas != 2:
                await asyncio.sleep(0.05)
        await cluster.stop()

    for number in range(life):
        caplog.clear()
        asyncio.run(live(number == 0))
    assert [r.getMessage() for r in caplog.records if r.levelno > logging.INFO] == []
