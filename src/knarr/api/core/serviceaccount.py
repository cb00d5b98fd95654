"""ServiceAccount: nothing but names of other objects."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.kind import AGE, NAME, Kind, Object

ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


class ServiceAccount(Kind):
    columns = (NAME, AGE)

    def prepare_for_create(self, obj: Object) -> None:
        _names_only(obj)

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        _names_only(obj)

    def warnings_on_create(self, obj: Object) -> list[str]:
        if ENFORCE_MOUNTABLE not in (obj["metadata"].get("annotations") or ()):
            return []
        return [
            f"metadata.annotations[{ENFORCE_MOUNTABLE}]: deprecated in v1.32+;"
            " prefer separate namespaces to isolate access to mounted secrets"
        ]

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        before = (old["metadata"].get("annotations") or {}).get(ENFORCE_MOUNTABLE)
        after = (obj["metadata"].get("annotations") or {}).get(ENFORCE_MOUNTABLE)
        return self.warnings_on_create(obj) if after != before else []

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], printing.age(obj, now)]


def _names_only(account: Object) -> None:
    """Of the references in secrets only the names are kept."""
    if "secrets" in account:
        account["secrets"] = [{"name": ref["name"]} if "name" in ref else {} for ref in account["secrets"]]
