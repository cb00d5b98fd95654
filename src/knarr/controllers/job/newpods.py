"""The pods that a job creates."""

from __future__ import annotations

from typing import Any

from knarr.controllers.job.failures import INDEX_IGNORED, IndexFailures, index_failures_with
from knarr.controllers.job.indexes import ANNOTATION
from knarr.controllers.podcontrol import pod_from_template

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
#: what a pod's name may have before the five characters that the server draws
PREFIX_CHARS_MAX = 58


def is_tracked(pod: Any) -> bool:
    """Not yet counted."""
    return TRACKING in pod.metadata.finalizers


def is_indexed(job: Any) -> bool:
    return job.spec.completionMode == "Indexed"


def new_pod(job: Any) -> dict[str, Any]:
    pod = pod_from_template(job, job.spec.template)
    finalizers = pod["metadata"].get("finalizers", [])
    pod["metadata"]["finalizers"] = finalizers if TRACKING in finalizers else [*finalizers, TRACKING]
    return pod


def new_indexed_pod(job: Any, index: int, failed: Any | None) -> dict[str, Any]:
    """The pod for one completion; `failed` is the one it replaces, where the back-off is counted per index."""
    pod = new_pod(job)
    meta, spec = pod["metadata"], pod["spec"]
    suffix = f"-{index}-"
    meta["generateName"] = job.metadata.name[: PREFIX_CHARS_MAX - len(suffix)] + suffix
    meta["labels"] = {**meta.get("labels", {}), ANNOTATION: str(index)}
    meta["annotations"] = {**meta.get("annotations", {}), ANNOTATION: str(index)}
    if job.spec.backoffLimitPerIndex is not None:
        failures = index_failures_with(job, failed) if failed is not None else IndexFailures()
        meta["annotations"].pop(INDEX_IGNORED, None)
        meta["annotations"] |= failures.annotations()
    spec["hostname"] = f"{job.metadata.name}-{index}"
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        _tell_index(container)
    return pod


def _tell_index(container: dict[str, Any]) -> None:
    present = container.get("env", [])
    if all(variable["name"] != INDEX_VARIABLE for variable in present):
        source = {"fieldRef": {"fieldPath": f"metadata.labels['{ANNOTATION}']"}}
        container["env"] = [*present, {"name": INDEX_VARIABLE, "valueFrom": source}]
