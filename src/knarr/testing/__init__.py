"""Clusters for tests: `TestCluster` for any code, and a pytest plugin (plugin.py) that hands them out."""

from __future__ import annotations

from typing import Any

__all__ = ["TestCluster"]


def __getattr__(name: str) -> Any:
    if name == "TestCluster":
        from knarr.testing.cluster import TestCluster

        return TestCluster
    raise AttributeError(name)
