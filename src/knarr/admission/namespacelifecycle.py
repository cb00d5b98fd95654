"""Nothing is created in a namespace that does not exist or is going away; three namespaces never go away."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, DELETE, UPDATE, Attributes, Target
from knarr.admission.chain import Plugin
from knarr.meta import errors
from knarr.registry.reader import Reader

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        if (target.group, target.resource) == ("", "namespaces"):
            return target.operation == DELETE
        if target.resource == "localsubjectaccessreviews":
            return False  # asking what one could do there is allowed anywhere
        return target.operation in (CREATE, UPDATE)

    def admit(self, a: Attributes) -> None:
        if a.operation == DELETE:
            if a.name in IMMORTAL:
                raise errors.forbidden("", "namespaces", a.name, "this namespace may not be deleted")
            return
        namespace = a.namespace
        if not namespace:
            return
        found = self._reader.get("", "namespaces", "", namespace)
        if found is None:
            raise errors.not_found("", "namespaces", namespace)
        if a.operation == CREATE and (found.get("status") or {}).get("phase") == "Terminating":
            raise _terminating(a)


def _terminating(a: Attributes) -> errors.StatusError:
    error = a.forbidden(
        f"unable to create new content in namespace {a.namespace} because it is being terminated"
    )
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {a.namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.status["details"]["causes"] = [cause]
    return error
