"""A pod's RuntimeClass adds its overhead and says where the pod may run."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.meta.quantity import Quantity
from knarr.registry.reader import Reader

DIFFERS = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
UNFOUNDED = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class RuntimeClass(Plugin):
    name = "RuntimeClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        return target == Target("", "pods", "", CREATE)

    def admit(self, a: Attributes) -> None:
        found = self._class_of(a)
        if found is None:
            return
        spec = a.obj["spec"]
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and not _equal(spec["overhead"], overhead):
                raise a.forbidden(DIFFERS)
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling") or {}
        selector = spec.get("nodeSelector") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                raise a.forbidden(
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {selector[key]}"
                )
        if scheduling.get("nodeSelector"):
            spec["nodeSelector"] = selector | scheduling["nodeSelector"]
        tolerations = spec.get("tolerations") or []
        more = [t for t in scheduling.get("tolerations") or () if t not in tolerations]
        if more:
            spec["tolerations"] = [*tolerations, *more]

    def validate(self, a: Attributes) -> None:
        found = self._class_of(a)
        given = a.obj["spec"].get("overhead")
        overhead = ((found or {}).get("overhead") or {}).get("podFixed")
        if overhead:
            if not _equal(given or {}, overhead):
                raise a.forbidden(DIFFERS)
        elif given:
            raise a.forbidden(UNFOUNDED)

    def _class_of(self, a: Attributes) -> Object | None:
        name = a.obj["spec"].get("runtimeClassName")
        if not name:
            return None
        found = self._reader.get("node.k8s.io", "runtimeclasses", "", name)
        if found is None:
            raise a.forbidden(f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _equal(one: dict[str, str], other: dict[str, str]) -> bool:
    return one.keys() == other.keys() and all(Quantity.parse(one[k]).compare(other[k]) == 0 for k in one)
