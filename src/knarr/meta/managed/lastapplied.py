"""The annotation of client-side apply, for objects that move from it to server-side apply.

Only the manager `kubectl` takes part; any other name opts out.
"""

from __future__ import annotations

from typing import Any

import orjson

from knarr.meta.managed import fieldset
from knarr.meta.managed.elements import json_text
from knarr.meta.managed.fieldset import Tree
from knarr.meta.managed.node import Findings, ItemError
from knarr.meta.managed.schema import TypeSchema

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
MANAGER = "kubectl"
#: of all annotations together; beyond, this one is left out
ANNOTATIONS_BYTES_MAX = 256 << 10


def allowed(schema: TypeSchema, api_version: str, live: dict[str, Any]) -> Tree:
    """The fields that client-side apply wrote and that are still as it wrote them; none without the annotation."""
    text = _annotations(live).get(ANNOTATION)
    try:
        applied = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(applied, dict) or applied.get("apiVersion") != api_version:
        return {}
    findings = Findings()
    schema.root.validate(applied, findings)
    if findings:
        return {}
    try:
        diff = schema.root.compare(applied, live) if applied != live else None
    except ItemError:
        return {}
    fields = schema.root.fieldset(applied) or {}
    for tree in diff or ():
        if tree:
            fields = fieldset.difference(fields, tree)
    return fields


def update(result: dict[str, Any], config: dict[str, Any]) -> None:
    """Writes what was applied into the annotation, when the object has one."""
    annotations = _annotations(result)
    if not annotations.get(ANNOTATION):
        return
    annotations[ANNOTATION] = _encode(config)
    if sum(len(k.encode()) + len((v or "").encode()) for k, v in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        del annotations[ANNOTATION]


def _encode(config: dict[str, Any]) -> str:
    metadata = dict(config["metadata"])
    if metadata.get("annotations") is not None:
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != ANNOTATION}
    return json_text({**config, "metadata": metadata}) + "\n"


def _annotations(value: dict[str, Any]) -> dict[str, str]:
    return (value.get("metadata") or {}).get("annotations") or {}
