"""The devices of a ResourceSlice: attributes, capacities, counters, places."""

from __future__ import annotations

import re
from typing import Any

from knarr.api import checks, gostruct
from knarr.api.core.podspec.nodeselector import validate_node_selector
from knarr.api.kind import Object
from knarr.api.resource import devicenames, devicetaints
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, required, too_long
from knarr.meta.quantity import Quantity

ENTRIES_MAX = 32
TEXT_BYTES_MAX = 64
CONSUMPTIONS_MAX = 2
COUNTERS_MAX = 32
OPTIONS_MAX = 10
LABEL_BYTES_MAX = 63
#: lists of values are for a feature that v1.36 has switched off
LIST_VALUES = ("bools", "ints", "strings", "versions")
_VALUES: gostruct.Shape = (
    ("int", "IntValue", None),
    ("bool", "BoolValue", None),
    ("string", "StringValue", None),
    ("version", "VersionValue", None),
    ("ints", "IntValues", None),
    ("bools", "BoolValues", None),
    ("strings", "StringValues", None),
    ("versions", "VersionValues", None),
)
_NUMBER = r"(0|[1-9]\d*)"
_PRE_RELEASE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = "[0-9a-zA-Z-]+"
_is_version = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE_RELEASE}(\.{_PRE_RELEASE})*)?(\+{_BUILD}(\.{_BUILD})*)?",
    re.ASCII,
).fullmatch
_PER_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set"
    " to true in the ResourceSlice spec"
)
_NOT_PER_DEVICE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the"
    " ResourceSlice spec"
)


def drop_disabled(device: Object) -> None:
    """Fields of features that v1.36 has switched off."""
    device.pop("nodeAllocatableResourceMappings", None)
    for attribute in (device.get("attributes") or {}).values():
        for key in LIST_VALUES:
            attribute.pop(key, None)


def errors(device: Object, path: str, per_device: bool, old: Object | None) -> list[FieldError]:
    found = checks.dns_label(f"{path}.name", device.get("name", ""))
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if (number := len(attributes) + len(capacity)) > ENTRIES_MAX:
        detail = f"the total number of attributes and capacities must not exceed {ENTRIES_MAX}"
        found.append(invalid(path, number, detail))
    found += devicenames.entries(
        attributes,
        None,
        devicenames.KEY_BYTES_MAX,
        devicenames.qualified,
        _attribute_errors,
        f"{path}.attributes",
    )
    if old is None or (old.get("capacity") or {}) != capacity:
        check = _shared_capacity if device.get("allowMultipleAllocations") else _whole_capacity
        found += devicenames.entries(
            capacity, None, devicenames.KEY_BYTES_MAX, devicenames.qualified, check, f"{path}.capacity"
        )
    if old is None or old.get("taints") != device.get("taints"):
        found += devicenames.items(
            device.get("taints"), devicetaints.TAINTS_MAX, devicetaints.taint, f"{path}.taints"
        )
    found += devicenames.distinct(
        device.get("consumesCounters"),
        CONSUMPTIONS_MAX,
        _consumption_errors,
        lambda item: item.get("counterSet", ""),
        f"{path}.consumesCounters",
    )
    found += _place_errors(device, path) if per_device else _no_place_errors(device, path)
    return found + devicetaints.binding(device, path)


def _attribute_errors(attribute: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    text, version = attribute.get("string"), attribute.get("version")
    if text is not None and names.byte_length(text) > TEXT_BYTES_MAX:
        found.append(too_long(f"{path}.string", TEXT_BYTES_MAX))
    if version is not None:
        if not _is_version(version):
            detail = "must be a string compatible with semver.org spec 2.0.0"
            found.append(invalid(f"{path}.version", version, detail))
        if names.byte_length(version) > TEXT_BYTES_MAX:
            found.append(too_long(f"{path}.version", TEXT_BYTES_MAX))
    number = sum(key in attribute for key in ("bool", "int", "string", "version"))
    if number != 1:
        shown = gostruct.dump(attribute, _VALUES) if number else ""
        found.append(invalid(path, shown, "exactly one value must be specified"))
    return found


# capacity


def _whole_capacity(capacity: Object, path: str) -> list[FieldError]:
    if capacity.get("requestPolicy") is None:
        return []
    return [forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true")]


def _shared_capacity(capacity: Object, path: str) -> list[FieldError]:
    policy, path = capacity.get("requestPolicy"), f"{path}.requestPolicy"
    if policy is None:
        return []
    values, allowed, default = policy.get("validValues"), policy.get("validRange"), policy.get("default")
    if values and allowed is not None:
        detail = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        return [forbidden(path, detail)]
    total = Quantity.parse(capacity.get("value", "0"))
    for key, check in (("validValues", _options_errors), ("validRange", _range_errors)):
        if not (values if key == "validValues" else allowed is not None):
            continue
        if default is None:
            return [required(f"{path}.default", f"required when {key} is defined")]
        return check(Quantity.parse(default), total, policy[key], f"{path}.{key}")
    return []


def _options_errors(default: Quantity, total: Quantity, options: Any, path: str) -> list[FieldError]:
    quantities = [Quantity.parse(option) for option in options]
    found: list[FieldError] = []
    for i, (this, following) in enumerate(zip(quantities, quantities[1:], strict=False)):
        if this.compare(following) > 0:
            detail = "values must be sorted in ascending order"
            found.append(invalid(f"{path}[{i + 1}]", str(following), detail))

    def fits(option: Quantity, here: str) -> list[FieldError]:
        if option.compare(total) <= 0:
            return []
        return [invalid(here, str(option), f"option is larger than capacity value: {total}")]

    found += devicenames.distinct(quantities, OPTIONS_MAX, fits, lambda quantity: str(quantity.value), path)
    if len(quantities) > OPTIONS_MAX or all(option.compare(default) for option in quantities):
        detail = "default value is not valid according to the requestPolicy"
        found.append(invalid(path, str(default), detail))
    return found


def _range_errors(default: Quantity, total: Quantity, allowed: Any, path: str) -> list[FieldError]:
    least, most, step = (
        None if allowed.get(key) is None else Quantity.parse(allowed[key]) for key in ("min", "max", "step")
    )
    if least is None:
        return [required(f"{path}.min", "required when validRange is defined")]
    found: list[FieldError] = []
    if least.compare(total) > 0:
        found.append(invalid(f"{path}.min", str(least), f"min is larger than capacity value: {total}"))
    if default.compare(least) < 0:
        found.append(invalid(f"{path}.default", str(default), f"default is less than min: {least}"))
    if most is not None:
        if least.compare(most) > 0:
            found.append(invalid(f"{path}.max", str(least), f"min is larger than max: {most}"))
        if most.compare(total) > 0:
            found.append(invalid(f"{path}.max", str(most), f"max is larger than capacity value: {total}"))
        if default.compare(most) > 0:
            found.append(invalid(f"{path}.default", str(default), f"default is more than max: {most}"))
    return found if step is None else found + _step_errors(default, total, least, most, step, f"{path}.step")


def _step_errors(
    default: Quantity, total: Quantity, least: Quantity, most: Quantity | None, step: Quantity, path: str
) -> list[FieldError]:
    if step.sign <= 0:
        return [invalid(path, str(step), "must be greater than zero")]
    found: list[FieldError] = []
    first = least.add(step)
    if first.compare(total) > 0:
        detail = f"one step {first} is larger than capacity value: {total}"
        found.append(invalid(path, str(step), detail))
    for value in (default, most):
        if value is not None and (value.value - least.value) % step.value:
            detail = f"value is not a multiple of a given step ({step}) from ({least})"
            found.append(invalid(path, str(value), detail))
    return found


# counters


def counter_set_errors(item: Object, path: str) -> list[FieldError]:
    return _counters(item, path, "name")


def _consumption_errors(item: Object, path: str) -> list[FieldError]:
    return _counters(item, path, "counterSet")


def _counters(item: Object, path: str, key: str) -> list[FieldError]:
    found = devicenames.required_label(item.get(key, ""), f"{path}.{key}")
    if not item.get("counters"):
        return [*found, required(f"{path}.counters")]
    return found + devicenames.entries(
        item["counters"],
        COUNTERS_MAX,
        LABEL_BYTES_MAX,
        lambda name, here: checks.dns_label(here, name),
        lambda counter, here: [],
        f"{path}.counters",
    )


# places


def _place_errors(device: Object, path: str) -> list[FieldError]:
    found, given = [], []
    name, selector, everywhere = (device.get(key) for key in ("nodeName", "nodeSelector", "allNodes"))
    if name:
        given.append("`nodeName`")
        found += devicenames.node(name, f"{path}.nodeName")
    elif name is not None:
        found.append(invalid(f"{path}.nodeName", name, "must not be empty"))
    if selector is not None:
        given.append("`nodeSelector`")
        validate_node_selector(selector, f"{path}.nodeSelector", found)
    if everywhere:
        given.append("`allNodes`")
    elif everywhere is not None:
        found.append(invalid(f"{path}.allNodes", everywhere, "must be either unset or set to true"))
    if not given:
        found.append(required(path, _PER_DEVICE))
    elif len(given) > 1:
        found.append(invalid(path, f"{{{', '.join(given)}}}", _PER_DEVICE))
    return found


def _no_place_errors(device: Object, path: str) -> list[FieldError]:
    if all(device.get(key) is None for key in ("nodeName", "nodeSelector", "allNodes")):
        return []
    return [invalid(path, None, _NOT_PER_DEVICE)]
