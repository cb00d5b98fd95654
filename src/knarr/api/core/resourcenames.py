"""Names of resources (cpu, pods, requests.storage ...): which are known where, and which count in whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.api import checks
from knarr.meta import names, quantity
from knarr.meta.fielderrors import FieldError, invalid
from knarr.meta.quantity import Quantity

HUGE_PAGES = "hugepages-"
REQUESTS = "requests."
COMPUTE = frozenset({"cpu", "memory", "ephemeral-storage"})
#: objects whose number a quota bounds
COUNTED = frozenset(
    {
        "pods",
        "replicationcontrollers",
        "services",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
QUOTA = frozenset(
    {f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in COMPUTE}
    | COUNTED
    | {"requests.storage"}
)
STANDARD = QUOTA | {"storage"}


def is_huge_page(name: str) -> bool:
    return name.startswith(HUGE_PAGES)


def is_quota_huge_page(name: str) -> bool:
    return name.startswith((HUGE_PAGES, REQUESTS + HUGE_PAGES))


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A device plugin's or cluster administrator's own resource."""
    return (
        not is_native(name) and not name.startswith(REQUESTS) and not names.is_qualified_name(REQUESTS + name)
    )


def is_integer(name: str) -> bool:
    return name in COUNTED or is_extended(name)


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def is_quota_resource(name: str) -> bool:
    return name in QUOTA or is_quota_huge_page(name)


def name_errors(path: str, name: str) -> list[FieldError]:
    if errors := checks.qualified_name(path, name):
        return errors
    if "/" not in name and name not in STANDARD and not is_quota_huge_page(name):
        return [invalid(path, name, "must be a standard resource type or fully qualified")]
    return []


def container_name_errors(path: str, name: str) -> list[FieldError]:
    """What a container may ask for."""
    errors = name_errors(path, name)
    if "/" not in name:
        if name not in COMPUTE and not is_huge_page(name):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def quota_name_errors(path: str, name: str) -> list[FieldError]:
    errors = name_errors(path, name)
    if "/" not in name and not is_quota_resource(name):
        errors.append(invalid(path, name, "must be a standard resource for quota"))
    return errors


def amount_errors(path: str, name: str, amount: str) -> list[FieldError]:
    """An amount is not negative, and a count is whole."""
    value = Quantity.parse(amount)
    errors = []
    if value.nanos < 0:
        errors.append(invalid(path, amount, checks.NOT_NEGATIVE))
    if is_integer(name) and value.milli % 1000:
        errors.append(invalid(path, amount, "must be an integer"))
    return errors


def amounts_errors(
    amounts: Mapping[str, str],
    path: Callable[[str], str],
    check_name: Callable[[str, str], list[FieldError]] | None,
) -> list[FieldError]:
    """Errors of a whole list; `path` makes the path of one name."""
    errors: list[FieldError] = []
    for name, amount in sorted(amounts.items()):
        if check_name and (wrong := check_name(path(name), name)):
            errors += wrong
        if wrong := amount_errors(path(name), name, amount):
            errors += wrong
    return errors


def round_up_to_milli(amounts: dict[str, str] | None) -> None:
    """Kubernetes keeps no amount finer than a thousandth."""
    for name, amount in (amounts or {}).items():
        value = Quantity.parse(amount)
        if value.nanos % 1_000_000:
            amounts[name] = str(quantity.from_milli(value.milli, value.format))  # type: ignore[index]
