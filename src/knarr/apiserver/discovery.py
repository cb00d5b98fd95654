"""What is served, as clients discover it: /api, /apis, a group, a version; and all at once (aggregated, KEP-3352)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from knarr.api.resources import Resource
from knarr.apiserver import negotiate
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.respond import encode
from knarr.registry.registry import Registry
from knarr.registry.routes import method_not_allowed, nothing_there

if TYPE_CHECKING:
    from knarr.apiserver.aggregation.aggregation import Aggregation

Object = dict[str, Any]

AGGREGATED_AS = (negotiate.JSON, negotiate.YAML, negotiate.PROTOBUF)
AGGREGATED_PARAMETERS = frozenset({"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"})


class Discovery:
    """Documents made from the registry's rows whenever they are asked for; there are about a hundred rows."""

    def __init__(
        self, registry: Registry, handler: APIHandler, aggregation: Aggregation, address: str
    ) -> None:
        """`aggregation` orders groups and knows what other API servers serve."""
        self._registry, self._handler, self._address = registry, handler, address
        self._aggregation = aggregation
        handler.paths["/api"] = self.core
        handler.paths["/apis"] = self.groups
        handler.paths["/api/*"] = self.version
        handler.paths["/apis/*"] = self.version

    # -- the documents -------------------------------------------------------------------------------------

    async def core(self, x: Exchange) -> None:
        if media_type := wants_aggregated(x):
            await self._aggregated(x, media_type, [""])
            return
        only_reads(x)
        self._send(
            x,
            {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}],
            },
        )

    async def groups(self, x: Exchange) -> None:
        if media_type := wants_aggregated(x):
            await self._aggregated(x, media_type, [name for name in self._groups(aggregated=True) if name])
            return
        groups = [group_of(name, versions) for name, versions in self._groups().items() if name]
        self._send(x, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    async def version(self, x: Exchange) -> None:
        """`/api/v1`, `/apis/apps` and `/apis/apps/v1`."""
        parts = [part for part in x.http.path.split("/") if part]
        core = parts[0] == "api"
        group = "" if core else parts[1]
        versions = self._versions(group)
        if not versions and not core:
            self._handler.responder.text(x, 404, "404 page not found\n")
            return
        if not versions or len(parts) > (2 if core else 3):
            raise nothing_there(group)
        only_reads(x)
        if not core and len(parts) == 2:
            self._send(x, {"kind": "APIGroup", "apiVersion": "v1", **group_of(group, versions)})
            return
        wanted = parts[-1]
        if wanted not in versions:
            raise nothing_there(group)
        self._send(x, resource_list(group, wanted, self._rows(group, wanted)))

    async def _aggregated(self, x: Exchange, media_type: str, groups: list[str]) -> None:
        items = [
            {
                "metadata": {"name": name} if name else {},
                "versions": [self._aggregated_version(name, version) for version in self._versions(name)],
            }
            for name in groups
        ]
        document = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }
        import orjson

        body = orjson.dumps(document)
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        x.headers += [("vary", "Accept"), ("etag", etag), ("cache-control", "public")]
        content_type = f"{media_type};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        if x.http.headers.get("if-none-match") == etag:
            self._handler.responder.send(x, 304, content_type, b"")
            return
        body = encode(body, negotiate.Representation(media_type))
        self._handler.responder.send(x, 200, content_type, body)

    # -- from the rows -------------------------------------------------------------------------------------

    def _rows(self, group: str, version: str) -> list[Resource]:
        return [row for row in self._registry.rows() if (row.group, row.version) == (group, version)]

    def _aggregated_version(self, group: str, version: str) -> Object:
        found = self._aggregation.discovered(group, version)
        if found is not None:
            return found
        return aggregated_version(version, self._rows(group, version))

    def _versions(self, group: str) -> list[str]:
        places = dict.fromkeys((group, row.version) for row in self._registry.rows() if row.group == group)
        return self._aggregation.groups(places).get(group, [])

    def _groups(self, aggregated: bool = False) -> dict[str, list[str]]:
        """All groups in order, with their versions."""
        served = dict.fromkeys((row.group, row.version) for row in self._registry.rows())
        return self._aggregation.groups(served, aggregated)

    def _send(self, x: Exchange, document: Object) -> None:
        import orjson

        accepted = negotiate.accept(x.http.headers.get("accept", ""), transformable=False)
        if accepted is None:
            if "as=" in x.http.headers["accept"]:
                raise negotiate.only_these()
            raise negotiate.not_acceptable()
        body = encode(orjson.dumps(document), negotiate.for_people(accepted, x.http))
        self._handler.responder.send(x, 200, accepted.media_type, body)


def only_reads(x: Exchange) -> None:
    """Raises 405. (The list of groups alone answers to every method, in Kubernetes too.)"""
    if x.http.method != "GET":
        raise method_not_allowed()


def wants_aggregated(x: Exchange) -> str:
    """The media type in which the first clause of Accept that can be served asks for the aggregated form, if so."""
    for clause in x.http.headers.get("accept", "").split(","):
        media_type, *parameters = (part.strip() for part in clause.split(";"))
        named = {p for p in parameters if not p.startswith("q=")}
        if media_type in AGGREGATED_AS and named >= AGGREGATED_PARAMETERS:
            return media_type
        if media_type in (*AGGREGATED_AS, "*/*") and not named:
            return ""
    return ""


def group_of(name: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(group: str, version: str, rows: Iterable[Resource]) -> Object:
    resources: list[Object] = []
    for row in sorted(rows, key=lambda row: row.name):
        if row.verbs:
            resources.append(_resource(row))
        for sub, (kind, of, verbs) in sorted(row.subresources.items()):
            entry: Object = {"name": f"{row.name}/{sub}", "singularName": "", "namespaced": row.namespaced}
            if of:
                sub_group, _, sub_version = of.rpartition("/")
                entry |= (
                    {"group": sub_group, "version": sub_version} if sub_group else {"version": sub_version}
                )
            resources.append({**entry, "kind": kind, "verbs": list(verbs)})
    name = f"{group}/{version}" if group else version
    document: Object = {"kind": "APIResourceList", "groupVersion": name, "resources": resources}
    return document if not group else {"kind": "APIResourceList", "apiVersion": "v1", **document}


def _resource(row: Resource) -> Object:
    entry: Object = {
        "name": row.name,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(row.verbs),
    }
    if row.short_names:
        entry["shortNames"] = list(row.short_names)
    if row.categories:
        entry["categories"] = list(row.categories)
    if row.stored and "create" in row.verbs:
        entry["storageVersionHash"] = storage_version_hash(row)
    return entry


def storage_version_hash(row: Resource) -> str:
    """Changes when the version that is stored does; clients only compare it."""
    text = f"{row.group}/{row.version}/{row.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def aggregated_version(version: str, rows: list[Resource]) -> Object:
    return {
        "version": version,
        "resources": [_aggregated(row) for row in sorted(rows, key=lambda row: row.name) if row.verbs],
        "freshness": "Current",
    }


def _aggregated(row: Resource) -> Object:
    entry: Object = {
        "resource": row.name,
        "responseKind": {"group": "", "version": "", "kind": row.kind},
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": list(row.verbs),
    }
    if row.short_names:
        entry["shortNames"] = list(row.short_names)
    if row.categories:
        entry["categories"] = list(row.categories)
    subresources = []
    for sub, (kind, of, verbs) in sorted(row.subresources.items()):
        group, _, version = of.rpartition("/")
        subresources.append(
            {
                "subresource": sub,
                "responseKind": {"group": group, "version": version, "kind": kind},
                "verbs": list(verbs),
            }
        )
    if subresources:
        entry["subresources"] = subresources
    return entry
