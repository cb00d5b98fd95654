"""What extension API servers say of themselves: their discovery and OpenAPI, fetched every minute and kept."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from knarr.apiserver.aggregation import swagger
from knarr.apiserver.aggregation.conditions import is_available
from knarr.apiserver.aggregation.extension import Extensions, Fetched
from knarr.egress import EgressError
from knarr.world import Clock

log = logging.getLogger("knarr.aggregation")

Object = dict[str, Any]
GroupVersion = tuple[str, str]
REFRESH_SECONDS = 60.0
#: OpenAPI documents of extension servers may take long to make
OPENAPI_SECONDS = 60.0
DISCOVERY = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)
CURRENT, STALE = "Current", "Stale"


class _Known:
    """Of one group and version. `v3` and `v2` are (etag or URL, document)."""

    def __init__(self) -> None:
        self.fetched_at = float("-inf")
        self.discovery: Object | None = None
        self.v3_url = ""
        self.v3: tuple[str, bytes] | None = None
        self.v2: tuple[str, Object] | None = None


class Documents:
    """`services` are all APIServices by name; `changed()` is called when a document did."""

    def __init__(
        self,
        extensions: Extensions,
        services: Mapping[str, Object],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._extensions, self._services, self._clock, self._changed = extensions, services, clock, changed
        self._known: dict[str, _Known] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def forget(self, name: str) -> None:
        """The APIService is gone, or names another server."""
        if self._known.pop(name, None) is not None:
            self._changed()

    def refresh(self, name: str) -> None:
        """The extension server was seen well: ask it again where that is a while ago."""
        known = self._known.setdefault(name, _Known())
        now = self._clock.monotonic()
        if name not in self._tasks and now - known.fetched_at >= REFRESH_SECONDS:
            known.fetched_at = now
            task = self._tasks[name] = asyncio.ensure_future(self._fetch(name, known))
            task.add_done_callback(lambda _: self._tasks.pop(name, None))

    # -- what is known ---------------------------------------------------------------------------------------

    def discovery(self, name: str) -> Object:
        """An APIVersionDiscovery; stale where the server does not answer (now)."""
        service, known = self._services[name], self._known.get(name)
        found = known.discovery if known is not None else None
        version = service["spec"]["version"]
        if found is None:
            return {"version": version, "freshness": STALE}
        return {**found, "version": version, "freshness": CURRENT if is_available(service) else STALE}

    def merge_into(self, whole: Object) -> None:
        """Add the servers' own Swagger documents to a whole one, each cut down to the paths of its APIService."""
        found = (self._known[name].v2 for name in sorted(self._known))
        merge_v2(whole, (part[1] for part in found if part is not None))

    def v3_stamps(self) -> dict[GroupVersion, str]:
        """What stands for each OpenAPI v3 document, changing when it does."""
        found = {}
        for name, known in self._known.items():
            stamp = known.v3_url or (f"v2 {known.v2[0]}" if known.v2 is not None else "")
            if stamp and name in self._services:
                spec = self._services[name]["spec"]
                found[spec.get("group", ""), spec["version"]] = stamp
        return found

    async def v3(self, group: str, version: str) -> bytes | None:
        """An OpenAPI v3 document as the server sends it, or as its v2 document has it; None where none can be had."""
        name = f"{version}.{group}"
        known, service = self._known.get(name), self._services.get(name)
        if known is None or service is None:
            return None
        if not known.v3_url:
            return orjson.dumps(swagger.as_v3(known.v2[1])) if known.v2 is not None else None
        if known.v3 is None or known.v3[0] != known.v3_url:
            url = known.v3_url
            answer = await self._get(service, url, {"Accept": "application/json"}, OPENAPI_SECONDS)
            if answer is None or answer.code != 200:
                return None
            known.v3 = (url, answer.body)
        return known.v3[1]

    # -- fetching --------------------------------------------------------------------------------------------

    async def _get(
        self, service: Object, target: str, headers: Mapping[str, str], timeout: float = 5.0
    ) -> Fetched | None:
        try:
            return await self._extensions.fetch(service["spec"], target, headers=headers, timeout=timeout)
        except EgressError as error:
            log.info("%s: %s", service["metadata"]["name"], error)
            return None

    async def _fetch(self, name: str, known: _Known) -> None:
        service = self._services.get(name)
        if service is None:
            return
        before = orjson.dumps([known.discovery, known.v3_url, known.v2 and known.v2[0]])
        try:
            known.discovery = await self._discover(service) or known.discovery
            known.v3_url = await self._v3_url(service)
            known.v2 = await self._v2(service, known.v2)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s: a document cannot be read: %s", name, error)
        if orjson.dumps([known.discovery, known.v3_url, known.v2 and known.v2[0]]) != before:
            self._changed()

    async def _discover(self, service: Object) -> Object | None:
        spec = service["spec"]
        group, version = spec.get("group", ""), spec["version"]
        answer = await self._get(service, "/apis", {"Accept": DISCOVERY})
        if (
            answer is not None
            and answer.code == 200
            and "APIGroupDiscoveryList" in answer.headers.get("content-type", "")
        ):
            for item in orjson.loads(answer.body).get("items") or ():
                for found in item.get("versions") or ():
                    if (item["metadata"].get("name", ""), found["version"]) == (group, version):
                        return {"resources": [], **found}
        answer = await self._get(service, f"/apis/{group}/{version}", {"Accept": "application/json"})
        if answer is None or answer.code != 200:
            return None
        listed = orjson.loads(answer.body).get("resources") or ()
        return {"version": version, "resources": as_aggregated(listed, group, version)}

    async def _v3_url(self, service: Object) -> str:
        spec = service["spec"]
        answer = await self._get(service, "/openapi/v3", {"Accept": "application/json"})
        if answer is None or answer.code != 200:
            return ""
        found = (orjson.loads(answer.body).get("paths") or {}).get(
            f"apis/{spec.get('group')}/{spec['version']}"
        )
        return (found or {}).get("serverRelativeURL", "")

    async def _v2(self, service: Object, before: tuple[str, Object] | None) -> tuple[str, Object] | None:
        headers = {"Accept": "application/json"}
        if before is not None and before[0]:
            headers["If-None-Match"] = before[0]
        answer = await self._get(service, "/openapi/v2", headers, OPENAPI_SECONDS)
        if answer is not None and answer.code == 304:
            return before
        if answer is None or answer.code != 200:
            return None
        spec = service["spec"]
        document = orjson.loads(answer.body)
        etag = answer.headers.get("etag") or f'"{hashlib.sha256(answer.body).hexdigest()}"'
        return etag, only_paths(document, f"/apis/{spec.get('group')}/{spec['version']}/")


def as_aggregated(resources: Iterable[Object], group: str, version: str) -> list[Object]:
    """The resources of an APIResourceList as aggregated discovery has them: subresources within their parents."""
    found: dict[str, Object] = {}
    for resource in resources:
        name, _, sub = resource["name"].partition("/")
        kind = {
            "group": resource.get("group") or group,
            "version": resource.get("version") or version,
            "kind": resource.get("kind", ""),
        }
        scope = "Namespaced" if resource.get("namespaced") else "Cluster"
        entry = found.get(name)
        if entry is None:
            empty = {"group": "", "version": "", "kind": ""}
            entry = found[name] = {
                "resource": name,
                "responseKind": empty,
                "scope": scope,
                "singularResource": "",
                "verbs": None,
            }
        if sub:
            subresource = {"subresource": sub, "responseKind": kind, "verbs": resource.get("verbs") or []}
            entry.setdefault("subresources", []).append(subresource)
            continue
        entry |= {"responseKind": kind, "scope": scope, "singularResource": resource.get("singularName", "")}
        entry["verbs"] = resource.get("verbs") or []
        for key in ("shortNames", "categories"):
            if resource.get(key):
                entry[key] = resource[key]
    return list(found.values())


def only_paths(document: Object, prefix: str) -> Object:
    """A Swagger document with the paths below `prefix` and the definitions they need."""
    paths = {path: item for path, item in (document.get("paths") or {}).items() if path.startswith(prefix)}
    all_definitions, definitions = document.get("definitions") or {}, {}
    open_ends = list(references(paths))
    while open_ends:
        name = open_ends.pop()
        if name in all_definitions and name not in definitions:
            definitions[name] = all_definitions[name]
            open_ends += references(all_definitions[name])
    return {"paths": paths, "definitions": definitions}


DEFINITIONS = "#/definitions/"


def references(value: Any) -> Iterable[str]:
    """The names of all definitions that are referred to."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item.removeprefix(DEFINITIONS)
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def merge_v2(whole: Object, parts: Iterable[Object]) -> None:
    """Add paths and definitions of other servers to a Swagger document; a name that means something else here gets a
    number behind it there."""
    for part in parts:
        names = {name: _free(whole["definitions"], name, body) for name, body in part["definitions"].items()}
        moved = {name: new for name, new in names.items() if name != new}
        for path, item in part["paths"].items():
            whole["paths"].setdefault(path, _renamed(item, moved))
        for name, body in part["definitions"].items():
            whole["definitions"].setdefault(names[name], _renamed(body, moved))


def _free(definitions: Object, name: str, body: Object) -> str:
    new, number = name, 1
    while new in definitions and definitions[new] != body:
        number += 1
        new = f"{name}_v{number}"
    return new


def _renamed(value: Any, moved: Mapping[str, str]) -> Any:
    if not moved:
        return value
    if isinstance(value, dict):
        return {
            key: DEFINITIONS + moved.get(item.removeprefix(DEFINITIONS), item.removeprefix(DEFINITIONS))
            if key == "$ref" and isinstance(item, str)
            else _renamed(item, moved)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_renamed(item, moved) for item in value]
    return value
