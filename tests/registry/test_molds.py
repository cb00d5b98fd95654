"""Replicas made from a remembered body are what they would be without."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from knarr.apiserver import requestinfo

POD = {
    "metadata": {"generateName": "a-", "labels": {"app": "a"}, "annotations": {}, "uid": "mine"},
    "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": []}]},
}
CLAIM = {
    "metadata": {"generateName": "a-", "finalizers": ["example.com/f"]},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
MAP = {"metadata": {"generateName": "a-"}, "data": {"a": "b"}}
JOB = {
    "metadata": {"generateName": "a-"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
}
#: nothing that was drawn for one may be found in the next
DRAWN = ("name", "uid", "resourceVersion")


async def created(api: Any, path: str, body: Any, quiet: bool, manager: str = "m") -> Any:
    request = requestinfo.parse("POST", path, {"fieldManager": manager})
    request.quiet = quiet
    return orjson.loads((await api.operations.serve(request, orjson.dumps(body))).body)


def without_drawn(obj: Any) -> Any:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in DRAWN}
    text = orjson.dumps({**obj, "metadata": metadata})
    # A job's labels and selector name its uid.
    return orjson.loads(
        text.replace(obj["metadata"]["uid"].encode(), b"U").replace(obj["metadata"]["name"].encode(), b"N")
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/namespaces/n/pods", POD),
        ("/api/v1/namespaces/n/persistentvolumeclaims", CLAIM),
        ("/api/v1/namespaces/n/configmaps", MAP),
        ("/apis/batch/v1/namespaces/n/jobs", JOB),
    ],
    ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) else "",
)
def test_replicas_are_what_they_would_be(api, run, path, body):
    async def main():
        plain, *cast = [await created(api, path, body, quiet) for quiet in (False, True, True, True)]
        assert len(orjson.dumps([without_drawn(plain)])) > 200
        assert [without_drawn(obj) for obj in cast] == [without_drawn(plain)] * 3
        assert len({obj["metadata"]["name"] for obj in [plain, *cast]}) == 4
        assert len({obj["metadata"]["uid"] for obj in [plain, *cast]}) == 4

    run(main())


def test_time_manager_and_namespace_are_each_replicas_own(api, run):
    async def main():
        path = "/api/v1/namespaces/{}/configmaps"
        first = await created(api, path.format("n"), MAP, True)
        await asyncio.sleep(60)
        later = await created(api, path.format("n"), MAP, True)
        other = await created(api, path.format("o"), MAP, True, "another")
        (entry,), (entry_later,) = first["metadata"]["managedFields"], later["metadata"]["managedFields"]
        assert entry["time"] == first["metadata"]["creationTimestamp"] != entry_later["time"]
        assert entry_later["time"] == later["metadata"]["creationTimestamp"]
        assert other["metadata"]["namespace"] == "o"
        assert [e["manager"] for e in other["metadata"]["managedFields"]] == ["another"]

    run(main())


def test_what_is_wrong_with_a_replica_is_said_each_time(api, run):
    async def main():
        bad = {"metadata": {"generateName": "a-"}, "data": {"a/b": "c"}}
        for _ in range(2):
            with pytest.raises(Exception, match='Invalid value: "a/b"') as failure:
                await created(api, "/api/v1/namespaces/n/configmaps", bad, True)
            assert failure.value.code == 422

    run(main())
