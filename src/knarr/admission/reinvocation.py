"""Admitting twice: what a policy or webhook changed, the plugins before it have not seen.

The chain runs its mutating plugins once more when one of them asks for it. In the second round all plugins of the API
server itself look at the object again; of policies and webhooks only those with reinvocationPolicy IfNeeded, and only
if something changed since they were called.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

Object = dict[str, Any]


class Reinvocation:
    """The state of one request. Every plugin with calls that may be repeated keeps a `Calls` in it, by its name."""

    __slots__ = ("again", "calls", "wanted")

    def __init__(self) -> None:
        #: another round is wanted; it is under way
        self.wanted = self.again = False
        self.calls: dict[str, Calls] = {}

    def of(self, plugin: str) -> Calls:
        return self.calls.setdefault(plugin, Calls())


class Calls:
    """The calls of one plugin: which of them have to be made again."""

    __slots__ = ("_due", "_made", "last_output")

    def __init__(self) -> None:
        self._made: set[Hashable] = set()
        self._due: set[Hashable] = set()
        #: a copy of the object as the plugin left it
        self.last_output: Object | None = None

    def made(self, call: Hashable) -> None:
        """A call that may be repeated was made."""
        self._made.add(call)

    def changed(self) -> None:
        """The object changed: all calls made before are due again."""
        self._due |= self._made
        self._made.clear()

    def is_due(self, call: Hashable) -> bool:
        return call in self._due
