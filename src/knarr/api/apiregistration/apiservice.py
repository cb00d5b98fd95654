"""APIService: who serves a version of a group, in which order groups are listed."""

from __future__ import annotations

import binascii
from typing import Any

from knarr.api import checks, printing
from knarr.api.admissionregistration.webhookclient import PORT
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, invalid, required

GROUP_PRIORITY_MAX, VERSION_PRIORITY_MAX = 20000, 1000


class APIService(Kind):
    allow_unconditional_update = False
    status_keeps_metadata = True
    validate_name = staticmethod(names.path_segment_name)
    columns = (
        NAME,
        Column("Service", "string", "", "The reference to the service that hosts this API endpoint."),
        Column("Available", "string", "", "Whether this service is available."),
        AGE,
    )

    def default(self, obj: Object) -> None:
        service = obj.setdefault("spec", {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = PORT

    def reset_status(self, obj: Object) -> None:
        """What this server serves itself is available at once."""
        obj["status"] = {}
        if obj["spec"].get("service") is None:
            obj["status"]["conditions"] = [
                {
                    "type": "Available",
                    "status": "True",
                    "lastTransitionTime": obj["metadata"].get("creationTimestamp"),
                    "reason": "Local",
                    "message": "Local APIServices are always available",
                }
            ]

    def validate(self, obj: Object) -> list[FieldError]:
        spec, metadata = obj["spec"], obj["metadata"]
        group, version = spec.get("group", ""), spec.get("version", "")
        found: list[FieldError] = []
        detail = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
        for field in ("generateName", "name"):
            name = metadata.get(field, "")
            # what is no segment of a path at all is said already
            if (
                name
                and name != f"{version}.{group}"
                and not names.name_is_path_segment(name, field != "name")
            ):
                found.append(invalid(f"metadata.{field}", name, detail))
        if not group and version != "v1":
            detail = "only v1 may have an empty group and it better be legacy kube"
            found.append(required("spec.group", detail))
        if group:
            found += checks.invalids("spec.group", group, names.is_dns1123_subdomain(group))
        found += checks.invalids("spec.version", version, names.is_dns1035_label(version))
        for field, most in (
            ("groupPriorityMinimum", GROUP_PRIORITY_MAX),
            ("versionPriority", VERSION_PRIORITY_MAX),
        ):
            value = spec.get(field, 0)
            if not 0 < value <= most:
                detail = f"must be positive and less than {most}"
                found.append(invalid(f"spec.{field}", value, detail))
        return found + _service_errors(spec)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate(obj)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        found: list[FieldError] = []
        for i, condition in enumerate(obj.get("status", {}).get("conditions") or ()):
            path = f"status.conditions[{i}].status"
            found += checks.one_of(path, condition.get("status", ""), ("True", "False", "Unknown"))
        return found

    def cells(self, obj: Object, now: float) -> list[Any]:
        service = obj["spec"].get("service")
        where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
        return [obj["metadata"]["name"], where, available(obj), printing.age(obj, now)]


def available(obj: Object) -> str:
    """The Available condition, with its reason unless it is true."""
    for condition in obj.get("status", {}).get("conditions") or ():
        if condition.get("type") == "Available":
            status = condition.get("status", "")
            return status if status == "True" else f"{status} ({condition.get('reason', '')})"
    return "Unknown"


def _service_errors(spec: Object) -> list[FieldError]:
    service, insecure = spec.get("service"), spec.get("insecureSkipTLSVerify", False)
    bundle = spec.get("caBundle")
    found: list[FieldError] = []
    if service is None:
        detail = "local APIServices may not have a caBundle"
        if bundle:
            shown = f"{len(binascii.a2b_base64(bundle))} bytes"
            found.append(invalid("spec.caBundle", shown, detail))
        if insecure:
            detail = "local APIServices may not have insecureSkipTLSVerify"
            found.append(invalid("spec.insecureSkipTLSVerify", insecure, detail))
        return found
    if not service.get("namespace"):
        found.append(required("spec.service.namespace"))
    if not service.get("name"):
        found.append(required("spec.service.name"))
    if messages := names.is_port_number(service.get("port", PORT)):
        detail = f"port is not valid: {','.join(messages)}"
        found.append(invalid("spec.service.port", service["port"], detail))
    if insecure and bundle:
        detail = "may not be true if caBundle is present"
        found.append(invalid("spec.insecureSkipTLSVerify", insecure, detail))
    return found
