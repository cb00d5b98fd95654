"""Probes and lifecycle hooks: what is done to a container from outside."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import names
from knarr.meta.fielderrors import forbidden, invalid, not_supported, required
from knarr.meta.intstr import validate_port_number_or_name

Spec = dict[str, Any]
_SCHEMES = ("HTTP", "HTTPS")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def validate_lifecycle_and_probes(container: Spec, grace: int | None, base: str, errors: Errors) -> None:
    if "lifecycle" in container:
        for hook in ("postStart", "preStop"):
            if hook in container["lifecycle"]:
                _validate_handler(
                    container["lifecycle"][hook], _HOOK, grace, f"{base}.lifecycle.{hook}", errors
                )
    for name in _PROBES:
        if name in container:
            _validate_probe(container[name], name, grace, f"{base}.{name}", errors)


def _validate_probe(probe: Spec, name: str, grace: int | None, path: str, errors: Errors) -> None:
    _validate_handler(probe, _PROBE, grace, path, errors)
    for field in _COUNTS:
        if probe.get(field, 0) < 0:
            errors.append(invalid(f"{path}.{field}", probe[field], "must be greater than or equal to 0"))
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0"))
    if name == "readinessProbe":
        if seconds is not None:
            message = "must not be set for readinessProbes"
            errors.append(invalid(f"{path}.terminationGracePeriodSeconds", seconds, message))
    elif probe.get("successThreshold") != 1:
        errors.append(invalid(f"{path}.successThreshold", probe.get("successThreshold", 0), "must be 1"))


def _exec(action: Spec, grace: int | None, path: str, errors: Errors) -> None:
    if not action.get("command"):
        errors.append(required(f"{path}.command"))


def _http_get(action: Spec, grace: int | None, path: str, errors: Errors) -> None:
    if not action.get("path"):
        errors.append(required(f"{path}.path"))
    errors += validate_port_number_or_name(action.get("port", 0), f"{path}.port")
    if action.get("scheme") not in _SCHEMES:
        errors.append(not_supported(f"{path}.scheme", action.get("scheme", ""), _SCHEMES))
    for header in action.get("httpHeaders", ()):
        name = header.get("name", "")
        add(errors, f"{path}.httpHeaders", name, names.is_http_header_name(name))


def _tcp_socket(action: Spec, grace: int | None, path: str, errors: Errors) -> None:
    errors += validate_port_number_or_name(action.get("port", 0), f"{path}.port")


def _sleep(action: Spec, grace: int | None, path: str, errors: Errors) -> None:
    seconds = action.get("seconds", 0)
    if grace is not None and not 0 <= seconds <= grace:
        message = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        errors.append(invalid(path, seconds, message))


#: in the order in which a second one is refused
_PROBE = {"exec": _exec, "httpGet": _http_get, "tcpSocket": _tcp_socket, "grpc": _tcp_socket}
_HOOK = {"exec": _exec, "httpGet": _http_get, "tcpSocket": _tcp_socket, "sleep": _sleep}


def _validate_handler(
    handler: Spec, kinds: dict[str, Any], grace: int | None, path: str, errors: Errors
) -> None:
    found = False
    for kind, check in kinds.items():
        if kind in handler:
            if found:
                errors.append(forbidden(f"{path}.{kind}", "may not specify more than 1 handler type"))
            else:
                found = True
                check(handler[kind], grace, f"{path}.{kind}", errors)
    if not found:
        errors.append(required(path, "must specify a handler type"))
