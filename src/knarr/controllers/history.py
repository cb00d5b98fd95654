"""ControllerRevisions: the templates that a stateful set or a daemon set has had, numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from knarr.api.scheme import evolve, scheme
from knarr.api.types import apps_v1
from knarr.client.claim import claim
from knarr.client.client import Client, is_already_exists, is_not_found
from knarr.client.indexer import BY_CONTROLLER, controller_index, owned_or_orphaned
from knarr.client.informer import Informer
from knarr.client.objects import controller_ref
from knarr.controllers.hashing import fnv32, safe_encode
from knarr.meta.errors import StatusError
from knarr.meta.gofmt import go_json
from knarr.meta.labels import Selector

PREFIX_CHARS_MAX = 223


def template_patch(template: Any) -> dict[str, Any]:
    """The patch that brings an owner back to this template: what a revision holds."""
    return {"spec": {"template": {**scheme().to_dict(template), "$patch": "replace"}}}


def template_of(revision: Any) -> dict[str, Any]:
    """The template in wire form."""
    return {key: value for key, value in revision.data["spec"]["template"].items() if key != "$patch"}


def data_hash(data: Any, collisions: int) -> str:
    """Of the data as Go writes it."""
    text = go_json(orjson.loads(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)))
    return safe_encode(str(fnv32(f"{text}{collisions}".encode())))


def revision_name(owner: Any, hash_: str) -> str:
    return f"{owner.metadata.name[:PREFIX_CHARS_MAX]}-{hash_}"


def by_age(revisions: Iterable[Any]) -> list[Any]:
    """Oldest first."""
    return sorted(revisions, key=lambda r: (r.revision, r.metadata.creationTimestamp or "", r.metadata.name))


def next_number(revisions: Sequence[Any]) -> int:
    return max((revision.revision for revision in revisions), default=0) + 1


def same_data(left: Any, right: Any) -> bool:
    return bool(left.data == right.data)


def surplus(revisions: Sequence[Any], live: set[str], limit: int) -> list[Any]:
    """The oldest of those that nothing uses (by name), beyond the limit."""
    idle = [revision for revision in by_age(revisions) if revision.metadata.name not in live]
    return idle[: max(0, len(idle) - limit)]


class History:
    """The revisions of one controller's owners."""

    def __init__(self, client: Client, informer: Informer) -> None:
        self._client = client
        self.informer = informer
        informer.indexer.add_index(BY_CONTROLLER, controller_index)

    async def of(self, owner: Any, selector: Selector) -> list[Any]:
        """Oldest first; adopts orphans."""
        return by_age(
            await claim(self._client, owner, owned_or_orphaned(self.informer.indexer, owner), selector)
        )

    async def create(
        self, owner: Any, wire: dict[str, Any], number_of: Callable[[int], str], collisions: int
    ) -> tuple[Any, int]:
        """Store a revision under the hash `number_of(collisions)`; on to the next number while another template has
        the name. The revision and the collisions counted by then."""
        while True:
            made = scheme().from_dict(apps_v1.ControllerRevision, named(owner, wire, number_of(collisions)))
            try:
                return await self._client.create(made), collisions
            except StatusError as error:
                if not is_already_exists(error):
                    raise
            there = await self._client.get(
                apps_v1.ControllerRevision, made.metadata.name, owner.metadata.namespace
            )
            if same_data(there, made):
                return there, collisions
            collisions += 1

    async def renumber(self, revision: Any, number: int) -> Any:
        """An old template is the newest again."""
        return await self._client.update(evolve(revision, revision=number))

    async def delete(self, revisions: Iterable[Any]) -> None:
        for revision in revisions:
            try:
                await self._client.delete(revision)
            except StatusError as error:
                if not is_not_found(error):
                    raise


def named(owner: Any, wire: dict[str, Any], hash_: str) -> dict[str, Any]:
    """With its name and its owner; "<hash>" in label values becomes the hash."""
    meta = wire["metadata"]
    labels = {key: hash_ if value == "<hash>" else value for key, value in meta["labels"].items()}
    return {
        **wire,
        "metadata": {
            **meta,
            "name": revision_name(owner, hash_),
            "namespace": owner.metadata.namespace,
            "labels": labels,
            "ownerReferences": [controller_ref(owner)],
        },
    }
