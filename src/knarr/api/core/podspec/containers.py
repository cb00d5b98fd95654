"""Containers: regular ones, those that run before them or beside them, and those added to a running pod."""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.api.core.podspec.env import validate_env, validate_env_from
from knarr.api.core.podspec.mounts import Volumes, validate_devices, validate_mounts
from knarr.api.core.podspec.paths import Errors, add
from knarr.api.core.podspec.podlevel import is_sidecar
from knarr.api.core.podspec.ports import validate_host_port_conflicts, validate_ports
from knarr.api.core.podspec.probes import validate_lifecycle_and_probes
from knarr.api.core.podspec.resources import validate_resources
from knarr.api.core.podspec.security import validate_security_context
from knarr.meta import names
from knarr.meta.fielderrors import duplicate, forbidden, invalid, not_found, not_supported, required, too_many

Spec = dict[str, Any]
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_FOR_RUNNING = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
#: what an ephemeral container may not have, in the order of Go's struct
_NOT_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)
_RULE_ACTIONS = ("Restart", "RestartAllContainers")
RULES_MAX = 20
EXIT_CODES_MAX = 255


class Context(NamedTuple):
    """What the checks of one container must know of its pod."""

    volumes: Volumes
    claims: set[str]
    grace: int | None
    restart_policy: str
    host_users: bool


def validate_containers(spec: Spec, context: Context, path: str, errors: Errors) -> None:
    containers = spec.get("containers")
    if not containers:
        errors.append(required(path))
        return
    seen: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        _validate_common(container, context, here, errors)
        name = container.get("name", "")
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
        validate_lifecycle_and_probes(container, context.grace, here, errors)
        _validate_restart_policy(container, here, errors)
    validate_host_port_conflicts(containers, path, errors)


def validate_init_containers(spec: Spec, context: Context, path: str, errors: Errors) -> None:
    taken = {container.get("name", "") for container in spec.get("containers", ())}
    for index, container in enumerate(spec.get("initContainers", ())):
        here = f"{path}[{index}]"
        _validate_common(container, context, here, errors)
        _validate_restart_policy(container, here, errors, is_init=True)
        name = container.get("name", "")
        if name in taken:
            errors.append(duplicate(f"{here}.name", name))
        elif name:
            taken.add(name)
        # they run one after the other, so each is compared with itself alone
        validate_host_port_conflicts([container], path, errors)
        if is_sidecar(container):
            validate_lifecycle_and_probes(container, context.grace, here, errors)
            continue
        for field in _FOR_RUNNING:
            if field in container:
                message = "may not be set for init containers without restartPolicy=Always"
                errors.append(forbidden(f"{here}.{field}", message))
        if "resizePolicy" in container:
            _validate_resizing_without_restart(container, here, errors)


def validate_ephemeral_containers(spec: Spec, context: Context, path: str, errors: Errors) -> None:
    others = {c.get("name", "") for c in (*spec.get("containers", ()), *spec.get("initContainers", ()))}
    taken = set(others)
    for index, container in enumerate(spec.get("ephemeralContainers", ())):
        here = f"{path}[{index}]"
        _validate_common(container, context, here, errors)
        validate_image_padding(container, here, errors)
        name = container.get("name", "")
        if name in taken:
            errors.append(duplicate(f"{here}.name", name))
        taken.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            errors.append(not_found(f"{here}.targetContainerName", target))
        for field in _NOT_EPHEMERAL:
            # Go has resources as a struct, which is not set when it is empty
            if field in container and (container[field] or field != "resources"):
                errors.append(forbidden(f"{here}.{field}", "cannot be set for an Ephemeral Container"))
        for number, mount in enumerate(container.get("volumeMounts", ())):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    message = "cannot be set for an Ephemeral Container"
                    errors.append(forbidden(f"{here}.volumeMounts[{number}].{field}", message))


def validate_image_padding(container: Spec, path: str, errors: Errors) -> None:
    """Templates may have such an image for historical reasons, pods may not."""
    image = container.get("image", "")
    if image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))


def _validate_common(container: Spec, context: Context, path: str, errors: Errors) -> None:
    name = container.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    elif wrong := names.is_dns1123_label(name):
        add(errors, f"{path}.name", name, wrong)
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy", "")
    if policy not in _MESSAGE_POLICIES:
        errors.append(not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES))
    if "ports" in container:
        validate_ports(container, path, errors)
    if "env" in container:
        validate_env(container, path, errors)
    if "envFrom" in container:
        validate_env_from(container, path, errors)
    if "volumeMounts" in container:
        validate_mounts(container, context.volumes, path, errors)
    if "volumeDevices" in container:
        validate_devices(container, context.volumes, path, errors)
    pull = container.get("imagePullPolicy", "")
    if pull not in PULL_POLICIES:
        errors.append(not_supported(f"{path}.imagePullPolicy", pull, PULL_POLICIES))
    if container.get("resources"):
        validate_resources(container["resources"], context.claims, f"{path}.resources", errors)
    if "resizePolicy" in container:
        _validate_resize_policy(container, context.restart_policy, f"{path}.resizePolicy", errors)
    if "securityContext" in container:
        validate_security_context(container, context.host_users, f"{path}.securityContext", errors)


def _validate_resize_policy(container: Spec, restart_policy: str, path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(container["resizePolicy"]):
        resource, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if resource in seen:
            errors.append(duplicate(f"{path}[{index}]", resource))
        seen.add(resource)
        for value, supported in (
            (resource, ("cpu", "memory")),
            (restart, ("NotRequired", "RestartContainer")),
        ):
            if value not in supported:
                errors.append(not_supported(path, value, supported) if value else required(path))
        if restart_policy == "Never" and restart != "NotRequired":
            message = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errors.append(invalid(path, restart, message))


def _validate_resizing_without_restart(container: Spec, path: str, errors: Errors) -> None:
    """An init container that is no sidecar cannot be restarted for a resize."""
    for index, policy in enumerate(container["resizePolicy"]):
        if policy.get("restartPolicy") == "RestartContainer":
            where = f"{path}.resizePolicy[{index}].restartPolicy"
            message = "must not be set to 'RestartContainer' for non-sidecar initContainers"
            errors.append(invalid(where, "RestartContainer", message))


def _validate_restart_policy(container: Spec, path: str, errors: Errors, is_init: bool = False) -> None:
    """A container's own restart policy and its rules by exit code (KEP-5307)."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules", ())
    if policy is None:
        if rules:
            message = "must specify restartPolicy when restart rules are used"
            errors.append(required(f"{path}.restartPolicy", message))
        if is_init:
            # the rules themselves are looked at only together with a policy
            return
    elif policy not in _RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    if len(rules) > RULES_MAX:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), RULES_MAX))
    for index, rule in enumerate(rules):
        _validate_rule(rule, f"{path}.restartPolicyRules[{index}]", errors)


def _validate_rule(rule: Spec, path: str, errors: Errors) -> None:
    if rule.get("action") not in _RULE_ACTIONS:
        errors.append(not_supported(f"{path}.action", rule.get("action", ""), _RULE_ACTIONS))
    codes = rule.get("exitCodes")
    if codes is None:
        errors.append(required(f"{path}.exitCodes", "must be specified"))
        return
    operator, values = codes.get("operator", ""), codes.get("values", [])
    if operator not in ("In", "NotIn"):
        errors.append(not_supported(f"{path}.exitCodes.operator", operator, ("In", "NotIn")))
    if len(values) > EXIT_CODES_MAX:
        errors.append(too_many(f"{path}.exitCodes.values", len(values), EXIT_CODES_MAX))
