"""The columns that every kind with a pod template shows with `-o wide`."""

from __future__ import annotations

from typing import Any

from knarr.api.kind import Column
from knarr.meta.labels import format_label_selector as format_selector

__all__ = ["CONTAINERS", "IMAGES", "container_cells", "format_selector"]

CONTAINERS = Column("Containers", description="Names of each container in the template.", priority=1)
IMAGES = Column("Images", description="Images referenced by each container in the template.", priority=1)


def container_cells(template: dict[str, Any]) -> tuple[str, str]:
    """The names and the images of a template's containers."""
    containers = template.get("spec", {}).get("containers", ())
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)
