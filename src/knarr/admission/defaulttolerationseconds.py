"""Pods stay on a node that is not ready or unreachable for five minutes, unless they say otherwise."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin

SECONDS = 300
KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"

    def handles(self, target: Target) -> bool:
        return target[:3] == ("", "pods", "") and target.operation in (CREATE, UPDATE)

    def admit(self, a: Attributes) -> None:
        spec = a.obj["spec"]
        tolerations = spec.get("tolerations") or []
        missing = [key for key in KEYS if not any(_tolerates(t, key) for t in tolerations)]
        if missing:
            spec["tolerations"] = [*tolerations, *map(_toleration, missing)]


def _tolerates(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")


def _toleration(key: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
