"""What is measured, with its target and the reference figure of Kubernetes v1.36 on a machine of this kind."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """`better` is "less" or "more"; reference and target are in `unit`."""

    key: str
    what: str
    unit: str
    better: str
    target: float
    reference: float | None = None


FIGURES = (
    Figure("ready", "process start to /readyz", "s", "less", 0.5, 4.8),
    Figure("usable", "process start to a usable default ServiceAccount", "s", "less", 0.7, 10.8),
    Figure("memory", "resident memory of the idle control plane", "MB", "less", 90, 509),
    Figure("configmap_1", "create a 2 KB ConfigMap, durable, 1 client", "/s", "more", 1200, 581),
    Figure("configmap_32", "create a 2 KB ConfigMap, durable, 32 clients", "/s", "more", 4000, 1939),
    Figure("pod_32", "create a Pod, strict validation, durable, 32 clients", "/s", "more", 2500, 996),
    Figure("pod_32_p99", "the same, 99th percentile", "ms", "less", 30, 97),
    Figure("get_32", "get a Pod, 32 clients", "/s", "more", 8000, 2663),
    Figure("patch_32", "merge patch of a Pod, 32 clients", "/s", "more", 2500, 533),
    Figure("list", "list 10,000 pods, consistent", "ms", "less", 40, 426),
    Figure("list_0", "list 10,000 pods, resourceVersion=0", "ms", "less", 40, 349),
    Figure("list_label", "list 1 in 10 of 10,000 pods by label", "ms", "less", 15, 44),
    Figure("fanout", "one event to 1,000 watchers over TLS", "events/s", "more", 100_000, 21_000),
    Figure("deletecollection", "deletecollection of 10,000 pods", "s", "less", 2, 30),
    Figure("deployment", "10,000-replica Deployment on 1,000 nodes, all Running", "s", "less", 7, 72),
    Figure("deployment_memory", "resident memory then", "MB", "less", 500, 2500),
    # The target is a tenth above what the spine took (2026-11-20): extension points must not slow those who use none.
    Figure("cost_create", "processor time: create a Pod, strict validation", "us", "less", 360),
    Figure("cost_get", "processor time: get a Pod", "us", "less", 40),
    Figure("cost_list", "processor time: list 100 pods", "us", "less", 396),
    Figure("cost_apply", "processor time: apply a ConfigMap of 20 keys", "us", "less", 215),
    Figure("cost_event", "processor time: a watch event to one of 200 watchers", "us", "less", 8),
)
BY_KEY = {figure.key: figure for figure in FIGURES}
