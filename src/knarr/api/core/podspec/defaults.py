"""What a pod's spec holds where its author said nothing (core/v1 SetDefaults_*), and what Go always writes out.

Some parts are encoded even when they are empty (a container's `resources`, a template's `metadata`): they are
filled in here too, since nothing behind this point knows Go's types.
"""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.images import default_pull_policy
from knarr.api.core.podspec.podlevel import default_pod_level_resources
from knarr.api.core.podspec.volumedefaults import default_claim_spec, default_volume
from knarr.api.core.resourcenames import round_up_to_milli

Spec = dict[str, Any]
#: annotations of the time before init containers were a field; the conversion drops them
_DEAD_ANNOTATIONS = (
    "pod.beta.kubernetes.io/init-containers",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-container-statuses",
)

__all__ = [
    "default_claim_spec",
    "default_pod",
    "default_pod_spec",
    "default_template",
    "mirror_service_account",
]


def default_template(owner: Spec, key: str = "template") -> None:
    """The defaults of a pod template that lies at `owner[key]`."""
    template = owner.setdefault(key, {})
    _drop_dead_annotations(template.setdefault("metadata", {}))
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: Spec) -> None:
    """What pods and pod templates share."""
    _drop_null_containers(spec)
    for volume in spec.get("volumes", ()):
        default_volume(volume)
    for container in spec.get("containers", ()):
        _default_container(container)
    for container in spec.get("initContainers", ()):
        _default_container(container)
    for container in spec.get("ephemeralContainers", ()):
        _default_container(container)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    mirror_service_account(spec)
    if "overhead" in spec:
        round_up_to_milli(spec["overhead"])
    if "resources" in spec:
        _round_resources(spec["resources"])
    if "affinity" in spec:
        _fill_empty_preferences(spec["affinity"])


def default_pod(pod: Spec) -> None:
    """What only pods get: requests from limits, host ports, service links."""
    _drop_dead_annotations(pod.setdefault("metadata", {}))
    spec = pod.setdefault("spec", {})
    _drop_null_containers(spec)
    regular, init = spec.get("containers", ()), spec.get("initContainers", ())
    for container in (*regular, *init):
        resources = container.get("resources")
        if resources and "limits" in resources:
            requests = resources.setdefault("requests", {})
            for name, limit in resources["limits"].items():
                requests.setdefault(name, limit)
            if not requests:
                del resources["requests"]
    if "resources" in spec:
        default_pod_level_resources(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for container in (*regular, *init):
            for port in container.get("ports", ()):
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]
    default_pod_spec(spec)


def _drop_null_containers(spec: Spec) -> None:
    """Go writes null for a missing list of containers; such a spec is refused, so nobody sees it."""
    if spec.get("containers", ()) is None:
        del spec["containers"]


def mirror_service_account(spec: Spec) -> None:
    """serviceAccount is the old name of serviceAccountName; answers carry both."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _default_container(container: Spec) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = default_pull_policy(container.get("image", ""))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    resources = container.setdefault("resources", {})
    if resources:
        _round_resources(resources)
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", ()):
        if "valueFrom" in variable:
            _default_env_source(variable["valueFrom"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _default_probe(container[name])
    if "lifecycle" in container:
        for handler in container["lifecycle"].values():
            if isinstance(handler, dict):
                _default_handler(handler)


def _default_env_source(source: Spec) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")
    elif "resourceFieldRef" in source:
        source["resourceFieldRef"].setdefault("divisor", "0")
    if "fileKeyRef" in source:
        source["fileKeyRef"].setdefault("optional", False)


def _default_probe(probe: Spec) -> None:
    _default_handler(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")
    for name, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(name):
            probe[name] = value


def _default_handler(handler: Spec) -> None:
    get = handler.get("httpGet")
    if get is not None:
        if not get.get("path"):
            get["path"] = "/"
        if not get.get("scheme"):
            get["scheme"] = "HTTP"
    if "sleep" in handler:
        handler["sleep"].setdefault("seconds", 0)


def _round_resources(resources: Spec) -> None:
    if "limits" in resources:
        round_up_to_milli(resources["limits"])
    if "requests" in resources:
        round_up_to_milli(resources["requests"])


def _fill_empty_preferences(affinity: Spec) -> None:
    """These two structs have no omitempty."""
    for term in affinity.get("nodeAffinity", {}).get("preferredDuringSchedulingIgnoredDuringExecution", ()):
        term.setdefault("preference", {})
    for name in ("podAffinity", "podAntiAffinity"):
        for term in affinity.get(name, {}).get("preferredDuringSchedulingIgnoredDuringExecution", ()):
            term.setdefault("podAffinityTerm", {})


def _drop_dead_annotations(metadata: Spec) -> None:
    annotations = metadata.get("annotations")
    if annotations:
        for name in _DEAD_ANNOTATIONS:
            annotations.pop(name, None)
        if not annotations:
            del metadata["annotations"]
