"""The status of a claim: what was allocated, for whom it is reserved, what drivers say of its devices."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, conditions, gostruct
from knarr.api.core.podspec.nodeselector import validate_node_selector
from knarr.api.gostruct import Items, Pointer
from knarr.api.kind import Object
from knarr.api.resource import deviceclaims, deviceconfigs, devicenames, devicerequests, devicetaints
from knarr.api.resource.claimfacts import RESERVATIONS_MAX, RESULTS_MAX
from knarr.api.resource.devicerequests import Names
from knarr.meta import addresses, names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required, too_long, too_many
from knarr.meta.gofmt import Plain

CONDITIONS_MAX = 8
IPS_MAX = 16
INTERFACE_BYTES_MAX, HARDWARE_BYTES_MAX = 256, 128
SOURCES = ("FromClaim", "FromClass")

_EXPRESSION: gostruct.Shape = (*gostruct.strings("key", "operator"), ("values", "Values", None))
NODE_SELECTOR_TERM: gostruct.Shape = (
    ("matchExpressions", "MatchExpressions", Items(_EXPRESSION)),
    ("matchFields", "MatchFields", Items(_EXPRESSION)),
)
_RESULT: gostruct.Shape = (
    *gostruct.strings("request", "driver", "pool", "device"),
    ("adminAccess", "AdminAccess", None),
    ("tolerations", "Tolerations", Items(deviceclaims.TOLERATION)),
    ("bindingConditions", "BindingConditions", None),
    ("bindingFailureConditions", "BindingFailureConditions", None),
    ("shareID", "ShareID", None),
    ("consumedCapacity", "ConsumedCapacity", None),
)
_CONFIG: gostruct.Shape = (("source", "Source", ""), ("requests", "Requests", None), deviceclaims.OPAQUE)
#: an allocation as messages print it
ALLOCATION: gostruct.Shape = (
    ("devices", "Devices", (("results", "Results", Items(_RESULT)), ("config", "Config", Items(_CONFIG)))),
    (
        "nodeSelector",
        "NodeSelector",
        Pointer((("nodeSelectorTerms", "NodeSelectorTerms", Items(NODE_SELECTOR_TERM)),)),
    ),
    ("allocationTimestamp", "AllocationTimestamp", None),
)


def device_id(item: Object) -> Plain:
    """`driver/pool/device`, and the share where one device is shared."""
    parts = [item.get(key, "") for key in ("driver", "pool", "device")]
    return Plain("/".join([*parts, item["shareID"]] if item.get("shareID") else parts))


def results(status: Object) -> list[Object]:
    return ((status.get("allocation") or {}).get("devices") or {}).get("results") or []


def drop_deallocated(status: Object, old: Object) -> None:
    """What drivers said of devices that the claim no longer has."""
    if not status.get("devices"):
        return
    gone = {device_id(r) for r in results(old)} - {device_id(r) for r in results(status)}
    kept = [device for device in status["devices"] if device_id(device) not in gone]
    if kept:
        status["devices"] = kept
    else:
        del status["devices"]


def errors(obj: Object, old: Object) -> list[FieldError]:
    status, before = obj.get("status") or {}, old.get("status") or {}
    known = devicerequests.names_of(obj["spec"].get("devices") or {})
    reserved, allocation = status.get("reservedFor") or [], status.get("allocation")
    found = devicenames.distinct(
        reserved, RESERVATIONS_MAX, _consumer_errors, lambda who: who.get("uid", ""), "status.reservedFor"
    )
    allocated = {device_id(r) for r in results(status)}
    found += devicenames.distinct(
        status.get("devices"),
        None,
        lambda device, path: _device_errors(device, path, allocated),
        device_id,
        "status.devices",
    )
    if reserved and allocation is None:
        detail = "may not be specified when `allocated` is not set"
        found.append(forbidden("status.reservedFor", detail))
    elif reserved and "deletionTimestamp" in obj["metadata"]:
        if any(who not in (before.get("reservedFor") or ()) for who in reserved):
            detail = (
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            )
            found.append(forbidden("status.reservedFor", detail))
    if allocation is None:
        return found
    if (previous := before.get("allocation")) is None:
        return found + _allocation_errors(allocation, "status.allocation", known)
    if allocation != previous:
        found.append(invalid("status.allocation", gostruct.dump(allocation, ALLOCATION), checks.IMMUTABLE))
    return found


def _consumer_errors(who: Object, path: str) -> list[FieldError]:
    return [required(f"{path}.{key}") for key in ("resource", "name", "uid") if not who.get(key)]


def _allocation_errors(allocation: Object, path: str, known: Names) -> list[FieldError]:
    devices = allocation.get("devices") or {}
    found = devicenames.items(
        devices.get("results"),
        RESULTS_MAX,
        lambda result, here: _result_errors(result, here, known),
        f"{path}.devices.results",
    )
    found += devicenames.items(
        devices.get("config"),
        2 * deviceclaims.CONFIGS_MAX,  # the class's and the claim's
        lambda config, here: _config_errors(config, here, known),
        f"{path}.devices.config",
    )
    if allocation.get("nodeSelector") is not None:
        validate_node_selector(allocation["nodeSelector"], f"{path}.nodeSelector", found)
    return found


def _result_errors(result: Object, path: str, known: Names) -> list[FieldError]:
    found = devicerequests.reference(known, result.get("request", ""), f"{path}.request")
    found += _named_errors(result, path)
    found += devicetaints.binding(result, path)
    found += devicetaints.tolerations(result, path)
    if (share := result.get("shareID")) is not None:
        found += devicenames.uid(share, f"{path}.shareID")
    return found


def _named_errors(item: Object, path: str) -> list[FieldError]:
    found = devicenames.driver(item.get("driver", ""), f"{path}.driver")
    found += devicenames.pool(item.get("pool", ""), f"{path}.pool")
    return found + checks.dns_label(f"{path}.device", item.get("device", ""))


def _config_errors(config: Object, path: str, known: Names) -> list[FieldError]:
    source, where = config.get("source", ""), f"{path}.source"
    found: list[FieldError] = []
    if not source:
        found.append(required(where))
    elif source not in SOURCES:
        found.append(not_supported(where, source, SOURCES))
    return found + deviceclaims.config_errors(config, path, known)


def _device_errors(device: Object, path: str, allocated: set[Plain]) -> list[FieldError]:
    found = _named_errors(device, path)
    if (share := device.get("shareID")) is not None:
        found += devicenames.uid(share, f"{path}.shareID")
    if device_id(device) not in allocated:
        found.append(invalid(path, device_id(device), "must be an allocated device in the claim"))
    told: list[Any] = device.get("conditions") or []
    if len(told) > CONDITIONS_MAX:
        found.append(too_many(f"{path}.conditions", len(told), CONDITIONS_MAX))
    found += conditions.errors(told, f"{path}.conditions")
    if device.get("data") is not None:
        found += deviceconfigs.raw_errors(device["data"], f"{path}.data")
    return found + _network_errors(device.get("networkData"), f"{path}.networkData")


def _network_errors(data: Object | None, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if data is None:
        return found
    for key, bytes_max in (("interfaceName", INTERFACE_BYTES_MAX), ("hardwareAddress", HARDWARE_BYTES_MAX)):
        if names.byte_length(data.get(key, "")) > bytes_max:
            found.append(too_long(f"{path}.{key}", bytes_max))
    return found + devicenames.distinct(
        data.get("ips"),
        IPS_MAX,
        lambda ip, here: checks.invalids(here, ip, addresses.is_interface_address(ip)),
        devicenames.itself,
        f"{path}.ips",
    )
