"""The settings of a cluster by the names of kube-apiserver's flags, as far as it has them: what /flagz shows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from knarr.meta import times

if TYPE_CHECKING:
    from knarr.apiserver.audit.options import AuditOptions
    from knarr.cluster.controlplane import ControlPlane


def shown(plane: ControlPlane) -> dict[str, str]:
    """Flag -> value as /flagz writes it; flags that have no value are left out."""
    config = plane.config
    low, high = config.node_ports
    return {
        "bind-address": config.host,
        "secure-port": str(plane.server.port if plane.server else config.port),
        "service-cluster-ip-range": ",".join(config.service_cidrs),
        "service-node-port-range": f"{low}-{high}",
        "allow-privileged": "true",
        "requestheader-extra-headers-prefix": "[X-Remote-Extra-]",
        "requestheader-group-headers": "[X-Remote-Group]",
        "requestheader-username-headers": "[X-Remote-User]",
        **of_settings(config.limits),
        **of_settings(config.authentication),
        **of_settings(config.authorization),
        **_of_audit(config.audit),
        "anonymous-auth": str(plane.identities.authenticator.anonymous).lower(),
        "api-audiences": _text(config.authentication.audiences),
        "authorization-mode": ""
        if config.authorization.authorization_config
        else _text(config.authorization.modes),
    }


#: numbers that are no spans of time
NUMBERS = frozenset({"goaway_chance"})
#: spans of time that are told in seconds
SECONDS = frozenset({"min_request_timeout"})


def of_settings(settings: Any) -> dict[str, str]:
    """A dataclass whose fields are named as the flags are; what nobody has set and has no default is left out."""
    found = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.type == "float" and field.name not in NUMBERS | SECONDS:
            value = times.format_go_duration(value)
        if value is not None:
            found[field.name.replace("_", "-")] = _text(value)
    return found


def _text(value: Any) -> str:
    """As pflag writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _of_audit(audit: AuditOptions | None) -> dict[str, str]:
    return {
        "audit-log-path": audit.log.path if audit else "",
        "audit-policy-file": audit.policy_file if audit else "",
        "audit-webhook-config-file": audit.webhook.config_file if audit else "",
    }
