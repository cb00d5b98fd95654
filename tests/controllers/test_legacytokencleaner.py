"""Token secrets of old that nobody uses: refused after a year, deleted after two."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.types import core_v1
from knarr.client.client import is_not_found
from knarr.controllers.legacytokencleaner import (
    ACCOUNT_NAME,
    DAY_SECONDS,
    INVALID_SINCE,
    LAST_USED,
    TRACKING,
    LegacyTokenCleaner,
    date,
)
from knarr.meta.errors import StatusError
from knarr.world import World

from .conftest import Cluster

TYPE = "kubernetes.io/service-account-token"


async def secret(c: Cluster, name: str, account: str = "robot", **labels: str) -> None:
    metadata = {
        "name": name,
        "namespace": "default",
        "annotations": {ACCOUNT_NAME: account},
        "labels": labels,
    }
    await c.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TYPE})


async def account(c: Cluster, name: str, *secrets: str) -> None:
    metadata = {"name": name, "namespace": "default"}
    named = [{"name": s} for s in secrets]
    await c.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "secrets": named})


class Later:
    """A clock that goes ahead of the cluster's: years would be long even in virtual time."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    monotonic = now


async def cleaned(c: Cluster, start: float, days: int) -> None:
    """What the cleaner does in so many days, looking every tenth."""
    clock = Later(start)
    cleaner = LegacyTokenCleaner(c.client, None, World(clock, c.world.chance))  # type: ignore[arg-type]
    for passed in range(0, days + 1, 10):
        clock.time = start + passed * DAY_SECONDS
        await cleaner.clean()


async def state(c: Cluster, name: str) -> str:
    try:
        found = await c.client.get(core_v1.Secret, name, "default")
    except StatusError as error:
        assert is_not_found(error)
        return "gone"
    return "refused" if INVALID_SINCE in found.metadata.labels else "good"


@pytest.mark.parametrize(
    ("days", "states"),
    [
        (300, ["good", "good", "good", "good", "good"]),
        (370, ["refused", "good", "good", "good", "good"]),
        (700, ["refused", "refused", "good", "good", "good"]),
        (740, ["gone", "refused", "good", "good", "good"]),
    ],
)
def test_a_token_s_last_years(play: Any, days: int, states: list[str]) -> None:
    """automatic, automatic and used on day 200, made by hand, mounted, with a use that nobody can read."""

    async def story(c: Cluster) -> None:
        start = c.world.clock.now()
        await account(c, "robot", "idle", "used", "mounted", "odd")
        await secret(c, "idle")
        await secret(c, "used", **{LAST_USED: date(start + 200 * DAY_SECONDS)})
        await secret(c, "by-hand")
        await secret(c, "mounted")
        await secret(c, "odd", **{LAST_USED: "long-ago"})
        volume = {"name": "v", "secret": {"secretName": "mounted"}}
        spec = {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [volume],
            "serviceAccountName": "robot",
        }
        metadata = {"name": "p", "namespace": "default"}
        await c.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        await cleaned(c, start, days)
        names = ("idle", "used", "by-hand", "mounted", "odd")
        assert [await state(c, name) for name in names] == states

    play(story)


def test_nothing_is_known_before_uses_are_noted(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await account(c, "robot", "idle")
        await secret(c, "idle")
        start = c.world.clock.now()
        for since in (None, "nonsense", date(start + 30 * DAY_SECONDS)):
            found = await c.client.get(core_v1.ConfigMap, TRACKING, "kube-system")
            body = {"data": {"since": since}}
            await c.client.patch(core_v1.ConfigMap, TRACKING, "kube-system", body)
            assert found.metadata.name == TRACKING
            await cleaned(c, start, 390)
            assert await state(c, "idle") == "good"
        await cleaned(c, start, 400)
        assert await state(c, "idle") == "refused"

    play(story)
