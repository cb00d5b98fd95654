"""What a pod asks of a node, as scores see it (the real sums are in api/core/podrequests.py)."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podrequests import CPU, MEMORY, Amounts, amounts, combined, whole

#: what a container without a request is taken for when nodes are scored: 100m and 200Mi
SCORED_CPU_MILLI, SCORED_MEMORY_BYTES = 100, 200 * 1024 * 1024


def _with_scored(container: Any) -> Amounts:
    asked = amounts(container.resources.requests if container.resources is not None else {})
    asked.setdefault(CPU, SCORED_CPU_MILLI)
    asked.setdefault(MEMORY, SCORED_MEMORY_BYTES)
    return asked


def scored_requests(spec: Any) -> tuple[int, int]:
    """(cpu milli, memory bytes) as scores see them: with a default where a container names none."""
    total = whole(spec, combined(spec, _with_scored))
    return total[CPU], total[MEMORY]
