"""Applies that say in other words what is there already."""

from __future__ import annotations

import asyncio

from .conftest import APPLY

JOBS = "/apis/batch/v1/namespaces/n/cronjobs"


def job(cpu: str) -> dict:
    container = {"name": "c", "image": "i", "resources": {"limits": {"cpu": cpu}}}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "j"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}},
    }


def test_what_becomes_the_same_is_not_written(api, run):
    async def main():
        first = await api("PATCH", f"{JOBS}/j", job("1000m"), APPLY, fieldManager="m")
        await asyncio.sleep(5)
        revision = api.store.revision
        again = await api("PATCH", f"{JOBS}/j", job("1000m"), APPLY, fieldManager="m")
        assert again == first
        tried = await api("PATCH", f"{JOBS}/j", job("1.0"), APPLY, fieldManager="m", dryRun="All")
        assert tried == first
        assert api.store.revision == revision

    run(main())


def test_a_new_owner_or_a_new_value_is_written(api, run):
    async def main():
        first = await api("PATCH", f"{JOBS}/j", job("1000m"), APPLY, fieldManager="m")
        await asyncio.sleep(5)
        shared = await api("PATCH", f"{JOBS}/j", job("1"), APPLY, fieldManager="o")
        assert len(shared["metadata"]["managedFields"]) == 2
        assert shared["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
        more = job("1")
        more["spec"]["suspend"] = True
        changed = await api("PATCH", f"{JOBS}/j", more, APPLY, fieldManager="o")
        assert changed["metadata"]["resourceVersion"] != shared["metadata"]["resourceVersion"]

    run(main())
