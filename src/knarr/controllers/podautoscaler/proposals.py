"""One metric of an autoscaler's spec: what it asks for, and how its status shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from knarr.controllers.podautoscaler import replicas
from knarr.controllers.podautoscaler.metrics import MetricsClient, PodMetric
from knarr.controllers.podautoscaler.replicas import Proposal, Target
from knarr.controllers.podautoscaler.words import Uncomputable, printed
from knarr.meta import quantity
from knarr.meta.labels import Selector, everything, from_label_selector

Object = Mapping[str, Any]


class Custom(NamedTuple):
    """The custom metrics API: which versions are served, and what it calls the objects of (apiVersion, kind)."""

    versions: Sequence[str]
    resource_of: Callable[[str, str], str]


class Answer(NamedTuple):
    """`about` as events name it; `status` is an item of status.currentMetrics."""

    replicas: int
    about: str
    status: dict[str, Any]


class Failed(Exception):
    """`reason` of the condition ScalingActive; `why` it and its event say; the message is what the sum of all
    metrics says."""

    def __init__(self, reason: str, why: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.why = reason, why


async def ask(client: MetricsClient, custom: Custom, target: Target, metric: Object) -> Answer:
    """Raises Failed."""
    kind = metric.get("type", "")
    how = HOW.get(kind)
    if how is None:
        why = f'unknown metric source type "{kind}"'
        raise Failed("InvalidMetricSourceType", why, why)
    reason, key, propose, title = how
    source = metric[key]
    try:
        found, about, status = await propose(client, custom, target, source)
    except Uncomputable as error:
        why = str(error)
        raise Failed(reason, why, f"failed to get {title(source)}: {error.summed_up or why}") from None
    return Answer(found.replicas, about, {"type": kind, key: status})


def _selector(selector: Object | None) -> Selector:
    """Of a metric: without one it is nothing that is selected, as in Kubernetes, and servers take that for all."""
    if selector is None:
        return everything()
    try:
        return from_label_selector(selector)
    except ValueError as error:
        raise Uncomputable(str(error)) from None


def _text(milli: int) -> str:
    return str(quantity.from_milli(milli))


def _milli(text: str) -> int:
    return quantity.parse(text).milli


def _metric_of(source: Object) -> dict[str, Any]:
    return dict(source["metric"])


# -- resources ---------------------------------------------------------------------------------------------------


async def _resource(
    client: MetricsClient, _: Custom, target: Target, source: Object
) -> tuple[Proposal, str, dict[str, Any]]:
    container, name = source.get("container", ""), source["name"]
    wanted = source["target"]
    shown = {"name": name} | ({"container": container} if container else {})
    if "averageValue" in wanted:
        found = await _or(
            f"failed to get {name} usage: ", _average(client, target, name, container, wanted["averageValue"])
        )
        return found, f"{name} resource", {**shown, "current": {"averageValue": _text(found.used)}}
    if "averageUtilization" not in wanted:
        raise Uncomputable(
            "invalid resource metric source: neither an average utilization target nor an average value (usage)"
            " target was set"
        )
    found = await _or(
        f"failed to get {name} utilization: ",
        _utilization(client, target, name, container, wanted["averageUtilization"]),
    )
    what = "container resource" if container else "resource"
    current = {"averageUtilization": found.percent, "averageValue": _text(found.used)}
    return found, f"{name} {what} utilization (percentage of request)", {**shown, "current": current}


async def _average(client: MetricsClient, target: Target, name: str, container: str, wanted: str) -> Proposal:
    metrics = await _usage(client, target, name, container)
    return replicas.of_average(target, _milli(wanted), metrics, name)


async def _utilization(
    client: MetricsClient, target: Target, name: str, container: str, percent: int
) -> Proposal:
    metrics = await _usage(client, target, name, container)
    return replicas.of_utilization(target, percent, metrics, name, container)


async def _usage(client: MetricsClient, target: Target, name: str, container: str) -> dict[str, PodMetric]:
    asked = client.of_resource(name, target.namespace, target.selector, container)
    found: dict[str, PodMetric] = await _or(f"unable to get metrics for resource {name}: ", asked)
    return found


# -- custom metrics ----------------------------------------------------------------------------------------------


async def _pods(
    client: MetricsClient, custom: Custom, target: Target, source: Object
) -> tuple[Proposal, str, dict[str, Any]]:
    name, metric = source["metric"]["name"], _metric_of(source)
    selector = _selector(metric.get("selector"))
    metrics = await _or(
        f"unable to get metric {name}: ",
        client.of_pods(name, target.namespace, target.selector, selector, custom.versions),
    )
    found = replicas.of_average(target, _milli(source["target"]["averageValue"]), metrics, "")
    return found, f"pods metric {name}", {"metric": metric, "current": {"averageValue": _text(found.used)}}


async def _object(
    client: MetricsClient, custom: Custom, target: Target, source: Object
) -> tuple[Proposal, str, dict[str, Any]]:
    wanted, about, metric = source["target"], source["describedObject"], _metric_of(source)
    name, kind = metric["name"], wanted.get("type")
    if not ((kind == "Value" and "value" in wanted) or (kind == "AverageValue" and "averageValue" in wanted)):
        raise Uncomputable(
            "invalid object metric source: neither a value target nor an average value target was set"
        )
    selector = _selector(metric.get("selector"))
    try:
        resource = custom.resource_of(about.get("apiVersion", ""), about["kind"]) if custom.versions else ""
        used = await client.of_object(
            name, target.namespace, resource, about["name"], selector, custom.versions
        )
    except Uncomputable as error:
        # Kubernetes hands its own words over in another order than its sentence has them
        why = f"unable to get metric {name}: {about['kind']} on {target.namespace} {about['name']}/{error}"
        whole = why if kind == "Value" else f"failed to get {name} object metric: {why}"
        raise Uncomputable(why, whole) from None
    if kind == "Value":
        found = replicas.of_value(target, used, _milli(wanted["value"]))
        current = {"value": _text(found.used)}
        return (
            found,
            f"{about['kind']} metric {name}",
            {"metric": metric, "current": current, "describedObject": dict(about)},
        )
    found = replicas.of_share(target, used, _milli(wanted["averageValue"]))
    # which object it was is not repeated there
    shown = {"metric": metric, "current": {"averageValue": _text(found.used)}}
    shown["describedObject"] = {"kind": "", "name": ""}
    return found, _external_name(metric), shown


async def _external(
    client: MetricsClient, _: Custom, target: Target, source: Object
) -> tuple[Proposal, str, dict[str, Any]]:
    wanted, metric = source["target"], _metric_of(source)
    name = metric["name"]
    if "averageValue" not in wanted and "value" not in wanted:
        raise Uncomputable(
            "invalid external metric source: neither a value target nor an average value target was set"
        )
    title = f"{name} external metric" if "averageValue" in wanted else f"external metric {name}"
    try:
        selector = _selector(metric.get("selector"))
        place = f"{target.namespace}/{name}/{printed(metric.get('selector'))}"
        used = await _or(
            f"unable to get external metric {place}: ", client.external(name, target.namespace, selector)
        )
        if "averageValue" in wanted:
            found = replicas.of_share(target, sum(used), _milli(wanted["averageValue"]))
            current = {"averageValue": _text(found.used)}
        else:
            found = replicas.of_value(target, sum(used), _milli(wanted["value"]))
            current = {"value": _text(found.used)}
    except Uncomputable as error:
        raise Uncomputable(str(error), f"failed to get {title}: {error}") from None
    return found, _external_name(metric), {"metric": metric, "current": current}


def _external_name(metric: Object) -> str:
    return f"external metric {metric['name']}({printed(metric.get('selector'))})"


async def _or(prefix: str, asked: Awaitable[Any]) -> Any:
    """What is awaited; a failure says first what was being done."""
    try:
        return await asked
    except Uncomputable as error:
        raise Uncomputable(f"{prefix}{error}") from None


#: type of metric -> (reason of a failure, its field, who asks, what the sum of all metrics calls it)
HOW: dict[str, tuple[str, str, Any, Callable[[Object], str]]] = {
    "Resource": (
        "FailedGetResourceMetric",
        "resource",
        _resource,
        lambda source: f"{source['name']} resource metric value",
    ),
    "ContainerResource": (
        "FailedGetContainerResourceMetric",
        "containerResource",
        _resource,
        lambda source: f"{source['container']} container metric value",
    ),
    "Pods": ("FailedGetPodsMetric", "pods", _pods, lambda source: "pods metric value"),
    "Object": ("FailedGetObjectMetric", "object", _object, lambda source: "object metric value"),
    "External": (
        "FailedGetExternalMetric",
        "external",
        _external,
        lambda source: f"{source['metric']['name']} external metric value",
    ),
}
