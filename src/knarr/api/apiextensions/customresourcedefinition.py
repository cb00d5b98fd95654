"""CustomResourceDefinition: defaults, what creation and updates change, table. Its rules stand in `validation`."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.apiextensions import validation
from knarr.api.kind import Kind, Object
from knarr.meta import times
from knarr.meta.fielderrors import FieldError

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
MARKED = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
WEBHOOK_PORT = 443


class CustomResourceDefinition(Kind):
    kube_finalizers = False
    tracks_generation = True
    allow_unconditional_update = False
    columns = printing.PLAIN_TABLE

    def default(self, obj: Object) -> None:
        spec = obj["spec"]
        names = spec.setdefault("names", {})
        names.setdefault("plural", "")
        kind = names.setdefault("kind", "")
        if not names.get("singular") and kind:
            names["singular"] = kind.lower()
        if not names.get("listKind") and kind:
            names["listKind"] = f"{kind}List"
        if not spec.get("preserveUnknownFields"):
            spec.pop("preserveUnknownFields", None)
        conversion = spec.setdefault("conversion", {})
        conversion["strategy"] = conversion.get("strategy") or "None"
        service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = WEBHOOK_PORT

        status = obj.get("status")
        if status is not None and not status.get("storedVersions"):
            name = _storage_version(obj)
            status["storedVersions"] = None if name is None else [name]

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": None,
        }

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        _remember_stored_versions(obj)

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_update(obj, old)
        obj["status"] = {**obj["status"]}
        _remember_stored_versions(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.validate(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validation.validate_update(obj, old)

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        """Who writes the status owns no metadata, though it may change it: so it is in Kubernetes."""
        fields = super().reset_fields(subresource)
        return (("metadata",), *fields) if subresource == "status" else fields

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validation.names_errors(obj["status"].get("acceptedNames") or {}, "status.acceptedNames")

    def warnings_on_create(self, obj: Object) -> list[str]:
        return validation.warnings(obj, None)

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return validation.warnings(obj, old)

    def mark_deletion(self, obj: Object, now: float) -> bool:
        """The objects of the definition go first: a finalizer waits for them."""
        metadata = obj["metadata"]
        if "deletionTimestamp" in metadata:
            return False
        metadata["deletionTimestamp"] = times.format(now)
        finalizers = metadata.setdefault("finalizers", [])
        if CLEANUP not in finalizers:
            finalizers.append(CLEANUP)
        terminating = {
            "type": "Terminating",
            "status": "True",
            "lastTransitionTime": times.format(now),
            "reason": "InstanceDeletionPending",
            "message": MARKED,
        }
        conditions = obj["status"].get("conditions") or []
        obj["status"]["conditions"] = [c for c in conditions if c["type"] != "Terminating"] + [terminating]
        return True

    def cells(self, obj: Object, now: float) -> list[Any]:
        return printing.plain_cells(obj)


def _remember_stored_versions(obj: Object) -> None:
    """Objects may lie in the store in any version that ever was the storage version."""
    stored = list(obj["status"].get("storedVersions") or ())
    name = _storage_version(obj)
    if name is not None and name not in stored:
        stored.append(name)
    obj["status"]["storedVersions"] = stored or None


def _storage_version(obj: Object) -> str | None:
    return next((v["name"] for v in obj["spec"].get("versions") or () if v.get("storage")), None)
