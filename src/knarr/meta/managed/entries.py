"""The entries of metadata.managedFields: reading what a client sent, identity, order."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.meta.managed import fieldset
from knarr.meta.times import Time

Entry = dict[str, Any]
#: what tells two managers apart: name, operation, apiVersion (of updates only), subresource
Identity = tuple[str, str, str, str]
OPERATIONS = ("Apply", "Update")


def new_entry(identity: Identity, api_version: str, fields: fieldset.Tree, time: str | None) -> Entry:
    manager, operation, _, subresource = identity
    entry: Entry = {"manager": manager, "operation": operation, "apiVersion": api_version}
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fields
    if subresource:
        entry["subresource"] = subresource
    return entry


def in_order(entries: list[Entry]) -> list[Entry]:
    """The entries with their fields as Kubernetes writes them, for messages that show them."""
    return [
        {**entry, "fieldsV1": fieldset.ordered(entry["fieldsV1"])} if entry.get("fieldsV1") else entry
        for entry in entries
    ]


def one_per_manager(entries: list[Entry]) -> list[Entry]:
    """Of entries that name the same manager the last, as Kubernetes reads them: a write through scale may leave two."""
    if len(entries) < 2:
        return entries
    return list({identity_of(entry): entry for entry in entries}.values())


def identity_of(entry: Entry) -> Identity:
    operation = entry["operation"]
    version = entry["apiVersion"] if operation == "Update" else ""
    return entry.get("manager", ""), operation, version, entry.get("subresource", "")


def update_identity(manager: str, api_version: str, subresource: str) -> Identity:
    return manager or "unknown", "Update", api_version, subresource


def apply_identity(manager: str, subresource: str) -> Identity:
    return manager or "unknown", "Apply", "", subresource


def identity_text(identity: Identity) -> str:
    """The identity as the JSON Kubernetes sorts managers by."""
    names = ("manager", "operation", "apiVersion", "subresource")
    return orjson.dumps({n: v for n, v in zip(names, identity, strict=True) if v}).decode()


def order(entry: Entry) -> tuple[str, str, str, str, str]:
    """Appliers first, then by time (seconds), manager, version, subresource."""
    get = entry.get
    return (
        entry["operation"],
        get("time") or "",
        get("manager", ""),
        entry["apiVersion"],
        get("subresource", ""),
    )


def decode(entries: Any) -> list[Entry]:
    """The entries a client sent, canonical; ValueError when any of them is not valid."""
    if not isinstance(entries, list):
        raise ValueError("managedFields must be a list")
    decoded: dict[Identity, Entry] = {}
    for i, entry in enumerate(entries):
        canonical = _decode_entry(entry, i)
        decoded[identity_of(canonical)] = canonical
    return list(decoded.values())


def _decode_entry(entry: Any, index: int) -> Entry:
    if not isinstance(entry, dict):
        raise ValueError(f"managed fields entry {index} is not an entry")
    if entry.get("operation") not in OPERATIONS:
        raise ValueError("operation must be `Apply` or `Update`")
    if not isinstance(entry.get("apiVersion"), str) or not entry["apiVersion"]:
        raise ValueError("apiVersion must not be empty")
    if entry.get("fieldsType") != "FieldsV1":
        raise ValueError(f"invalid fieldsType {entry.get('fieldsType')!r} in managed fields entry {index}")
    time = entry.get("time")
    fields = fieldset.decode(entry["fieldsV1"]) if entry.get("fieldsV1") is not None else {}
    return new_entry(identity_of(entry), entry["apiVersion"], fields, Time.parse(time) if time else None)


def is_reset(entries: Any) -> bool:
    """Whether a client asks to forget all owners: an empty list, or one empty entry."""
    return isinstance(entries, list) and (not entries or (len(entries) == 1 and not entries[0]))
