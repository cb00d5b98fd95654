"""Which pods wait for room on which node: others of the same or a lower priority must leave it to them."""

from __future__ import annotations

from typing import NamedTuple

from knarr.scheduler.cache.classes import PodClass


class Nominee(NamedTuple):
    uid: str
    cls: PodClass
    node: str


class Nominator:
    """Pods by the node they are nominated to."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Nominee] = {}
        #: moves with every change
        self.epoch = 0

    def __bool__(self) -> bool:
        return bool(self._by_uid)

    def nominate(self, uid: str, cls: PodClass, node: str) -> None:
        """An empty node withdraws."""
        self.withdraw(uid)
        if node:
            self.epoch += 1
            self._by_uid[uid] = Nominee(uid, cls, node)

    def withdraw(self, uid: str) -> None:
        if self._by_uid.pop(uid, None) is not None:
            self.epoch += 1

    def node_of(self, uid: str) -> str:
        found = self._by_uid.get(uid)
        return found.node if found is not None else ""

    def against(self, uid: str, priority: int) -> list[Nominee]:
        """The nominees that a pod must make room for."""
        return [n for n in self._by_uid.values() if n.uid != uid and n.cls.priority >= priority]

    def below(self, node: str, priority: int) -> list[Nominee]:
        """The nominees of a node that a pod takes precedence of."""
        return [n for n in self._by_uid.values() if n.node == node and n.cls.priority < priority]
