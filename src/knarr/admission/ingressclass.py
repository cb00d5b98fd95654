"""An Ingress without a class gets the default one."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, Attributes, Target
from knarr.admission.chain import Plugin
from knarr.admission.newest import newest_default
from knarr.registry.reader import Reader

GROUP = "networking.k8s.io"
OLD_CLASS = "kubernetes.io/ingress.class"
IS_DEFAULT = ("ingressclass.kubernetes.io/is-default-class",)


class DefaultIngressClass(Plugin):
    name = "DefaultIngressClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        return target == Target(GROUP, "ingresses", "", CREATE)

    def admit(self, a: Attributes) -> None:
        spec = a.obj.setdefault("spec", {})
        annotations = a.obj["metadata"].get("annotations") or {}
        if spec.get("ingressClassName") is not None or OLD_CLASS in annotations:
            return
        chosen = newest_default(self._reader.list(GROUP, "ingressclasses"), IS_DEFAULT)
        if chosen is not None:
            spec["ingressClassName"] = chosen["metadata"]["name"]
