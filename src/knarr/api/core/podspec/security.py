"""Security contexts of pods and containers."""

from __future__ import annotations

import re
from typing import Any

from knarr.api.core.podspec import internal
from knarr.api.core.podspec.paths import Errors, add, local_descending
from knarr.meta import names
from knarr.meta.fielderrors import duplicate, forbidden, invalid, not_supported, required, too_long

Spec = dict[str, Any]
_IDS = range(2**31)
_ID_ERROR = names.inclusive_range_error(0, 2**31 - 1)
_SECCOMP_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_LOCALHOST_PROFILE_MAX = 4095
_GMSA_SPEC_MAX = 64 * 1024
#: what the kernel keeps per network and per IPC namespace, by prefix
_SYSCTL_NAMESPACES = {
    "kernel.shm": "ipc",
    "kernel.msg": "ipc",
    "fs.mqueue.": "ipc",
    "net.": "net",
}
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
        _validate_windows_options(context["windowsOptions"], f"{path}.windowsOptions", errors)
    if "appArmorProfile" in context:
        validate_apparmor(context["appArmorProfile"], f"{path}.appArmorProfile", errors)
    _one_of(context, "supplementalGroupsPolicy", ("Merge", "Strict"), path, errors)
    _one_of(context, "seLinuxChangePolicy", ("MountOption", "Recursive"), path, errors)


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
        _validate_windows_options(context["windowsOptions"], f"{path}.windowsOptions", errors)
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
    if names.byte_length(profile) > _LOCALHOST_PROFILE_MAX:
        errors.append(too_long(path, _LOCALHOST_PROFILE_MAX))


# Windows


def _validate_windows_options(options: Spec, path: str, errors: Errors) -> None:
    name = options.get("gmsaCredentialSpecName")
    if name is not None:
        add(errors, f"{path}.gmsaCredentialSpecName", name, names.is_dns1123_subdomain(name))
    spec = options.get("gmsaCredentialSpec")
    if spec is not None:
        if not spec:
            message = "gmsaCredentialSpec cannot be an empty string"
            errors.append(invalid(f"{path}.gmsaCredentialSpec", spec, message))
        elif len(spec) > _GMSA_SPEC_MAX:
            message = f"gmsaCredentialSpec size must be under {_GMSA_SPEC_MAX // 1024} KiB"
            errors.append(invalid(f"{path}.gmsaCredentialSpec", spec, message))
    user = options.get("runAsUserName")
    if user is not None:
        _validate_user_name(user, f"{path}.runAsUserName", errors)


_DOMAIN_NETBIOS_MAX, _DOMAIN_DNS_MAX, _USER_MAX = 15, 255, 104
_BAD_IN_USER = re.compile(r"""["/\\:;|=,+*?<>@\[\]]""")


def _validate_user_name(name: str, path: str, errors: Errors) -> None:
    if not name:
        errors.append(invalid(path, name, "runAsUserName cannot be an empty string"))
        return
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        errors.append(invalid(path, name, "runAsUserName cannot contain control characters"))
        return
    domain, backslash, user = name.rpartition("\\")
    if "\\" in domain:
        errors.append(invalid(path, name, "runAsUserName cannot contain more than one backslash"))
        return
    if backslash:
        if len(domain) > _DOMAIN_DNS_MAX:
            message = f"runAsUserName's Domain length must be under {_DOMAIN_DNS_MAX} characters"
            errors.append(invalid(path, name, message))
        elif not domain or domain.startswith(".") or re.search(r"[^\w.\- ]", domain):
            message = "runAsUserName's Domain doesn't match the NetBios nor the DNS format"
            errors.append(invalid(path, name, message))
    if not user:
        errors.append(invalid(path, name, "runAsUserName's User cannot be empty"))
    elif len(user) > _USER_MAX:
        message = f"runAsUserName's User length must not be longer than {_USER_MAX} characters"
        errors.append(invalid(path, name, message))
    elif re.fullmatch(r"[. ]+", user):
        message = "runAsUserName's User cannot contain only periods or spaces"
        errors.append(invalid(path, name, message))
    elif _BAD_IN_USER.search(user):
        message = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"
        errors.append(invalid(path, name, message))


_FOR_LINUX_PODS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)
#: fields of the spec that stand among the others, after the one named
_SPEC_FIELDS_AFTER = {
    "seLinuxOptions": ("hostUsers", "hostPID", "hostIPC"),
    "sysctls": ("shareProcessNamespace",),
}
_FOR_LINUX_CONTAINERS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def validate_os(spec: Spec, path: str, errors: Errors) -> None:
    """What a pod may not say once it says for which operating system it is."""
    name = spec["os"].get("name", "")
    if not name:
        errors.append(required(f"{path}.os.name", "cannot be empty"))
    elif name not in ("linux", "windows"):
        errors.append(not_supported(f"{path}.os", name, ("linux", "windows")))
    elif name == "linux":
        _validate_for_linux(spec, path, errors)
    else:
        _validate_for_windows(spec, path, errors)


def containers_with_paths(spec: Spec, path: str) -> list[tuple[Spec, str]]:
    """All containers in the order in which Kubernetes visits them."""
    return [
        (container, f"{path}.{field}[{index}]")
        for field in ("initContainers", "containers", "ephemeralContainers")
        for index, container in enumerate(spec.get(field, ()))
    ]


def _validate_for_linux(spec: Spec, path: str, errors: Errors) -> None:
    holders = [(spec, path), *containers_with_paths(spec, path)]
    for holder, here in holders:
        if "windowsOptions" in (holder.get("securityContext") or ()):
            message = "windows options cannot be set for a linux pod"
            errors.append(forbidden(f"{here}.securityContext.windowsOptions", message))


def _validate_for_windows(spec: Spec, path: str, errors: Errors) -> None:
    message = "cannot be set for a windows pod"
    context = spec.get("securityContext") or {}
    for field in _FOR_LINUX_PODS:
        if field in context:
            errors.append(forbidden(f"{path}.securityContext.{field}", message))
        for other in _SPEC_FIELDS_AFTER.get(field, ()):
            if spec.get(other) or (other in spec and other not in ("hostPID", "hostIPC")):
                errors.append(forbidden(f"{path}.{other}", message))
    for container, here in containers_with_paths(spec, path):
        context = container.get("securityContext") or {}
        for field in _FOR_LINUX_CONTAINERS:
            if field in context:
                errors.append(forbidden(f"{here}.securityContext.{field}", message))


def validate_host_process(spec: Spec, path: str, errors: Errors) -> None:
    """Windows: either all containers run on the host itself or none, and then on its network."""
    for_pod = _host_process(spec)
    containers = containers_with_paths(spec, path)
    if for_pod is None and not any("windowsOptions" in c.get("securityContext", ()) for c, _ in containers):
        return
    count = 0
    for container, here in containers:
        own = _host_process(container)
        if for_pod is not None and own is not None and own != for_pod:
            was = "true" if for_pod else "false"
            message = f"pod hostProcess value must be identical if both are specified, was {was}"
            errors.append(invalid(f"{here}.securityContext.windowsOptions.hostProcess", own, message))
        count += bool(for_pod if own is None else own)
    if not count:
        return
    if count != len(containers):
        message = (
            "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        )
        errors.append(invalid(path, "", message))
    if not spec.get("hostNetwork"):
        message = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid(f"{path}.hostNetwork", False, message))


def _host_process(holder: Spec) -> bool | None:
    return (holder.get("securityContext") or {}).get("windowsOptions", {}).get("hostProcess")


def validate_host_users(spec: Spec, path: str, errors: Errors) -> None:
    """A user namespace of its own goes with no other namespace of the host."""
    if spec.get("hostUsers") is not False:
        return
    # the capital letters are Kubernetes' own
    for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(field):
            errors.append(forbidden(f"{path}.{shown}", "when `pod.Spec.HostUsers` is false"))
