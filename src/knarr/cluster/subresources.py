"""Gives subresources and review requests their handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knarr.registry.subresources import binding, eviction, scale

if TYPE_CHECKING:
    from knarr.cluster.controlplane import ControlPlane


def register(plane: ControlPlane) -> None:
    operations = plane.operations
    for module in (binding, eviction, scale):
        module.register(operations)
