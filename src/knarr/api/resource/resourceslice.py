"""ResourceSlice: the devices of one driver in one pool."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.core.podspec.nodeselector import validate_node_selector
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.resource import claimstatus, devicenames, devices
from knarr.meta.fielderrors import FieldError, invalid, required

DEVICES_MAX = 128
#: where a device has taints or consumes counters
ADVANCED_DEVICES_MAX = 64
COUNTER_SETS_MAX = 8
_PLACES = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_UNSET_OR_TRUE = "must be either unset or set to true"


class ResourceSlice(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column("Node", doc="resource.v1.ResourceSliceSpec.nodeName"),
        Column("Driver", doc="resource.v1.ResourceSliceSpec.driver"),
        Column("Pool", doc="resource.v1.ResourcePool.name"),
        AGE,
    )

    def unsupported_field(self, field: str) -> str:
        return f"field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {field}"

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        for device in obj["spec"].get("devices") or ():
            devices.drop_disabled(device)

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        for device in obj["spec"].get("devices") or ():
            devices.drop_disabled(device)
        super().prepare_for_update(obj, old)

    def validate(self, obj: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"], None)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"], old["spec"])

    def fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec", {})
        return {"spec.nodeName": spec.get("nodeName", ""), "spec.driver": spec.get("driver", "")}

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        node = spec.get("nodeName") or printing.UNSET
        pool = (spec.get("pool") or {}).get("name", "")
        return [obj["metadata"]["name"], node, spec.get("driver", ""), pool, printing.age(obj, now)]


def _spec_errors(spec: Object, old: Object | None) -> list[FieldError]:
    found = devicenames.driver(spec.get("driver", ""), "spec.driver")
    found += _pool_errors(spec.get("pool") or {}, "spec.pool")
    if old is not None:
        pools = [(which.get("pool") or {}).get("name", "") for which in (spec, old)]
        found += checks.unchanged("spec.pool.name", *pools)
        found += checks.unchanged("spec.driver", spec.get("driver", ""), old.get("driver", ""))
        found += checks.unchanged("spec.nodeName", spec.get("nodeName"), old.get("nodeName"))
    found += _place_errors(spec)
    listed, counters = spec.get("devices"), spec.get("sharedCounters")
    if listed and counters:
        found.append(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    advanced = any(d.get("taints") or d.get("consumesCounters") for d in listed or ())
    before = {device.get("name", ""): device for device in (old or {}).get("devices") or ()}
    per_device = bool(spec.get("perDeviceNodeSelection"))
    found += devicenames.distinct(
        listed,
        ADVANCED_DEVICES_MAX if advanced else DEVICES_MAX,
        lambda device, path: devices.errors(device, path, per_device, before.get(device.get("name", ""))),
        devicenames.name_of,
        "spec.devices",
    )
    return found + devicenames.distinct(
        counters, COUNTER_SETS_MAX, devices.counter_set_errors, devicenames.name_of, "spec.sharedCounters"
    )


def _pool_errors(pool: Object, path: str) -> list[FieldError]:
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    found = devicenames.pool(pool.get("name", ""), f"{path}.name")
    if count <= 0:
        found.append(invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        found.append(invalid(f"{path}.generation", generation, "must be greater than or equal to zero"))
    return found


def _place_errors(spec: Object) -> list[FieldError]:
    found: list[FieldError] = []
    given: list[str] = []
    name, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if name:
        given.append("`nodeName`")
        found += devicenames.node(name, "spec.nodeName")
    elif name is not None:
        found.append(invalid("spec.nodeName", name, "must be either unset or set to a non-empty string"))
    if selector is not None:
        given.append("`nodeSelector`")
        validate_node_selector(selector, "spec.nodeSelector", found)
        if len(terms := selector.get("nodeSelectorTerms") or []) != 1:
            shown = [gostruct.dump(term, claimstatus.NODE_SELECTOR_TERM) for term in terms] or None
            detail = "must have exactly one node selector term"
            found.append(invalid("spec.nodeSelector.nodeSelectorTerms", shown, detail))
    for key in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(key):
            given.append(f"`{key}`")
        elif spec.get(key) is not None:
            found.append(invalid(f"spec.{key}", spec[key], _UNSET_OR_TRUE))
    if not given:
        found.append(required("spec", _PLACES))
    elif len(given) > 1:
        detail = f"{_PLACES}, but multiple fields are set"
        found.append(invalid("spec", f"{{{', '.join(given)}}}", detail))
    return found
