"""A pod's status as Go writes it: some empty parts are always there, and one address stands in two places."""

from __future__ import annotations

from typing import Any

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
