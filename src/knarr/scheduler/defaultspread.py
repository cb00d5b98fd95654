"""The selector by which a pod is spread when it says nothing itself: that of its services and of its owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.api.types import apps_v1, core_v1
from knarr.client.informer import SharedInformers
from knarr.client.objects import controller_of
from knarr.meta import labels
from knarr.meta.labels import Selector
from knarr.scheduler.terms import selector_of

_CACHED_MAX = 20_000


class DefaultSpread:
    """Answers from the informers' stores; answers are kept until some selector changes (`epoch` moves)."""

    def __init__(self, informers: SharedInformers) -> None:
        self._services = informers.of(core_v1.Service)
        self._owners = {
            ("v1", "ReplicationController"): informers.of(core_v1.ReplicationController),
            ("apps/v1", "ReplicaSet"): informers.of(apps_v1.ReplicaSet),
            ("apps/v1", "StatefulSet"): informers.of(apps_v1.StatefulSet),
        }
        self.epoch = 0
        self._known: dict[Any, Selector | None] = {}
        self._handlers = [
            informer.add_handler(self._changed, self._updated, self._changed)
            for informer in (self._services, *self._owners.values())
        ]

    def stop(self) -> None:
        for handler in self._handlers:
            handler.remove()

    def _changed(self, _: Any) -> None:
        self.epoch += 1
        self._known.clear()

    def _updated(self, old: Any, new: Any) -> None:
        if old.spec.selector != new.spec.selector:
            self._changed(new)

    def of(self, pod: Any) -> Selector | None:
        """None where the pod is spread by its own constraints, or by none."""
        if pod.spec.topologySpreadConstraints:
            return None
        meta = pod.metadata
        owner = controller_of(pod)
        identity = (owner.apiVersion, owner.kind, owner.name) if owner is not None else None
        key = (meta.namespace, tuple(meta.labels.items()), identity)
        if key not in self._known:
            if len(self._known) >= _CACHED_MAX:
                self._known.clear()
            self._known[key] = self._find(meta.namespace, meta.labels, identity)
        return self._known[key]

    def _find(
        self, namespace: str, pod_labels: Mapping[str, str], owner: tuple[str, str, str] | None
    ) -> Selector | None:
        merged: dict[str, str] = {}
        for service in self._services.indexer.list(namespace):
            selector = service.spec.selector
            if selector and all(pod_labels.get(k) == v for k, v in selector.items()):
                merged.update(selector)
        more: Selector | None = None
        informer = self._owners.get(owner[:2]) if owner is not None else None
        if informer is not None and owner is not None:
            found = informer.indexer.get((namespace, owner[2]))
            if found is not None and owner[1] == "ReplicationController":
                merged.update(found.spec.selector)
            elif found is not None:
                more = selector_of(found.spec.selector)
        result = labels.from_label_selector({"matchLabels": merged})
        if more is not None and more.requirements:
            result = result.add(*more.requirements)
        return None if result.empty else result
