"""Who a pod of a stateful set is: its ordinal, name, labels and claims."""

from __future__ import annotations

import re
from typing import Any

from knarr.api.scheme import scheme
from knarr.controllers.podcontrol import pod_from_template

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
REVISION = "controller-revision-hash"
_NAME = re.compile(r"(.*)-([0-9]+)", re.DOTALL).fullmatch


def ordinal_of(ss: Any, pod_name: str) -> int | None:
    """The pod's number; None where the name is not of this set."""
    match = _NAME(pod_name)
    return int(match[2]) if match is not None and match[1] == ss.metadata.name else None


def start(ss: Any) -> int:
    return ss.spec.ordinals.start if ss.spec.ordinals is not None else 0


def ordinals(ss: Any) -> range:
    """The numbers that should exist."""
    return range(start(ss), start(ss) + ss.spec.replicas)


def pod_name(ss: Any, ordinal: int) -> str:
    return f"{ss.metadata.name}-{ordinal}"


def revision_of(pod: Any) -> str:
    return pod.metadata.labels.get(REVISION, "")


def identity_labels(ss: Any, ordinal: int) -> dict[str, str]:
    return {POD_NAME: pod_name(ss, ordinal), POD_INDEX: str(ordinal)}


def has_identity(ss: Any, pod: Any, ordinal: int) -> bool:
    return identity_labels(ss, ordinal).items() <= pod.metadata.labels.items()


def claim_names(ss: Any, ordinal: int) -> dict[str, str]:
    """Per claim template, the name of the pod's claim."""
    return {
        template.metadata.name: f"{template.metadata.name}-{ss.metadata.name}-{ordinal}"
        for template in ss.spec.volumeClaimTemplates
    }


def new_pod(ss: Any, template: dict[str, Any], revision: str, ordinal: int) -> dict[str, Any]:
    """A volume of a claim template's name takes the place of the pod template's own."""
    name, claims = pod_name(ss, ordinal), claim_names(ss, ordinal)
    pod = pod_from_template(ss, template, name=name)
    meta, spec = pod["metadata"], {**pod["spec"]}
    meta["labels"] = {**meta.get("labels", {}), **identity_labels(ss, ordinal), REVISION: revision}
    spec |= {"hostname": name} | ({"subdomain": ss.spec.serviceName} if ss.spec.serviceName else {})
    others = [volume for volume in spec.get("volumes", ()) if volume["name"] not in claims]
    volumes = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}} for volume, claim in claims.items()
    ]
    if volumes or others:
        spec["volumes"] = volumes + others
    return {**pod, "spec": spec}


def new_claims(ss: Any, ordinal: int) -> list[dict[str, Any]]:
    selected = dict(ss.spec.selector.matchLabels)
    claims = []
    for template in ss.spec.volumeClaimTemplates:
        wire = scheme().to_dict(template)
        meta = wire.get("metadata", {})
        claims.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    **meta,
                    "name": claim_names(ss, ordinal)[template.metadata.name],
                    "namespace": ss.metadata.namespace,
                    "labels": {**meta.get("labels", {}), **selected},
                },
                "spec": wire["spec"],
            }
        )
    return claims
