"""The configuration objects that every cluster has: made, brought up to date and taken away again, as
kube-apiserver's config producer does it once a minute; and the Dangling condition of flow schemas."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Protocol

from knarr.flowcontrol.bootstrap import (
    AUTOUPDATE,
    FLOWS,
    GROUP,
    LEVELS,
    LIMITED,
    MANDATORY,
    SCHEMAS,
    default_objects,
)
from knarr.meta import errors
from knarr.registry.reader import Object, Reader

log = logging.getLogger("knarr.flowcontrol")

PRODUCER = "api-priority-and-fairness-config-producer-v1"
CONSUMER = "api-priority-and-fairness-config-consumer-v1"
SECONDS = 60.0
OURS = {SCHEMAS: frozenset(FLOWS), LEVELS: frozenset(("exempt", *LIMITED))}
#: what Go's strconv.ParseBool takes
TRUE, FALSE = (
    frozenset(("1", "t", "T", "true", "TRUE", "True")),
    frozenset(("0", "f", "F", "false", "FALSE", "False")),
)


class Store(Reader, Protocol):
    async def delete(self, group: str, resource: str, namespace: str, name: str) -> None: ...


async def ensure(store: Any) -> None:
    """Suggested objects are as they should be unless somebody took them over, mandatory ones in any case."""
    for resource, wanted in default_objects():
        name = wanted["metadata"]["name"]
        found = store.get(GROUP, resource, "", name)
        try:
            if found is None:
                await store.create(GROUP, resource, wanted, manager=PRODUCER)
            elif (updated := updated_object(resource, found, wanted)) is not None:
                await store.update(GROUP, resource, updated, manager=PRODUCER)
        except errors.StatusError as error:
            log.warning("%s %s: %s", resource, name, error)
    for resource, name in leftovers(store):
        try:
            await store.delete(GROUP, resource, "", name)
        except errors.StatusError as error:
            log.warning("%s %s: %s", resource, name, error)


def updated_object(resource: str, found: Object, wanted: Object) -> Object | None:
    """The object as it should be; None where it is."""
    name = wanted["metadata"]["name"]
    # the administrator may have taken over how much the exempt level lends
    always = name in MANDATORY and (resource, name) != (LEVELS, "exempt")
    update_spec = always or _updates_itself(found)
    annotation = "true" if update_spec else "false"
    annotations = found["metadata"].get("annotations") or {}
    spec_differs = update_spec and found.get("spec") != wanted["spec"]
    if _bool(annotations.get(AUTOUPDATE)) == update_spec:
        if not spec_differs:
            return None
        annotation = annotations[AUTOUPDATE]
    metadata = {**found["metadata"], "annotations": {**annotations, AUTOUPDATE: annotation}}
    return {**found, "metadata": metadata, "spec": wanted["spec"] if spec_differs else found.get("spec")}


def _updates_itself(found: Object) -> bool:
    """As its annotation says; where that says nothing, as long as nobody has changed its spec."""
    metadata = found["metadata"]
    said = _bool((metadata.get("annotations") or {}).get(AUTOUPDATE))
    return metadata.get("generation", 1) == 1 if said is None else said


def _bool(text: str | None) -> bool | None:
    return True if text in TRUE else False if text in FALSE else None


def leftovers(store: Reader) -> Iterator[tuple[str, str]]:
    """Objects of another version of the defaults that nobody has taken over."""
    for resource, names in OURS.items():
        for obj in list(store.list(GROUP, resource)):
            metadata = obj["metadata"]
            said = _bool((metadata.get("annotations") or {}).get(AUTOUPDATE))
            if said and metadata["name"] not in names:
                yield resource, metadata["name"]
