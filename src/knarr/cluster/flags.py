"""The settings of a cluster by the names of kube-apiserver's flags, as far as it has them: what /flagz shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knarr.meta import times

if TYPE_CHECKING:
    from knarr.apiserver.audit.options import AuditOptions
    from knarr.apiserver.limits import Limits
    from knarr.cluster.controlplane import ControlPlane


def shown(plane: ControlPlane) -> dict[str, str]:
    config = plane.config
    low, high = config.node_ports
    return {
        "bind-address": config.host,
        "secure-port": str(plane.server.port if plane.server else config.port),
        "service-cluster-ip-range": ",".join(config.service_cidrs),
        "service-node-port-range": f"{low}-{high}",
        **_of_limits(config.limits),
        **_of_audit(config.audit),
        **plane.identities.flags(),
    }


def _of_limits(limits: Limits) -> dict[str, str]:
    return {
        "enable-priority-and-fairness": str(limits.enable_priority_and_fairness).lower(),
        "event-ttl": times.format_go_duration(limits.event_ttl),
        "goaway-chance": f"{limits.goaway_chance:g}",
        "livez-grace-period": times.format_go_duration(limits.livez_grace_period),
        "max-mutating-requests-inflight": str(limits.max_mutating_requests_inflight),
        "max-requests-inflight": str(limits.max_requests_inflight),
        "min-request-timeout": f"{limits.min_request_timeout:g}",
        "request-timeout": times.format_go_duration(limits.request_timeout),
        "shutdown-delay-duration": times.format_go_duration(limits.shutdown_delay_duration),
        "shutdown-send-retry-after": str(limits.shutdown_send_retry_after).lower(),
    }


def _of_audit(audit: AuditOptions | None) -> dict[str, str]:
    return {
        "audit-log-path": audit.log.path if audit else "",
        "audit-policy-file": audit.policy_file if audit else "",
        "audit-webhook-config-file": audit.webhook.config_file if audit else "",
    }
