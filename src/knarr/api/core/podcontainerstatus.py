"""What the statuses of a pod's containers, and of the devices claimed for them, may say."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import names
from knarr.meta.fielderrors import duplicate, forbidden, invalid, not_supported, required, too_long

Object = dict[str, Any]
#: a list of statuses, where in a pod's spec are their containers
KINDS = (
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
)
HEALTH = ("Healthy", "Unhealthy", "Unknown")
HEALTH_MESSAGE_MAX = 1024
_CLAIM = "claim:"
_NO_CLAIM = (
    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or"
    " 'claim:<claimName>' if request is empty"
)
_NO_REQUEST = (
    "must match the extended resource name of an entry in spec.initContainers.resources.requests or"
    " spec.containers.resources.requests"
)
_NO_CONTAINER = "must match the name of an entry in spec.initContainers.name or spec.containers.name"


def validate_transitions(status: Object, previous: Object, spec: Object, errors: Errors) -> None:
    """A container that has ended for good does not run again."""
    for field, where in KINDS:
        containers = {c.get("name"): c for c in spec.get(where, ())}
        for index, before in enumerate(previous.get(field, ())):
            ended = before.get("state", {}).get("terminated")
            if ended is None:
                continue
            container = containers.get(before.get("name"))
            if field != "ephemeralContainerStatuses" and container is not None:
                if _restarts(container, spec, ended.get("exitCode", 0)):
                    continue
            for now in status.get(field, ()):
                if now.get("name") == before.get("name") and "terminated" not in now.get("state", ()):
                    path = f"status.{field}[{index}].state"
                    errors.append(forbidden(path, "may not be transitioned to non-terminated state"))


def _restarts(container: Object, spec: Object, code: int) -> bool:
    """The container's rules come first, then its policy, then the pod's."""
    if any(_restarts_all(c) for c in (*spec.get("containers", ()), *spec.get("initContainers", ()))):
        return True
    policy = container.get("restartPolicy")
    if policy:
        rule = next((r for r in container.get("restartPolicyRules", ()) if _matches(r, code)), None)
        if rule is not None and rule.get("action") == "Restart":
            return True
    policy = policy or spec.get("restartPolicy", "Always")
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _restarts_all(container: Object) -> bool:
    """A container's end may start all the others anew."""
    return any(
        rule.get("action") == "RestartAllContainers" for rule in container.get("restartPolicyRules", ())
    )


def _matches(rule: Object, code: int) -> bool:
    codes = rule.get("exitCodes") or {}
    return (code in codes.get("values", ())) == (codes.get("operator") == "In")


def validate_users(status: Object, spec: Object, errors: Errors) -> None:
    system = (spec.get("os") or {}).get("name", "linux")
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for index, container in enumerate(status.get(field, ())):
            linux = (container.get("user") or {}).get("linux")
            path = f"status.{field}[{index}].user.linux"
            if linux is None:
                continue
            if system == "windows":
                errors.append(forbidden(path, "cannot be set for a windows pod"))
            elif system == "linux":
                _validate_linux_user(linux, path, errors)


def _validate_linux_user(linux: Object, path: str, errors: Errors) -> None:
    for name, check in (("uid", names.is_user_id), ("gid", names.is_group_id)):
        add(errors, f"{path}.{name}", linux.get(name, 0), check(linux.get(name, 0)))
    for index, group in enumerate(linux.get("supplementalGroups", ())):
        add(errors, f"{path}.supplementalGroups[{index}]", group, names.is_group_id(group))


def validate_allocated(status: Object, spec: Object, errors: Errors) -> None:
    """Of each device a container was given, whether it is well."""
    for field, where in KINDS:
        containers = {c.get("name"): c for c in spec.get(where, ())}
        for index, container in enumerate(status.get(field, ())):
            path = f"status.{field}[{index}].allocatedResourcesStatus"
            allocated = container.get("allocatedResourcesStatus") or ()
            if allocated and field == "ephemeralContainerStatuses":
                errors.append(forbidden(path, "must not be specified in container status"))
                continue
            for j, resource in enumerate(allocated):
                _validate_resource(resource, containers.get(container.get("name")), f"{path}[{j}]", errors)


def _validate_resource(resource: Object, container: Object | None, path: str, errors: Errors) -> None:
    name = resource.get("name", "")
    if container is not None:
        given = container.get("resources") or {}
        if name.startswith(_CLAIM):
            known = {
                _CLAIM + "/".join(filter(None, (c.get("name"), c.get("request"))))
                for c in given.get("claims", ())
            }
            message = _NO_CLAIM
        else:
            known = set(given.get("requests") or ())
            message = "must match one of the container's resource requests"
        if name not in known:
            errors.append(invalid(f"{path}.name", name, message))
    seen: set[str] = set()
    for index, device in enumerate(resource.get("resources", ())):
        where, health, identity = (
            f"{path}.resources[{index}]",
            device.get("health", ""),
            device.get("resourceID", ""),
        )
        if health not in HEALTH:
            errors.append(not_supported(f"{where}.health", health, HEALTH))
        if "message" in device:
            _validate_message(device["message"], f"{where}.message", errors)
        if identity in seen:
            errors.append(duplicate(f"{where}.resourceID", identity))
        seen.add(identity)


def _validate_message(message: str, path: str, errors: Errors) -> None:
    if not message:
        errors.append(required(path, "must be non-empty if specified"))
    elif names.byte_length(message) > HEALTH_MESSAGE_MAX:
        errors.append(too_long(path, HEALTH_MESSAGE_MAX))


def validate_extended_claim(status: Object, spec: Object, errors: Errors) -> None:
    """Which claim holds the devices that the pod asked for as extended resources."""
    claim = status.get("extendedResourceClaimStatus")
    if claim is None:
        return
    path = "status.extendedResourceClaimStatus"
    mappings, seen = claim.get("requestMappings") or (), set()
    if not mappings:
        errors.append(required(f"{path}.requestMappings", "at least one request mapping is required"))
    containers = {c.get("name"): c for c in (*spec.get("initContainers", ()), *spec.get("containers", ()))}
    for index, mapping in enumerate(mappings):
        where = f"{path}.requestMappings[{index}]"
        key = tuple(mapping.get(name, "") for name in ("containerName", "resourceName", "requestName"))
        container = containers.get(key[0])
        if container is None:
            errors.append(invalid(f"{where}.containerName", key[0], _NO_CONTAINER))
        elif key[1] not in ((container.get("resources") or {}).get("requests") or ()):
            errors.append(invalid(f"{where}.resourceName", key[1], _NO_REQUEST))
        add(errors, f"{path}.requestName", key[2], names.is_dns1123_label(key[2]))
        if key in seen:
            pairs = zip(("containerName", "resourceName", "requestName"), key, strict=True)
            errors += [duplicate(f"{where}.{name}", value) for name, value in pairs]
        seen.add(key)
    made = claim.get("resourceClaimName", "")
    if made:
        add(errors, f"{path}.resourceClaimName", made, names.is_dns1123_subdomain(made))
    else:
        errors.append(required(f"{path}.resourceClaimName"))
