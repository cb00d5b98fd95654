"""One version's schema, compiled: everything that happens to custom objects of that version."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema import defaulting, embedded, listtypes, metadata, prune, ratcheting
from knarr.api.apiextensions.schema.accepts import Accepts, accepts
from knarr.api.apiextensions.schema.node import Node, Schema, any_node
from knarr.api.apiextensions.schema.result import field_errors
from knarr.api.apiextensions.schema.validate import Validator
from knarr.meta import fielderrors
from knarr.meta.fielderrors import FieldError

Object = dict[str, Any]
#: errors after which rules are not evaluated: the object may not have the shape they expect
BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
UNCHECKED = (
    "some validation rules were not checked because the object was invalid;"
    " correct the existing errors to complete validation"
)


class VersionSchema:
    """The schema of one version. Compiling is done once; `None` knows nothing, so everything is pruned."""

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema or {}
        self.node = Node(self.schema)
        self.validator = Validator(self.schema)
        test = accepts(self.validator)
        self._accepts: Accepts | None = None if isinstance(test, type) else test
        self._status = self.validator.properties.get("status")
        self.has_defaults = self.node.has_defaults_below
        self.has_embedded = embedded.has_embedded(self.node)
        self.has_list_types = listtypes.has_list_types(self.node)
        self.has_rules = any_node(self.node, lambda node: bool(node.rules))
        self._rules: Any = None

    # -- normalising ----------------------------------------------------------------------------------

    def normalize(self, obj: Object) -> list[str]:
        """Coerce, prune and default in place; the paths of unknown fields. Raises ValueError for bad metadata."""
        unknown = metadata.coerce(obj, self.node if self.has_embedded else None)
        unknown += prune.prune(obj, self.node)
        unknown.sort()
        defaulting.fill(obj, self.node)
        return unknown

    def read(self, obj: Object) -> None:
        """What happens to a stored object that this version reads: as `normalize`, silently."""
        metadata.coerce(obj, self.node if self.has_embedded else None, lenient=True)
        prune.prune(obj, self.node)

    def default(self, obj: Object) -> None:
        defaulting.fill(obj, self.node)

    # -- validating -----------------------------------------------------------------------------------

    def schema_errors(self, obj: Object) -> list[FieldError]:
        if self._accepts is None or self._accepts(obj):
            return []
        return field_errors(self.validator.validate(obj).findings, "")

    def schema_update_errors(self, obj: Object, old: Object) -> list[FieldError]:
        if self._accepts is None or self._accepts(obj):
            return []
        return field_errors(ratcheting.validate_update(self.validator, obj, old).findings, "")

    def status_errors(self, obj: Object, old: Object) -> list[FieldError]:
        if self._status is None or "status" not in obj:
            return []
        before = old.get("status", ratcheting.ABSENT)
        return field_errors(
            ratcheting.validate_update(self._status, obj["status"], before).findings, "status"
        )

    def embedded_errors(self, obj: Object) -> list[FieldError]:
        """What is wrong with resources inside the object."""
        return embedded.errors(obj, self.node) if self.has_embedded else []

    def list_errors(self, obj: Object, old: Object | None) -> list[FieldError]:
        """Duplicates in sets and map lists, unless the old object had some."""
        if not self.has_list_types or old is not None and listtypes.errors(old, self.node):
            return []
        return listtypes.errors(obj, self.node)

    def rule_errors(
        self, obj: Object, old: Object | None, found: list[FieldError]
    ) -> tuple[list[FieldError], list[str]]:
        """(errors, warnings) of x-kubernetes-validations, after everything else was `found`."""
        if not self.has_rules:
            return [], []
        if any(error.type in BLOCKING for error in found):
            return [fielderrors.invalid("<nil>", None, UNCHECKED)], []
        if self._rules is None:
            from knarr.api.apiextensions.rules.validate import Rules

            self._rules = Rules(self.node)
        return self._rules.validate(obj, old)
