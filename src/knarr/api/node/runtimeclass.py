"""RuntimeClass: which handler of the node's runtime runs a pod, what it costs and where it is."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.core import resourcenames
from knarr.api.core.nodelabels import deprecated_selector_warnings
from knarr.api.core.podspec import tolerations
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import labels
from knarr.meta.fielderrors import FieldError, duplicate, required

_FIELDS = ("key", "operator", "value", "effect", "tolerationSeconds")


class RuntimeClass(Kind):
    allow_unconditional_update = False
    columns = (
        NAME,
        Column("Handler", "string", "", ""),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("handler", "")
        resourcenames.round_up_to_milli((obj.get("overhead") or {}).get("podFixed"))

    def validate(self, obj: Object) -> list[FieldError]:
        handler = obj["handler"]
        errors = checks.dns_label("handler", handler) if handler else [required("handler")]
        if fixed := (obj.get("overhead") or {}).get("podFixed"):
            path = "overhead.podFixed.limits[{}]".format
            errors += resourcenames.amounts_errors(fixed, path, resourcenames.container_name_errors)
        if "scheduling" in obj:
            errors += _scheduling_errors(obj["scheduling"])
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return checks.unchanged("handler", obj["handler"], old["handler"])

    def warnings_on_create(self, obj: Object) -> list[str]:
        selector = (obj.get("scheduling") or {}).get("nodeSelector") or ()
        return deprecated_selector_warnings(selector, "scheduling.nodeSelector")

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj["handler"], printing.age(obj, now)]


def _scheduling_errors(scheduling: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    if "nodeSelector" in scheduling:
        errors += labels.validate_labels(scheduling["nodeSelector"], "scheduling.nodeSelector")
    given = scheduling.get("tolerations") or []
    path = "scheduling.tolerations"
    tolerations.validate_tolerations(given, path, errors)
    for i, toleration in enumerate(given):
        if toleration in given[:i]:
            shown = {key[0].upper() + key[1:]: toleration.get(key, "") for key in _FIELDS[:-1]}
            errors.append(
                duplicate(f"{path}[{i}]", {**shown, "TolerationSeconds": toleration.get(_FIELDS[-1])})
            )
    return errors
