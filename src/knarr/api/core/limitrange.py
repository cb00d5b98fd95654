"""LimitRange: bounds and defaults for what pods and claims of a namespace ask for."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.core import resourcenames
from knarr.api.kind import Kind, Object
from knarr.meta.fielderrors import FieldError, duplicate, forbidden, invalid, required
from knarr.meta.quantity import Quantity

POD, CONTAINER, CLAIM = "Pod", "Container", "PersistentVolumeClaim"
TYPES = (POD, CONTAINER, CLAIM)
LISTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
#: above this Kubernetes compares whole units, below thousandths
MILLI_MAX = (2**63 - 1) // 1000


class LimitRange(Kind):
    allow_create_on_update = True
    columns = printing.PLAIN_TABLE

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec["limits"] = spec.get("limits") or None
        for item in spec["limits"] or ():
            item.setdefault("type", "")
            for key in LISTS:
                resourcenames.round_up_to_milli(item.get(key))
            if item["type"] == CONTAINER:
                _default_container(item)

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        seen = set()
        for i, item in enumerate(obj["spec"]["limits"] or ()):
            path, kind = f"spec.limits[{i}]", item["type"]
            errors += _type_errors(f"{path}.type", kind)
            if kind in seen:
                errors.append(duplicate(f"{path}.type", kind))
            seen.add(kind)
            errors += _item_errors(item, kind, path)
        return errors

    def cells(self, obj: Object, now: float) -> list[Any]:
        return printing.plain_cells(obj)


def _default_container(item: Object) -> None:
    """The maximum is the default limit, that (or the minimum) the default request."""
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    if limits:
        item["default"] = limits
    if requests:
        item["defaultRequest"] = requests


def _type_errors(path: str, kind: str) -> list[FieldError]:
    if errors := checks.qualified_name(path, kind):
        return errors
    if "/" not in kind and kind not in TYPES:
        return [invalid(path, kind, "must be a standard limit type or fully qualified")]
    return []


def _item_errors(item: Object, kind: str, path: str) -> list[FieldError]:
    check = resourcenames.container_name_errors if kind in (POD, CONTAINER) else resourcenames.name_errors
    errors: list[FieldError] = []
    for key in LISTS:
        if kind == POD and key in ("default", "defaultRequest"):
            if item.get(key):
                errors.append(forbidden(f"{path}.{key}", "may not be specified when `type` is 'Pod'"))
            continue
        if key == "maxLimitRequestRatio" and kind == CLAIM:
            if "storage" not in (item.get("min") or ()) and "storage" not in (item.get("max") or ()):
                message = "either minimum or maximum storage value is required, but neither was provided"
                errors.append(required(f"{path}.limits", message))
        for name in sorted(item.get(key) or ()):
            errors += check(f"{path}.{key}[{name}]", name)
    lists = {key: {} if kind == POD and key.startswith("default") else item.get(key) or {} for key in LISTS}
    for name in sorted({name for amounts in lists.values() for name in amounts}):
        errors += _amount_errors(lists, name, path)
    return errors


def _amount_errors(lists: dict[str, dict[str, str]], name: str, path: str) -> list[FieldError]:
    found = {key: Quantity.parse(amounts[name]) for key, amounts in lists.items() if name in amounts}
    least, most = found.get("min"), found.get("max")
    limit, request, ratio = (
        found.get("default"),
        found.get("defaultRequest"),
        found.get("maxLimitRequestRatio"),
    )
    errors: list[FieldError] = []

    def refuse_above(
        low: Quantity | None, high: Quantity | None, words: str, key: str, shown: Quantity | None
    ) -> None:
        if low is not None and high is not None and low.compare(high) > 0:
            low_words, high_words = words.split("|")
            message = f"{low_words} value {low} is greater than {high_words} value {high}"
            errors.append(invalid(f"{path}.{key}[{name}]", str(shown), message))

    refuse_above(least, most, "min|max", "min", least)
    refuse_above(least, request, "min|default request", "defaultRequest", request)
    refuse_above(request, most, "default request|max", "defaultRequest", request)
    refuse_above(request, limit, "default request|default limit", "defaultRequest", request)
    refuse_above(least, limit, "min|default", "default", least)
    refuse_above(limit, most, "default|max", "default", most)
    if ratio is not None:
        errors += _ratio_errors(ratio, least, most, f"{path}.maxLimitRequestRatio[{name}]")
    if (
        not resourcenames.may_overcommit(name)
        and limit is not None
        and request is not None
        and limit.compare(request)
    ):
        message = f"default value {limit} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid(f"{path}.defaultRequest[{name}]", str(request), message))
    return errors


def _ratio_errors(
    ratio: Quantity, least: Quantity | None, most: Quantity | None, path: str
) -> list[FieldError]:
    errors = []
    if ratio.compare(1) < 0:
        errors.append(invalid(path, str(ratio), f"ratio {ratio} is less than 1"))
    if least is None or most is None or not least.value:
        return errors
    if max(ratio.value, least.value, most.value) < MILLI_MAX:
        allowed, bound = ratio.milli / 1000, most.milli / least.milli
    else:
        allowed, bound = float(ratio.value), most.value / least.value
    if allowed > bound:
        errors.append(invalid(path, str(ratio), f"ratio {ratio} is greater than max/min = {bound:f}"))
    return errors
