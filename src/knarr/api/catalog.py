"""From a resource's name to its row of discovery and its `Kind`, imported when first asked for."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache

from knarr.api.kind import Kind
from knarr.api.resources import RESOURCES, Resource

BY_GVR: dict[tuple[str, str, str], Resource] = {(r.group, r.version, r.name): r for r in RESOURCES}
BY_GVK: dict[tuple[str, str, str], Resource] = {(r.group, r.version, r.kind): r for r in RESOURCES}

GROUPS = frozenset(row.group for row in RESOURCES)


def is_built_in(group: str) -> bool:
    return group in GROUPS


def folder(group: str) -> str:
    """The package of a group's kinds: `apps`, `core`, `rbac` (for rbac.authorization.k8s.io) ..."""
    return group.partition(".")[0] or "core"


@cache
def kind_of(group: str, version: str, resource: str) -> Kind:
    """The rules of a built-in resource.

    Raises KeyError for a resource that discovery does not list.
    """
    row = BY_GVR[group, version, resource]
    kind = _load(row)()
    kind.has_status = "status" in row.subresources
    return kind


def _load(row: Resource) -> type[Kind]:
    package = f"knarr.api.{folder(row.group)}"
    if importlib.util.find_spec(package) is None:
        return Kind
    # two served versions of one kind share a file; a class with the version's suffix wins (HorizontalPodAutoscalerV1)
    name = f"{package}.{row.kind.lower()}"
    if importlib.util.find_spec(name) is None:
        return Kind
    module = importlib.import_module(name)
    return getattr(module, row.kind + row.version.upper(), None) or getattr(module, row.kind)
