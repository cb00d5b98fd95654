"""Asking the three metrics APIs. All values are in thousandths; every failure is an `Uncomputable`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from knarr.api.resources import Resource
from knarr.client.transport import Transport
from knarr.controllers.podautoscaler.words import Uncomputable, refusal
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.meta.labels import Selector
from knarr.meta.quantity import Quantity

RESOURCE_API = "metrics.k8s.io"
CUSTOM_API = "custom.metrics.k8s.io"
EXTERNAL_API = "external.metrics.k8s.io"
#: of the custom metrics API, the one a client likes best first
CUSTOM_VERSIONS = ("v1beta2", "v1beta1")
#: over so many seconds a custom metric is taken to be measured where it does not say
WINDOW_SECONDS = 60.0

Object = dict[str, Any]


class PodMetric(NamedTuple):
    """What one pod uses, measured over the `window` (seconds) before `at` (epoch seconds)."""

    value: int
    at: float = 0.0
    window: float = 0.0


class MetricsClient:
    """The APIs behind one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def of_resource(
        self, resource: str, namespace: str, selector: Selector, container: str
    ) -> dict[str, PodMetric]:
        """By the pods' names: what they use of a resource; `container` "" stands for all containers together."""
        api = "resource metrics API"
        path = f"/apis/{RESOURCE_API}/v1beta1/namespaces/{namespace}/pods"
        items = await self._items(api, path, {"labelSelector": str(selector)}, f"get pods.{RESOURCE_API}")
        if not container:
            return dict(_pod_usage(items, resource))
        try:
            return dict(_container_usage(items, resource, container))
        except Uncomputable as error:
            raise Uncomputable(f"failed to get container metrics: {error}") from None

    async def of_pods(
        self,
        metric: str,
        namespace: str,
        selector: Selector,
        metric_selector: Selector,
        versions: Iterable[str],
    ) -> dict[str, PodMetric]:
        """By the pods' names: a custom metric of each."""
        query = {"labelSelector": str(selector), "metricLabelSelector": str(metric_selector)}
        items = await self._custom(f"namespaces/{namespace}/pods/*/{metric}", query, versions)
        if not items:
            raise Uncomputable("no metrics returned from custom metrics API")
        return {item["describedObject"]["name"]: _custom_metric(item) for item in items}

    async def of_object(
        self, metric: str, namespace: str, about: str, name: str, selector: Selector, versions: Iterable[str]
    ) -> int:
        """A custom metric of one object; `about`: its resource and group, as in `services`."""
        if about == "namespaces":
            path = f"namespaces/{namespace}/metrics/{metric}"
        else:
            path = f"namespaces/{namespace}/{about}/{name}/{metric}"
        items = await self._custom(path, {"metricLabelSelector": str(selector)}, versions)
        if len(items) != 1:
            raise Uncomputable(
                "unable to fetch metrics from custom metrics API: the custom metrics API server returned"
                f" {len(items)} results when we asked for exactly one"
            )
        return Quantity.parse(items[0]["value"]).milli

    async def external(self, metric: str, namespace: str, selector: Selector) -> list[int]:
        """All values of a metric that is about nothing in this cluster."""
        api = "external metrics API"
        path = f"/apis/{EXTERNAL_API}/v1beta1/namespaces/{namespace}/{metric}"
        items = await self._items(api, path, {"labelSelector": str(selector)}, f"get {metric}.{EXTERNAL_API}")
        return [Quantity.parse(item["value"]).milli for item in items]

    async def _custom(self, path: str, query: Mapping[str, str], versions: Iterable[str]) -> list[Object]:
        api, served = "custom metrics API", set(versions)
        version = next((version for version in CUSTOM_VERSIONS if version in served), None)
        if version is None:
            raise Uncomputable(f"unable to fetch metrics from {api}: no {api} ({CUSTOM_API}) registered")
        what = f"get {path.split('/')[2]}.{CUSTOM_API} {path.split('/', 3)[3].replace('/', ' ')}"
        return await self._list(api, f"/apis/{CUSTOM_API}/{version}/{path}", query, what)

    async def _items(self, api: str, path: str, query: Mapping[str, str], what: str) -> list[Object]:
        items = await self._list(api, path, query, what)
        if not items:
            raise Uncomputable(f"no metrics returned from {api}")
        return items

    async def _list(self, api: str, path: str, query: Mapping[str, str], what: str) -> list[Object]:
        try:
            body = await self._transport.raw(path, {key: text for key, text in query.items() if text})
        except StatusError as error:
            raise Uncomputable(f"unable to fetch metrics from {api}: {refusal(error, what)}") from None
        return orjson.loads(body).get("items") or []


def _measured(item: Object, value: int) -> PodMetric:
    return PodMetric(value, times.parse(item["timestamp"]), times.parse_go_duration(item["window"]))


def _pod_usage(items: Iterable[Object], resource: str) -> Iterable[tuple[str, PodMetric]]:
    """Pods of which a container does not say are left out."""
    for item in items:
        used = [container.get("usage", {}).get(resource) for container in item.get("containers") or ()]
        if used and None not in used:
            yield item["metadata"]["name"], _measured(item, sum(Quantity.parse(text).milli for text in used))


def _container_usage(
    items: Iterable[Object], resource: str, container: str
) -> Iterable[tuple[str, PodMetric]]:
    for item in items:
        meta = item["metadata"]
        found = next((c for c in item.get("containers") or () if c["name"] == container), None)
        if found is None:
            pod = f"{meta.get('namespace', '')}/{meta['name']}"
            raise Uncomputable(f"container {container} not present in metrics for pod {pod}")
        if resource in found.get("usage", {}):
            yield meta["name"], _measured(item, Quantity.parse(found["usage"][resource]).milli)


def _custom_metric(item: Object) -> PodMetric:
    window = item.get("windowSeconds", item.get("window"))
    return PodMetric(
        Quantity.parse(item["value"]).milli,
        times.parse(item["timestamp"]),
        WINDOW_SECONDS if window is None else float(window),
    )


def versions_of(group: str, api_services: Iterable[Mapping[str, Any]]) -> list[str]:
    """The versions of a group that APIServices register."""
    specs = (service.get("spec") or {} for service in api_services)
    return [spec.get("version", "") for spec in specs if spec.get("group") == group]


def resource_name(row: Resource) -> str:
    """`services`, `ingresses.networking.k8s.io`."""
    return f"{row.name}.{row.group}" if row.group else row.name
