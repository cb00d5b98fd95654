"""One object at one revision, as everybody in this process shares it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import msgspec
import orjson

from knarr.store.base import KV

T = TypeVar("T")
Object = dict[str, Any]

METADATA = b'"metadata":{'


class Attributes(NamedTuple):
    """What selectors look at. `fields` holds metadata.name and metadata.namespace too."""

    labels: dict[str, str]
    fields: dict[str, str]


#: (stored bytes, key) -> what selectors look at
Extract = Callable[[bytes, bytes], Attributes]


class Shape:
    """What all entries of one resource have in common."""

    __slots__ = ("_known", "extract", "keep_objects", "namespaced", "prefix")

    def __init__(self, prefix: bytes, namespaced: bool, extract: Extract, keep_objects: bool = False) -> None:
        self.prefix = prefix
        self.namespaced = namespaced
        self.extract = extract
        self.keep_objects = keep_objects
        #: attributes that a writer had at hand, by the identity of the stored bytes (which are held, so it is theirs)
        self._known: dict[int, tuple[bytes, Attributes]] = {}

    def split(self, key: bytes) -> tuple[str, str]:
        """(namespace, name) of a key."""
        rest = key[len(self.prefix) :].decode()
        if not self.namespaced:
            return "", rest
        namespace, _, name = rest.partition("/")
        return namespace, name

    def remember(self, value: bytes, attributes: Attributes, bound: int = 1024) -> None:
        """Spare the decoding of bytes that are about to be written; the oldest are dropped beyond `bound`."""
        self._known[id(value)] = (value, attributes)
        if len(self._known) > bound:
            del self._known[next(iter(self._known))]

    def recall(self, value: bytes) -> Attributes | None:
        """What was remembered of exactly these bytes; forgets it."""
        found = self._known.pop(id(value), None)
        return found[1] if found is not None else None


def splice(value: bytes, revision: int) -> bytes:
    """Stored bytes with metadata.resourceVersion."""
    at = value.index(METADATA) + 12
    comma = b"" if value[at : at + 1] == b"}" else b","
    return b'%b"resourceVersion":"%d"%b%b' % (value[:at], revision, comma, value[at:])


# gc=False: an entry holds bytes, strings and frozen structs, nothing that leads back to it, and there may be many.
class Entry(msgspec.Struct, gc=False, eq=False):
    """One revision of one object. Shared by all readers: never change what it hands out.

    `kv` is what the store has. An entry of a DELETED event holds the last state under the deletion's revision.
    """

    kv: KV
    shape: Shape
    _names: tuple[str, str] | None = None
    _attributes: Attributes | None = None
    _object: Object | None = None
    _cached: dict[Hashable, Any] | None = None

    @property
    def key(self) -> bytes:
        return self.kv.key

    @property
    def value(self) -> bytes:
        """The stored bytes: JSON without resourceVersion."""
        return self.kv.value  # type: ignore[return-value]

    @property
    def mod_revision(self) -> int:
        return self.kv.mod_revision

    @property
    def create_revision(self) -> int:
        return self.kv.create_revision

    @property
    def namespace(self) -> str:
        return (self._names or self._split())[0]

    @property
    def name(self) -> str:
        return (self._names or self._split())[1]

    def _split(self) -> tuple[str, str]:
        self._names = names = self.shape.split(self.kv.key)
        return names

    @property
    def body(self) -> bytes:
        """JSON with metadata.resourceVersion, spliced each time (0.5 us): keeping it would double the memory."""
        return splice(self.kv.value, self.kv.mod_revision)  # type: ignore[arg-type]

    @property
    def attributes(self) -> Attributes:
        """Labels and fields; extracted when first asked for, unless the writer had them at hand."""
        found = self._attributes
        if found is None:
            found = self._attributes = self.shape.extract(self.kv.value, self.kv.key)  # type: ignore[arg-type]
        return found

    @property
    def labels(self) -> dict[str, str]:
        return (self._attributes or self.attributes)[0]

    @property
    def fields(self) -> dict[str, str]:
        return (self._attributes or self.attributes)[1]

    @property
    def object(self) -> Object:
        """The decoded object with its resourceVersion; kept only where the resource keeps objects."""
        if self._object is not None:
            return self._object
        obj = orjson.loads(self.kv.value)  # type: ignore[arg-type]
        obj["metadata"]["resourceVersion"] = str(self.kv.mod_revision)
        if self.shape.keep_objects:
            self._object = obj
        return obj

    def cached(self, key: Hashable, builder: Callable[[bytes, int], T]) -> T:
        """`builder(value, mod_revision)`, called once per `key` and kept as long as the entry is the newest of its
        object. What is built may hold on to parts of `value`, which is there anyway."""
        kept = self._cached
        if kept is None:
            kept = self._cached = {}
        elif key in kept:
            return kept[key]
        built = kept[key] = builder(self.kv.value, self.kv.mod_revision)  # type: ignore[arg-type]
        return built

    def at(self, revision: int) -> Entry:
        """The same state under another revision: what a DELETED event carries."""
        kv = self.kv
        twin = KV(kv.key, kv.value, kv.create_revision, revision, kv.version, kv.lease)
        return Entry(twin, self.shape, self._names, self._attributes)

    def forget(self) -> None:
        """Let go of what can be built again; the object has a newer entry now."""
        self._object = None
        self._cached = None
