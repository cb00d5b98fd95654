"""Objects in versions that a webhook converts between: asked once per stored state and version, then remembered.

`Conversion` belongs to a definition, `Versioned` is what one of its views sees of it. Reading: the stored object is
defaulted and pruned by the schema it was stored under, converted, and pruned by the wanted one's. Writing: converted to
the storage version and pruned by its schema. An object that already is in the wanted version asks nobody.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from knarr.api.kind import Kind
from knarr.meta.managed import TypeSchema
from knarr.registry.custom.kind import selected
from knarr.registry.custom.webhook import ConversionWebhook, failed
from knarr.registry.storage import Object

if TYPE_CHECKING:
    from knarr.registry.custom.views import Definition

#: bytes of converted objects that are remembered for a definition; the ones used least recently go
REMEMBERED_BYTES_MAX = 32 << 20
#: an object is in so many versions at most that field management asks for at once
FIELD_VERSIONS_MAX = 64

Key = tuple[bytes, str]


class NotConverted(Exception):
    """Synchronous code needs an object in another version; whoever called it gets that and calls again."""

    def __init__(self, key: Key) -> None:
        super().__init__(key[1])
        self.key = key


class Conversion:
    """All conversions of one definition. What is asked for twice at the same time is asked once."""

    def __init__(self, definition: Definition, webhook: ConversionWebhook) -> None:
        self._definition, self._webhook = definition, webhook
        #: (an object's JSON without resourceVersion, version) -> its JSON in that version
        self._known: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0
        self._asked: dict[Key, asyncio.Future[bytes]] = {}

    def known(self, key: Key) -> bytes | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    async def all(self, keys: Sequence[Key], prepare: Callable[[bytes], Object]) -> list[bytes]:
        """Every key's object in its version, all keys of one version. `prepare` decodes those that must be sent."""
        found: dict[Key, bytes] = {}
        missing: list[Key] = []
        waiting: dict[Key, asyncio.Future[bytes]] = {}
        for key in dict.fromkeys(keys):
            known = self.known(key)
            if known is not None:
                found[key] = known
            elif key in self._asked:
                waiting[key] = self._asked[key]
            else:
                missing.append(key)
        if missing:
            found.update(await self._ask(missing, prepare))
        for key, future in waiting.items():
            # Whoever asked may go away with its request; then the next asks for itself.
            try:
                found[key] = await asyncio.shield(future)
            except asyncio.CancelledError:
                if not future.cancelled():
                    raise
                found.update(await self._ask([key], prepare))
        return [found[key] for key in keys]

    async def _ask(self, keys: list[Key], prepare: Callable[[bytes], Object]) -> dict[Key, bytes]:
        loop = asyncio.get_running_loop()
        futures = {key: loop.create_future() for key in keys}
        self._asked.update(futures)
        api_version = keys[0][1]
        try:
            objects = await self._webhook.convert([prepare(value) for value, _ in keys], api_version)
            made = {}
            for key, obj in zip(keys, objects, strict=True):
                self._read(obj, api_version)
                made[key] = orjson.dumps(obj)
                self._remember(key, made[key])
                futures[key].set_result(made[key])
            return made
        except Exception as error:
            for future in futures.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # seen: perhaps nobody waits
            raise
        finally:
            for key, future in futures.items():
                future.cancel()
                self._asked.pop(key, None)

    def _read(self, obj: Object, api_version: str) -> None:
        self._definition.schemas[api_version.rpartition("/")[2]].read(obj)

    def _remember(self, key: Key, value: bytes) -> None:
        self._known[key] = value
        self._bytes += len(value) + len(key[0])
        while self._bytes > REMEMBERED_BYTES_MAX and len(self._known) > 1:
            (old, _), gone = self._known.popitem(last=False)
            self._bytes -= len(old) + len(gone)


class Versioned:
    """What a view in `version` needs: stored objects in its version, its objects in the stored one."""

    def __init__(self, definition: Definition, conversion: Conversion, version: str) -> None:
        self._definition, self._conversion = definition, conversion
        self._api_version = definition.api_version(version)
        self._storage_version = definition.api_version(definition.storage_version)
        self._schema = definition.schemas[version]

    # -- reading ------------------------------------------------------------------------------------------

    async def objects(self, states: Sequence[tuple[bytes, int]]) -> list[Object]:
        """(stored bytes, revision) each, in this version."""
        found: list[Object] = []
        others: dict[int, bytes] = {}
        for index, (value, _) in enumerate(states):
            if self._is_here(value):
                found.append(self._in_version(value))
            else:
                others[index] = value
                found.append({})
        if others:
            keys = [(value, self._api_version) for value in others.values()]
            for index, body in zip(others, await self._conversion.all(keys, self._stored), strict=True):
                found[index] = orjson.loads(body)
        for obj, (_, revision) in zip(found, states, strict=True):
            metadata = obj["metadata"]
            obj["metadata"] = {"resourceVersion": str(revision), **metadata}
        return found

    async def object(self, value: bytes, revision: int) -> Object:
        return (await self.objects([(value, revision)]))[0]

    async def served(self, value: bytes, revision: int) -> bytes:
        """What GET answers."""
        return orjson.dumps(await self.object(value, revision))

    def _is_here(self, value: bytes) -> bool:
        return api_version_of(value) == self._api_version

    def _in_version(self, value: bytes) -> Object:
        """Bytes of this very version: only its schema may have changed since they were written."""
        obj = orjson.loads(value)
        if self._schema.has_defaults:
            self._schema.default(obj)
        self._schema.read(obj)
        return obj

    def _stored(self, value: bytes) -> Object:
        """A stored object before it is sent: what reading it in the version it was stored in gives."""
        obj = orjson.loads(value)
        schema = self._definition.schemas.get(obj["apiVersion"].rpartition("/")[2])
        if schema is None:
            raise failed(f"request to convert CR from an invalid group/version: {obj['apiVersion']}")
        if schema.has_defaults:
            schema.default(obj)
        schema.read(obj)
        return obj

    async def matching(
        self, entries: Sequence[Any], kind: Kind, labels: Any, fields: Any
    ) -> Callable[[Any], bool]:
        """A test of entries by what selectors see in this version."""
        objects = await self.objects([(entry.value, entry.mod_revision) for entry in entries])
        chosen = {
            entry.key
            for entry, obj in zip(entries, objects, strict=True)
            if self.selects(obj, kind, labels, fields)
        }
        return lambda entry: entry.key in chosen

    @staticmethod
    def selects(obj: Object, kind: Kind, labels: Any, fields: Any) -> bool:
        metadata = obj["metadata"]
        if labels is not None and not labels.matches(metadata.get("labels") or {}):
            return False
        if fields is None:
            return True
        own = {path: selected(obj, path) for path in kind.fields(obj)}
        names = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata.get("namespace", ""),
        }
        return fields.matches({**names, **own})

    # -- writing ------------------------------------------------------------------------------------------

    async def stored(self, obj: Object) -> Object:
        """An object of this version as it is stored."""
        if self._api_version == self._storage_version:
            return obj
        return orjson.loads((await self._between([obj], self._storage_version))[0])

    async def between(self, obj: Object, api_version: str) -> Object:
        """An object of any version, not yet stored, in another; its resourceVersion stays with it."""
        if obj.get("apiVersion") == api_version:
            return obj
        new = orjson.loads((await self._between([obj], api_version))[0])
        if version := obj["metadata"].get("resourceVersion"):
            new["metadata"] = {"resourceVersion": version, **new["metadata"]}
        return new

    async def _between(self, objects: Iterable[Object], api_version: str) -> list[bytes]:
        keys = [(_plain(obj), api_version) for obj in objects]
        return await self._conversion.all(keys, orjson.loads)

    # -- field management ---------------------------------------------------------------------------------

    def convert(self, obj: Object, api_version: str) -> tuple[TypeSchema, Object] | None:
        """For `FieldManager`: raises NotConverted until the object is known in that version."""
        group, _, version = api_version.rpartition("/")
        if group != self._definition.group or version not in self._definition.schemas:
            return None
        schema = self._definition.type_schema(version)
        if obj.get("apiVersion", self._api_version) == api_version:
            return schema, obj
        key = (_plain({**obj, "apiVersion": obj.get("apiVersion", self._api_version)}), api_version)
        body = self._conversion.known(key)
        if body is None:
            raise NotConverted(key)
        return schema, orjson.loads(body)

    async def settled(self, call: Callable[[], Any]) -> Any:
        """What `call` gives, having converted whatever it needs. It must be free to be called again."""
        for _ in range(FIELD_VERSIONS_MAX):
            try:
                return call()
            except NotConverted as missing:
                await self._conversion.all([missing.key], orjson.loads)
        raise failed("field management: too many versions")


def api_version_of(value: bytes) -> str:
    """The version of stored bytes, which begin with kind and apiVersion (registry/encoding.py)."""
    start = value.index(b'"apiVersion":"') + 14
    return value[start : value.index(b'"', start)].decode()


def _plain(obj: Object) -> bytes:
    """An object as it is converted: without its resourceVersion, which is not stored."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    return orjson.dumps({**obj, "metadata": metadata})


class BareKind(Kind):
    """The rules for who changes metadata only, whatever version the rest is in."""

    kube_finalizers = False


def only_metadata(obj: Object) -> tuple[Object, list[str]]:
    """The `normalize` of bare views: the rest was checked when it was written."""
    return obj, []
