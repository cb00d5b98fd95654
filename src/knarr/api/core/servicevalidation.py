"""What a Service may say."""

from __future__ import annotations

from typing import Any

from knarr.api import checks
from knarr.meta import addresses, intstr, labels
from knarr.meta.fielderrors import FieldError, duplicate, forbidden, invalid, required

Spec = dict[str, Any]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
AFFINITIES = ("ClientIP", "None")
FAMILIES = ("IPv4", "IPv6")
POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
TRAFFIC_POLICIES = ("Cluster", "Local")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
IP_MODES = ("Proxy", "VIP")
TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
AFFINITY_SECONDS_MAX = 86400
KUBELET_PORT = 10250
ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"
UNCHANGEABLE = "may not change once set"


def validate(service: dict[str, Any], old: dict[str, Any] | None = None) -> list[FieldError]:
    """Of `old` only addresses are of interest: what it holds stays accepted."""
    spec = service["spec"]
    before = old["spec"] if old else None
    headless = spec.get("clusterIPs") == ["None"]
    errors = _topology(service["metadata"].get("annotations"))
    if not spec.get("ports") and not headless and spec.get("type") != "ExternalName":
        errors.append(required("spec.ports", ""))
    errors += _of_type(spec, headless)
    errors += _ports(spec.get("ports") or ())
    if "selector" in spec:
        errors += labels.validate_labels(spec["selector"], "spec.selector")
    errors += _affinity(spec)
    errors += cluster_ip_errors(spec, before)
    if "externalIPs" in spec:
        errors += _external_ips(spec["externalIPs"], (before or {}).get("externalIPs", ()))
    errors += checks.one_of("spec.type", spec["type"], TYPES) if spec.get("type") else [required("spec.type")]
    errors += _port_collisions(spec)
    errors += _source_ranges(service, before)
    errors += _load_balancer(spec)
    errors += _external_traffic(spec)
    errors += _internal_traffic(spec)
    return errors


def _topology(annotations: dict[str, str] | None) -> list[FieldError]:
    if not annotations or TOPOLOGY_HINTS not in annotations or TOPOLOGY_MODE not in annotations:
        return []
    if annotations[TOPOLOGY_HINTS] == annotations[TOPOLOGY_MODE]:
        return []
    message = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
    return [invalid(f"metadata.annotations[{TOPOLOGY_MODE}]", annotations[TOPOLOGY_MODE], message)]


def _of_type(spec: Spec, headless: bool) -> list[FieldError]:
    kind = spec.get("type")
    if kind in ("LoadBalancer", "NodePort"):
        message = f"may not be set to 'None' for {kind} services"
        errors = [invalid("spec.clusterIPs[0]", "None", message)] if headless else []
        return _kubelet_ports(spec) + errors if kind == "LoadBalancer" else errors
    if kind != "ExternalName":
        return []
    errors = [
        forbidden(f"spec.{key}", "may not be set for ExternalName services")
        for key in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(key)
    ]
    # a canonical name may end in a dot
    name = spec.get("externalName", "").removesuffix(".")
    return errors + (
        checks.dns_subdomain("spec.externalName", name) if name else [required("spec.externalName")]
    )


def _kubelet_ports(spec: Spec) -> list[FieldError]:
    message = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
    return [
        invalid(f"spec.ports[{i}]", KUBELET_PORT, message)
        for i, port in enumerate(spec.get("ports") or ())
        if port.get("port") == KUBELET_PORT
    ]


def _ports(ports: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name", "")
        if name:
            errors += checks.dns_label(f"spec.ports[{i}].name", name)
            if name in seen:
                errors.append(duplicate(f"spec.ports[{i}].name", name))
            seen.add(name)
        elif len(ports) > 1:
            errors.append(required(f"spec.ports[{i}].name"))
        number, protocol, target = port.get("port", 0), port.get("protocol"), port.get("targetPort", 0)
        if not 0 < number < 65536:
            errors += checks.port_number(f"spec.ports[{i}].port", number)
        if protocol not in PROTOCOLS:
            path = f"spec.ports[{i}].protocol"
            errors += checks.one_of(path, protocol, PROTOCOLS) if protocol else [required(path)]
        if target != number or not 0 < number < 65536:
            errors += intstr.validate_port_number_or_name(target, f"spec.ports[{i}].targetPort")
        if "appProtocol" in port:
            errors += checks.qualified_name(f"spec.ports[{i}].appProtocol", port["appProtocol"])
    return errors


def _affinity(spec: Spec) -> list[FieldError]:
    affinity = spec.get("sessionAffinity")
    if affinity == "None":
        if "sessionAffinityConfig" not in spec:
            return []
        return [forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")]
    if affinity != "ClientIP":
        path = "spec.sessionAffinity"
        return checks.one_of(path, affinity, AFFINITIES) if affinity else [required(path)]
    path, config = "spec.sessionAffinityConfig", spec.get("sessionAffinityConfig")
    for key in ("", "clientIP", "timeoutSeconds"):
        if key:
            path, config = f"{path}.{key}", config.get(key)
        if config is None:
            return [required(path, "when session affinity type is ClientIP")]
    if not 0 < config <= AFFINITY_SECONDS_MAX:
        return [invalid(path, config, f"must be greater than 0 and less than {AFFINITY_SECONDS_MAX}")]
    return []


def cluster_ip_errors(spec: Spec, before: Spec | None = None) -> list[FieldError]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy, which must agree."""
    if spec.get("type") == "ExternalName":
        return []
    single, ips = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    families = spec.get("ipFamilies") or ()
    errors: list[FieldError] = []
    if single and not ips:
        errors.append(required("spec.clusterIPs"))
    elif single and ips[0] != single:
        errors.append(invalid("spec.clusterIPs", ips, "first value must match `clusterIP`"))
    elif ips and not single:
        errors.append(invalid("spec.clusterIPs", ips, "must be empty when `clusterIP` is not specified"))
    for i, family in enumerate(families):
        errors += checks.one_of(f"spec.ipFamilies[{i}]", family, FAMILIES)
        if family in families[:i]:
            errors.append(duplicate(f"spec.ipFamilies[{i}]", family))
    if "ipFamilyPolicy" in spec:
        errors += checks.one_of("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], POLICIES)
    unusable = _unusable_ips(ips, (before or {}).get("clusterIPs") or ())
    errors += unusable
    if len(ips) > 2:
        errors.append(invalid("spec.clusterIPs", ips, "may only hold up to 2 values"))
    if unusable:
        return errors
    if len(ips) > 1 and len({_version(ip) for ip in ips}) == 1:
        errors.append(invalid("spec.clusterIPs", ips, "may specify no more than one IP for each IP family"))
    if ips[:1] != ["None"]:
        errors += _family_mismatches(ips, families)
    return errors


def _unusable_ips(ips: list[str], old: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, ip in enumerate(ips):
        if i == 0 and ip == "None":
            if len(ips) > 1:
                errors.append(invalid("spec.clusterIPs", ips, "'None' must be the first and only value"))
            continue
        errors += checks.ip(f"spec.clusterIPs[{i}]", ip, old)
    return errors


def _version(ip: str) -> int:
    address = addresses.parse_ip(ip)
    return address.version if address else 0


def _family_mismatches(ips: list[str], families: Any) -> list[FieldError]:
    return [
        invalid(f"spec.clusterIPs[{i}]", ip, f"expected an {family} value as indicated by `ipFamilies[{i}]`")
        for i, (ip, family) in enumerate(zip(ips, families, strict=False))
        if family in FAMILIES and f"IPv{_version(ip)}" != family
    ]


def _external_ips(ips: list[str], old: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, ip in enumerate(ips):
        path = f"spec.externalIPs[{i}]"
        errors += checks.ip(path, ip, old) or checks.not_special_ip(path, ip)
    return errors


def _port_collisions(spec: Spec) -> list[FieldError]:
    errors: list[FieldError] = []
    ports = spec.get("ports") or ()
    if spec.get("type") == "ClusterIP":
        for i, port in enumerate(ports):
            if port.get("nodePort"):
                errors.append(
                    forbidden(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
                )
    if len(ports) < 2:
        return errors
    seen = set()
    for i, port in enumerate(ports):
        if port.get("nodePort"):
            key = (port.get("protocol"), port["nodePort"])
            if key in seen:
                errors.append(duplicate(f"spec.ports[{i}].nodePort", port["nodePort"]))
            seen.add(key)
    seen = set()
    for i, port in enumerate(ports):
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in seen:
            errors.append(duplicate(f"spec.ports[{i}]", _internal_port(*key)))
        seen.add(key)
    return errors


def _internal_port(protocol: str, port: int) -> dict[str, Any]:
    """The key by which Kubernetes finds duplicates, which its message shows."""
    return {
        "Name": "",
        "Protocol": protocol,
        "AppProtocol": None,
        "Port": port,
        "TargetPort": 0,
        "NodePort": 0,
    }


def _source_ranges(service: dict[str, Any], before: Spec | None) -> list[FieldError]:
    spec = service["spec"]
    annotations = service["metadata"].get("annotations") or {}
    errors: list[FieldError] = []
    if ranges := spec.get("loadBalancerSourceRanges"):
        old = [value.strip() for value in (before or {}).get("loadBalancerSourceRanges", ())]
        path = "spec.LoadBalancerSourceRanges"
        if spec.get("type") != "LoadBalancer":
            errors.append(forbidden(path, ONLY_LOAD_BALANCER))
        for i, value in enumerate(ranges):
            errors += checks.cidr(f"{path}[{i}]", value.strip(), old)
    elif SOURCE_RANGES in annotations:
        path = f"metadata.annotations[{SOURCE_RANGES}]"
        if spec.get("type") != "LoadBalancer":
            errors.append(forbidden(path, ONLY_LOAD_BALANCER))
        if text := annotations[SOURCE_RANGES].strip():
            for value in text.split(","):
                errors += checks.cidr(path, value.strip())
    return errors


def _load_balancer(spec: Spec) -> list[FieldError]:
    errors: list[FieldError] = []
    allocate, name = spec.get("allocateLoadBalancerNodePorts"), spec.get("loadBalancerClass")
    if spec.get("type") == "LoadBalancer":
        if allocate is None:
            errors.append(required("allocateLoadBalancerNodePorts"))
        if name is not None:
            errors += checks.qualified_name("spec.loadBalancerClass", name)
        return errors
    if allocate is not None:
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", ONLY_LOAD_BALANCER))
    if name is not None:
        errors.append(forbidden("spec.loadBalancerClass", ONLY_LOAD_BALANCER))
    return errors


def _external_traffic(spec: Spec) -> list[FieldError]:
    kind, policy = spec.get("type"), spec.get("externalTrafficPolicy")
    reachable = kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and spec.get("externalIPs"))
    errors: list[FieldError] = []
    path = "spec.externalTrafficPolicy"
    if not reachable:
        if policy:
            errors.append(invalid(path, policy, "may only be set for externally-accessible services"))
    else:
        errors += checks.one_of(path, policy, TRAFFIC_POLICIES) if policy else [required(path)]
    path, port = "spec.healthCheckNodePort", spec.get("healthCheckNodePort", 0)
    if kind == "LoadBalancer" and policy == "Local":
        errors += checks.port_number(path, port) if port else [required(path)]
    elif port:
        message = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid(path, port, message))
    return errors


def _internal_traffic(spec: Spec) -> list[FieldError]:
    errors: list[FieldError] = []
    path, policy = "spec.internalTrafficPolicy", spec.get("internalTrafficPolicy")
    if policy is not None:
        errors += checks.one_of(path, policy, TRAFFIC_POLICIES)
    elif spec.get("type") in ("ClusterIP", "LoadBalancer", "NodePort"):
        errors.append(required(path))
    if "trafficDistribution" in spec:
        errors += checks.one_of("spec.trafficDistribution", spec["trafficDistribution"], DISTRIBUTIONS)
    return errors


# updates


def validate_update(service: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    spec, before = service["spec"], old["spec"]
    errors: list[FieldError] = []
    if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
        errors += _cluster_ips_kept(spec, before)
        errors += _families_kept(spec, before)
    if spec.get("type") == before.get("type") == "LoadBalancer":
        if spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
            errors.append(invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), UNCHANGEABLE))
    if spec.get("type") == "LoadBalancer":
        if "loadBalancerClass" in spec:
            errors += checks.qualified_name("spec.loadBalancerClass", spec["loadBalancerClass"])
    elif "loadBalancerClass" in spec:
        errors.append(forbidden("spec.loadBalancerClass", ONLY_LOAD_BALANCER))
    if _health_checked(spec) and _health_checked(before):
        if spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
            errors.append(forbidden("spec.healthCheckNodePort", checks.IMMUTABLE))
    return errors + validate(service, old)


def _health_checked(spec: Spec) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _cluster_ips_kept(spec: Spec, before: Spec) -> list[FieldError]:
    """A second address may come and go; what is there stays."""
    now, then = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if now == then == ["None"]:
        return []
    shown = now or None
    if len(now) == len(then):
        return [
            invalid(f"spec.clusterIPs[{i}]", shown, UNCHANGEABLE)
            for i, (new, old) in enumerate(zip(now, then, strict=True))
            if new != old
        ]
    errors = []
    if not now:
        errors.append(invalid("spec.clusterIPs[0]", None, "primary clusterIP can not be unset"))
    elif then and now[0] != then[0]:
        errors.append(invalid("spec.clusterIPs[0]", shown, UNCHANGEABLE))
    if len(then) > len(now) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        message = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), message))
    return errors


def _families_kept(spec: Spec, before: Spec) -> list[FieldError]:
    headless = spec.get("clusterIPs") == ["None"]
    if headless or before.get("clusterIPs") == ["None"]:
        return []
    now, then = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    if len(now) == len(then):
        return [
            invalid("spec.ipFamilies[0]", now, UNCHANGEABLE)
            for new, old in zip(now, then, strict=True)
            if new != old
        ]
    errors = []
    if len(then) > len(now) and not spec.get("clusterIPs"):
        errors.append(invalid("spec.ipFamilies[0]", now or None, "primary ipFamily can not be unset"))
    if now and then and now[0] != then[0]:
        # Kubernetes shows the addresses here
        errors.append(invalid("spec.ipFamilies[0]", spec.get("clusterIPs"), UNCHANGEABLE))
    if len(then) > len(now) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        message = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        errors.append(invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), message))
    return errors


def validate_status(service: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    ingress = service["status"].get("loadBalancer", {}).get("ingress") or ()
    if ingress and service["spec"].get("type") != "LoadBalancer":
        return [
            forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
        ]
    before = old.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return load_balancer_ingress_errors(ingress, [point.get("ip") for point in before], modes=True)


def load_balancer_ingress_errors(ingress: Any, old_ips: Any, modes: bool = False) -> list[FieldError]:
    """The addresses that a load balancer reports, of a Service (`modes`) or an Ingress."""
    errors: list[FieldError] = []
    for i, point in enumerate(ingress):
        path = f"status.loadBalancer.ingress[{i}]"
        if ip := point.get("ip"):
            errors += checks.ip(f"{path}.ip", ip, old_ips)
        if modes:
            errors += _ip_mode(path, ip, point.get("ipMode"))
        if hostname := point.get("hostname"):
            errors += checks.dns_subdomain(f"{path}.hostname", hostname)
            if addresses.parse_ip(hostname):
                errors.append(invalid(f"{path}.hostname", hostname, "must be a DNS name, not an IP address"))
    return errors


def _ip_mode(path: str, ip: str | None, mode: str | None) -> list[FieldError]:
    if mode is None:
        return [required(f"{path}.ipMode", "must be specified when `ip` is set")] if ip else []
    if not ip:
        return [forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set")]
    return checks.one_of(f"{path}.ipMode", mode, IP_MODES)
