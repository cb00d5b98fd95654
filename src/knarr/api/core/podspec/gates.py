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
    for container in _containers(spec):
        if "stopSignal" in container.get("lifecycle", ()) and not _sends_signals(old or {}):
            del container["lifecycle"]["stopSignal"]
            if not container["lifecycle"]:
                del container["lifecycle"]


def _projected(spec: Spec) -> Iterator[Spec]:
    for volume in spec.get("volumes", ()):
        if "projected" in volume:
            yield from volume["projected"].get("sources") or ()


def drop_disabled_status(status: Spec, old: Spec) -> None:
    """The same for what a pod's status says."""
    if "nodeAllocatableResourceClaimStatuses" not in old:
        status.pop("nodeAllocatableResourceClaimStatuses", None)
    for mount in _mounts(status):
        if "volumeStatus" in mount and not any("volumeStatus" in before for before in _mounts(old)):
            del mount["volumeStatus"]


def _containers(spec: Spec) -> Iterator[Spec]:
    for field in ("containers", "initContainers", "ephemeralContainers"):
        yield from spec.get(field, ())


def _sends_signals(spec: Spec) -> bool:
    return any("stopSignal" in container.get("lifecycle", ()) for container in _containers(spec))


def _mounts(status: Spec) -> Iterator[Spec]:
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(field, ()):
            yield from container.get("volumeMounts", ())
