"""The field manager of one kind in one version, as the registry uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from knarr.meta import errors, fielderrors
from knarr.meta.fielderrors import FieldError
from knarr.meta.managed import apply as applying
from knarr.meta.managed import lastapplied
from knarr.meta.managed.conflicts import Conflicts
from knarr.meta.managed.diff import Scope
from knarr.meta.managed.entries import apply_identity, update_identity
from knarr.meta.managed.node import ItemError
from knarr.meta.managed.ownership import Converter, Versions
from knarr.meta.managed.schema import TypeSchema
from knarr.meta.managed.update import update

Paths = Iterable[Iterable[str]]
MANAGER_BYTES_MAX = 128


class FieldManager:
    """Keeps metadata.managedFields of one kind; objects are dicts in wire form.

    `reset_fields` gives, per subresource ("" is the object itself), the paths its endpoint does not write, such as
    `(("status",),)`. `only_fields`, where it gives any, the patterns of all that the endpoint writes, `*` standing
    for any one path element (`("spec", "containers", "*", "resources")`). `convert` gives an object in another
    version with that version's schema, None when the kind has no such version; without it there is only this one.
    Entries of versions that do not exist are dropped, as Kubernetes drops them.
    """

    def __init__(
        self,
        schema: TypeSchema,
        api_version: str,
        reset_fields: Callable[[str], Paths] | None = None,
        *,
        only_fields: Callable[[str], Paths] | None = None,
        convert: Converter | None = None,
    ) -> None:
        self._versions = Versions(schema, api_version, convert)
        self._reset_fields = reset_fields or (lambda subresource: ())
        self._only_fields = only_fields or (lambda subresource: ())
        self._scopes: dict[str, Scope] = {}

    def _scope(self, subresource: str) -> Scope:
        scope = self._scopes.get(subresource)
        if scope is None:
            scope = Scope(self._reset_fields(subresource), self._only_fields(subresource))
            self._scopes[subresource] = scope
        return scope

    def update(
        self, live: dict[str, Any] | None, new: dict[str, Any], manager: str, subresource: str, now: str
    ) -> None:
        """Sets `new["metadata"]["managedFields"]` in place for a create (live is None), update or patch.

        To be called with the defaulted object before admission and before the kind's own preparations, as those
        belong to nobody. `now` is RFC 3339 to the second. Entries that `new` brings along are taken over when they
        are valid, kept as they are live otherwise; `[]` or `[{}]` resets them. Never raises. Unchanged entries are
        shared with `live`.
        """
        versions = self._versions
        who = update_identity(manager, versions.api_version, subresource)
        update(versions, self._scope(subresource), live, new, who, now)

    def apply(
        self,
        live: dict[str, Any],
        config: dict[str, Any],
        manager: str,
        force: bool,
        subresource: str,
        now: str,
    ) -> dict[str, Any]:
        """The object that results from applying `config` to `live`, which is {} when the apply creates it.

        The result is not defaulted, shares nothing with the arguments but entries, and may hold the nulls that
        `config` holds. Raises StatusError: 409 with a cause per conflicting field, 400 for a wrong version or
        managedFields in `config`, 500 with the schema's findings when `config` does not fit it.
        """
        versions, scope = self._versions, self._scope(subresource)
        applying.check(versions, config)
        who = apply_identity(manager, subresource)
        try:
            result = self._apply(scope, live, config, who, force, now)
        except ItemError as e:
            raise applying.server_error(f"failed to compare objects: {e}") from None
        if manager == lastapplied.MANAGER:
            lastapplied.update(result, config)
        return result

    def merged(self, live: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        """`live` with what `config` says, owned by nobody (see configuration.py). Raises ValueError."""
        from knarr.meta.managed.configuration import merge

        return merge(self._versions.schema, live, config)

    def _apply(self, scope: Scope, live: Any, config: Any, who: Any, force: bool, now: str) -> dict[str, Any]:
        versions = self._versions
        try:
            return applying.apply(versions, scope, live, config, who, force, now)
        except Conflicts as conflicts:
            if who[0] != lastapplied.MANAGER:
                raise conflicts.status_error() from None
            allowed = lastapplied.allowed(versions.schema, versions.api_version, live)
            rest = conflicts.but_for(allowed)
            if rest:
                raise rest.status_error() from None
        return applying.apply(versions, scope, live, config, who, True, now)


def invalid_type(value: dict[str, Any]) -> errors.StatusError:
    """400 for an applied configuration of another kind or version than the endpoint's."""
    return errors.bad_request(f"invalid object type: {applying.describe_type(value)}")


@lru_cache(maxsize=256)
def default_manager(user_agent: str) -> str:
    """The manager of a client that names none: its user agent up to the first slash, at most 128 bytes of it."""
    name, size = "", 0
    for char in user_agent.partition("/")[0]:
        if not char.isprintable():
            continue
        size += len(char.encode())
        if size > MANAGER_BYTES_MAX:
            break
        name += char
    return name


def validate_manager(manager: str, path: str = "fieldManager") -> list[FieldError]:
    """What is wrong with a manager's name that a client gave."""
    found = []
    if len(manager.encode()) > MANAGER_BYTES_MAX:
        found.append(fielderrors.too_long(path, MANAGER_BYTES_MAX))
    position = 0
    for char in manager:
        if not char.isprintable():
            found.append(
                fielderrors.invalid(
                    path, manager, f"invalid character U+{ord(char):04X} (at position {position})"
                )
            )
        position += len(char.encode())
    return found
