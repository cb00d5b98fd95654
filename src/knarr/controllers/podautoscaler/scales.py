"""What an autoscaler's scaleTargetRef leads to: the scale of some object, of whatever kind has one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from knarr.api.resources import Resource
from knarr.client.client import Client
from knarr.client.codec import Partial
from knarr.controllers.podautoscaler.words import Uncomputable, refusal
from knarr.controllers.served import rows_of_kind
from knarr.meta.errors import StatusError


class Scale(NamedTuple):
    """`wire` is the autoscaling/v1 Scale of an object of `row`."""

    row: Resource
    wire: dict[str, Any]

    @property
    def replicas(self) -> int:
        return int((self.wire.get("spec") or {}).get("replicas", 0))

    @property
    def status_replicas(self) -> int:
        return int((self.wire.get("status") or {}).get("replicas", 0))

    @property
    def selector(self) -> str:
        return str((self.wire.get("status") or {}).get("selector", ""))


def row_of(api_version: str, kind: str, crds: Iterable[Mapping[str, Any]]) -> Resource:
    """Raises Uncomputable for a kind that is not served."""
    group = api_version.rpartition("/")[0]
    row = next(iter(rows_of_kind(group, kind, crds)), None)
    if row is None:
        raise Uncomputable(f'no matches for kind "{kind}" in group "{group}"')
    return row


async def read(client: Client, row: Resource, name: str, namespace: str) -> Scale:
    """Raises Uncomputable."""
    try:
        return Scale(row, await client.get_scale(Partial(row), name, namespace))
    except StatusError as error:
        raise Uncomputable(refusal(error, f"get {row.name} {name}")) from None


async def write(client: Client, scale: Scale, replicas: int) -> None:
    """Raises Uncomputable; also where the scale has changed since it was read."""
    wire = {**scale.wire, "spec": {**scale.wire.get("spec", {}), "replicas": replicas}}
    try:
        await client.update(wire, scale.row, "scale")
    except StatusError as error:
        name = scale.wire["metadata"]["name"]
        raise Uncomputable(refusal(error, f"put {scale.row.name} {name}")) from None
