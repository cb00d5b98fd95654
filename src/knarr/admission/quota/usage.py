"""What one object counts for in a quota, by resource name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from knarr.admission import podresources
from knarr.admission.quota.amounts import Amounts
from knarr.admission.storage import class_of
from knarr.api.resource.claimfacts import (
    EXTENDED_RESOURCE_CLAIM,
    IMPLICIT_RESOURCE,
    RESULTS_MAX,
    may_be_devices,
)
from knarr.meta import times
from knarr.meta.quantity import Quantity

Object = dict[str, Any]

ONE = Quantity.parse("1")
ZERO = Quantity.parse("0")
CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
DEVICE_SUFFIX = ".deviceclass.resource.k8s.io/devices"
CLAIMS = ("resource.k8s.io", "resourceclaims")
#: resources counted under their own name besides count/NAME
OLD_COUNTS = frozenset(
    {
        "configmaps",
        "secrets",
        "replicationcontrollers",
        "resourcequotas",
        "services",
        "persistentvolumeclaims",
    }
)
#: quotas never were for events; the others are not stored
UNCOUNTED = frozenset(
    {
        ("", "bindings"),
        ("", "events"),
        ("events.k8s.io", "events"),
        ("authorization.k8s.io", "localsubjectaccessreviews"),
    }
)
#: compute resources that are tracked under their bare name, requests.NAME and limits.NAME
COMPUTE = ("cpu", "memory", "ephemeral-storage")
#: where these are quotas, every container has to say how much it wants
EXPLICIT = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")
)


class Others(NamedTuple):
    """What else there is, as far as it matters for what a claim for devices counts for."""

    #: the extended resource that a class of devices names, or ""
    resource_of_class: Callable[[str], str]
    #: (namespace, name) -> pod
    pod: Callable[[str, str], Object | None]


ALONE = Others(lambda name: "", lambda namespace, name: None)


def usage(group: str, resource: str, obj: Object, now: float, others: Others = ALONE) -> Amounts:
    """All that the object uses; `now` (epoch seconds) tells whether a pod that is being deleted still counts."""
    amounts: Amounts = {count_name(group, resource): ONE}
    if (group, resource) == CLAIMS:
        return amounts | _resource_claim(obj, others)
    special = SPECIAL.get((group, resource))
    if special is not None:
        amounts |= special(obj, now)
    elif not group and resource in OLD_COUNTS:
        amounts[resource] = ONE
    return amounts


def count_name(group: str, resource: str) -> str:
    return f"count/{resource}.{group}" if group else f"count/{resource}"


def tracks(group: str, resource: str, name: str) -> bool:
    """Whether objects of this resource can use anything of the quota resource `name`."""
    if (group, resource) in UNCOUNTED:
        return False
    if name == count_name(group, resource):
        return True
    if (group, resource) == CLAIMS:
        return name.endswith(DEVICE_SUFFIX) or _is_extended(name)
    if group:
        return False
    if resource == "pods":
        return _is_pod_resource(name)
    if resource == "services":
        return name in ("services", "services.nodeports", "services.loadbalancers")
    if resource == "persistentvolumeclaims":
        kinds = ("requests.storage", "persistentvolumeclaims")
        return name in kinds or any(name.endswith(CLASS_SUFFIX + kind) for kind in kinds)
    return resource in OLD_COUNTS and name == resource


def _is_pod_resource(name: str) -> bool:
    if name == "pods" or name in COMPUTE or name.startswith(("hugepages-", "requests.hugepages-")):
        return True
    side, _, bare = name.partition(".")
    return (side in ("requests", "limits") and bare in COMPUTE) or _is_extended(name)


def _is_extended(name: str) -> bool:
    """Extended resources (with a domain) can be bounded by their requests only."""
    side, _, bare = name.partition(".")
    return side == "requests" and may_be_devices(bare)


def counts_now(pod: Object, now: float) -> bool:
    """A pod that has ended, or should have, uses nothing any more."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return False
    metadata = pod["metadata"]
    deleted, grace = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")
    return not deleted or grace is None or now <= times.parse(deleted) + grace


def _pod(pod: Object, now: float) -> Amounts:
    if not counts_now(pod, now):
        return {}
    requests, limits = (podresources.total(pod, side, held=True) for side in ("requests", "limits"))
    return {"pods": ONE} | _compute(requests, limits)


def _compute(requests: Amounts, limits: Amounts) -> Amounts:
    amounts: Amounts = {}
    for name, quantity in requests.items():
        if name in COMPUTE or name.startswith("hugepages-"):
            amounts[name] = amounts[f"requests.{name}"] = quantity
        elif "/" in name:
            amounts[f"requests.{name}"] = quantity
    for name, quantity in limits.items():
        if name in COMPUTE:
            amounts[f"limits.{name}"] = quantity
    return amounts


def unspecified(pod: Object, names: Iterable[str]) -> dict[str, list[str]]:
    """Resources under quota that containers do not name -> those containers."""
    spec = pod["spec"]
    if podresources.given_for_pod(spec):
        return {}
    wanted = sorted(EXPLICIT & set(names))
    missing: dict[str, list[str]] = {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container.get("resources") or {}
        present = _compute(_given(resources, "requests"), _given(resources, "limits"))
        for name in wanted:
            if name not in present:
                missing.setdefault(name, []).append(container["name"])
    return missing


def _given(resources: Object, side: str) -> Amounts:
    return {name: Quantity.parse(q) for name, q in (resources.get(side) or {}).items()}


def _service(service: Object, now: float) -> Amounts:
    spec = service["spec"]
    ports = spec.get("ports") or []
    node_ports, balancers = 0, 0
    if spec.get("type") == "NodePort":
        node_ports = len(ports)
    elif spec.get("type") == "LoadBalancer":
        balancers = 1
        allocated = spec.get("allocateLoadBalancerNodePorts") is not False
        node_ports = len(ports) if allocated else sum(1 for p in ports if p.get("nodePort"))
    return {
        "services": ONE,
        "services.nodeports": Quantity.parse(node_ports),
        "services.loadbalancers": Quantity.parse(balancers),
    }


def _claim(claim: Object, now: float) -> Amounts:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    storage = Quantity.parse(requests.get("storage", "0"))
    allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
    if allocated is not None and storage.compare(allocated) < 0:
        storage = Quantity.parse(allocated)
    amounts = {"persistentvolumeclaims": ONE, "requests.storage": storage}
    name = class_of(claim)
    if name:
        amounts |= {f"{name}{CLASS_SUFFIX}{kind}": quantity for kind, quantity in list(amounts.items())}
    return amounts


def _resource_claim(claim: Object, others: Others) -> Amounts:
    """Devices count for their class and for the extended resources that the class serves."""
    amounts: Amounts = {}
    for name, wanted in _devices(claim).items():
        amounts[f"{name}{DEVICE_SUFFIX}"] = wanted
        named = others.resource_of_class(name)
        for served in (f"{IMPLICIT_RESOURCE}{name}", *([named] if named else [])):
            key = f"requests.{served}"
            amounts[key] = amounts.get(key, ZERO).add(wanted)
    return {n: q for n, q in _less(amounts, _asked_by_owner(claim, others)).items() if q.sign > 0}


def _devices(claim: Object) -> Amounts:
    """How many devices of each class the claim may get at most."""
    found: Amounts = {}
    for request in (claim["spec"].get("devices") or {}).get("requests") or ():
        # of alternatives each class is charged with what it would need at most
        most: Amounts = {}
        for choice in [request["exactly"]] if request.get("exactly") else request.get("firstAvailable") or ():
            name = choice.get("deviceClassName", "")
            # all devices of a class: as many as a claim can hold
            wanted = Quantity.parse(
                RESULTS_MAX if choice.get("allocationMode") == "All" else choice.get("count", 1)
            )
            if name not in most or most[name].compare(wanted) < 0:
                most[name] = wanted
        for name, wanted in most.items():
            found[name] = found.get(name, ZERO).add(wanted)
    return found


def _asked_by_owner(claim: Object, others: Others) -> Amounts:
    """Extended resources that the pod asks for which the claim was made for: they count for the pod already."""
    metadata = claim.get("metadata") or {}
    if (metadata.get("annotations") or {}).get(EXTENDED_RESOURCE_CLAIM) != "true":
        return {}
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    if owner is None or (owner.get("apiVersion"), owner.get("kind")) != ("v1", "Pod"):
        return {}
    pod = others.pod(metadata.get("namespace", ""), owner["name"])
    if pod is None or pod["metadata"].get("uid") != owner.get("uid"):
        return {}
    theirs = (pod.get("status") or {}).get("extendedResourceClaimStatus")
    if theirs and theirs.get("resourceClaimName") != metadata.get("name"):
        return {}
    return {f"requests.{n}": q for n, q in podresources.total(pod, "requests").items()}


def _less(amounts: Amounts, other: Amounts) -> Amounts:
    return {name: q.sub(other[name]) if name in other else q for name, q in amounts.items()}


SPECIAL: dict[tuple[str, str], Callable[[Object, float], Amounts]] = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "persistentvolumeclaims"): _claim,
}
