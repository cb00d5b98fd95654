"""Service: defaults, table, updates. Its rules: servicevalidation; addresses and ports: serviceaddresses."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.core import serviceaddresses, servicevalidation
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import NONE
from knarr.meta import addresses, names
from knarr.meta.fielderrors import FieldError

AFFINITY_SECONDS = 10800


class Service(Kind):
    validate_name = staticmethod(names.is_dns1123_label)
    allow_create_on_update = True
    columns = (
        NAME,
        Column("Type", doc="core.v1.ServiceSpec.type"),
        Column("Cluster-IP", doc="core.v1.ServiceSpec.clusterIP"),
        Column("External-IP", doc="core.v1.ServiceSpec.externalIPs"),
        Column("Port(s)", doc="core.v1.ServiceSpec.ports"),
        AGE,
        Column("Selector", doc="core.v1.ServiceSpec.selector", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        affinity = spec.setdefault("sessionAffinity", "None")
        if affinity == "None":
            spec.pop("sessionAffinityConfig", None)
        elif affinity == "ClientIP":
            _default_affinity_seconds(spec)
        kind = spec.setdefault("type", "ClusterIP")
        for port in spec.get("ports", ()):
            port.setdefault("protocol", "TCP")
            number = port.setdefault("port", 0)
            if not port.get("targetPort"):
                port["targetPort"] = number
        if serviceaddresses.externally_accessible(spec):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if kind in serviceaddresses.WITH_CLUSTER_IP:
            spec.setdefault("internalTrafficPolicy", "Cluster")
        load_balancer = obj.setdefault("status", {}).setdefault("loadBalancer", {})
        if kind == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
            for point in load_balancer.get("ingress", ()):
                if point.get("ip"):
                    point.setdefault("ipMode", "VIP")

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"loadBalancer": {}}

    def validate(self, obj: Object) -> list[FieldError]:
        return servicevalidation.validate(obj)

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_update(obj, old)
        serviceaddresses.drop_type_dependent_fields(obj, old)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return servicevalidation.validate_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return servicevalidation.validate_status(obj, old)

    def warnings_on_create(self, obj: Object) -> list[str]:
        return warnings(obj)

    def warnings_on_status_update(self, obj: Object, old: Object) -> list[str]:
        return [
            said
            for i, point in enumerate(obj["status"]["loadBalancer"].get("ingress") or ())
            for said in addresses.ip_warning(f"status.loadBalancer.ingress[{i}]", point.get("ip", ""))
        ]

    def fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec", {})
        return {"spec.clusterIP": spec.get("clusterIP", ""), "spec.type": spec.get("type", "")}

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        return [
            obj["metadata"]["name"],
            spec.get("type", ""),
            (spec.get("clusterIPs") or (NONE,))[0],
            external_ips(obj),
            ",".join(_port_text(port) for port in spec.get("ports", ())) or NONE,
            printing.age(obj, now),
            printing.format_labels(spec.get("selector")),
        ]


def _default_affinity_seconds(spec: Object) -> None:
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    if client.get("timeoutSeconds") is None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}


def _port_text(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node_port}/{port.get('protocol', '')}"


def external_ips(service: Object) -> str:
    """Where the service is reached from outside, as its table says it."""
    spec = service["spec"]
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return ",".join(spec.get("externalIPs") or ()) or NONE
        case "LoadBalancer":
            return ",".join([*load_balancer_points(service), *spec.get("externalIPs", ())]) or "<pending>"
        case "ExternalName":
            return spec.get("externalName", "")
    return printing.UNKNOWN


def load_balancer_points(obj: Object) -> list[str]:
    """Addresses or names in status.loadBalancer, sorted; Ingresses have the same."""
    points = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return sorted({shown for point in points if (shown := point.get("ip") or point.get("hostname"))})


def warnings(service: Object) -> list[str]:
    spec = service["spec"]
    said: list[str] = []
    if servicevalidation.TOPOLOGY_HINTS in (service["metadata"].get("annotations") or ()):
        said.append(
            f"annotation {servicevalidation.TOPOLOGY_HINTS} is deprecated,"
            f" please use {servicevalidation.TOPOLOGY_MODE} instead"
        )
    kind = spec.get("type")
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    outside = spec.get("externalIPs") or ()
    if spec.get("clusterIP") != "None":
        for i, ip in enumerate(spec.get("clusterIPs") or ()):
            said += addresses.ip_warning(f"spec.clusterIPs[{i}]", ip)
    if headless:
        if spec.get("loadBalancerIP"):
            said.append("spec.loadBalancerIP is ignored for headless services")
        if outside:
            said.append("spec.externalIPs is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            said.append("spec.SessionAffinity is ignored for headless services")
    for i, ip in enumerate(outside):
        said += addresses.ip_warning(f"spec.externalIPs[{i}]", ip)
    if outside and not headless and kind != "ExternalName":
        said.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        said += addresses.ip_warning("spec.loadBalancerIP", spec["loadBalancerIP"])
    for i, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        said += addresses.cidr_warnings(f"spec.loadBalancerSourceRanges[{i}]", cidr)
    if kind == "ExternalName" and outside:
        said.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        said.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        said.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return said
