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
        if scheduling.get("tolerations"):
            spec["tolerations"] = _merged([*(spec.get("tolerations") or ()), *scheduling["tolerations"]])

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


def _merged(tolerations: list[Object]) -> list[Object]:
    """Without those that another one says already; of equal ones the first stays."""
    merged: list[Object] = []
    for i, one in enumerate(tolerations):
        if any(_covers(other, one) for other in merged):
            continue
        if any(one != other and _covers(other, one) for other in tolerations[i + 1 :]):
            continue
        merged.append(one)
    return merged


def _covers(wide: Object, narrow: Object) -> bool:
    """Whether `wide` tolerates all that `narrow` does, for as long."""
    if wide == narrow:
        return True
    operator = wide.get("operator") or "Equal"
    if wide.get("key", "") != narrow.get("key", "") and (wide.get("key") or operator != "Exists"):
        return False
    if wide.get("effect") and wide["effect"] != narrow.get("effect", ""):
        return False
    if wide.get("effect") == "NoExecute" and wide.get("tolerationSeconds") is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > wide["tolerationSeconds"]:
            return False
    if operator == "Equal":
        return narrow.get("operator") == "Equal" and narrow.get("value", "") == wide.get("value", "")
    return operator == "Exists"
