"""An API in memory: enough of one for a client to believe in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from knarr.api.catalog import BY_GVK
from knarr.api.resources import Resource
from knarr.client.inprocess import Call, InProcess
from knarr.client.transport import NO_QUERY, EntryEvent, WatchEvent
from knarr.meta import errors, labels
from knarr.meta.errors import StatusError

PODS = BY_GVK["", "v1", "Pod"]
LEASES = BY_GVK["coordination.k8s.io", "v1", "Lease"]
EVENTS = BY_GVK["", "v1", "Event"]


def pod(name: str, namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {},
    }


class FakeEntry:
    """What a watch cache would hand out; counts how often it is decoded."""

    decoded = 0

    def __init__(self, obj: dict[str, Any]) -> None:
        self.namespace = obj["metadata"].get("namespace", "")
        self.name = obj["metadata"]["name"]
        self.mod_revision = int(obj["metadata"]["resourceVersion"])
        self.body = json.dumps(obj).encode()
        self._cache: dict[Any, Any] = {}

    def cached(self, key: Any, builder: Callable[[bytes, int], Any]) -> Any:
        if key not in self._cache:
            FakeEntry.decoded += 1
            self._cache[key] = builder(self.body, self.mod_revision)
        return self._cache[key]


class FakeSubscription:
    def __init__(self, api: FakeAPI, resource: str, callback: Any, closed: Any, accepts: Any) -> None:
        self.revision = api.revision
        self.resource, self.callback, self.closed, self.accepts = resource, callback, closed, accepts
        self._api = api
        api.subscriptions.append(self)

    def close(self) -> None:
        if self in self._api.subscriptions:
            self._api.subscriptions.remove(self)


class FakeAPI:
    """Objects by resource, one revision counter, compare-and-swap, merge patches; `failing` answers everything."""

    def __init__(self) -> None:
        self.revision = 0
        self.objects: dict[str, dict[tuple[str, str], FakeEntry]] = {}
        self.history: list[tuple[int, str, str, FakeEntry, FakeEntry | None]] = []
        self.compacted = 0
        self.subscriptions: list[FakeSubscription] = []
        self.calls: list[Call] = []
        self.failing: Callable[[Call], StatusError | None] = lambda _: None
        self.latency: Callable[[Call], float] = lambda _: 0.0
        self.answer_latency = 0.0

    # -- the API protocol -----------------------------------------------------------------------------

    async def call(self, call: Call) -> bytes:
        self.calls.append(call)
        if seconds := self.latency(call):
            await asyncio.sleep(seconds)
        if (error := self.failing(call)) is not None:
            raise error
        body = json.loads(call.body) if call.body else {}
        answer = getattr(self, f"_{call.verb}")(call, body)
        if self.answer_latency:
            await asyncio.sleep(self.answer_latency)
        return json.dumps(answer).encode()

    async def raw(self, path: str, query: Mapping[str, str]) -> bytes:
        return json.dumps({"path": path}).encode()

    async def subscribe(
        self,
        resource: Resource,
        namespace: str,
        label_selector: str,
        field_selector: str,
        since_revision: int | None,
        callback: Callable[[list[EntryEvent]], None],
        closed: Callable[[StatusError | None], None],
        user: str = "",
    ) -> FakeSubscription:
        if (error := self.failing(Call("watch", resource, namespace))) is not None:
            raise error
        selector = labels.parse(label_selector)

        def accepts(entry: FakeEntry) -> bool:
            metadata = json.loads(entry.body)["metadata"]
            return namespace in ("", entry.namespace) and selector.matches(metadata.get("labels", {}))

        subscription = FakeSubscription(self, resource.name, callback, closed, accepts)
        if since_revision is None:
            present = self.objects.get(resource.name, {}).values()
            callback([("ADDED", entry, None) for entry in present if accepts(entry)])
        else:
            self.check_history(since_revision)
            callback(
                [
                    (type_, entry, prev)
                    for revision, name, type_, entry, prev in self.history
                    if revision > since_revision and name == resource.name and accepts(entry)
                ]
            )
        return subscription

    # -- verbs ----------------------------------------------------------------------------------------

    def _list(self, call: Call, _: Any) -> dict[str, Any]:
        version = call.query.get("resourceVersion", "")
        if version not in ("", "0"):
            self.check_history(int(version))
        entries = list(self.objects.get(call.resource.name, {}).values())
        entries = [e for e in entries if call.namespace in ("", e.namespace)]
        start, limit = int(call.query.get("continue") or 0), int(call.query.get("limit") or 0)
        page = entries[start : start + limit] if limit else entries[start:]
        metadata = {"resourceVersion": str(self.revision)}
        if start + len(page) < len(entries):
            metadata["continue"] = str(start + len(page))
        return {"metadata": metadata, "items": [json.loads(e.body) for e in page]}

    def _get(self, call: Call, _: Any) -> dict[str, Any]:
        return json.loads(self._present(call).body)

    def _create(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        if call.subresource:
            return body
        key = (call.namespace, body["metadata"]["name"])
        if key in self.objects.get(call.resource.name, {}):
            raise errors.already_exists(call.resource.group, call.resource.name, key[1])
        body["metadata"].setdefault("uid", f"uid-{self.revision + 1}")
        return self._store(call, "ADDED", body)

    def _update(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        present = self._present(call)
        if body["metadata"].get("resourceVersion") not in (None, str(present.mod_revision)):
            raise errors.conflict(call.resource.group, call.resource.name, call.name, errors.STALE)
        return self._store(call, "MODIFIED", body)

    def _patch(self, call: Call, body: Any) -> dict[str, Any]:
        return self._store(call, "MODIFIED", _merged(json.loads(self._present(call).body), body))

    def _delete(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        obj = json.loads(self._present(call).body)
        uid = body.get("preconditions", {}).get("uid")
        if uid not in (None, obj["metadata"]["uid"]):
            raise errors.conflict(
                call.resource.group, call.resource.name, call.name, "the UID does not match"
            )
        return self._store(call, "DELETED", obj)

    # -- inside ---------------------------------------------------------------------------------------

    def check_history(self, version: int) -> None:
        if version < self.compacted:
            raise errors.expired(f"too old resource version: {version} ({self.compacted})")

    def _present(self, call: Call) -> FakeEntry:
        entry = self.objects.get(call.resource.name, {}).get((call.namespace, call.name))
        if entry is None:
            raise errors.not_found(call.resource.group, call.resource.name, call.name)
        return entry

    def _store(self, call: Call, type_: str, obj: dict[str, Any]) -> dict[str, Any]:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        entry = FakeEntry(obj)
        resource = self.objects.setdefault(call.resource.name, {})
        prev = resource.get((entry.namespace, entry.name))
        if type_ == "DELETED":
            del resource[entry.namespace, entry.name]
        else:
            resource[entry.namespace, entry.name] = entry
        self.history.append((self.revision, call.resource.name, type_, entry, prev))
        for subscription in list(self.subscriptions):
            if subscription.resource == call.resource.name and subscription.accepts(entry):
                subscription.callback([(type_, entry, prev)])
        return obj

    def disconnect(self, error: StatusError | None = None) -> None:
        """End every subscription, as a server that restarts does."""
        subscriptions, self.subscriptions = self.subscriptions, []
        for subscription in subscriptions:
            subscription.closed(error)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


class OnlyWatches:
    """The same API as a remote transport shows it: lists and watches, no subscriptions."""

    def __init__(self, api: FakeAPI) -> None:
        self.api = api
        self._inner = InProcess(api)
        self.request = self._inner.request
        self.raw = self._inner.raw
        self.watches: list[dict[str, str]] = []
        self.bookmarks = True

    async def watch(
        self, resource: Resource, namespace: str = "", query: Mapping[str, str] = NO_QUERY
    ) -> Any:
        self.watches.append(dict(query))
        if query.get("sendInitialEvents"):
            query = {**query, "resourceVersion": ""}
        first = True
        if query.get("sendInitialEvents") and not self.api.objects.get(resource.name):
            first = False
            yield [_initial_events_end(self.api.revision)]
        async for batch in self._inner.watch(resource, namespace, query):
            if first and query.get("sendInitialEvents"):
                batch = [*batch, _initial_events_end(self.api.revision)]
            first = False
            yield batch

    async def close(self) -> None: ...


def _initial_events_end(revision: int) -> WatchEvent:
    metadata = {
        "name": "",
        "resourceVersion": str(revision),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    return WatchEvent(
        "BOOKMARK", json.dumps({"kind": "Pod", "apiVersion": "v1", "metadata": metadata}).encode()
    )
