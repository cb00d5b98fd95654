"""Node: what a kubelet registers and reports."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.core import nodechecks, resourcenames
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import NONE, UNKNOWN
from knarr.meta import addresses, names
from knarr.meta.fielderrors import FieldError, duplicate, forbidden, invalid, required

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"
ADDRESS = gostruct.strings("type", "address")
#: fields of status.nodeInfo that are always shown
NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


class Node(Kind):
    columns = (
        NAME,
        Column("Status", "string", "", "The status of the node"),
        Column("Roles", "string", "", "The roles of the node"),
        AGE,
        Column("Version", doc="core.v1.NodeSystemInfo.kubeletVersion"),
        Column("Internal-IP", doc="core.v1.NodeStatus.addresses", priority=1),
        Column("External-IP", doc="core.v1.NodeStatus.addresses", priority=1),
        Column("OS-Image", doc="core.v1.NodeSystemInfo.osImage", priority=1),
        Column("Kernel-Version", doc="core.v1.NodeSystemInfo.kernelVersion", priority=1),
        Column("Container-Runtime", doc="core.v1.NodeSystemInfo.containerRuntimeVersion", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        first = spec.get("podCIDR")
        if first and (spec.get("podCIDRs") or [None])[0] != first:
            spec["podCIDRs"] = [first]
        elif spec.get("podCIDRs"):
            spec["podCIDR"] = spec["podCIDRs"][0]
        default_status(obj.setdefault("status", {}))

    def prepare_for_create(self, obj: Object) -> None:
        """A node may be created with its status."""
        _drop_config(obj, {})

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_update(obj, old)
        _drop_config(obj, old)

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_status_update(obj, old)
        if "config" not in old["status"]:
            obj["status"].pop("config", None)

    def validate(self, obj: Object) -> list[FieldError]:
        status = obj["status"]
        errors = nodechecks.annotation_errors(obj["metadata"])
        errors += nodechecks.taint_errors(obj["spec"].get("taints") or ())
        errors += (
            _resource_errors(status) + nodechecks.swap_errors(status) + nodechecks.feature_errors(status)
        )
        return errors + _pod_cidr_errors(obj["spec"].get("podCIDRs") or ())

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate(obj) + self.validate_status_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before, status = obj["spec"], old["spec"], obj["status"]
        errors = nodechecks.annotation_errors(obj["metadata"])
        errors += _resource_errors(status) + nodechecks.feature_errors(status)
        errors += _address_duplicates(status.get("addresses") or ())
        errors += _pod_cidrs_kept(spec.get("podCIDRs") or [], before.get("podCIDRs") or [])
        if before.get("providerID") and spec.get("providerID") != before["providerID"]:
            message = 'node updates may not change providerID except from "" to valid'
            errors.append(forbidden("spec.providerID", message))
        if "configSource" in spec:
            errors += _config_source_errors(spec["configSource"])
        errors += nodechecks.taint_errors(spec.get("taints") or ())
        if spec.get("externalID", "") != before.get("externalID", ""):
            errors.append(forbidden("spec.externalID", "may not be updated"))
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        said = []
        if "configSource" in obj["spec"]:
            said.append("spec.configSource: the feature is removed")
        if obj["spec"].get("externalID"):
            said.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
        for i, cidr in enumerate(obj["spec"].get("podCIDRs") or ()):
            said += addresses.cidr_warnings(f"spec.podCIDRs[{i}]", cidr)
        return said

    def fields(self, obj: Object) -> dict[str, str]:
        return {"spec.unschedulable": "true" if obj.get("spec", {}).get("unschedulable") else "false"}

    def cells(self, obj: Object, now: float) -> list[Any]:
        status = obj["status"]
        info = status.get("nodeInfo") or {}
        return [
            obj["metadata"]["name"],
            _state(obj),
            ",".join(roles(obj)) or NONE,
            printing.age(obj, now),
            info.get("kubeletVersion", ""),
            _address(status, "InternalIP"),
            _address(status, "ExternalIP"),
            info.get("osImage") or UNKNOWN,
            info.get("kernelVersion") or UNKNOWN,
            info.get("containerRuntimeVersion") or UNKNOWN,
        ]


def default_status(status: Object) -> None:
    if "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])
    resourcenames.round_up_to_milli(status.get("capacity"))
    resourcenames.round_up_to_milli(status.get("allocatable"))
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {}).setdefault("Port", 0)
    info = status.setdefault("nodeInfo", {})
    if len(info) < len(NODE_INFO):
        for key in NODE_INFO:
            info.setdefault(key, "")
    for condition in status.get("conditions", ()):
        condition.setdefault("lastHeartbeatTime", None)
        condition.setdefault("lastTransitionTime", None)


def _drop_config(node: Object, old: Object) -> None:
    """Configuration by ConfigMap is gone; only nodes that have it keep it."""
    for key, field in (("spec", "configSource"), ("status", "config")):
        if field not in (old.get(key) or ()):
            node[key].pop(field, None)


def _resource_errors(status: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in ("capacity", "allocatable"):
        if key in status:
            errors += resourcenames.amounts_errors(status[key], f"status.{key}.{{}}".format, None)
    return errors


def _pod_cidr_errors(cidrs: Any) -> list[FieldError]:
    path = "spec.podCIDRs"
    errors: list[FieldError] = []
    for i, cidr in enumerate(cidrs):
        errors += checks.cidr(f"{path}[{i}]", cidr)
    if len(cidrs) < 2:
        return errors
    parsed = [addresses.parse_cidr(cidr) for cidr in cidrs]
    if None in parsed:
        at = parsed.index(None)
        fault = f"invalid CIDR[{at}]: <nil> (invalid CIDR address: {cidrs[at]})"
        detail = f"invalid PodCIDRs. failed to check with dual stack with error:{fault}"
        errors.append(FieldError("InternalError", path, "", detail))
    families = {network[0].version for network in parsed if network}
    if None in parsed or len(families) < 2 or len(cidrs) > 2:
        errors.append(invalid(path, list(cidrs), "may specify no more than one CIDR for each IP family"))
    return errors + checks.duplicates(path, cidrs)


def _pod_cidrs_kept(cidrs: list[str], before: list[str]) -> list[FieldError]:
    if not before:
        return []
    if len(cidrs) != len(before):
        changes = 1
    else:
        changes = sum(new != old for new, old in zip(cidrs, before, strict=True))
    message = 'node updates may not change podCIDR except from "" to valid'
    return [forbidden("spec.podCIDRs", message)] * changes


def _address_duplicates(given: Any) -> list[FieldError]:
    errors, seen = [], set()
    for i, address in enumerate(given):
        key = (address.get("type"), address.get("address"))
        if key in seen:
            errors.append(duplicate(f"status.addresses[{i}]", gostruct.dump(address, ADDRESS)))
        seen.add(key)
    return errors


def _config_source_errors(source: Object) -> list[FieldError]:
    """A field of the past, still checked."""
    path = "spec.configSource"
    config = source.get("configMap")
    if config is None:
        shown = {"ConfigMap": None}
        return [invalid(path, shown, "exactly one reference subfield must be non-nil")]
    path += ".configMap"
    errors = [
        forbidden(f"{path}.{key}", f"{key} must not be set in spec")
        for key in ("uid", "resourceVersion")
        if config.get(key)
    ]
    for key, check in (
        ("namespace", names.is_dns1123_label),
        ("name", names.is_dns1123_subdomain),
        ("kubeletConfigKey", names.is_config_map_key),
    ):
        value = config.get(key, "")
        errors += (
            checks.invalids(f"{path}.{key}", value, check(value))
            if value
            else [required(f"{path}.{key}", f"{key} must be set")]
        )
    return errors


def _state(node: Object) -> str:
    said = ["Unknown"]
    for condition in node["status"].get("conditions") or ():
        if condition.get("type") == "Ready":
            said = ["Ready" if condition.get("status") == "True" else "NotReady"]
    if node["spec"].get("unschedulable"):
        said.append("SchedulingDisabled")
    return ",".join(said)


def roles(node: Object) -> list[str]:
    """Sorted, from the labels that name them."""
    found = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        if key.startswith(ROLE_PREFIX):
            found.add(key.removeprefix(ROLE_PREFIX))
        elif key == ROLE_LABEL:
            found.add(value)
    return sorted(role for role in found if role)


def _address(status: Object, kind: str) -> str:
    for address in status.get("addresses") or ():
        if address.get("type") == kind:
            return address.get("address", "")
    return NONE
