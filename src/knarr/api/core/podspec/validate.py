"""The rules of a pod's spec as a whole, in the order in which Kubernetes reports them."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.affinity import validate_affinity
from knarr.api.core.podspec.annotations import MIRROR, validate_annotations
from knarr.api.core.podspec.claims import claim_names, validate_resource_claims
from knarr.api.core.podspec.containers import (
    Context,
    validate_containers,
    validate_ephemeral_containers,
    validate_image_padding,
    validate_init_containers,
)
from knarr.api.core.podspec.env import validate_env_files
from knarr.api.core.podspec.network import validate_dns_config, validate_dns_policy, validate_host_aliases
from knarr.api.core.podspec.paths import Errors, add
from knarr.api.core.podspec.ports import validate_host_network_ports
from knarr.api.core.podspec.resources import validate_pod_resources, validate_resources
from knarr.api.core.podspec.security import validate_host_users, validate_pod_security_context
from knarr.api.core.podspec.spread import validate_spread
from knarr.api.core.podspec.tolerations import validate_tolerations
from knarr.api.core.podspec.volumes import validate_volumes
from knarr.api.core.podspec.windows import validate_host_process, validate_os
from knarr.meta import labels, names
from knarr.meta.fielderrors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)

Spec = dict[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
HOSTNAME_MAX = 64


def validate_pod(pod: Spec, old_annotations: dict[str, str] | None = None) -> list[FieldError]:
    """What holds for a pod at every moment of its life, metadata's general rules aside."""
    errors: list[FieldError] = []
    metadata, spec = pod["metadata"], pod["spec"]
    annotations = metadata.get("annotations")
    if annotations:
        validate_annotations(annotations, spec, errors, old_annotations)
    is_mirror = MIRROR in annotations if annotations else False
    validate_pod_spec(spec, "spec", errors, metadata.get("name", ""), is_pod=True, is_mirror=is_mirror)
    if not spec.get("serviceAccountName"):
        _validate_no_tokens(spec, errors)
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field, ())):
            image = container.get("image", "")
            if image[:1].isspace() or image[-1:].isspace():
                validate_image_padding(container, f"spec.{field}[{index}]", errors)
    return errors


def _validate_no_tokens(spec: Spec, errors: Errors) -> None:
    for index, volume in enumerate(spec.get("volumes", ())):
        for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if "serviceAccountToken" in source:
                path = f"spec.volumes[{index}].projected.sources[{number}].serviceAccountToken"
                errors.append(forbidden(path, "must not be specified when serviceAccountName is not set"))


def validate_pod_spec(
    spec: Spec,
    path: str,
    errors: Errors,
    pod_name: str = "",
    is_pod: bool = False,
    is_mirror: bool = False,
) -> None:
    """Append what is wrong with a spec; `pod_name`, `is_pod` and `is_mirror` for pods themselves, not templates."""
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    volumes = validate_volumes(spec, pod_name, is_pod, f"{path}.volumes", errors)
    if "resourceClaims" in spec:
        validate_resource_claims(spec, f"{path}.resourceClaims", is_mirror, errors)
    restart = spec.get("restartPolicy", "")
    context = Context(volumes, claim_names(spec), grace, restart, spec.get("hostUsers") is not False)
    validate_containers(spec, context, f"{path}.containers", errors)
    if "initContainers" in spec:
        validate_init_containers(spec, context, f"{path}.initContainers", errors)
    if "ephemeralContainers" in spec:
        validate_ephemeral_containers(spec, context, f"{path}.ephemeralContainers", errors)
    if "resources" in spec:
        validate_pod_resources(spec, context.claims, f"{path}.resources", errors)
    validate_host_network_ports(spec, path, is_pod, errors)
    if restart not in RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", restart, RESTART_POLICIES))
    validate_dns_policy(spec.get("dnsPolicy", ""), f"{path}.dnsPolicy", errors)
    if "nodeSelector" in spec:
        errors += labels.validate_labels(spec["nodeSelector"], f"{path}.nodeSelector")
    validate_pod_security_context(spec, f"{path}.securityContext", errors)
    if "affinity" in spec:
        validate_affinity(spec["affinity"], f"{path}.affinity", errors)
    validate_dns_config(spec, f"{path}.dnsConfig", errors)
    _validate_gates(spec, path, errors)
    if "topologySpreadConstraints" in spec:
        constraints = spec["topologySpreadConstraints"]
        validate_spread(constraints, f"{path}.topologySpreadConstraints", errors)
    validate_host_process(spec, path, errors)
    validate_host_users(spec, path, errors)
    if "hostnameOverride" in spec:
        _validate_hostname_override(spec, path, errors)
    _validate_names(spec, path, errors)
    if "tolerations" in spec:
        validate_tolerations(spec["tolerations"], f"{path}.tolerations", errors)
    if "hostAliases" in spec:
        validate_host_aliases(spec["hostAliases"], f"{path}.hostAliases", errors)
    _validate_classes(spec, path, errors)
    if "overhead" in spec:
        # checked as the limits of a container would be
        validate_resources({"limits": spec["overhead"]}, set(), f"{path}.overhead", errors)
    if "os" in spec:
        validate_os(spec, path, errors)
    validate_env_files(spec, path, errors)


def _validate_gates(spec: Spec, path: str, errors: Errors) -> None:
    for index, gate in enumerate(spec.get("readinessGates", ())):
        kind = gate.get("conditionType", "")
        add(errors, f"{path}.readinessGates[{index}].conditionType", kind, names.is_qualified_name(kind))
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        name, here = gate.get("name", ""), f"{path}.schedulingGates[{index}]"
        add(errors, here, name, names.is_qualified_name(name))
        if name in seen:
            errors.append(duplicate(here, name))
        seen.add(name)


def _validate_names(spec: Spec, path: str, errors: Errors) -> None:
    for field in ("serviceAccountName", "nodeName"):
        value = spec.get(field)
        if value and (wrong := names.is_dns1123_subdomain(value)):
            add(errors, f"{path}.{field}", value, wrong)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        message = names.inclusive_range_error(1, 2**31 - 1)
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, message))
    for field in ("hostname", "subdomain"):
        value = spec.get(field)
        if value:
            add(errors, f"{path}.{field}", value, names.is_dns1123_label(value))


def _validate_hostname_override(spec: Spec, path: str, errors: Errors) -> None:
    name, path = spec["hostnameOverride"], f"{path}.hostnameOverride"
    if spec.get("setHostnameAsFQDN"):
        errors.append(forbidden(path, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        errors.append(forbidden(path, "may not be specified when hostNetwork is true"))
    if names.byte_length(name) > HOSTNAME_MAX:
        errors.append(too_long(path, HOSTNAME_MAX))
    add(errors, path, name, names.is_dns1123_subdomain(name))


def _validate_classes(spec: Spec, path: str, errors: Errors) -> None:
    for field in ("priorityClassName", "runtimeClassName"):
        value = spec.get(field)
        if value or (value is not None and field == "runtimeClassName"):
            add(errors, f"{path}.{field}", value, names.is_dns1123_subdomain(value))
    policy = spec.get("preemptionPolicy")
    if policy == "":
        errors.append(required(f"{path}.preemptionPolicy"))
    elif policy is not None and policy not in PREEMPTION_POLICIES:
        errors.append(not_supported(f"{path}.preemptionPolicy", policy, PREEMPTION_POLICIES))
