"""A new node takes no pods until it was seen ready."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, Attributes, Target
from knarr.admission.chain import Plugin

NOT_READY = "node.kubernetes.io/not-ready"


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"

    def handles(self, target: Target) -> bool:
        return target == Target("", "nodes", "", CREATE)

    def admit(self, a: Attributes) -> None:
        spec = a.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == NOT_READY and t.get("effect") == "NoSchedule" for t in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
