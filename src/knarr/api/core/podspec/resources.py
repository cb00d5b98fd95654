"""Requests and limits of containers and of pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.api.core.podspec.podlevel import aggregate, is_pod_level
from knarr.api.core.resourcenames import (
    COMPUTE,
    amount_errors,
    container_name_errors,
    is_huge_page,
    may_overcommit,
    name_errors,
)
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, duplicate, forbidden, invalid, not_supported, required
from knarr.meta.quantity import Quantity

Spec = dict[str, Any]
#: gives what is wrong with the name (path, name)
NameCheck = Callable[[str, str], list[FieldError]]

_COMPUTE = ("cpu", "memory")
_POD_LEVEL = ("cpu", "hugepages-", "memory")


def pod_name_errors(path: str, name: str) -> list[FieldError]:
    """What a pod as a whole may ask for."""
    if is_pod_level(name):
        return []
    return name_errors(path, name) or [not_supported(path, name, _POD_LEVEL)]


def validate_resources(
    resources: Spec,
    claims: set[str],
    path: str,
    errors: Errors,
    check_name: NameCheck = container_name_errors,
) -> None:
    """`claims` are the names in the pod's resourceClaims."""
    if not resources:
        return
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, limit in limits.items():
        _validate_amount(name, limit, "limits", path, errors, check_name)
    for name, request in requests.items():
        _validate_amount(name, request, "requests", path, errors, check_name)
        _validate_against_limit(name, request, limits.get(name), path, errors)
    used = (*limits, *requests)
    if any(map(is_huge_page, used)) and not any(name in _COMPUTE for name in used):
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    if "claims" in resources:
        _validate_claim_names(resources["claims"], claims, f"{path}.claims", errors)


def _validate_amount(
    name: str, text: str, which: str, path: str, errors: Errors, check_name: NameCheck
) -> None:
    if check_name is container_name_errors and name in COMPUTE and text[0] != "-":
        return
    path = f"{path}.{which}[{name}]"
    errors += check_name(path, name)
    errors += amount_errors(path, name, text)
    if is_huge_page(name) and not _is_multiple_of_page(name, text):
        errors.append(invalid(path, text, f"{text} is not positive integer multiple of {name}"))


def _is_multiple_of_page(name: str, text: str) -> bool:
    try:
        page = Quantity.parse(name.removeprefix("hugepages-"))
    except ValueError:
        return False
    return page.nanos > 0 and page.milli % 1000 == 0 and Quantity.parse(text).value % page.value == 0


def _validate_against_limit(name: str, request: str, limit: str | None, path: str, errors: Errors) -> None:
    if limit is None:
        if not may_overcommit(name):
            errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        return
    if limit == request:
        return
    order = Quantity.parse(request).compare(limit)
    if order and not may_overcommit(name):
        errors.append(invalid(f"{path}.requests", request, f"must be equal to {name} limit of {limit}"))
    elif order > 0:
        errors.append(
            invalid(f"{path}.requests", request, f"must be less than or equal to {name} limit of {limit}")
        )


def _validate_claim_names(claims: list[Spec], known: set[str], path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        name, request, here = claim.get("name", ""), claim.get("request", ""), f"{path}[{index}]"
        if not name:
            errors.append(required(here))
            continue
        if name in seen:
            errors.append(duplicate(here, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                add(errors, f"{here}.request", request, names.is_dns1123_label(request))
            if key in seen:
                errors.append(duplicate(here, key))
            elif not request:
                # a claim as a whole and one of its requests exclude each other
                errors += [duplicate(here, name) for other in seen if other.startswith(f"{name}/")]
            seen.add(key)
        if name not in known:
            names_there = f": {', '.join(sorted(known))}" if known else " which is empty"
            detail = "must be one of the names in pod.spec.resourceClaims" + names_there
            errors.append(FieldError("FieldValueNotFound", here, name, detail))


def validate_pod_resources(spec: Spec, claims: set[str], path: str, errors: Errors) -> None:
    """Resources of the pod as a whole: at least what its containers request, at most limited as they are."""
    resources = spec["resources"]
    if spec.get("os", {}).get("name") == "windows":
        errors.append(forbidden(path, "may not be set for a windows pod"))
        return
    if resources.get("claims"):
        errors.append(forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level"))
    validate_resources(resources, claims, path, errors, pod_name_errors)
    _validate_consistency(spec, resources, path, errors)


def _validate_consistency(spec: Spec, resources: Spec, path: str, errors: Errors) -> None:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for which, own in (("requests", requests), ("limits", limits)):
        for name, needed in sorted(aggregate(spec, which).items()):
            if name not in own or (which == "limits" and not is_huge_page(name)):
                continue
            if Quantity.parse(needed).compare(own[name]) > 0:
                message = f"must be greater than or equal to aggregate container {which} of {needed}"
                errors.append(invalid(f"{path}.{which}[{name}]", own[name], message))
    for index, container in enumerate(spec.get("containers", ())):
        for name, limit in sorted(container.get("resources", {}).get("limits", {}).items()):
            if name in limits and Quantity.parse(limit).compare(limits[name]) > 0:
                message = f"must be less than or equal to pod limits of {limits[name]}"
                errors.append(invalid(f"{path}.containers[{index}][{name}].limits", limit, message))
