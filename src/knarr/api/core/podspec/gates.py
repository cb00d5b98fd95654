"""Fields of pods whose feature gates v1.36 has closed: what a client sends there is dropped, what is stored stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]
#: kinds of projected volumes that need another API which is not served
_CLOSED_SOURCES = ("clusterTrustBundle", "podCertificate")


def drop_disabled(spec: Spec, old: Spec | None) -> None:
    """`old` is the stored spec of an update; a feature that it uses may go on being used."""
    if "schedulingGroup" in spec and not (old or {}).get("schedulingGroup"):
        del spec["schedulingGroup"]
    for source in _projected(spec):
        for kind in _CLOSED_SOURCES:
            if kind in source and not any(kind in before for before in _projected(old or {})):
                del source[kind]
    for lifecycle in _lifecycles(spec):
        if "stopSignal" in lifecycle and not any("stopSignal" in before for before in _lifecycles(old or {})):
            del lifecycle["stopSignal"]


def _projected(spec: Spec) -> Iterator[Spec]:
    for volume in spec.get("volumes", ()):
        if "projected" in volume:
            yield from volume["projected"].get("sources") or ()


def _lifecycles(spec: Spec) -> Iterator[Spec]:
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(field, ()):
            if "lifecycle" in container:
                yield container["lifecycle"]
