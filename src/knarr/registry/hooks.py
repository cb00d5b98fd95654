"""Where admission joins a write; the registry knows only this shape of it."""

from __future__ import annotations

from typing import Any, Protocol

from knarr.registry.context import Request

Object = dict[str, Any]
GVK = tuple[str, str, str]


class Review(Protocol):
    """The admission of one write. An update that is retried opens a new one for the newer object."""

    async def admit(self) -> None:
        """Mutating admission: changes the object in place; raises StatusError to refuse."""
        ...

    async def validate(self) -> None:
        """Validating admission, after the object was validated; raises StatusError to refuse."""
        ...


class Admission(Protocol):
    """Opens reviews."""

    def open(
        self,
        request: Request,
        operation: str,
        kind: GVK,
        obj: Object | None,
        old: Object | None,
        options: Object,
    ) -> Review | None:
        """None when no plugin is interested, so that such a write pays nothing.

        `operation` is CREATE, UPDATE, DELETE or CONNECT.
        """
        ...


class AdmitAll:
    """No admission at all: for tests of the registry and for objects written at start-up."""

    def open(
        self,
        request: Request,
        operation: str,
        kind: GVK,
        obj: Object | None,
        old: Object | None,
        options: Object,
    ) -> Review | None:
        return None
