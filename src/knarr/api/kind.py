"""What one kind adds to the generic way of create, update and delete.

A kind's file (api/<group>/<kind>.py, e.g. api/apps/deployment.py) holds one subclass of `Kind` named after the
kind, with its defaults, validation, update rules, columns and subresources. Objects are plain dicts in wire
form, already decoded and type-checked against the schema (api/scheme.py): unknown fields and nulls are gone,
quantities and times are canonical, zero values that Go would omit are absent. Methods whose name begins with
`prepare` or `default` change the object in place; `validate*` only read. Nothing here awaits or looks anything up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from knarr.api import schema
from knarr.meta import names, objectmeta
from knarr.meta.fielderrors import FieldError

Object = dict[str, Any]


class Column(NamedTuple):
    """One column of a server-side Table; priority 0 is always shown, 1 with `-o wide`.

    `description` is the printer's own few words. `doc` names a field instead ("core.v1.PodSpec.nodeName"), whose
    documentation is the description, without the words of `without` at its end; see `schema.description_of`.
    """

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0
    doc: str = ""
    without: str = ""

    def definition(self) -> Object:
        """The column as a Table's columnDefinitions have it."""
        description = self.description
        if self.doc:
            description = schema.description_of(self.doc).removesuffix(self.without)
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": description,
            "priority": self.priority,
        }


NAME = Column("Name", format="name", doc="^apis.meta.v1.ObjectMeta.name")
AGE = Column("Age", doc="^apis.meta.v1.ObjectMeta.creationTimestamp")


class Kind:
    """The rules of one kind; a resource without a file of its own is served by this class as it is."""

    #: metadata.name (and generateName with a suffix) must pass this; returns messages
    validate_name: ClassVar[Callable[[str], list[str]]] = staticmethod(names.is_dns1123_subdomain)
    #: finalizers without a domain must be Kubernetes' own
    kube_finalizers: ClassVar[bool] = True
    #: metadata.generation counts changes of everything outside metadata and status
    tracks_generation: ClassVar[bool] = False
    #: PUT to a name that does not exist creates it
    allow_create_on_update: ClassVar[bool] = False
    #: PUT without metadata.resourceVersion is accepted
    allow_unconditional_update: ClassVar[bool] = True
    #: deletion sets deletionTimestamp and waits for the grace period (pods)
    graceful: ClassVar[bool] = False
    #: default finalizers of garbage collection: "orphan" for the few old kinds, else background
    orphans_by_default: ClassVar[bool] = False
    #: told to who deletes an object without saying what shall become of its dependents
    orphan_warning: ClassVar[str] = ""
    #: told with every request to a deprecated resource
    deprecation: ClassVar[str] = ""
    #: selectable fields that are another name for one the stored version (`catalog`) has
    field_aliases: ClassVar[dict[str, str]] = {}
    #: lists whose defaults are for absent ones only: sent empty they stay so, for validation to see
    told_empty: ClassVar[tuple[tuple[str, ...], ...]] = ()
    #: fields that are kept and compared as they were sent, word by word
    raw_fields: ClassVar[tuple[str, ...]] = ()
    #: where a pod's spec lies in the object, for kinds that hold one
    pod_spec_path: ClassVar[tuple[str, ...]] = ()
    #: the columns of `kubectl get`, in order, Name and Age included
    columns: ClassVar[Sequence[Column]] = (NAME, AGE)

    # -- create --------------------------------------------------------------------------------------

    def default(self, obj: Object) -> None:
        """Fill in what the API's defaulting functions fill in; must be idempotent."""

    def prepare_for_create(self, obj: Object) -> list[str] | None:
        """Drop what a client may not set. Here: status, where it is a subresource; generation starts at 1.

        Returns warnings about what it changed and nobody can see afterwards.
        """
        if self.has_status:
            self.reset_status(obj)
        if self.tracks_generation:
            obj["metadata"]["generation"] = 1
        if self.pod_spec_path:
            self._drop_disabled(obj, None)

    def validate(self, obj: Object) -> list[FieldError]:
        """Everything except metadata, which is validated for every kind alike (meta/objectmeta.py)."""
        return []

    def warnings_on_create(self, obj: Object) -> list[str]:
        return []

    # -- update --------------------------------------------------------------------------------------

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        """Put back what an update may not touch. Here: status; generation counts changes of the rest."""
        if self.has_status:
            self.keep(obj, old, "status")
        if self.pod_spec_path:
            self._drop_disabled(obj, old)
        if self.tracks_generation:
            self.count_generation(obj, old)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        """Validate the new object and what may not change; metadata's own rules are already checked."""
        return self.validate(obj)

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return self.warnings_on_create(obj)

    # -- the status subresource ------------------------------------------------------------------------

    #: true where status is a subresource; the catalog sets it from discovery
    has_status: bool = False
    #: who writes the status may not change labels, annotations, finalizers or owners with it
    status_keeps_metadata: ClassVar[bool] = False

    def reset_status(self, obj: Object) -> None:
        """What status is on creation; most kinds encode an empty struct."""
        obj["status"] = {}

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        """Only status (and, as Kubernetes has it for most kinds, metadata) may change."""
        for key in set(obj) | set(old):
            if key not in ("status", "metadata", "apiVersion", "kind"):
                self.keep(obj, old, key)
        if self.status_keeps_metadata:
            objectmeta.keep_for_status(obj["metadata"], old["metadata"])

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return []

    def warnings_on_status_update(self, obj: Object, old: Object) -> list[str]:
        return []

    # -- reading ---------------------------------------------------------------------------------------

    def fields(self, obj: Object) -> dict[str, str]:
        """Selectable fields besides metadata.name and metadata.namespace."""
        return {}

    def cells(self, obj: Object, now: float) -> list[Any]:
        """One table row; `now` (epoch seconds) is for ages."""
        from knarr.meta import times

        return [obj["metadata"]["name"], times.age(obj["metadata"].get("creationTimestamp"), now)]

    @cached_property
    def column_definitions(self) -> list[Object]:
        """`columns` as a Table shows them, made once: a kind whose columns change is a new kind."""
        return [column.definition() for column in self.columns]

    def row_conditions(self, obj: Object) -> list[Object]:
        """Conditions of a table row (pods that are finished)."""
        return []

    # -- field management --------------------------------------------------------------------------------

    #: fields that are reset before a subresource's ("" is the main resource) update is recorded in managedFields
    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        """Paths (tuples of field names) that a writer through `subresource` never owns."""
        if not self.has_status:
            return ()
        if subresource == "status":
            return (("metadata",), ("spec",)) if self.status_keeps_metadata else (("spec",),)
        return (("status",),) if subresource == "" else ()

    # -- deletion --------------------------------------------------------------------------------------------

    def why_kept(self, name: str) -> str:
        """Why nobody may delete the object of this name (by itself); empty for those that may go."""
        return ""

    def grace_period(self, obj: Object, asked: int | None) -> int:
        """Seconds between deletionTimestamp and removal, for graceful kinds; `asked` is the request's."""
        return asked or 0

    def mark_deletion(self, obj: Object, now: float) -> bool:
        """A kind that marks the first delete in its own way does so here and returns true; `now` in epoch seconds."""
        return False

    def on_delete(self, obj: Object) -> bool:
        """A first delete: note it on the object; true when the object stays until somebody lets it go."""
        return False

    def finished(self, obj: Object) -> bool:
        """An object that is being deleted and has no finalizers: may it go now?"""
        return True

    # -- pods ------------------------------------------------------------------------------------------------

    def _drop_disabled(self, obj: Object, old: Object | None) -> None:
        from knarr.api.core.podspec.gates import drop_disabled

        if (spec := self._pod_spec(obj)) is not None:
            drop_disabled(spec, None if old is None else self._pod_spec(old))

    def _pod_spec(self, obj: Object) -> Object | None:
        found: Any = obj
        for key in self.pod_spec_path:
            found = (found or {}).get(key)
        return found

    # -- helpers -----------------------------------------------------------------------------------------

    @staticmethod
    def keep(obj: Object, old: Object, key: str) -> None:
        """Give `obj` the old object's value of `key`, or none if the old one has none."""
        if key in old:
            obj[key] = old[key]
        else:
            obj.pop(key, None)

    def count_generation(self, obj: Object, old: Object) -> None:
        """generation + 1 when anything but metadata and status changed."""
        generation = old["metadata"].get("generation", 0)
        ours = {k: v for k, v in obj.items() if k not in ("metadata", "status", "apiVersion", "kind")}
        theirs = {k: v for k, v in old.items() if k not in ("metadata", "status", "apiVersion", "kind")}
        if ours != theirs:
            generation += 1
        if generation:
            obj["metadata"]["generation"] = generation
        else:
            obj["metadata"].pop("generation", None)
