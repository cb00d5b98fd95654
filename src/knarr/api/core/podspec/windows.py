"""What only Windows pods may say, and what they may not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from knarr.api.core.podspec.paths import Errors, add, containers_with_paths
from knarr.meta import names
from knarr.meta.fielderrors import forbidden, invalid, not_supported, required

Spec = dict[str, Any]
_GMSA_SPEC_MAX = 64 * 1024


def validate_windows_options(options: Spec, path: str, errors: Errors) -> None:
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


_DOMAIN_LIMIT, _USER_MAX = 256, 104
_control = re.compile(r"[\x00-\x1f\x7f]").search
_netbios = re.compile(r"""[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}""").fullmatch
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_dns_name = re.compile(rf"{_LABEL}(?:\.{_LABEL})*").fullmatch
_bad_in_user = re.compile(r"""["/\\:;|=,+*?<>@\[\]]""").search


def _validate_user_name(name: str, path: str, errors: Errors) -> None:
    parts = name.split("\\")
    if not name:
        errors.append(invalid(path, name, "runAsUserName cannot be an empty string"))
    elif _control(name):
        errors.append(invalid(path, name, "runAsUserName cannot contain control characters"))
    elif len(parts) > 2:
        errors.append(invalid(path, name, "runAsUserName cannot contain more than one backslash"))
    else:
        domain = parts[0] if len(parts) == 2 else None
        problems = (*_problems_of_domain(domain), *_problems_of_user(parts[-1]))
        add(errors, path, name, (f"runAsUserName's {problem}" for problem in problems))


def _problems_of_domain(domain: str | None) -> Iterator[str]:
    if domain is None:
        return
    if names.byte_length(domain) >= _DOMAIN_LIMIT:
        yield f"Domain length must be under {_DOMAIN_LIMIT} characters"
    if not _netbios(domain) and not _dns_name(domain):
        yield "Domain doesn't match the NetBios nor the DNS format"


def _problems_of_user(user: str) -> Iterator[str]:
    if not user:
        yield "User cannot be empty"
    elif names.byte_length(user) > _USER_MAX:
        yield f"User length must not be longer than {_USER_MAX} characters"
    if user and not user.strip(". "):
        yield "User cannot contain only periods or spaces"
    if _bad_in_user(user):
        yield 'User cannot contain the following characters: "/\\:;|=,+*?<>@[]'


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
        errors.append(required(f"{path}.os.name"))
    elif name not in ("linux", "windows"):
        errors.append(not_supported(f"{path}.os", name, ("linux", "windows")))
    elif name == "linux":
        _validate_for_linux(spec, path, errors)
    else:
        _validate_for_windows(spec, path, errors)


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
