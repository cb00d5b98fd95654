"""Recycling: a pod that empties the volume, which then is available again (deprecated since 1.11, still served)."""

from __future__ import annotations

from typing import Any

NAMESPACE = "default"
IMAGE = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.4"
SECONDS_MIN, SECONDS_PER_GIB = {"hostPath": 60, "nfs": 300}, 30
SCRUB = 'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1'


def source_of(volume: Any) -> str:
    """ "hostPath" or "nfs": what can be recycled; "" for all else."""
    return next((name for name in SECONDS_MIN if getattr(volume.spec, name) is not None), "")


def pod_name(volume: Any) -> str:
    return f"recycler-for-{volume.metadata.name}"


def recycler_pod(volume: Any, source: dict[str, Any]) -> dict[str, Any]:
    """In wire form; `source`: the volume's own hostPath or nfs."""
    kind = source_of(volume)
    gib = -(-volume.spec.capacity["storage"].value // 2**30)
    seconds = max(SECONDS_MIN[kind], SECONDS_PER_GIB * gib)
    container = {
        "name": "pv-recycler",
        "image": IMAGE,
        "command": ["/bin/sh"],
        "args": ["-c", SCRUB],
        "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod_name(volume), "namespace": NAMESPACE},
        "spec": {
            "activeDeadlineSeconds": seconds,
            "restartPolicy": "Never",
            "volumes": [{"name": "vol", kind: source}],
            "containers": [container],
        },
    }
