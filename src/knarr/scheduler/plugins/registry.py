"""The default plugins in the order of Kubernetes' default profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.scheduler.framework import Plugin
from knarr.scheduler.plugins.defaultbinder import DefaultBinder
from knarr.scheduler.plugins.defaultpreemption import DefaultPreemption
from knarr.scheduler.plugins.dynamicresources import DynamicResources
from knarr.scheduler.plugins.imagelocality import ImageLocality
from knarr.scheduler.plugins.interpodaffinity import InterPodAffinity
from knarr.scheduler.plugins.nodeaffinity import NodeAffinity
from knarr.scheduler.plugins.nodedeclaredfeatures import NodeDeclaredFeatures
from knarr.scheduler.plugins.nodename import NodeName
from knarr.scheduler.plugins.nodeports import NodePorts
from knarr.scheduler.plugins.noderesources import BalancedAllocation, NodeResourcesFit
from knarr.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from knarr.scheduler.plugins.nodevolumelimits import NodeVolumeLimits
from knarr.scheduler.plugins.podtopologyspread import PodTopologySpread
from knarr.scheduler.plugins.prioritysort import PrioritySort
from knarr.scheduler.plugins.schedulinggates import SchedulingGates
from knarr.scheduler.plugins.tainttoleration import TaintToleration
from knarr.scheduler.plugins.volumebinding import VolumeBinding
from knarr.scheduler.plugins.volumerestrictions import VolumeRestrictions
from knarr.scheduler.plugins.volumezone import VolumeZone

#: makes a plugin from what the scheduler hands to plugins (None for those that need nothing)
Factory = Callable[[Any], Plugin]


def _plain(kind: type[Plugin]) -> Factory:
    return lambda _: kind()


#: plugins that need nothing but the pod and the cluster: all that decides where a pod without volumes may run
PURE: dict[str, Factory] = {
    kind.name: _plain(kind)
    for kind in (
        SchedulingGates,
        PrioritySort,
        NodeUnschedulable,
        NodeName,
        TaintToleration,
        NodeAffinity,
        NodePorts,
        NodeResourcesFit,
        PodTopologySpread,
        InterPodAffinity,
        NodeDeclaredFeatures,
        BalancedAllocation,
        ImageLocality,
    )
}

_NEEDING: dict[str, Factory] = {
    VolumeRestrictions.name: lambda handle: VolumeRestrictions(handle),
    NodeVolumeLimits.name: lambda handle: NodeVolumeLimits(handle),
    VolumeBinding.name: lambda handle: VolumeBinding(handle),
    VolumeZone.name: lambda handle: VolumeZone(handle),
    DynamicResources.name: lambda handle: DynamicResources(handle),
    DefaultPreemption.name: lambda handle: DefaultPreemption(handle),
    DefaultBinder.name: lambda handle: DefaultBinder(handle.client),
}

#: by name; the order decides which plugin's reason a node is refused for
DEFAULT: dict[str, Factory] = {
    name: {**PURE, **_NEEDING}[name]
    for name in (
        "SchedulingGates",
        "PrioritySort",
        "NodeUnschedulable",
        "NodeName",
        "TaintToleration",
        "NodeAffinity",
        "NodePorts",
        "NodeResourcesFit",
        "VolumeRestrictions",
        "NodeVolumeLimits",
        "VolumeBinding",
        "VolumeZone",
        "PodTopologySpread",
        "InterPodAffinity",
        "DynamicResources",
        "DefaultPreemption",
        "NodeResourcesBalancedAllocation",
        "ImageLocality",
        "DefaultBinder",
        "NodeDeclaredFeatures",
    )
}
