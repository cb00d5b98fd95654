"""The reasons and messages of a kubelet's events, as v1.36 words them."""

from __future__ import annotations

from typing import Any

NORMAL, WARNING = "Normal", "Warning"

CREATED, STARTED, KILLING = "Created", "Started", "Killing"
PULLING, PULLED, BACKOFF, FAILED = "Pulling", "Pulled", "BackOff", "Failed"
UNHEALTHY, FAILED_MOUNT = "Unhealthy", "FailedMount"
FAILED_POST_START, FAILED_PRE_STOP = "FailedPostStartHook", "FailedPreStopHook"
FAILED_SANDBOX = "FailedCreatePodSandBox"
NODE_STARTING = "Starting"

CONTAINER_CREATED = "Container created"
CONTAINER_STARTED = "Container started"


def pulling(image: str) -> str:
    return f'Pulling image "{image}"'


def pulled(image: str, duration: str, waited: str, size: int) -> str:
    return (
        f'Successfully pulled image "{image}" in {duration} ({waited} including waiting).'
        f" Image size: {size} bytes."
    )


def present(image: str) -> str:
    return f'Container image "{image}" already present on machine and can be accessed by the pod'


def never_pull(image: str) -> str:
    return f'Container image "{image}" is not present with pull policy of Never'


def backing_off(container: str, pod: str) -> str:
    """`pod` as plan.pod_name writes it."""
    return f"Back-off restarting failed container {container} in pod {pod}"


def stopping(container: str) -> str:
    return f"Stopping container {container}"


def mount_failed(volume: str, why: str) -> str:
    return f'MountVolume.SetUp failed for volume "{volume}" : {why}'


def field_path(pod: Any, container: str) -> str:
    """Where in the pod a container stands; "" for the pod itself."""
    if not container:
        return ""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        if any(c.name == container for c in getattr(pod.spec, field)):
            return f"spec.{field}{{{container}}}"
    return ""
