"""Daemon sets: one pod on each fitting node."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.columns import AGE, CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.core.podspec.defaults import default_template
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.api.printing import age, format_labels

_STATUS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
GENERATION = "deprecated.daemonset.template.generation"


class DaemonSet(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Desired",
            "integer",
            description="The total number of nodes that should be running the daemon pod (including nodes correctly"
            " running the daemon pod). More info:"
            " https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
        ),
        Column(
            "Current",
            "integer",
            description="The number of nodes that are running at least 1 daemon pod and are supposed to run the"
            " daemon pod. More info: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
        ),
        Column(
            "Ready",
            "integer",
            description="numberReady is the number of nodes that should be running the daemon pod and have one or"
            " more of the daemon pod running with a Ready Condition.",
        ),
        Column(
            "Up-to-date",
            "integer",
            description="The total number of nodes that are running updated daemon pod",
        ),
        Column(
            "Available",
            "integer",
            description="The number of nodes that should be running the daemon pod and have one or more of the daemon"
            " pod running and available (ready for at least spec.minReadySeconds)",
        ),
        Column(
            "Node Selector",
            description="NodeSelector is a selector which must be true for the pod to fit on a node. Selector which"
            " must match a node's labels for the pod to be scheduled on that node. More info:"
            " https://kubernetes.io/docs/concepts/configuration/assign-pod-node/",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column(
            "Selector",
            description="A label query over pods that are managed by the daemon set. Must match in order to be"
            " controlled. It must match the pod template's labels. More info:"
            " https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
            priority=1,
        ),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        _default_strategy(spec.setdefault("updateStrategy", {}))
        spec.setdefault("revisionHistoryLimit", 10)
        default_template(spec)
        status = obj.setdefault("status", {})
        for name in _STATUS:
            status.setdefault(name, 0)
        for condition in status.get("conditions", ()):
            condition.setdefault("lastTransitionTime", None)

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        _set_template_generation(obj, max(_template_generation(obj), 1))

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_update(obj, old)
        changed = obj["spec"]["template"] != old["spec"]["template"]
        _set_template_generation(obj, _template_generation(old) + changed)

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_status_update(obj, old)
        _set_template_generation(obj, _template_generation(old))

    def reset_status(self, obj: Object) -> None:
        obj["status"] = dict.fromkeys(_STATUS, 0)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        template = spec.get("template", {})
        return [
            obj["metadata"]["name"],
            status.get("desiredNumberScheduled", 0),
            status.get("currentNumberScheduled", 0),
            status.get("numberReady", 0),
            status.get("updatedNumberScheduled", 0),
            status.get("numberAvailable", 0),
            format_labels(template.get("spec", {}).get("nodeSelector")),
            age(obj, now),
            *container_cells(template),
            format_selector(spec.get("selector")),
        ]


def _template_generation(obj: Object) -> int:
    """How many templates there have been; once a field, now an annotation."""
    text = (obj["metadata"].get("annotations") or {}).get(GENERATION, "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _set_template_generation(obj: Object, count: int) -> None:
    if obj["metadata"].get("annotations") is None:
        obj["metadata"]["annotations"] = {}
    obj["metadata"]["annotations"][GENERATION] = str(count)


def _default_strategy(strategy: Object) -> None:
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
