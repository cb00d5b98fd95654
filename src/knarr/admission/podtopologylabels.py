"""A pod learns the zone and region of the node it is bound to, as labels."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, Attributes, Target
from knarr.admission.chain import Plugin
from knarr.registry.reader import Reader

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Plugin):
    """On pods created with a node, and on bindings, whose labels the pod takes over."""

    name = "PodTopologyLabels"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        mine = target.resource == "pods" and target.subresource in ("", "binding")
        return target.group == "" and mine and target.operation == CREATE

    def admit(self, a: Attributes) -> None:
        if a.request.subresource == "binding":
            reference = a.obj.get("target") or {}
            node = reference.get("name", "") if reference.get("kind") == "Node" else ""
        else:
            node = a.obj["spec"].get("nodeName", "")
        found = self._reader.get("", "nodes", "", node) if node else None
        labels = (found["metadata"].get("labels") or {}) if found else {}
        copied = {key: labels[key] for key in LABELS if key in labels}
        if copied:
            metadata = a.obj["metadata"]
            metadata["labels"] = (metadata.get("labels") or {}) | copied
