"""A pod's status as Go writes it: some empty parts are always there, and one address stands in two places."""

from __future__ import annotations

from typing import Any

from knarr.api.core import podcontainerstatus
from knarr.api.core.podspec.annotations import validate_annotation_update
from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import addresses, names
from knarr.meta.fielderrors import FieldError, duplicate, forbidden, invalid

Object = dict[str, Any]
_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def default_status(status: Object) -> None:
    """Fill in what is encoded even when it is empty, and let podIP and podIPs agree (podIP wins)."""
    for condition in status.get("conditions", ()):
        condition.setdefault("lastProbeTime", None)
        condition.setdefault("lastTransitionTime", None)
    for field in _STATUSES:
        for container in status.get(field, ()):
            _default_container_status(container)
    ip, ips = status.get("podIP"), status.get("podIPs")
    if ip and (not ips or ips[0].get("ip") != ip):
        status["podIPs"] = [{"ip": ip}]
    elif ips and not ip and ips[0].get("ip"):
        status["podIP"] = ips[0]["ip"]


def _default_container_status(container: Object) -> None:
    for name, zero in (("name", ""), ("ready", False), ("restartCount", 0), ("image", ""), ("imageID", "")):
        container.setdefault(name, zero)
    for name in ("state", "lastState"):
        state = container.setdefault(name, {})
        if "running" in state:
            state["running"].setdefault("startedAt", None)
        if "terminated" in state:
            ended = state["terminated"]
            ended.setdefault("exitCode", 0)
            ended.setdefault("startedAt", None)
            ended.setdefault("finishedAt", None)


# validation

_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_TWO_OF_A_FAMILY = "may specify no more than one IP for each IP family"


def validate_status_update(pod: Object, old: Object) -> list[FieldError]:
    """What a status may not say, and which steps back it may not take."""
    errors: list[FieldError] = []
    status, previous = pod.get("status", {}), old.get("status", {})
    annotations = [p["metadata"].get("annotations") or {} for p in (pod, old)]
    if annotations[0] or annotations[1]:
        validate_annotation_update(annotations[0], annotations[1], pod["spec"], errors)
    _validate_conditions(status, errors)
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != previous.get("nominatedNodeName"):
        add(errors, "status.nominatedNodeName", nominated, names.is_dns1123_subdomain(nominated))
        if old["spec"].get("nodeName"):
            message = "may not be set on pods that are already bound to a node"
            errors.append(forbidden("status.nominatedNodeName", message))
    _validate_generation(status, "status", errors)
    if status.get("qosClass", "") != previous.get("qosClass", ""):
        errors.append(invalid("status.qosClass", status.get("qosClass", ""), "field is immutable"))
    podcontainerstatus.validate_transitions(status, previous, old["spec"], errors)
    _validate_claim_statuses(status, pod["spec"], errors)
    podcontainerstatus.validate_extended_claim(status, pod["spec"], errors)
    _validate_ips(status, previous, "podIPs", errors)
    _validate_host_ips(status, previous, errors)
    podcontainerstatus.validate_users(status, pod["spec"], errors)
    podcontainerstatus.validate_allocated(status, pod["spec"], errors)
    return errors


def _validate_conditions(status: Object, errors: Errors) -> None:
    for index, condition in enumerate(status.get("conditions", ())):
        kind, path = condition.get("type", ""), f"status.conditions[{index}]"
        _validate_generation(condition, path, errors)
        if kind not in _SYSTEM_CONDITIONS:
            # the capital letter is Kubernetes' own
            add(errors, f"{path}.Type", kind, names.is_qualified_name(kind))


def _validate_generation(holder: Object, path: str, errors: Errors) -> None:
    if holder.get("observedGeneration", 0) < 0:
        message = "must be a non-negative integer"
        errors.append(invalid(f"{path}.observedGeneration", holder["observedGeneration"], message))


def _validate_claim_statuses(status: Object, spec: Object, errors: Errors) -> None:
    known = {claim.get("name") for claim in spec.get("resourceClaims", ())}
    seen: set[str] = set()
    for index, claim in enumerate(status.get("resourceClaimStatuses", ())):
        name, path = claim.get("name", ""), f"status.resourceClaimStatuses[{index}]"
        if name not in known:
            message = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid(f"{path}.name", name, message))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        made = claim.get("resourceClaimName")
        if made is not None:
            add(errors, f"{path}.resourceClaimName", made, names.is_dns1123_subdomain(made))


def _validate_ips(status: Object, previous: Object, field: str, errors: Errors) -> None:
    """An address that was there may stay, whatever it is."""
    path = f"status.{field}"
    ips, known = ([ip.get("ip", "") for ip in s.get(field, ())] for s in (status, previous))
    for index, ip in enumerate(ips):
        if ip not in known:
            add(errors, f"{path}[{index}]", ip, addresses.is_ip(ip))
    if len(ips) < 2:
        return
    parsed = [addresses.parse_ip(ip) for ip in ips]
    shown = [{"IP": ip} for ip in ips]
    families = {ip.version for ip in parsed if ip is not None}
    if len(families) < 2 or len(ips) > 2:
        errors.append(invalid(path, shown, _TWO_OF_A_FAMILY))


def _validate_host_ips(status: Object, previous: Object, errors: Errors) -> None:
    ips = [ip.get("ip", "") for ip in status.get("hostIPs", ())]
    if not ips:
        return
    if status.get("hostIP", "") != ips[0]:
        errors.append(invalid("status.hostIPs[0].ip", ips[0], "must be equal to `hostIP`"))
    _validate_ips(status, previous, "hostIPs", errors)
