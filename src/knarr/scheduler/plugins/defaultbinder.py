"""DefaultBinder: writes the pod's binding."""

from __future__ import annotations

from typing import Any

from knarr.client.client import Client
from knarr.scheduler.framework import Plugin


class DefaultBinder(Plugin):
    """POST pods/binding."""

    name = "DefaultBinder"

    def __init__(self, client: Client) -> None:
        self._client = client

    async def bind(self, pod: Any, node: str) -> bool:
        await self._client.bind(pod, node)
        return True
