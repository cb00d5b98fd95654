"""Resizes of pods that have a node: what the node has, and what it can do."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.admission import podresources
from knarr.admission.attributes import UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.meta.quantity import Quantity
from knarr.registry.reader import Reader

OS_LABEL = "kubernetes.io/os"
INIT_CONTAINERS = "InPlacePodVerticalScalingInitContainers"
POD_LEVEL = "InPlacePodLevelResourcesVerticalScaling"


class _OfBoundPods(Plugin):
    """Looks at updates that change the spec of a pod on a node."""

    subresources: tuple[str, ...]

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        mine = target.resource == "pods" and target.subresource in self.subresources
        return target.group == "" and mine and target.operation == UPDATE

    def validate(self, a: Attributes) -> None:
        if a.obj["spec"].get("nodeName") and a.obj["spec"] != a.old["spec"]:
            self.judge(a)

    def judge(self, a: Attributes) -> None:
        raise NotImplementedError

    def node_of(self, a: Attributes) -> Object:
        name = a.obj["spec"]["nodeName"]
        found: Object | None = self._reader.get("", "nodes", "", name)
        if found is None:
            raise a.forbidden(f'node "{name}" not found')
        return found


class NodeDeclaredFeatureValidator(_OfBoundPods):
    """What not every kubelet can do needs a node that says it can, in `status.declaredFeatures`."""

    name = "NodeDeclaredFeatureValidator"
    subresources = ("", "resize")

    def judge(self, a: Attributes) -> None:
        needed = list(_features(a.old["spec"], a.obj["spec"]))
        if not needed:
            return
        node = self.node_of(a)
        declared = (node.get("status") or {}).get("declaredFeatures") or ()
        if missing := [feature for feature in needed if feature not in declared]:
            raise a.forbidden(
                f"pod update requires features {', '.join(missing)} which are not available on node"
                f' "{node["metadata"]["name"]}"'
            )


class PodResizeValidator(_OfBoundPods):
    """No pod grows beyond its node."""

    name = "PodResizeValidator"
    subresources = ("resize",)

    def judge(self, a: Attributes) -> None:
        node = self.node_of(a)
        labels, name = node["metadata"].get("labels") or {}, node["metadata"]["name"]
        if labels.get(OS_LABEL, "linux") != "linux":
            why = f'pod resize is only supported on linux nodes, node "{name}" is "{labels[OS_LABEL]}"'
            raise _because(a, why, "UnsupportedPlatform")
        if found := "; ".join(_beyond(a.obj, (node.get("status") or {}).get("allocatable") or {})):
            raise _because(a, f"node didn't have enough allocatable resources: {found}", "NodeCapacity")


def _features(old: Object, new: Object) -> Iterator[str]:
    """By name."""
    if old.get("resources") != new.get("resources"):
        yield POD_LEVEL
    before, after = old.get("initContainers") or (), new.get("initContainers") or ()
    if any(
        one.get("restartPolicy") != "Always" and one.get("resources") != other.get("resources")
        for one, other in zip(before, after, strict=False)
    ):
        yield INIT_CONTAINERS


def _beyond(pod: Object, allocatable: dict[str, str]) -> Iterator[str]:
    requests, none = podresources.total(pod, "requests"), Quantity.parse("0")
    for name in ("cpu", "memory"):
        asked, there = requests.get(name, none), Quantity.parse(allocatable.get(name, "0"))
        if asked.compare(there) > 0:
            shown = (asked.milli, there.milli) if name == "cpu" else (asked.value, there.value)
            yield f"{name}, requested: {shown[0]}, allocatable: {shown[1]}"


def _because(a: Attributes, why: str, cause: str) -> Exception:
    error = a.forbidden(why)
    error.status["details"]["causes"] = [{"reason": cause}]
    return error
