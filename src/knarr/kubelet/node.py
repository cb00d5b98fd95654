"""Node objects: what a kubelet says of its machine when it registers, and its lease."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from knarr.client.client import Client
from knarr.kubelet.settings import VERSION
from knarr.meta import times

Object = dict[str, Any]
#: the client that acts as a node, by its name
ClientOf = Callable[[str], Client]

LEASE_NAMESPACE = "kube-node-lease"
#: as Go names them
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}
PORT = 10250


def architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class NodeSpec:
    """One node to be. Quantities are texts as in manifests; `allocatable` is what is left after `reserved`."""

    name: str
    addresses: tuple[str, ...] = ("192.0.2.2",)
    capacity: Mapping[str, str] = field(
        default_factory=lambda: {
            "cpu": "4",
            "memory": "16Gi",
            "ephemeral-storage": "100Gi",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "pods": "110",
        }
    )
    allocatable: Mapping[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    os: str = "linux"
    arch: str = field(default_factory=architecture)
    provider_id: str = ""
    #: set where nobody else hands out pod networks
    pod_cidr: str = ""


#: what kubelets of v1.36 declare, by name
FEATURES = (
    "ExtendWebSocketsToKubelet",
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScalingInitContainers",
    "RestartAllContainersOnContainerExits",
)
#: type, status, reason, message
HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def conditions(now: float, since: float) -> list[Object]:
    """`since`: when they became what they are."""
    return [
        {
            "type": type_,
            "status": status,
            "lastHeartbeatTime": times.format(now),
            "lastTransitionTime": times.format(since),
            "reason": reason,
            "message": message,
        }
        for type_, status, reason, message in HEALTHY
    ]


def labels(spec: NodeSpec) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": spec.arch,
        "beta.kubernetes.io/os": spec.os,
        "kubernetes.io/arch": spec.arch,
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": spec.os,
        **spec.labels,
    }


def status(spec: NodeSpec, runtime: str, now: float, since: float, version: str = VERSION) -> Object:
    """A whole NodeStatus. `runtime` as `name://version`."""
    return {
        "addresses": [
            *({"type": "InternalIP", "address": address} for address in spec.addresses),
            {"type": "Hostname", "address": spec.name},
        ],
        "capacity": dict(spec.capacity),
        "allocatable": dict(spec.allocatable if spec.allocatable is not None else spec.capacity),
        "conditions": conditions(now, since),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": PORT}},
        "nodeInfo": {
            "architecture": spec.arch,
            "bootID": _id(spec.name, "boot"),
            "containerRuntimeVersion": runtime,
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": version,
            "machineID": _id(spec.name, "machine").replace("-", ""),
            "operatingSystem": spec.os,
            "osImage": f"knarr on {platform.system()}",
            "systemUUID": _id(spec.name, "system"),
        },
        "images": [],
        "declaredFeatures": list(FEATURES),
    }


def _id(name: str, what: str) -> str:
    """The same for the same node each time it starts."""
    import hashlib

    digest = hashlib.sha256(f"knarr/{what}/{name}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def node(spec: NodeSpec, runtime: str, now: float, version: str = VERSION) -> Object:
    """The Node to register."""
    body: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": spec.name,
            "labels": labels(spec),
            "annotations": {
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
                **spec.annotations,
            },
        },
        "spec": {},
        "status": status(spec, runtime, now, now, version),
    }
    if spec.taints:
        body["spec"]["taints"] = [dict(taint) for taint in spec.taints]
    if spec.provider_id:
        body["spec"]["providerID"] = spec.provider_id
    if spec.pod_cidr:
        body["spec"]["podCIDR"], body["spec"]["podCIDRs"] = spec.pod_cidr, [spec.pod_cidr]
    return body


def lease(name: str, uid: str, seconds: int, now: float) -> Object:
    """The node's heartbeat."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": LEASE_NAMESPACE,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}],
        },
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": seconds,
            "renewTime": times.format_micro(now),
        },
    }
