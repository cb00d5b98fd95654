"""Evictions: a request to delete a pod that its disruption budgets may refuse. They are never stored."""

from __future__ import annotations

from typing import Any

from knarr.api.kind import Kind


class Eviction(Kind):
    """Nothing to check beyond the types; whether it is granted is decided against the budgets."""


def evicted_condition(now: str) -> dict[str, Any]:
    """What an evicted pod's status says of the reason for its end; of no generation, as Kubernetes has it."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
