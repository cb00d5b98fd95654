"""The APIServices of custom groups: made when a definition serves a version, kept as they should be, taken away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import orjson

from knarr.api import catalog
from knarr.apiserver.aggregation.order import CUSTOM_GROUP_PRIORITY, CUSTOM_VERSION_PRIORITY
from knarr.meta.errors import StatusError
from knarr.registry.context import Request
from knarr.registry.delete import delete
from knarr.registry.hooks import AdmitAll
from knarr.registry.options import DeleteOptions
from knarr.registry.registry import Registry

log = logging.getLogger("knarr.aggregation")

Object = dict[str, Any]
GROUP, RESOURCE = "apiregistration.k8s.io", "apiservices"
CRD_GROUP, CRDS = "apiextensions.k8s.io", "customresourcedefinitions"
LABEL, CONTINUOUSLY = "kube-aggregator.kubernetes.io/automanaged", "true"
RETRY_SECONDS = 1.0


class Registration:
    """`services` are all APIServices by name, kept up to date by who owns this."""

    def __init__(self, registry: Registry, services: Mapping[str, Object]) -> None:
        self._registry, self._services = registry, services
        #: the versions that each definition serves
        self._served: dict[str, tuple[str, frozenset[str]]] = {}
        self._waiting: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        self._registry.subscribe(CRD_GROUP, CRDS, self._definition)
        # What definitions that went away while nobody watched have left behind.
        for name, service in self._services.items():
            if _kept(service):
                self.changed(name)

    def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    def _definition(self, type_: str, crd: Object) -> None:
        name, group = crd["metadata"]["name"], crd["spec"]["group"]
        before = self._served.pop(name, (group, frozenset()))[1]
        after: frozenset[str] = frozenset()
        if type_ != "DELETED":
            after = frozenset(v["name"] for v in crd["spec"]["versions"] if v.get("served"))
            self._served[name] = (group, after)
        for version in before | after:
            if version not in before or version not in after:
                self.changed(f"{version}.{group}")

    def changed(self, name: str) -> None:
        """An APIService was written or is gone, or a definition came or went."""
        self._waiting[name] = None
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._waiting:
            name = next(iter(self._waiting))
            del self._waiting[name]
            try:
                await self._sync(name)
            except StatusError as error:
                if error.code in (404, 409):
                    continue  # somebody else was faster: that is another change
                log.warning("APIService %s: %s", name, error)
                self._waiting[name] = None
                await asyncio.sleep(RETRY_SECONDS)

    def _wanted(self, name: str) -> Object | None:
        version, _, group = name.partition(".")
        if (group, version) in BUILT_IN:
            return None
        if not any(group == of and version in versions for of, versions in self._served.values()):
            return None
        return {
            "group": group,
            "version": version,
            "groupPriorityMinimum": CUSTOM_GROUP_PRIORITY,
            "versionPriority": CUSTOM_VERSION_PRIORITY,
        }

    async def _sync(self, name: str) -> None:
        wanted, found = self._wanted(name), self._services.get(name)
        if found is None:
            if wanted is not None:
                await self._registry.create(GROUP, RESOURCE, _object(name, wanted))
        elif not _kept(found) or found["spec"] == wanted:
            return
        elif wanted is None:
            await self._delete(name)
        else:
            await self._registry.update(
                GROUP, RESOURCE, {**orjson.loads(orjson.dumps(found)), "spec": wanted}
            )

    async def _delete(self, name: str) -> None:
        view = self._registry.view(GROUP, "v1", RESOURCE)
        assert view is not None
        request = Request("delete", "", GROUP, "v1", RESOURCE, "", "", name)
        await delete(view, request, DeleteOptions(), AdmitAll())


BUILT_IN = frozenset((group, version) for group, version, _ in catalog.BY_GVR)


def _kept(service: Object) -> bool:
    """Whether an APIService is one of those that are made and unmade here."""
    return (service["metadata"].get("labels") or {}).get(LABEL) == CONTINUOUSLY


def _object(name: str, spec: Object) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "APIService",
        "metadata": {"name": name, "labels": {LABEL: CONTINUOUSLY}},
        "spec": spec,
    }
