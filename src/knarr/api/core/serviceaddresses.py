"""Which addresses and ports a Service has, gains and gives back: decided here, handed out by the registry's allocators.

The registry calls, before anything is validated: `patch_allocated_values` (updates), `normalize_cluster_ips`,
`init_ip_families`, `allocate_cluster_ips`, `allocate_node_ports`; and after the object is stored it frees what
`released_cluster_ips` and `released_node_ports` name. An allocator is passed as two functions: `take(...)` reserves
what was asked for and answers with a message when it cannot, `take_any(...)` picks one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from knarr.api.core.servicevalidation import cluster_ip_errors
from knarr.meta import addresses
from knarr.meta.errors import StatusError, failure, internal
from knarr.meta.fielderrors import FieldError, invalid

Service = dict[str, Any]
Spec = dict[str, Any]
#: a message where the port cannot be had
TakePort = Callable[[int], str | None]
#: told what the port is for, in words for an error
TakeAnyPort = Callable[[str], int]
NODE_PORT = "nodePort"

WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")
SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
OTHER_FAMILY = {"IPv4": "IPv6", "IPv6": "IPv4"}


# what a type needs


def needs_cluster_ip(spec: Spec) -> bool:
    """Whatever the type, if it is known at all: an unknown one must not cost the service its address."""
    return spec.get("type") != "ExternalName"


def needs_node_port(spec: Spec) -> bool:
    """Every port of the service gets a node port."""
    kind = spec.get("type")
    return kind == "NodePort" or (
        kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
    )


def may_have_node_ports(spec: Spec) -> bool:
    """A load balancer for which none are allocated any more keeps those that it has."""
    return spec.get("type") in ("NodePort", "LoadBalancer")


def needs_health_check_node_port(spec: Spec) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def externally_accessible(spec: Spec) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def is_headless(spec: Spec) -> bool:
    return spec.get("clusterIPs") == ["None"]


def node_ports(spec: Spec) -> list[int]:
    return [port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")]


# before allocation


def patch_allocated_values(service: Service, old: Service) -> None:
    """Give an update that left out what was once assigned the same values again."""
    spec, before = service["spec"], old["spec"]
    if needs_cluster_ip(before) and needs_cluster_ip(spec):
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if (
            not spec.get("clusterIPs")
            and spec.get("clusterIP") == before.get("clusterIP")
            and before.get("clusterIPs")
        ):
            spec["clusterIPs"] = list(before["clusterIPs"])
    if needs_node_port(before) and needs_node_port(spec):
        _patch_node_ports(spec, before)
    if needs_health_check_node_port(before) and needs_health_check_node_port(spec):
        if not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def _patch_node_ports(spec: Spec, before: Spec) -> None:
    taken = set(node_ports(before)) & set(node_ports(spec))
    by_name = {port.get("name", ""): port.get("nodePort", 0) for port in before.get("ports", ())}
    for port in spec.get("ports", ()):
        known = by_name.get(port.get("name", ""), 0)
        if not port.get("nodePort") and known and known not in taken:
            port["nodePort"] = known
            taken.add(known)


def normalize_cluster_ips(service: Service, old: Service | None) -> None:
    """Let clusterIP and clusterIPs agree for clients that know only the first."""
    spec = service["spec"]
    single = spec.get("clusterIP", "")
    if old is None:
        if single and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [single]
        return
    before = old["spec"]
    if before.get("clusterIPs") and not spec.get("clusterIPs") and single == before.get("clusterIP", ""):
        spec["clusterIPs"] = list(before["clusterIPs"])
    if single != before.get("clusterIP", "") and spec.get("clusterIPs", []) == before.get("clusterIPs", []):
        if single:
            spec["clusterIPs"] = [single]
        else:
            spec.pop("clusterIPs", None)


def init_ip_families(service: Service, old: Service | None, families: Sequence[str]) -> list[FieldError]:
    """Fill in ipFamilyPolicy and ipFamilies; `families` are the cluster's, the default one first."""
    spec = service["spec"]
    before = old["spec"] if old else None
    if spec.get("type") == "ExternalName" or _prefers_dual_stack_as_before(spec, before):
        return []
    if "ipFamilyPolicy" not in spec:
        spec["ipFamilyPolicy"] = _default_policy(spec, before)
    if errors := cluster_ip_errors(spec, before):
        return errors
    errors = _reductions(spec, before) if before is not None else []
    errors += _single_stack_conflicts(spec)
    errors += _infer_families(spec, families)
    if errors:
        return errors
    if spec.get("clusterIP") == "None" and not spec.get("selector"):
        _families_of_selectorless_headless(spec, families)
        return []
    if errors := _not_configured(spec, families):
        return errors
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = [families[0]]
    if spec["ipFamilyPolicy"] != SINGLE and len(spec["ipFamilies"]) == 1 and len(families) == 2:
        spec["ipFamilies"] = [spec["ipFamilies"][0], OTHER_FAMILY[spec["ipFamilies"][0]]]
    return []


def _prefers_dual_stack_as_before(spec: Spec, before: Spec | None) -> bool:
    """A PreferDualStack service is not changed because the cluster's families did."""
    return (
        before is not None
        and before.get("type") == spec.get("type")
        and spec.get("type") in WITH_CLUSTER_IP
        and spec.get("ipFamilyPolicy") == PREFER
        and before.get("ipFamilyPolicy", PREFER) == PREFER
        and _same(spec, before, "clusterIPs")
        and _same(spec, before, "ipFamilies")
    )


def _same(spec: Spec, before: Spec, key: str) -> bool:
    return (spec.get(key) or []) == (before.get(key) or [])


def _default_policy(spec: Spec, before: Spec | None) -> str:
    if before is not None and before.get("ipFamilyPolicy"):
        return before["ipFamilyPolicy"]
    return REQUIRE if spec.get("clusterIP") == "None" and not spec.get("selector") else SINGLE


def _reductions(spec: Spec, before: Spec) -> list[FieldError]:
    """Giving up the second family takes SingleStack; with it the rest follows."""
    policy = spec["ipFamilyPolicy"]
    errors = []
    for key, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        now, then = spec.get(key) or [], before.get(key) or []
        if policy == SINGLE:
            if now == then and len(now) > 1:
                spec[key] = now[:1]
        elif now and len(now) < len(then):
            errors.append(
                invalid(
                    "spec.ipFamilyPolicy", policy, f"must be 'SingleStack' to release the secondary {what}"
                )
            )
    return errors


def _single_stack_conflicts(spec: Spec) -> list[FieldError]:
    if spec["ipFamilyPolicy"] != SINGLE:
        return []
    return [
        invalid(
            "spec.ipFamilyPolicy",
            SINGLE,
            f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified",
        )
        for key, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families"))
        if len(spec.get(key) or ()) == 2
    ]


def _infer_families(spec: Spec, families: Sequence[str]) -> list[FieldError]:
    """Each given address says its family."""
    errors = []
    for i, ip in enumerate(spec.get("clusterIPs") or ()):
        if ip == "None":
            break
        if i < len(spec.get("ipFamilies") or ()):
            continue
        family = _family_of(ip)
        if family in families:
            spec["ipFamilies"] = [*(spec.get("ipFamilies") or ()), family]
        else:
            message = f"{family} is not configured on this cluster"
            errors.append(invalid(f"spec.clusterIPs[{i}]", spec["clusterIPs"], message))
    return errors


def _family_of(ip: str) -> str:
    address = addresses.parse_ip(ip)
    return f"IPv{address.version}" if address else "unknown"


def _families_of_selectorless_headless(spec: Spec, families: Sequence[str]) -> None:
    """Nothing is allocated, so a family that the cluster lacks does no harm."""
    chosen = spec.get("ipFamilies") or [families[0]]
    if len(chosen) < 2 and spec["ipFamilyPolicy"] != SINGLE:
        chosen = [chosen[0], OTHER_FAMILY[chosen[0]]]
    spec["ipFamilies"] = chosen


def _not_configured(spec: Spec, families: Sequence[str]) -> list[FieldError]:
    errors = []
    if spec["ipFamilyPolicy"] == REQUIRE and len(families) < 2:
        message = "this cluster is not configured for dual-stack services"
        errors.append(invalid("spec.ipFamilyPolicy", REQUIRE, message))
    for i, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in families:
            errors.append(invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
    return errors


# allocation


def allocate_cluster_ips(
    service: Service,
    old: Service | None,
    take: Callable[[str, str], str | None],
    take_any: Callable[[str], str],
) -> list[FieldError]:
    """Fill in the cluster IPs that are missing: `take(family, ip)` and `take_any(family)`."""
    spec = service["spec"]
    before = old["spec"] if old else None
    if spec.get("type") == "ExternalName" or spec.get("clusterIPs", [])[:1] == ["None"]:
        return []
    wanted = _families_to_allocate(spec, before)
    given = list(spec.get("clusterIPs") or ())
    given += [""] * (len(spec["ipFamilies"]) - len(given))
    for i in wanted:
        family, ip = spec["ipFamilies"][i], given[i]
        if not ip:
            given[i] = take_any(family)
        elif message := take(family, ip):
            return [invalid("spec.clusterIPs", spec["clusterIPs"], f"failed to allocate IP {ip}: {message}")]
    if given:
        spec["clusterIPs"] = given
        spec["clusterIP"] = given[0]
    return []


def _families_to_allocate(spec: Spec, before: Spec | None) -> list[int]:
    """Places in ipFamilies: all for a new service, the second for one that became dual-stack."""
    count = len(spec.get("ipFamilies") or ())
    if before is None or before.get("type") == "ExternalName":
        return list(range(count))
    if before.get("clusterIPs", [])[:1] == ["None"] or not before.get("clusterIPs"):
        return []
    return [1] if count == 2 and len(before.get("ipFamilies") or ()) == 1 else []


def allocate_node_ports(
    service: Service, old: Service | None, take: TakePort, take_any: TakeAnyPort
) -> list[FieldError]:
    """Fill in node ports and the health check's: `take(port)` and `take_any(what)`. Raises StatusError."""
    spec = service["spec"]
    before = old["spec"] if old else {}
    errors: list[FieldError] = []
    if may_have_node_ports(spec):
        if old:
            errors = _allocate_further_ports(spec, before, take, take_any)
        else:
            errors = _allocate_first_ports(spec, take, take_any)
    if not errors and needs_health_check_node_port(spec) and not needs_health_check_node_port(before):
        _allocate_health_check_port(spec, take, take_any)
    return errors


def _allocate_first_ports(spec: Spec, take: TakePort, take_any: TakeAnyPort) -> list[FieldError]:
    """A new service: ports of one number (TCP and UDP) share a node port, one that was asked for before any other."""
    ports = spec.get("ports", [])
    shared: dict[int, int] = {}
    for i, port in enumerate(ports):
        number, wanted = port.get("port", 0), port.get("nodePort")
        if not wanted and not needs_node_port(spec):
            continue
        if number in shared:
            wanted = wanted or shared[number]
            message = None if wanted == shared[number] else take(wanted)
        else:
            wanted = next(
                (p["nodePort"] for p in ports if p.get("port", 0) == number and p.get("nodePort")), None
            )
            message = take(wanted) if wanted else None
            shared[number] = wanted = wanted or take_any(NODE_PORT)
        if message:
            return [invalid(f"spec.ports[{i}].nodePort", wanted, message)]
        port["nodePort"] = wanted
    return []


def _allocate_further_ports(
    spec: Spec, before: Spec, take: TakePort, take_any: TakeAnyPort
) -> list[FieldError]:
    held = set(node_ports(before))
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(spec.get("ports", ())):
        wanted = port.get("nodePort")
        if not wanted:
            if not needs_node_port(spec):
                continue
            wanted = port["nodePort"] = take_any(NODE_PORT)
        elif wanted not in held:
            if message := take(wanted):
                return [invalid(f"spec.ports[{i}].nodePort", wanted, message)]
            held.add(wanted)
        key = (port.get("protocol", ""), wanted)
        if key in seen:
            # Kubernetes finds this before it validates, and answers as to a fault of its own
            raise StatusError(failure(500, "", f"duplicate nodePort: {{{key[0]} {key[1]}}}"))
        seen.add(key)
    return []


def _allocate_health_check_port(spec: Spec, take: TakePort, take_any: TakeAnyPort) -> None:
    wanted = spec.get("healthCheckNodePort")
    if not wanted:
        spec["healthCheckNodePort"] = take_any("HealthCheck NodePort 0")
    elif message := take(wanted):
        raise internal(f"failed to allocate requested HealthCheck NodePort {wanted}: {message}")


# afterwards


def released_cluster_ips(service: Service | None, old: Service) -> list[str]:
    """Addresses that `old` held and `service` (None: deleted) does not."""
    before = old["spec"]
    if before.get("type") == "ExternalName" or before.get("clusterIPs", [])[:1] == ["None"]:
        return []
    kept = (service["spec"].get("clusterIPs") or ()) if service else ()
    return [ip for ip in before.get("clusterIPs") or () if ip not in kept]


def released_node_ports(service: Service | None, old: Service) -> list[int]:
    """Node ports, the health check's included, that `old` held and `service` (None: deleted) does not."""
    return [
        port for port in _held_ports(old["spec"]) if not service or port not in _held_ports(service["spec"])
    ]


def _held_ports(spec: Spec) -> list[int]:
    held = dict.fromkeys(node_ports(spec))
    if needs_health_check_node_port(spec) and spec.get("healthCheckNodePort"):
        held[spec["healthCheckNodePort"]] = None
    return list(held)


def drop_type_dependent_fields(service: Service, old: Service) -> None:
    """Wipe what only the old type had a use for, unless the update changed it: then it is an error to report."""
    spec, before = service["spec"], old["spec"]
    if needs_cluster_ip(before) and not needs_cluster_ip(spec):
        if _same(spec, before, "clusterIPs"):
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        for key in ("ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            _drop_if_same(spec, before, key)
    if (
        may_have_node_ports(before)
        and not may_have_node_ports(spec)
        and set(node_ports(spec)) <= set(node_ports(before))
    ):
        for port in spec.get("ports", ()):
            port.pop("nodePort", None)
    if needs_health_check_node_port(before) and not needs_health_check_node_port(spec):
        _drop_if_same(spec, before, "healthCheckNodePort")
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_if_same(spec, before, "allocateLoadBalancerNodePorts")
        _drop_if_same(spec, before, "loadBalancerClass")
    if externally_accessible(before) and not externally_accessible(spec):
        _drop_if_same(spec, before, "externalTrafficPolicy")
    if spec.get("type") != "LoadBalancer" and service.get("status", {}).get("loadBalancer"):
        # whoever provided the load balancer may take its time, but it is not the service's any more
        service["status"]["loadBalancer"] = {}


def _drop_if_same(spec: Spec, before: Spec, key: str) -> None:
    if key in spec and spec[key] == before.get(key):
        del spec[key]
