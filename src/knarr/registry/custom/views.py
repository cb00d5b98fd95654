"""From a CustomResourceDefinition to the views of its served versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from knarr.api.apiextensions.schema.version import VersionSchema
from knarr.api.resources import STATUS, Resource
from knarr.meta.managed import FieldManager, TypeSchema, schema_of_crd
from knarr.registry import encoding
from knarr.registry.custom.codec import Codec
from knarr.registry.custom.columns import Cells
from knarr.registry.custom.conversion import BareKind, Conversion, Versioned, only_metadata
from knarr.registry.custom.kind import CustomKind, StoredKind
from knarr.registry.custom.stored import KeepsVersion, Pruned
from knarr.registry.custom.webhook import ConversionWebhook
from knarr.registry.registry import Registry
from knarr.registry.storage import Object, Storage, View, prefix_of

#: in the order in which Kubernetes lists them for custom resources
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class Definition:
    """One established definition, compiled; made anew whenever its spec changes.

    `webhook` converts between its versions; without one only their name differs.
    """

    def __init__(self, crd: Object, webhook: ConversionWebhook | None = None) -> None:
        spec = crd["spec"]
        self.names = crd["status"]["acceptedNames"]
        self.group, self.plural = spec["group"], self.names["plural"]
        self.namespaced = spec["scope"] == "Namespaced"
        self.versions: list[Object] = spec["versions"]
        self.served = [v for v in self.versions if v.get("served")]
        self.storage_version: str = next(v["name"] for v in self.versions if v.get("storage"))
        self.schemas = {v["name"]: VersionSchema(schema_of(v)) for v in self.versions}
        self.typed: dict[str, TypeSchema] = {}
        self.conversion = Conversion(self, webhook) if webhook is not None else None
        #: for emptying it: all objects, whatever is served; made by `install`
        self.stored: View | None = None

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}"

    @property
    def selectable(self) -> list[str]:
        """The fields that any version selects by, without their leading dots."""
        paths = (f["jsonPath"] for v in self.versions for f in v.get("selectableFields") or ())
        return list(dict.fromkeys(path.removeprefix(".") for path in paths))

    def row(self, version: Object) -> Resource:
        kind, sub = self.names["kind"], version.get("subresources") or {}
        subresources: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        if sub.get("status") is not None:
            subresources["status"] = (kind, "", STATUS)
        if sub.get("scale") is not None:
            subresources["scale"] = ("Scale", "autoscaling/v1", STATUS)
        return Resource(
            self.group,
            version["name"],
            self.plural,
            kind,
            self.names.get("singular", ""),
            self.namespaced,
            VERBS,
            tuple(self.names.get("shortNames") or ()),
            tuple(self.names.get("categories") or ()),
            subresources,
        )

    def type_schema(self, version: str) -> TypeSchema:
        found = self.typed.get(version)
        if found is None:
            found = self.typed[version] = schema_of_crd(self.schemas[version].schema or None)
        return found

    def convert(self, obj: Object, api_version: str) -> tuple[TypeSchema, Object] | None:
        """The object in another version, for field management: with strategy None only apiVersion differs."""
        group, _, version = api_version.rpartition("/")
        if group != self.group or version not in self.schemas:
            return None
        return self.type_schema(version), {**obj, "apiVersion": api_version}


def schema_of(version: Object) -> Object | None:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def install(
    registry: Registry, definition: Definition, created_revision: int, terminating: bool
) -> list[View]:
    """Serve all served versions. A watch from before `created_revision` is too old."""
    d = definition
    storage_row = d.row(next(v for v in d.versions if v["name"] == d.storage_version))
    prefix = prefix_of(d.group, d.plural, custom=True)
    base = registry.open_storage(storage_row, StoredKind(d.selectable), prefix, created_revision)
    d.stored = _bare(d, storage_row, base)
    views = []
    for version in d.served:
        view = _view(d, version, storage_row, base)
        view.kind.terminating = terminating  # type: ignore[attr-defined]
        registry.custom[d.group, version["name"], d.plural] = view
        views.append(view)
    return views


def remove(registry: Registry, definition: Definition) -> None:
    """Serve nothing of it any more; watches end."""
    for version in definition.served:
        registry.custom.pop((definition.group, version["name"], definition.plural), None)
    registry.close_storage(definition.group, definition.plural)


def _view(d: Definition, version: Object, storage_row: Resource, base: Storage) -> View:
    name = version["name"]
    row = d.row(version)
    sub = version.get("subresources") or {}
    kind = CustomKind(
        d.group,
        d.plural,
        row.kind,
        row.api_version,
        d.schemas[name],
        sub.get("scale"),
        sub.get("status") is not None,
        Cells(version.get("additionalPrinterColumns") or ()),
        [f["jsonPath"].removeprefix(".") for f in version.get("selectableFields") or ()],
        deprecation_of(d, version),
    )
    place = (storage_row, kind, base.prefix, base.store, base.cacher, base.world)
    convert, storage = d.convert, Storage(*place)
    versioned = Versioned(d, d.conversion, name) if d.conversion is not None else None
    if versioned is not None:
        convert, storage = versioned.convert, KeepsVersion(*place)
    elif d.schemas[name].schema != d.schemas[d.storage_version].schema:
        storage = Pruned(*place, schema=d.schemas[d.storage_version])
    fields = FieldManager(d.type_schema(name), row.api_version, kind.reset_fields, convert=convert)
    view = View(row, kind, storage, "", fields, custom=True)
    stored = encoding.encode_stored({"metadata": {}}, storage_row.kind, storage_row.api_version)
    view.stored_head = stored[: stored.index(encoding.METADATA)]
    view.normalize = Codec(row.kind, name, d.schemas)
    view.extra["listKind"] = d.names.get("listKind") or f"{row.kind}List"
    if versioned is not None:
        view.conversion, view.bare = versioned, _bare(d, row, base)
        return view
    read = reader(d, name)
    if not _stored_as_served(d, name, base, read):
        view.to_served = read
    return view


def _bare(d: Definition, row: Resource, base: Storage) -> View:
    """The view for who needs metadata only, so no webhook: objects stay in the version they are stored in."""
    kind = BareKind()
    fields = FieldManager(d.type_schema(row.version), row.api_version, convert=d.convert)
    storage = KeepsVersion(base.row, kind, base.prefix, base.store, base.cacher, base.world)
    bare = View(row, kind, storage, "", fields, custom=True, normalize=only_metadata)
    bare.extra["listKind"] = d.names.get("listKind") or f"{row.kind}List"
    return bare


def reader(d: Definition, version: str) -> Callable[[Object], Object]:
    """From a stored object to one of `version`: pruned and defaulted by the schema it was stored under, then
    converted."""
    api_version, target = d.api_version(version), d.schemas[version]

    def read(obj: Object) -> Object:
        stored = d.schemas.get(obj["apiVersion"].rpartition("/")[2])
        if stored is not None and stored is not target and stored.schema != target.schema:
            stored.read(obj)
        if stored is not None and stored.has_defaults:
            stored.default(obj)
        obj["apiVersion"] = api_version
        target.read(obj)
        return obj

    return read


def _stored_as_served(d: Definition, version: str, base: Storage, read: Any) -> bool:
    """Whether stored bytes can be sent as they are: this version is the stored one, nobody writes through a version
    with other defaults, and reading changes none of the objects that are there."""
    if version != d.storage_version:
        return False
    if len(d.served) > 1 and any(schema.has_defaults for schema in d.schemas.values()):
        return False
    for entry in base.cacher.list():
        before = orjson.loads(entry.value)
        if orjson.dumps(read(orjson.loads(entry.value))) != orjson.dumps(before):
            return False
    return True


def deprecation_of(d: Definition, version: Object) -> str:
    """The warning of every request to a deprecated version."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return version["deprecationWarning"]
    kind, mine = d.names["kind"], d.api_version(version["name"])
    newer = _newest_other(d, version["name"])
    text = f"{mine} {kind} is deprecated"
    return f"{text}; use {d.api_version(newer)} {kind}" if newer else text


def _newest_other(d: Definition, version: str) -> str:
    from knarr.meta.versions import version_priority

    candidates = [v["name"] for v in d.served if not v.get("deprecated")]
    best = max(candidates, key=version_priority, default="")
    return best if best and version_priority(best) > version_priority(version) else ""
