"""What the cluster serves: the built-in resources, those of CustomResourceDefinitions and of other API servers.

Every object of every kind concerns two controllers, the garbage collector and the one of namespaces. The built-in
kinds are facts, custom ones come from an informer; only other servers have to be asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from knarr.api.catalog import BY_GVR
from knarr.api.resources import RESOURCES, Resource
from knarr.client.client import Client
from knarr.meta.errors import StatusError

CRD = BY_GVR["apiextensions.k8s.io", "v1", "customresourcedefinitions"]
API_SERVICE = BY_GVR["apiregistration.k8s.io", "v1", "apiservices"]
#: what a custom resource can be asked
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class Discovered(NamedTuple):
    """Rows, one version of each resource, and which groups could not be asked, by group/version."""

    rows: list[Resource]
    failures: dict[str, str]


def version_order(version: str) -> tuple[int, int, int]:
    """Sort key of versions, the preferred last: v1alpha1 < v1beta1 < v1 < v2; other names come first."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return 0, 0, 0
    stage = {"alpha": 1, "beta": 2, None: 3}[match[2]]
    return stage, int(match[1]), int(match[3] or 0)


def preferred(rows: Iterable[Resource]) -> list[Resource]:
    """One row per group and name: that of the version a server prefers."""
    best: dict[tuple[str, str], Resource] = {}
    for row in rows:
        known = best.get((row.group, row.name))
        if known is None or version_order(row.version) > version_order(known.version):
            best[row.group, row.name] = row
    return list(best.values())


#: built-in resources that can be deleted and watched
BUILT_IN = tuple(preferred(row for row in RESOURCES if "delete" in row.verbs and "list" in row.verbs))


def custom_rows(crd: Mapping[str, Any]) -> list[Resource]:
    """The rows of a definition's served versions; none before it is established or while it goes away."""
    spec, status = crd.get("spec") or {}, crd.get("status") or {}
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or ()}
    if conditions.get("Established") != "True" or conditions.get("Terminating") == "True":
        return []
    names = status.get("acceptedNames") or spec.get("names") or {}
    return [
        Resource(
            spec.get("group", ""),
            version["name"],
            names.get("plural", ""),
            names.get("kind", ""),
            names.get("singular", ""),
            spec.get("scope") == "Namespaced",
            CUSTOM_VERBS,
        )
        for version in spec.get("versions") or ()
        if version.get("served")
    ]


def custom_row(crd: Mapping[str, Any]) -> Resource | None:
    """The preferred of them."""
    rows = preferred(custom_rows(crd))
    return rows[0] if rows else None


def rows_of_kind(group: str, kind: str, crds: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """What a reference to an object may mean; of more than one version the preferred."""
    custom = (custom_row(crd) for crd in crds if (crd.get("spec") or {}).get("group") == group)
    return [row for row in (*BUILT_IN, *custom) if row is not None and (row.group, row.kind) == (group, kind)]


def listed_rows(group_version: str, document: Mapping[str, Any]) -> Iterator[Resource]:
    """The rows of an APIResourceList."""
    group, _, version = group_version.rpartition("/")
    for item in document.get("resources") or ():
        if "/" not in item["name"]:
            yield Resource(
                item.get("group") or group,
                item.get("version") or version,
                item["name"],
                item.get("kind", ""),
                item.get("singularName", ""),
                bool(item.get("namespaced")),
                tuple(item.get("verbs") or ()),
            )


async def discover(
    client: Client, crds: Iterable[Mapping[str, Any]], api_services: Iterable[Mapping[str, Any]]
) -> Discovered:
    """Everything that can be listed and deleted."""
    rows: list[Resource] = list(BUILT_IN)
    for crd in crds:
        if (row := custom_row(crd)) is not None:
            rows.append(row)
    found: list[Resource] = []
    failures: dict[str, str] = {}
    for service in api_services:
        spec = service.get("spec") or {}
        if not spec.get("service"):
            continue  # served by this server itself
        group_version = f"{spec.get('group')}/{spec.get('version')}"
        try:
            document = msgspec.json.decode(await client.transport.raw(f"/apis/{group_version}"))
        except StatusError as error:
            failures[group_version] = error.message or error.reason
            continue
        found.extend(row for row in listed_rows(group_version, document) if "delete" in row.verbs)
    return Discovered([*rows, *preferred(row for row in found if "list" in row.verbs)], failures)
