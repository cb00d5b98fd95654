"""Which of a definition's names it gets: a group's names are given to whom asks first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.api.apiextensions.validation import (
    APPROVAL_HELP,
    APPROVAL_INVALID,
    approval_of,
    approval_state,
    is_protected,
)
from knarr.meta.fielderrors import aggregate
from knarr.meta.gofmt import quote

Object = dict[str, Any]
CONFORMANT = "KubernetesAPIApprovalPolicyConformant"


class Decision(NamedTuple):
    """The accepted names, and the two conditions that tell of them (without times)."""

    accepted: Object
    names_accepted: Object
    established: Object


def decide(crd: Object, others: Iterable[Object]) -> Decision:
    """`others` are the definitions of the cluster; a name may not be what this one has under another title, either."""
    wanted, accepted = crd["spec"]["names"], crd.get("status", {}).get("acceptedNames") or {}
    resources, kinds = used_names(crd["spec"]["group"], others)
    new = dict(accepted)
    reason = message = ""
    for field, used, conflict in (
        ("plural", resources, "PluralConflict"),
        ("singular", resources, "SingularConflict"),
    ):
        if why := _taken(wanted.get(field, ""), accepted.get(field, ""), used):
            reason, message = conflict, why
        else:
            _set(new, field, wanted.get(field, ""))
    if (wanted.get("shortNames") or []) != (accepted.get("shortNames") or []):
        mine = accepted.get("shortNames") or ()
        faults = [
            why for n in wanted.get("shortNames") or () if n not in mine and (why := _taken(n, "", resources))
        ]
        if faults:
            reason = "ShortNamesConflict"
            message = aggregate(faults)
        else:
            _set(new, "shortNames", wanted.get("shortNames"))
    for field, conflict in (("kind", "KindConflict"), ("listKind", "ListKindConflict")):
        if why := _taken(wanted.get(field, ""), accepted.get(field, ""), kinds):
            reason, message = conflict, why
        else:
            _set(new, field, wanted.get(field, ""))
    _set(new, "categories", wanted.get("categories"))
    for field in ("plural", "kind"):
        new.setdefault(field, "")
    names = condition("NamesAccepted", "False" if reason else "True", reason, message)
    if not reason:
        names = condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")
    return Decision(new, names, _established(crd, not reason))


def _established(crd: Object, accepted: bool) -> Object:
    """Once established, always established: a later conflict only keeps the old names."""
    now = find_condition(crd, "Established")
    if now is not None and now["status"] == "True":
        return now
    if accepted:
        return condition(
            "Established", "True", "InitialNamesAccepted", "the initial names have been accepted"
        )
    return condition("Established", "False", "NotAccepted", "not all names are accepted")


def used_names(group: str, others: Iterable[Object]) -> tuple[set[str], set[str]]:
    """(resource names, kinds) that other definitions of the group have."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] != group:
            continue
        names = other.get("status", {}).get("acceptedNames") or {}
        resources.update(
            (names.get("plural", ""), names.get("singular", ""), *(names.get("shortNames") or ()))
        )
        kinds.update((names.get("kind", ""), names.get("listKind", "")))
    return resources - {""}, kinds - {""}


def _taken(wanted: str, accepted: str, used: set[str]) -> str:
    return f'"{wanted}" is already in use' if wanted != accepted and wanted in used else ""


def _set(names: Object, field: str, value: Any) -> None:
    if value:
        names[field] = value
    else:
        names.pop(field, None)


def approval(crd: Object) -> Object | None:
    """The condition that tells whether a group of Kubernetes itself was approved; None for all other groups."""
    group = crd["spec"]["group"]
    if not is_protected(group):
        return None
    value = approval_of(crd)
    match approval_state(value):
        case "missing":
            return condition(CONFORMANT, "False", "MissingAnnotation", APPROVAL_HELP)
        case "bypassed":
            return condition(CONFORMANT, "False", "UnapprovedAnnotation", f"not approved: {quote(value)}")
        case "approved":
            return condition(CONFORMANT, "True", "ApprovedAnnotation", f"approved in {value}")
    return condition(CONFORMANT, "False", "InvalidAnnotation", APPROVAL_INVALID)


def condition(type_: str, status: str, reason: str, message: str) -> Object:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def find_condition(crd: Object, type_: str) -> Object | None:
    for found in crd.get("status", {}).get("conditions") or ():
        if found.get("type") == type_:
            return found
    return None


def is_true(crd: Object, type_: str) -> bool:
    found = find_condition(crd, type_)
    return found is not None and found.get("status") == "True"


def timed(condition: Object, now: str) -> Object:
    """The condition as it is stored."""
    said = {"type": condition["type"], "status": condition["status"], "lastTransitionTime": now}
    return said | condition
