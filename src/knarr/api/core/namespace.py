"""Namespace: a name, the finalizers that hold it, and the phase it is in."""

from __future__ import annotations

from typing import Any, ClassVar

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, invalid

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
#: finalizers that need no domain
STANDARD_FINALIZERS = (FINALIZER, "orphan", "foregroundDeletion")


class Namespace(Kind):
    validate_name = staticmethod(names.is_dns1123_label)
    columns = (
        NAME,
        Column("Status", "string", "", "The status of the namespace"),
        AGE,
    )
    subresource_rules: ClassVar[dict[str, tuple[str, str]]] = {
        "finalize": ("prepare_for_finalize", "validate_finalize")
    }

    def default(self, obj: Object) -> None:
        label_with_name(obj)
        obj.setdefault("spec", {})
        obj.setdefault("status", {}).setdefault("phase", "Active")

    def prepare_for_create(self, obj: Object) -> None:
        # again: a generated name was not known when defaults were applied
        label_with_name(obj)
        obj["status"] = {"phase": "Active"}
        finalizers = obj["spec"].setdefault("finalizers", [])
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        for name in obj["spec"].get("finalizers") or ():
            errors += finalizer_errors("spec.finalizers", name)
        return errors

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        _keep_finalizers(obj, old)
        self.keep(obj, old, "status")

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return []

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        _keep_finalizers(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        phase = obj["status"].get("phase", "")
        if "deletionTimestamp" not in obj["metadata"]:
            wanted, when = "Active", "empty"
        else:
            wanted, when = "Terminating", "not empty"
        if phase == wanted:
            return []
        return [invalid("status.Phase", phase, f"may only be '{wanted}' if `deletionTimestamp` is {when}")]

    def prepare_for_finalize(self, obj: Object, old: Object) -> None:
        """The finalize subresource changes spec.finalizers alone."""
        self.keep(obj, old, "status")

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        return (("status",),) if subresource == "finalize" else super().reset_fields(subresource)

    def validate_finalize(self, obj: Object, old: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        for i, name in enumerate(obj["spec"].get("finalizers") or ()):
            errors += finalizer_errors(f"spec.finalizers[{i}]", name)
        return errors

    def on_delete(self, obj: Object) -> bool:
        """A namespace goes when its contents are gone: whoever holds spec.finalizers says when."""
        if not obj["spec"].get("finalizers"):
            return False
        obj["status"]["phase"] = "Terminating"
        return True

    def finished(self, obj: Object) -> bool:
        return not obj["spec"].get("finalizers")

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.phase": obj.get("status", {}).get("phase", "")}

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj["status"].get("phase", ""), printing.age(obj, now)]


def label_with_name(namespace: Object) -> None:
    """Every namespace can be selected by its name."""
    metadata = namespace["metadata"]
    if name := metadata.get("name"):
        metadata.setdefault("labels", {})[NAME_LABEL] = name


def _keep_finalizers(namespace: Object, old: Object) -> None:
    spec = {k: v for k, v in namespace["spec"].items() if k != "finalizers"}
    if "finalizers" in old["spec"]:
        spec["finalizers"] = old["spec"]["finalizers"]
    namespace["spec"] = spec


def finalizer_errors(path: str, name: str) -> list[FieldError]:
    """A finalizer is one of Kubernetes' own or has a domain."""
    errors = checks.qualified_name(path, name)
    if "/" not in name and name not in STANDARD_FINALIZERS:
        message = "name is neither a standard finalizer name nor is it fully qualified"
        errors.append(invalid(path, name, message))
    return errors
