"""Volumes that change: tokens are renewed in time, missing keys are named, modes are kept. In virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from knarr.kubelet.process.env import Place
from knarr.kubelet.process.volumes import MountError, VolumeManager, Volumes
from knarr.meta import times
from tests.kubelet.conftest import Cluster
from tests.kubelet.pods import pod

PLACE = Place(("127.244.0.2",), ("192.0.2.1",), {}, "127.0.0.1", 6443)


class Tokens:
    """A client that counts the tokens it gives."""

    def __init__(self, clock: Any, client: Any) -> None:
        self._clock, self._client, self.asked = clock, client, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def create_token(
        self, account: str, namespace: str, audiences: Any, seconds: int, bound: Any
    ) -> Any:
        self.asked.append((account, audiences, seconds, bound.metadata.name))
        return {
            "token": f"token {len(self.asked)}",
            "expirationTimestamp": times.format(self._clock.now() + seconds),
        }


def test_tokens_are_renewed_at_four_fifths_of_their_life(play: Any, tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        clock = cluster.world.clock
        client = Tokens(clock, cluster.client)
        manager = VolumeManager(lambda node: client, clock.now)  # type: ignore[arg-type,return-value]
        token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 1000, "audience": "vault"}}
        made = pod(
            "c", serviceAccountName="robot", volumes=[{"name": "v", "projected": {"sources": [token]}}]
        )
        volumes = Volumes()
        await manager.make(made, tmp_path, volumes, PLACE)
        file = volumes.paths["v"] / "token"
        for seconds, expected in ((700, "token 1"), (99, "token 1"), (2, "token 2")):
            await asyncio.sleep(seconds)
            await manager.make(made, tmp_path, volumes, PLACE)
            assert file.read_text() == expected
        assert client.asked == [("robot", ("vault",), 1000, "p")] * 2
        assert volumes.renew_at == pytest.approx(clock.now() + 800, abs=1)

    play(story)


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "nope"}}, 'configmap "nope" not found'),
        ({"secret": {"secretName": "nope"}}, 'secret "nope" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent config key: z",
        ),
        (
            {"nfs": {"server": "s", "path": "/"}},
            "the process runtime of knarr cannot mount volumes of type nfs",
        ),
        (
            {"hostPath": {"path": "/etc/passwd", "type": "Directory"}},
            "hostPath type check failed: /etc/passwd is not a directory",
        ),
        ({"persistentVolumeClaim": {"claimName": "no"}}, 'persistentvolumeclaims "no" not found'),
    ],
)
def test_volumes_that_cannot_be_made(play: Any, tmp_path: Path, volume: dict[str, Any], message: str) -> None:
    async def story(cluster: Cluster) -> None:
        await config_map(cluster)
        manager = VolumeManager(lambda node: cluster.client, cluster.world.clock.now)
        with pytest.raises(MountError) as refused:
            await manager.make(pod("c", volumes=[{"name": "v", **volume}]), tmp_path, Volumes(), PLACE)
        assert (str(refused.value), refused.value.volume) == (message, "v")

    play(story)


async def config_map(cluster: Cluster) -> None:
    metadata = {"name": "cm", "namespace": "default"}
    data = {"a": "1", "b": "2"}
    await cluster.client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def test_items_modes_and_what_may_be_missing(play: Any, tmp_path: Path) -> None:
    items = [{"key": "a", "path": "deep/er", "mode": 0o400}, {"key": "z", "path": "z"}]
    volume = {"name": "cm", "optional": True, "items": items}

    async def story(cluster: Cluster) -> None:
        await config_map(cluster)
        manager = VolumeManager(lambda node: cluster.client, cluster.world.clock.now)
        volumes = Volumes()
        made = [
            {"name": "v", "configMap": volume},
            {"name": "w", "secret": {"secretName": "nope", "optional": True}},
            {"name": "e", "emptyDir": {}},
        ]
        await manager.make(pod("c", volumes=made), tmp_path, volumes, PLACE)
        file = volumes.paths["v"] / "deep/er"
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("1", 0o400)
        assert not (volumes.paths["v"] / "z").exists()
        assert volumes.paths["w"].is_dir()
        assert volumes.paths["e"].stat().st_mode & 0o777 == 0o777
        assert volumes.sources == {("configmap", "cm"), ("secret", "nope")}

    play(story)
