"""Server-side apply: a configuration merged into the live object, and what it says becomes its applier's."""

from __future__ import annotations

from typing import Any

from knarr.meta import errors
from knarr.meta.managed import entries as e
from knarr.meta.managed import fieldset
from knarr.meta.managed.conflicts import Conflicts
from knarr.meta.managed.diff import UNOWNED, Scope
from knarr.meta.managed.entries import Entry
from knarr.meta.managed.node import Findings, ItemError
from knarr.meta.managed.ownership import Versions, store, take_away
from knarr.meta.managed.prune import prune
from knarr.meta.managed.update import changed
from knarr.meta.managed.values import copy, same

Value = dict[str, Any]
#: owns what an object without owners holds when it is applied to for the first time
BEFORE_FIRST_APPLY = "before-first-apply"


def check(versions: Versions, config: Value) -> None:
    """Whether a configuration can be applied at all: version, no managedFields, valid in the schema."""
    version = config.get("apiVersion", "")
    if version != versions.api_version:
        raise errors.bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {version}, expected: {versions.api_version}"
        )
    if _metadata(config).get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    findings = Findings()
    versions.schema.root.validate(config, findings)
    if findings:
        raise server_error(f"failed to create typed patch object ({describe(config)}): {findings}")


def apply(
    versions: Versions, scope: Scope, live: Value, config: Value, who: e.Identity, force: bool, now: str
) -> Value:
    """The live object with `config` merged into it, and its entries. Raises Conflicts unless forced.

    `live` and `config` are without managedFields' entries of their own making: the live object's are taken over.
    """
    entries = versions.reconciled((live.get("metadata") or {}).get("managedFields") or [])
    plain, config = without_entries(live), without_entries(config)
    if not entries and plain.get("metadata"):
        first = e.update_identity(BEFORE_FIRST_APPLY, versions.api_version, who[3])
        entries = changed(versions, scope, None, plain, [], first, now)
    root = versions.schema.root
    merged = root.merge(plain, config)
    wanted = scope.narrow(root.fieldset(config) or {})
    mine = e.new_entry(who, versions.api_version, wanted, None)
    last = next((entry for entry in entries if e.identity_of(entry) == who), None)
    others = [entry for entry in entries if entry is not last]
    merged, nulls = prune(versions, merged, last, [mine, *others])

    difference = scope.compare(versions.schema, plain, merged)
    differences = versions.differences(scope, difference, plain, merged)
    if not force:
        refuse_conflicts(others, differences)
    left = take_away(others, differences)

    is_same = plain == merged and (not root.loose or same(plain, merged))
    if versions.schema.built_in:
        for container, key in nulls:
            container.pop(key, None)
    result = copy(plain) if is_same else merged
    owned = fieldset.ordered(fieldset.difference(wanted, UNOWNED))
    if owned:
        # an apply that changes nothing leaves the time alone, and a new entry without one
        time = now if not is_same else last.get("time") if last else None
        left.append(e.new_entry(who, versions.api_version, owned, time))
    if result.get("metadata") is None:
        result["metadata"] = {}
    store(result["metadata"], left)
    return result


def refuse_conflicts(others: list[Entry], differences: Any) -> None:
    owned = {}
    for entry in others:
        difference = differences(entry["apiVersion"])
        if difference is not None:
            both = fieldset.intersection(entry.get("fieldsV1") or {}, difference.written)
            if both:
                owned[e.identity_of(entry)] = both
    if owned:
        raise Conflicts(owned)


def without_entries(value: Value) -> Value:
    metadata = value.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return value
    return {**value, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}


def describe(value: Value) -> str:
    """An object in messages: `namespace/name; group/version, Kind=kind`. What is no text counts as absent."""
    metadata = _metadata(value)
    namespace, name = (
        text if isinstance(text := metadata.get(key), str) else "" for key in ("namespace", "name")
    )
    return f"{namespace}/{name}; {describe_type(value)}"


def _metadata(value: Value) -> dict[str, Any]:
    found = value.get("metadata")
    return found if isinstance(found, dict) else {}


def describe_type(value: Value) -> str:
    version = value.get("apiVersion", "")
    return f"{version if '/' in version else '/' + version}, Kind={value.get('kind', '')}"


def unconvertible(value: Value, why: str) -> errors.StatusError:
    """For an applied configuration that the schema lets pass and the Go type does not."""
    type_ = describe_type(value)
    return server_error(
        f"failed to convert new object ({describe(value)}) to proper version:"
        f" unable to convert unstructured object to {type_}: {why}"
    )


def server_error(message: str) -> errors.StatusError:
    """500 as Kubernetes answers an error it did not foresee: a message and no reason."""
    return errors.StatusError(errors.failure(500, "", message))


__all__ = ["Conflicts", "ItemError", "apply", "check", "describe_type", "server_error", "unconvertible"]
