"""Taints and tolerations of devices, and the conditions that binding to a device waits for."""

from __future__ import annotations

from knarr.api import checks
from knarr.api.kind import Object
from knarr.api.resource import devicenames
from knarr.meta import labels
from knarr.meta.fielderrors import FieldError, duplicate, invalid, not_supported, required

EFFECTS = ("NoExecute", "NoSchedule", "None")
OPERATORS = ("Equal", "Exists")
TAINTS_MAX = TOLERATIONS_MAX = 16
CONDITIONS_MAX = 4


def taint(item: Object, path: str) -> list[FieldError]:
    found = labels.validate_label_name(item.get("key", ""), f"{path}.key")
    if value := item.get("value", ""):
        found += devicenames.label_value(value, f"{path}.value")
    effect = item.get("effect", "")
    if not effect:
        found.append(required(f"{path}.effect"))
    elif effect not in EFFECTS:
        found.append(not_supported(f"{path}.effect", effect, EFFECTS))
    return found


def toleration(item: Object, path: str) -> list[FieldError]:
    key, value, operator, effect = (item.get(k, "") for k in ("key", "value", "operator", "effect"))
    found = labels.validate_label_name(key, f"{path}.key") if key else []
    if operator == "Exists":
        if value:
            found.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        found += devicenames.label_value(value, f"{path}.value")
    elif not operator:
        found.append(required(f"{path}.operator"))
    else:
        found.append(not_supported(f"{path}.operator", operator, OPERATORS))
    if effect and effect not in EFFECTS:
        found.append(not_supported(f"{path}.effect", effect, EFFECTS))
    return found


def tolerations(wanted: Object, path: str) -> list[FieldError]:
    return devicenames.items(wanted.get("tolerations"), TOLERATIONS_MAX, toleration, f"{path}.tolerations")


def binding(item: Object, path: str) -> list[FieldError]:
    """bindingConditions and bindingFailureConditions: both or none, and no condition in both."""
    good, bad = item.get("bindingConditions") or [], item.get("bindingFailureConditions") or []
    good_path, bad_path = f"{path}.bindingConditions", f"{path}.bindingFailureConditions"
    found = devicenames.items(good, CONDITIONS_MAX, labels.validate_label_name, good_path)
    found += devicenames.items(bad, CONDITIONS_MAX, labels.validate_label_name, bad_path)
    found += checks.duplicates(good_path, good)
    for i, name in enumerate(bad):
        if name in bad[:i]:
            found.append(duplicate(f"{bad_path}[{i}]", name))
        if name in good:
            detail = "bindingFailureConditions must not overlap with bindingConditions"
            found.append(invalid(f"{bad_path}[{i}]", name, detail))
    if bad and not good:
        detail = "bindingConditions are required to use bindingFailureConditions"
        found.append(invalid(good_path, None, detail))
    if good and not bad:
        detail = "bindingFailureConditions are required to use bindingConditions"
        found.append(invalid(bad_path, None, detail))
    return found
