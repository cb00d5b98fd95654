"""Tables as kubectl prints them: three spaces between columns, each as wide as its widest cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knarr.cli import say

GAP = "   "


def show(header: Sequence[str], rows: Iterable[Sequence[str]], headers: bool = True) -> None:
    """Print a table whose rows are all known."""
    table = Table(headers)
    table.add(header, list(rows))


class Table:
    """Prints in parts; columns get wider when a later part needs it, and never narrower, as in `kubectl get -w`."""

    def __init__(self, headers: bool = True) -> None:
        self._headers = headers
        self._header: list[str] | None = None
        self._widths: list[int] = []

    def add(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        cells = list(rows)
        if list(header) != self._header:
            self._header, self._widths = list(header), [0] * len(header)
            if self._headers:
                cells = [list(header), *cells]
        for row in cells:
            self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, row, strict=True)]
        for row in cells:
            say.out(_line(row, self._widths))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """kubectl pads every cell but the last."""
    padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
    return GAP.join([*padded, row[-1]]) if row else ""
