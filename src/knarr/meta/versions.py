"""The order of API versions."""

from __future__ import annotations

import re

_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES = {None: 3, "beta": 2, "alpha": 1}


def version_priority(version: str) -> tuple[int, int, int, str]:
    """A sort key in Kubernetes' order of versions: v2 > v1 > v1beta2 > v1beta1 > v1alpha1 > anything else by name."""
    found = _VERSION.fullmatch(version)
    if found is None:
        # the reverse of the alphabet, in which foo1 still comes before foo10
        return (0, 0, 0, "".join(chr(0x10FFFF - ord(c)) for c in version) + chr(0x10FFFF))
    return (_STAGES[found[2]], int(found[1]), int(found[3] or 0), "")
