"""Security contexts of pods and containers."""

from __future__ import annotations

import re
from typing import Any

from knarr.api.core.podspec import internal
from knarr.api.core.podspec.apparmor import PROFILE_MAX
from knarr.api.core.podspec.paths import Errors, add, containers_with_paths, local_descending
from knarr.api.core.podspec.windows import validate_windows_options
from knarr.meta import names
from knarr.meta.fielderrors import duplicate, forbidden, invalid, not_supported, required, too_long

Spec = dict[str, Any]
_IDS = range(2**31)
_ID_ERROR = names.inclusive_range_error(0, 2**31 - 1)
_SECCOMP_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
#: what the kernel keeps per network and per IPC namespace, by prefix
_SYSCTL_NAMESPACES = {
    "kernel.shm": "ipc",
    "kernel.msg": "ipc",
    "fs.mqueue.": "ipc",
    "net.": "net",
}
_OWN_USERS = "when `hostUsers` is false"
_WITHOUT_ESCALATION = "cannot set `allowPrivilegeEscalation` to false and "


def _user_id(path: str, value: int | None, errors: Errors) -> None:
    if value is not None and value not in _IDS:
        errors.append(invalid(path, value, _ID_ERROR))


# pods


def validate_pod_security_context(spec: Spec, path: str, errors: Errors) -> None:
    context = spec.get("securityContext")
    if not context and not spec.get("shareProcessNamespace"):
        return
    context = context or {}
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        _user_id(f"{path}.{field}", context.get(field), errors)
    for index, group in enumerate(context.get("supplementalGroups", ())):
        _user_id(f"{path}.supplementalGroups[{index}]", group, errors)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        message = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{path}.shareProcessNamespace", True, message))
    if "sysctls" in context:
        _validate_sysctls(spec, context["sysctls"], f"{path}.sysctls", errors)
    _one_of(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), path, errors)
    if "seccompProfile" in context:
        validate_seccomp(context["seccompProfile"], f"{path}.seccompProfile", errors)
    if "windowsOptions" in context:
        validate_windows_options(context["windowsOptions"], f"{path}.windowsOptions", errors)
    if "appArmorProfile" in context:
        validate_apparmor(context["appArmorProfile"], f"{path}.appArmorProfile", errors)
    _one_of(context, "supplementalGroupsPolicy", ("Merge", "Strict"), path, errors)
    # MountOption waits for the gate SELinuxMount
    _one_of(context, "seLinuxChangePolicy", ("Recursive",), path, errors)


def _one_of(context: Spec, field: str, values: tuple[str, ...], path: str, errors: Errors) -> None:
    if field in context and context[field] not in values:
        errors.append(not_supported(f"{path}.{field}", context[field], values))


def _validate_sysctls(spec: Spec, sysctls: list[Spec], base: str, errors: Errors) -> None:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, path = sysctl.get("name", ""), f"{base}[{index}].name"
        if not name:
            errors.append(required(path))
        elif wrong := names.is_sysctl_name(name):
            add(errors, path, name, wrong)
        elif name in seen:
            errors.append(duplicate(path, name))
        seen.add(name)
        dotted = _dotted(name)
        namespace = next((ns for prefix, ns in _SYSCTL_NAMESPACES.items() if dotted.startswith(prefix)), "")
        if dotted == "kernel.sem":
            namespace = "ipc"
        for field, owned in (("hostNetwork", "net"), ("hostIPC", "ipc")):
            if spec.get(field) and namespace == owned:
                errors.append(invalid(path, name, f"may not be specified when '{field}' is true"))


def _dotted(name: str) -> str:
    """A name with slashes in the form with dots: the first separator says which form it is."""
    first = re.search("[./]", name)
    if first is None or first[0] == ".":
        return name
    return name.translate(str.maketrans("./", "/."))


# containers


def validate_security_context(container: Spec, host_users: bool, path: str, errors: Errors) -> None:
    context = container.get("securityContext")
    if not context:
        return
    for field in ("runAsUser", "runAsGroup"):
        _user_id(f"{path}.{field}", context.get(field), errors)
    if "procMount" in context:
        mount = context["procMount"]
        if mount not in ("Default", "Unmasked"):
            errors.append(not_supported(f"{path}.procMount", mount, ("Default", "Unmasked")))
        if mount == "Unmasked" and host_users:
            message = "`hostUsers` must be false to use `Unmasked`"
            errors.append(invalid(f"{path}.procMount", mount, message))
    if "seccompProfile" in context:
        validate_seccomp(context["seccompProfile"], f"{path}.seccompProfile", errors)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            shown = internal.security_context(context)
            errors.append(invalid(path, shown, _WITHOUT_ESCALATION + "`privileged` to true"))
        if "CAP_SYS_ADMIN" in context.get("capabilities", {}).get("add", ()):
            shown = internal.security_context(context)
            errors.append(invalid(path, shown, _WITHOUT_ESCALATION + "`capabilities.Add` CAP_SYS_ADMIN"))
    if "windowsOptions" in context:
        validate_windows_options(context["windowsOptions"], f"{path}.windowsOptions", errors)
    if "appArmorProfile" in context:
        validate_apparmor(context["appArmorProfile"], f"{path}.appArmorProfile", errors)


# profiles


def validate_seccomp(profile: Spec, path: str, errors: Errors) -> None:
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _SECCOMP_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _SECCOMP_TYPES))
    path = f"{path}.localhostProfile"
    if kind == "Localhost":
        if local is None:
            errors.append(required(path, "must be set when seccomp type is Localhost"))
        else:
            local_descending(path, local, errors)
    elif local is not None:
        shown = {"Type": kind, "LocalhostProfile": local}
        errors.append(invalid(path, shown, "can only be set when seccomp type is Localhost"))


def validate_apparmor(profile: Spec, path: str, errors: Errors) -> None:
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when appArmorProfile is set"))
    elif kind not in _SECCOMP_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _SECCOMP_TYPES))
    elif kind == "Localhost":
        _validate_localhost_profile(local, f"{path}.localhostProfile", errors)
    elif local is not None:
        message = "can only be set when AppArmor type is Localhost"
        errors.append(invalid(f"{path}.localhostProfile", local, message))


def _validate_localhost_profile(profile: str | None, path: str, errors: Errors) -> None:
    if not profile:
        errors.append(required(path, "must be set when AppArmor type is Localhost"))
        return
    if profile.strip() != profile:
        errors.append(invalid(path, profile, "must not be padded with whitespace"))
    if names.byte_length(profile) > PROFILE_MAX:
        errors.append(too_long(path, PROFILE_MAX))


def validate_host_users(spec: Spec, path: str, errors: Errors) -> None:
    """A user namespace of its own goes with no other namespace of the host, nor with block devices."""
    if spec.get("hostUsers") is not False:
        return
    # the capital letters are Kubernetes' own
    for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(field):
            errors.append(forbidden(f"{path}.{shown}", _OWN_USERS))
    for container, here in containers_with_paths(spec, path):
        if container.get("volumeDevices"):
            errors.append(forbidden(f"{here}.volumeDevices", _OWN_USERS))
