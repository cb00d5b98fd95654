"""What happens in the cluster, in the words in which plugins say what could help a pod they refused."""

from __future__ import annotations

from enum import IntFlag
from typing import Any, NamedTuple


class Action(IntFlag):
    """What changed."""

    ADD = 1
    DELETE = 2
    NODE_ALLOCATABLE = 4
    NODE_LABEL = 8
    NODE_TAINT = 16
    #: spec.unschedulable
    NODE_SPEC = 32
    POD_LABEL = 64
    POD_SCALE_DOWN = 128
    POD_TOLERATION = 256
    POD_GATES = 512
    #: of anything that has no finer actions
    UPDATE = 1024
    #: status.declaredFeatures
    NODE_FEATURES = 2048


#: resources of events; an assigned pod is one that has a node
NODE, ASSIGNED_POD, POD = "Node", "AssignedPod", "Pod"
CLAIM, VOLUME, STORAGE_CLASS, CSI_NODE = (
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "CSINode",
)
CSI_DRIVER, CSI_CAPACITY = "CSIDriver", "CSIStorageCapacity"
NAMESPACE = "Namespace"
RESOURCE_CLAIM, DEVICE_CLASS, RESOURCE_SLICE = "ResourceClaim", "DeviceClass", "ResourceSlice"


class Interest(NamedTuple):
    """Events that a plugin wants pods to wake for."""

    resource: str
    actions: Action


class ClusterEvent(NamedTuple):
    """`old` and `new` are objects, or PodClass for pods; None where there is none."""

    resource: str
    actions: Action
    old: Any = None
    new: Any = None

    @property
    def label(self) -> str:
        """As metrics name it."""
        return f"{self.resource}{'/'.join(a.name or '' for a in self.actions)}"

    def concerns(self, interest: Interest) -> bool:
        return self.resource == interest.resource and bool(self.actions & interest.actions)
