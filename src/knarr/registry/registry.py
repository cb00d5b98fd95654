"""All resources of one cluster: which views there are, and reading them below HTTP.

Built-in resources are opened when first asked for, so that start-up pays only for what it uses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any

from knarr.api import catalog, schema
from knarr.api.kind import Kind
from knarr.api.resources import Resource
from knarr.api.scheme import scheme
from knarr.meta.managed import FieldManager, schema_of
from knarr.registry import encoding, versions
from knarr.registry.context import Request
from knarr.registry.create import create
from knarr.registry.hooks import Admission, AdmitAll
from knarr.registry.result import Result
from knarr.registry.storage import Object, Storage, View, prefix_of
from knarr.registry.update import Write, update
from knarr.store.base import Store
from knarr.watchcache import Attributes, WatchCache
from knarr.world import World

#: seconds events are kept where `--event-ttl` does not say otherwise, in leases shared by all events of a minute
EVENT_TTL_SECONDS = 3600
EVENT_LEASE_SHARED_SECONDS = 60

#: fields that many watchers select by one value of
INDEXED = {("", "pods"): ("spec.nodeName",)}
#: resources of which there are too many to keep decoded objects
NOT_KEPT = frozenset(
    {("", "pods"), ("", "events"), ("coordination.k8s.io", "leases"), ("discovery.k8s.io", "endpointslices")}
)

#: something a resource does besides storing; (request, view, body) -> answer
Handler = Callable[[Request, View, bytes, str], Awaitable[Result]]


class Registry:
    """The resources of a cluster over one store."""

    def __init__(self, store: Store, world: World, admission: Admission | None = None) -> None:
        self.store, self.world = store, world
        self.admission: Admission = admission or AdmitAll()
        #: the objects that a new cluster begins with are written
        self.started = False
        self.cache = WatchCache(store, world)
        self._storages: dict[tuple[str, str], Storage] = {}
        self._views: dict[tuple[str, str, str], View] = {}
        #: side effects of writes by (group, resource): allocators and the like (registry/services.py)
        self.hooks: dict[tuple[str, str], Any] = {}
        #: subresources and requests that are no objects: (group, resource, subresource) -> handler
        self.handlers: dict[tuple[str, str, str], Handler] = {}
        #: custom resources, by (group, version, plural); filled by the CRD machinery
        self.custom: dict[tuple[str, str, str], View] = {}
        #: how long events are kept (`--event-ttl`)
        self.event_ttl_seconds = EVENT_TTL_SECONDS
        self._event_lease = (0, 0.0)

    # -- finding ---------------------------------------------------------------------------------------

    def view(self, group: str, version: str, resource: str) -> View | None:
        """None when nothing of that name is served."""
        found = self._views.get((group, version, resource))
        if found is not None:
            return found
        row = catalog.BY_GVR.get((group, version, resource))
        if row is None:
            return self.custom.get((group, version, resource))
        view = self._views[group, version, resource] = self._open(row)
        return view

    def storage(self, group: str, resource: str) -> Storage:
        """The storage behind a resource, whichever version is served. Raises KeyError."""
        found = self._storages.get((group, resource))
        if found is not None:
            return found
        for g, version, name in (*catalog.BY_GVR, *self.custom):
            if (g, name) == (group, resource):
                view = self.view(g, version, name)
                assert view is not None
                return view.storage
        raise KeyError((group, resource))

    def storages(self) -> list[Storage]:
        """Those that were used so far."""
        return list(self._storages.values())

    def serves(self, group: str) -> bool:
        """Whether anything of that group is served."""
        return group in catalog.GROUPS or any(group == known for known, _, _ in self.custom)

    def rows(self) -> list[Resource]:
        """Everything that is served, custom resources last."""
        return [*catalog.BY_GVR.values(), *(view.row for view in self.custom.values())]

    def _open(self, row: Resource) -> View:
        kind = catalog.kind_of(row.group, row.version, row.name)
        stored_as = versions.STORED_AS.get(
            (row.group, row.version, row.name), (row.group, row.version, row.name)
        )
        storage = self._storage(catalog.BY_GVR[stored_as])
        definition = schema.definition_of(row.group, row.version, row.kind)
        fields = FieldManager(
            schema_of(schema.definitions(), definition),
            row.api_version,
            kind.reset_fields,
            convert=versions.field_converter(row),
        )
        view = View(row, kind, storage, definition, fields)
        if stored_as != (row.group, row.version, row.name):
            view.to_stored, view.to_served = versions.converters(row)
        return view

    def open_request_view(self, group: str, version: str, kind: str, parent: View) -> View:
        """A view of a kind that is only ever a request to a subresource of `parent` (Scale, TokenRequest)."""
        known = parent.extra.get(kind)
        if known is None:
            row = parent.row._replace(group=group, version=version, kind=kind)
            definition = schema.definition_of(group, version, kind)
            fields = FieldManager(schema_of(schema.definitions(), definition), row.api_version)
            known = parent.extra[kind] = View(row, Kind(), parent.storage, definition, fields)
        return known

    def _storage(self, row: Resource) -> Storage:
        found = self._storages.get((row.group, row.name))
        if found is None:
            kind = catalog.kind_of(row.group, row.version, row.name)
            found = self.open_storage(row, kind, prefix_of(row.group, row.name))
            if (row.group, row.name) == ("", "events"):
                found.ttl_seconds, found.lease = self.event_ttl_seconds, self._lease_for_events
        return found

    def open_storage(self, row: Resource, kind: Any, prefix: bytes, floor: int = 0) -> Storage:
        """Give a resource its place in the store and its cache; see Cacher for `floor`."""
        cacher = self.cache.open(
            prefix,
            row.namespaced,
            attributes_of(kind),
            bookmark=empty_object(row),
            indexed=INDEXED.get((row.group, row.name), ()),
            keep_objects=(row.group, row.name) not in NOT_KEPT,
            floor=floor,
        )
        storage = Storage(row, kind, prefix, self.store, cacher, self.world)
        self._storages[row.group, row.name] = storage
        return storage

    def close_storage(self, group: str, resource: str) -> None:
        """A custom resource went away: watches on it end."""
        storage = self._storages.pop((group, resource), None)
        if storage is not None:
            self.cache.close(storage.prefix)

    async def _lease_for_events(self) -> int:
        """Events share leases: one is granted per minute, not per event."""
        lease, until = self._event_lease
        now = self.world.clock.now()
        if now >= until:
            granted = await self.store.lease_grant(self.event_ttl_seconds + EVENT_LEASE_SHARED_SECONDS)
            lease = granted.id
            self._event_lease = (lease, now + EVENT_LEASE_SHARED_SECONDS)
        return lease

    # -- reading (registry/reader.py) --------------------------------------------------------------------

    def get(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        storage = self.storage(group, resource)
        entry = storage.cacher.get(storage.key(namespace, name))
        return None if entry is None else entry.object

    def list(self, group: str, resource: str, namespace: str = "") -> Iterator[Object]:
        for entry in self.storage(group, resource).cacher.list(namespace):
            yield entry.object

    def subscribe(self, group: str, resource: str, callback: Callable[[str, Object], None]) -> None:
        def deliver(batch: list[tuple[str, Any, Any]]) -> None:
            for type_, entry, _ in batch:
                callback(type_, entry.object)

        self.storage(group, resource).cacher.subscribe(deliver)

    # -- writing as the API server itself ----------------------------------------------------------------

    async def create(self, group: str, resource: str, obj: Object, manager: str = "kube-apiserver") -> Object:
        """Raises StatusError."""
        view, request = self._own_request("create", group, resource, obj, manager)
        view.kind.default(obj)
        result = await create(view, request, obj, self._own_admission(), self.hooks.get((group, resource)))
        return encoding.orjson.loads(result.body)

    async def update(
        self, group: str, resource: str, obj: Object, subresource: str = "", manager: str = "kube-apiserver"
    ) -> Object:
        """Replace, whatever the stored resourceVersion unless `obj` has one; raises StatusError."""
        view, request = self._own_request("update", group, resource, obj, manager)
        request.subresource = subresource
        snapshot = encoding.orjson.dumps(obj)

        async def transform(live: Object | None) -> Object:
            return encoding.orjson.loads(snapshot)

        write = Write(uid_is_precondition=True)
        hook = self.hooks.get((group, resource))
        result = await update(view, request, transform, self._own_admission(), write, hook)
        return encoding.orjson.loads(result.body)

    async def delete(self, group: str, resource: str, namespace: str, name: str) -> None:
        """Raises StatusError."""
        from knarr.registry.delete import delete
        from knarr.registry.options import delete_options

        obj = {"metadata": {"namespace": namespace, "name": name}}
        view, request = self._own_request("delete", group, resource, obj, "")
        hook = self.hooks.get((group, resource))
        await delete(view, request, delete_options({}, None), self._own_admission(), hook)

    def _own_admission(self) -> Admission:
        """Webhooks and policies see the API server's own writes too, but for those that a cluster begins with."""
        return self.admission if self.started else AdmitAll()

    def load(self, group: str, resource: str) -> tuple[int, int] | None:
        """How many objects a resource has, and their average size in bytes; None where it was not used yet."""
        storage = self._storages.get((group, resource))
        return None if storage is None else (len(storage.cacher), storage.cacher.average_bytes)

    def watchers(self, group: str, resource: str, namespace: str, name: str) -> int:
        """How many are to be told of a change of an object."""
        storage = self._storages.get((group, resource))
        return 0 if storage is None else storage.cacher.interested(namespace, name)

    def _own_request(
        self, verb: str, group: str, resource: str, obj: Object, manager: str
    ) -> tuple[View, Request]:
        row = self.storage(group, resource).row
        view = self.view(row.group, row.version, row.name)
        assert view is not None
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        name = metadata.get("name", "")
        request = Request(verb, "", row.group, row.version, row.name, "", namespace, name)
        request.field_manager = manager
        return view, request


def empty_object(row: Resource) -> Callable[[], bytes]:
    """What bookmarks look like: an object of which nothing is set. Made when first needed."""

    @cache
    def make() -> bytes:
        obj: Object = {"kind": row.kind, "apiVersion": row.api_version, "metadata": {}}
        if (row.group, row.version, row.kind) in catalog.BY_GVK:
            obj, _ = scheme().normalize((row.group, row.version, row.kind), obj)
        return encoding.orjson.dumps(obj)

    return make


def attributes_of(kind: Any) -> Callable[[bytes, bytes], Attributes]:
    """What selectors see of a stored object: its labels and selectable fields."""

    def extract(value: bytes, key: bytes) -> Attributes:
        obj = encoding.orjson.loads(value)
        metadata = obj["metadata"]
        fields = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata.get("namespace", ""),
            **kind.fields(obj),
        }
        return Attributes(metadata.get("labels") or {}, fields)

    return extract
