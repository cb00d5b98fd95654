"""How long kubelets may keep secrets and config maps without asking: longer in larger clusters."""

from __future__ import annotations

from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client, is_not_found
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta.errors import StatusError
from knarr.world import World

ANNOTATION = "node.alpha.kubernetes.io/ttl"
#: (below this many nodes one step down, from this many on one step up, seconds)
STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10_000, 300), (9000, None, 600))


class TTLController(KubeController):
    """Keys are nodes."""

    name = "ttl-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.step = 0
        self.nodes = self.watch(core_v1.Node)
        self.nodes.add_handler(self._added, lambda _, new: self._look(new), lambda _: self._count())

    def _added(self, node: Any) -> None:
        self._count()
        self._look(node)

    def _count(self) -> None:
        step = next_step(self.step, len(self.nodes.indexer))
        if step != self.step:
            self.step = step
            for node in self.nodes.indexer.list():
                self._look(node)

    def _look(self, node: Any) -> None:
        if node.metadata.annotations.get(ANNOTATION) != self._wanted:
            self.enqueue(node)

    @property
    def _wanted(self) -> str:
        return str(STEPS[self.step][2])

    async def reconcile(self, key: Key) -> None:
        node = self.nodes.indexer.get(key)
        if node is None or node.metadata.annotations.get(ANNOTATION) == self._wanted:
            return
        body = {"metadata": {"annotations": {ANNOTATION: self._wanted}}}
        try:
            await self.client.patch(core_v1.Node, key.name, body=body)
        except StatusError as error:
            if not is_not_found(error):
                raise


def next_step(step: int, nodes: int) -> int:
    """Up and down at different numbers, so that a node more or less does not rewrite all."""
    while nodes < STEPS[step][0]:
        step -= 1
    while (above := STEPS[step][1]) is not None and nodes >= above:
        step += 1
    return step
