"""The pods that a daemon set creates: tied to their node by affinity, placed by the scheduler."""

from __future__ import annotations

from typing import Any

from knarr.controllers.daemonset.eligibility import extra_tolerations
from knarr.controllers.podcontrol import pod_from_template

HASH = "controller-revision-hash"
GENERATION = "pod-template-generation"
GENERATION_NOTE = "deprecated.daemonset.template.generation"
NAME_FIELD = "metadata.name"


def base_pod(ds: Any, hash_: str) -> dict[str, Any]:
    """All but the node."""
    pod = pod_from_template(ds, ds.spec.template)
    labels = {**pod["metadata"].get("labels", {}), HASH: hash_}
    if generation := ds.metadata.annotations.get(GENERATION_NOTE):
        labels[GENERATION] = generation
    present = pod["spec"].get("tolerations", [])
    known = {(t.get("key"), t.get("effect")) for t in present if t.get("operator") == "Exists"}
    added = [
        {"key": key, "operator": "Exists", "effect": effect}
        for key, effect in extra_tolerations(ds.spec.template.spec)
        if (key, effect) not in known
    ]
    pod["metadata"]["labels"] = labels
    pod["spec"] = {**pod["spec"], "tolerations": [*present, *added]}
    return pod


def for_node(pod: dict[str, Any], node: str) -> dict[str, Any]:
    """The same pod for one node: every term of its node affinity names the node, instead of other fields."""
    field = {"key": NAME_FIELD, "operator": "In", "values": [node]}
    affinity = pod["spec"].get("affinity", {})
    node_affinity = affinity.get("nodeAffinity", {})
    terms = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
    required = {"nodeSelectorTerms": [{**term, "matchFields": [field]} for term in terms or [{}]]}
    node_affinity = {**node_affinity, "requiredDuringSchedulingIgnoredDuringExecution": required}
    spec = {**pod["spec"], "affinity": {**affinity, "nodeAffinity": node_affinity}}
    return {**pod, "spec": spec}


def target_node(pod: Any) -> str:
    """Where a pod is, or is meant to be; "" if it does not say."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    for term in required.nodeSelectorTerms if required is not None else ():
        for field in term.matchFields:
            if (field.key, field.operator, len(field.values)) == (NAME_FIELD, "In", 1):
                return field.values[0]
    return ""


def is_current(ds: Any, pod: Any, hash_: str) -> bool:
    """Made from the present template."""
    labels = pod.metadata.labels
    generation = ds.metadata.annotations.get(GENERATION_NOTE)
    return labels.get(HASH) == hash_ or (generation is not None and labels.get(GENERATION) == generation)
