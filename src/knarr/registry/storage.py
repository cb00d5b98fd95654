"""One stored resource: its rules, its place in the store, its cache; and the views clients have of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from knarr.api.kind import Kind
from knarr.api.resources import Resource
from knarr.meta.histogram import Histogram
from knarr.meta.managed import FieldManager
from knarr.registry import encoding, rawfields
from knarr.registry.context import Request
from knarr.store.base import Store
from knarr.watchcache import Cacher
from knarr.world import World

Object = dict[str, Any]
T = TypeVar("T")

#: where etcd keeps resources whose folder is not their name
FOLDERS = {
    ("", "services"): "services/specs",
    ("", "endpoints"): "services/endpoints",
    ("", "nodes"): "minions",
    ("", "replicationcontrollers"): "controllers",
    ("networking.k8s.io", "ingresses"): "ingress",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/customresourcedefinitions",
    ("apiregistration.k8s.io", "apiservices"): "apiregistration.k8s.io/apiservices",
}

#: upper bounds of etcd_request_duration_seconds
DURATION_BOUNDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0),
    *(4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)


def prefix_of(group: str, resource: str, custom: bool = False) -> bytes:
    """`/registry/pods/`: what all keys of a resource begin with."""
    folder = f"{group}/{resource}" if custom else FOLDERS.get((group, resource), resource)
    return f"/registry/{folder}/".encode()


@dataclass(slots=True)
class Reads:
    """Lists that the cache answered: how many, what they looked at and gave, and how many wanted the newest state."""

    lists: int = 0
    looked_at: int = 0
    returned: int = 0
    consistent: int = 0


@dataclass(slots=True)
class Storage:
    """What is stored of one resource; versions and groups that share it are `View`s."""

    row: Resource
    kind: Kind
    prefix: bytes
    store: Store
    cacher: Cacher
    world: World
    #: seconds an object lives (events); 0 is for ever
    ttl_seconds: int = 0
    lease: Callable[[], Awaitable[int]] | None = None
    reads: Reads = field(default_factory=Reads)
    #: how long the store's writes took, in seconds, by operation
    durations: dict[str, Histogram] = field(default_factory=dict)

    @property
    def group(self) -> str:
        return self.row.group

    def key(self, namespace: str, name: str) -> bytes:
        if self.row.namespaced:
            return b"%b%b/%b" % (self.prefix, namespace.encode(), name.encode())
        return self.prefix + name.encode()

    def encode(self, obj: Object, sent: bytes = b"") -> bytes:
        """`sent`: the body that the object comes from, if it comes from one."""
        if self.kind.raw_fields:
            obj = rawfields.as_kept(obj, sent, self.kind.raw_fields)
        return encoding.encode_stored(obj, self.row.kind, self.row.api_version)

    async def timed(self, request: Request, operation: str, write: Awaitable[T]) -> T:
        """The write: a create, update or delete. Its time is counted, and told to the audit log where that follows the
        request."""
        monotonic = self.world.clock.monotonic
        began = monotonic()
        try:
            return await write
        finally:
            seconds = monotonic() - began
            row = self.durations.get(operation)
            if row is None:
                row = self.durations[operation] = Histogram(DURATION_BOUNDS)
            row.observe(seconds)
            if request.audit is not None:
                request.audit.took("etcd", seconds)


@dataclass(slots=True)
class View:
    """One served version of a resource."""

    row: Resource
    kind: Kind
    storage: Storage
    #: the decoder of request bodies: (bytes or parsed object, request) -> normalised object
    definition: str
    fields: FieldManager
    #: between this version and the stored one; None where they are the same
    to_stored: Callable[[Object], Object] | None = None
    to_served: Callable[[Object], Object] | None = None
    custom: bool = False
    #: schema work of custom resources (registry/custom/codec.py)
    normalize: Any = None
    extra: dict[str, Any] = field(default_factory=dict)
    #: where a webhook converts between the versions: its part in this one (registry/custom/conversion.py). Then
    #: `answer` and `live` must be awaited instead of `served` and `served_object`
    conversion: Any = None
    #: the same resource for who looks at metadata only and must not wait for that webhook
    bare: View | None = None
    #: what stored bytes in the version of now begin with, where others may lie in the store; else nothing
    stored_head: bytes = b""

    @property
    def gvk(self) -> tuple[str, str, str]:
        return self.row.group, self.row.version, self.row.kind

    def served(self, value: bytes, revision: int) -> bytes:
        """Stored bytes as a client of this version gets them."""
        if self.to_served is None:
            return encoding.with_revision(value, revision)
        return encoding.orjson.dumps(self.served_object(value, revision))

    def served_object(self, value: bytes, revision: int) -> Object:
        obj = encoding.decode_stored(value, revision)
        return obj if self.to_served is None else self.to_served(obj)

    async def answer(self, value: bytes, revision: int) -> bytes:
        """`served`, whoever converts."""
        if self.conversion is None:
            return self.served(value, revision)
        return await self.conversion.served(value, revision)

    async def live(self, value: bytes, revision: int) -> Object:
        """`served_object`, whoever converts; an object of the caller's own."""
        if self.conversion is None:
            return self.served_object(value, revision)
        return await self.conversion.object(value, revision)

    async def encode(self, obj: Object) -> bytes:
        """An object of this version as it is stored."""
        if self.conversion is not None:
            obj = await self.conversion.stored(obj)
        return self.storage.encode(obj)

    async def manage(self, call: Callable[[], Any]) -> Any:
        """The result of a call to `fields`, which may need the object in other versions. It may be called twice."""
        return call() if self.conversion is None else await self.conversion.settled(call)
