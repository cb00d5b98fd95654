"""ComponentStatus: a read-only list of how the control plane's parts feel (deprecated)."""

from __future__ import annotations

from typing import Any

from knarr.api.kind import NAME, Column, Kind, Object


class ComponentStatus(Kind):
    #: said on every request for this kind
    deprecation = "v1 ComponentStatus is deprecated in v1.19+"
    columns = (
        NAME,
        Column("Status", "string", "", "Status of the component conditions"),
        Column("Message", "string", "", "Message of the component conditions"),
        Column("Error", "string", "", "Error of the component conditions"),
    )

    def cells(self, obj: Object, now: float) -> list[Any]:
        state, message, error = "Unknown", "", ""
        for condition in obj.get("conditions") or ():
            if condition.get("type") == "Healthy":
                state = "Healthy" if condition.get("status") == "True" else "Unhealthy"
                message, error = condition.get("message", ""), condition.get("error", "")
                break
        return [obj["metadata"]["name"], state, message, error]
