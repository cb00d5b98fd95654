"""Numbers in texts as Go reads them."""

from __future__ import annotations

import re

from knarr.meta.gofmt import quote

_INTEGER = re.compile(r"[+-]?[0-9]+")


def parse_int64(text: str) -> int:
    """strconv.ParseInt of base 10. Raises ValueError with its words."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    number = int(text) if len(text) < 64 else 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return number
