"""The keys of service account tokens: one that signs, and others that may have signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from knarr.auth.jwt import Signer, Verifier
from knarr.world.loop import real_io


class TokenKeys:
    """`draw` makes the key that signs where there is none yet: in a thread, when it is first asked for.

    Until then this cluster has signed nothing, so there is nothing to verify either.
    """

    def __init__(
        self,
        signer: Signer | None,
        further: Sequence[Verifier] = (),
        draw: Callable[[], Signer] | None = None,
    ) -> None:
        self._signer = signer
        self._further = list(further)
        self._draw = draw
        self._drawing: asyncio.Task[None] | None = None

    @property
    def verifiers(self) -> list[Verifier]:
        """All keys that may have signed by now, the newest first."""
        own = [] if self._signer is None else [self._signer.verifier]
        return [*own, *self._further]

    async def signer(self) -> Signer:
        """Raises PKIError where a new key cannot be kept."""
        if self._signer is None:
            if self._drawing is None or self._drawing.done():
                self._drawing = asyncio.create_task(self._make())
            await asyncio.shield(self._drawing)  # one who gives up does not take it from the others
        assert self._signer is not None
        return self._signer

    async def _make(self) -> None:
        assert self._draw is not None
        with real_io():
            self._signer = await asyncio.to_thread(self._draw)
