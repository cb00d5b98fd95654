"""The rules of custom objects of one version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from knarr.api.apiextensions.schema.version import VersionSchema
from knarr.api.kind import Column, Kind, Object
from knarr.meta import errors, fielderrors, names, objectmeta
from knarr.meta.fielderrors import FieldError
from knarr.meta.gofmt import quote
from knarr.registry.custom import scalepaths
from knarr.registry.custom.columns import Cells

INT32_MAX = (1 << 31) - 1
PREFER_A_DOMAIN = (
    "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other"
    " finalizer writers"
)


class CustomKind(Kind):
    """Made from one version of a definition."""

    kube_finalizers = False
    tracks_generation = True
    allow_unconditional_update = False

    def __init__(
        self,
        group: str,
        resource: str,
        kind: str,
        api_version: str,
        schema: VersionSchema,
        scale: Object | None,
        has_status: bool,
        table: Cells,
        selectable: Sequence[str],
        deprecation: str = "",
    ) -> None:
        self.group, self.resource, self.name, self.api_version = group, resource, kind, api_version
        self.schema, self.scale, self.has_status, self.table = schema, scale, has_status, table
        self.selectable = tuple(selectable)
        self.deprecation = deprecation  # type: ignore[misc]
        self.columns: Sequence[Column] = table.columns  # type: ignore[misc]
        #: the definition is being deleted: nothing new may be created
        self.terminating = False
        #: warnings of the validation that ran last, for `warnings_on_*`, which follows it
        self._warnings: list[str] = []

    # -- create and update --------------------------------------------------------------------------------

    def prepare_for_create(self, obj: Object) -> None:
        if self.terminating:
            why = "create not allowed while custom resource definition is terminating"
            raise errors.forbidden(self.group, self.resource, obj["metadata"].get("name", ""), why)
        if self.has_status:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        if self.has_status:
            self.keep(obj, old, "status")
        self.count_generation(obj, old)

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        """Only status changes, and who owns it."""
        status, managed = obj.get("status"), obj["metadata"].get("managedFields")
        metadata = dict(old["metadata"])
        metadata.pop("managedFields", None)
        if managed:
            metadata["managedFields"] = managed
        obj.clear()
        obj.update(old)
        obj["metadata"] = metadata
        if status is None:
            obj.pop("status", None)
        else:
            obj["status"] = status

    def count_generation(self, obj: Object, old: Object) -> None:
        """Everything counts but metadata; status was put back where it is a subresource."""
        generation = old["metadata"].get("generation", 0)
        ours = {k: v for k, v in obj.items() if k != "metadata"}
        theirs = {k: v for k, v in old.items() if k != "metadata"}
        if ours != theirs:
            generation += 1
        if generation:
            obj["metadata"]["generation"] = generation

    # -- validation ---------------------------------------------------------------------------------------

    def validate(self, obj: Object) -> list[FieldError]:
        self._check_type(obj)
        found = self.schema.schema_errors(obj)
        found += self._replicas_errors(obj, "specReplicasPath") + self._scale_status_errors(obj)
        found += self.schema.embedded_errors(obj) + self.schema.list_errors(obj, None)
        return self._rules(obj, None, found)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        self._check_type(obj)
        found = self.schema.schema_update_errors(obj, old)
        found += self._replicas_errors(obj, "specReplicasPath") + self._scale_status_errors(obj)
        found += self.schema.embedded_errors(obj) + self.schema.list_errors(obj, old)
        return self._rules(obj, old, found)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        self._check_type(obj)
        found = self.schema.status_errors(obj, old) + self._scale_status_errors(obj)
        return self._rules(obj, old, found + self.schema.list_errors(obj, old))

    def _rules(self, obj: Object, old: Object | None, found: list[FieldError]) -> list[FieldError]:
        broken, self._warnings = self.schema.rule_errors(obj, old, found)
        return found + broken

    def warnings_on_create(self, obj: Object) -> list[str]:
        return self._warnings + finalizer_warnings(obj, None)

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return self._warnings + finalizer_warnings(obj, old)

    def warnings_on_status_update(self, obj: Object, old: Object) -> list[str]:
        return self._warnings

    def _check_type(self, obj: Object) -> None:
        """An object of another kind is refused before anything else is looked at."""
        found: list[FieldError] = []
        kind, version = obj.get("kind", ""), obj.get("apiVersion", "")
        if kind != self.name:
            found.append(fielderrors.invalid("kind", kind, f"must be {self.name}"))
        if version != self.api_version:
            found.append(fielderrors.invalid("apiVersion", version, f"must be {self.api_version}"))
        if not version:
            missing = "Object 'apiVersion' is missing in 'unstructured object has no version'"
            raise errors.internal(missing)
        if found:
            # It is named by what it says it is.
            group = version.rpartition("/")[0]
            raise errors.invalid(group, kind, obj["metadata"].get("name", ""), found)

    def _scale_status_errors(self, obj: Object) -> list[FieldError]:
        found = self._replicas_errors(obj, "statusReplicasPath")
        path = self.scale.get("labelSelectorPath") if self.scale is not None else None
        if path:
            try:
                scalepaths.text(obj, path)
            except ValueError as error:
                found.append(fielderrors.invalid(path, "", str(error)))
        return found

    def _replicas_errors(self, obj: Object, which: str) -> list[FieldError]:
        if self.scale is None:
            return []
        path = self.scale[which]
        try:
            number = scalepaths.integer(obj, path)
        except ValueError as error:
            return [fielderrors.invalid(path, 0, str(error))]
        if number is None:
            return []
        if number < 0:
            return [fielderrors.invalid(path, number, "should be a non-negative integer")]
        if number > INT32_MAX:
            return [fielderrors.invalid(path, number, f"should be less than or equal to {INT32_MAX}")]
        return []

    # -- reading ------------------------------------------------------------------------------------------

    def fields(self, obj: Object) -> dict[str, str]:
        return {path: selected(obj, path) for path in self.selectable}

    def unsupported_field(self, field: str) -> str:
        return f"field label not supported: {field}"

    def cells(self, obj: Object, now: float) -> list[Any]:
        return self.table(obj, now)

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        if not self.has_status:
            return ()
        if subresource == "status":
            return (("metadata",), ("spec",))
        return (("status",),) if subresource == "" else ()


def finalizer_warnings(obj: Object, old: Object | None) -> list[str]:
    """What is told to who adds a finalizer that others could choose as well."""
    added = set(obj["metadata"].get("finalizers") or ())
    if old is not None:
        added -= set(old["metadata"].get("finalizers") or ())
    found = []
    for name in sorted(added):
        where = f"metadata.finalizers: {quote(name)}"
        found += [f"{where}: {message}" for message in names.is_qualified_name(name)]
        if "/" not in name and name not in objectmeta.STANDARD_FINALIZERS:
            found.append(f"{where}: {PREFER_A_DOMAIN}")
    return found


def selected(obj: Object, path: str) -> str:
    """The value of a selectable field (`spec.color`) as selectors compare it; "" where there is none."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if value.__class__ is dict else None
    if value is None or value.__class__ in (dict, list):
        return ""
    return ("true" if value else "false") if value.__class__ is bool else str(value)


class StoredKind(Kind):
    """What the cache needs of the objects of all versions: the fields any of them selects by."""

    def __init__(self, selectable: Sequence[str]) -> None:
        self._selectable = tuple(selectable)

    def fields(self, obj: Object) -> dict[str, str]:
        return {path: selected(obj, path) for path in self._selectable}
