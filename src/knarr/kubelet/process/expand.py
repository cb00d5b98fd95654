"""`$(NAME)` in env values, command and args."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\)|)")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Known names are replaced, unknown ones stay as they are written, `$$` is one `$`."""
    if "$" not in text:
        return text

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match[1]
        return match[0] if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(replaced, text)
