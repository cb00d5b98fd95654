"""What an update of a pod may change: images, a shorter deadline, more tolerations, fewer gates, little else."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec import internal
from knarr.api.core.podspec.annotations import validate_annotation_update
from knarr.api.core.podspec.containers import validate_image_padding
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.tolerations import validate_only_added
from knarr.api.core.podspec.validate import validate_pod
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, required

Object = dict[str, Any]
_CHANGEABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations`"
    " (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it"
    " was previously negative)"
)
_DEADLINE_MAX = 2**31 - 1


def validate_common_update(pod: Object, old: Object) -> list[FieldError]:
    """What every door to a pod's spec checks first."""
    new_annotations, old_annotations = (p["metadata"].get("annotations") or {} for p in (pod, old))
    errors = validate_pod(pod, old_annotations)
    if new_annotations or old_annotations:
        validate_annotation_update(new_annotations, old_annotations, pod["spec"], errors)
    return errors


def validate_update(pod: Object, old: Object) -> list[FieldError]:
    spec, before = pod["spec"], old["spec"]
    if spec == before:
        # the spec was valid when it was stored; only metadata is new
        errors: list[FieldError] = []
        annotations = [p["metadata"].get("annotations") or {} for p in (pod, old)]
        if annotations[0] != annotations[1]:
            return validate_common_update(pod, old)
        return errors
    errors = validate_common_update(pod, old)
    for field in ("containers", "initContainers"):
        if not _validate_containers(spec.get(field, []), before.get(field, []), f"spec.{field}", errors):
            return errors
    if not _validate_deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"), errors):
        return errors
    validate_only_added(
        spec.get("tolerations", []), before.get("tolerations", []), "spec.tolerations", errors
    )
    _validate_only_fewer_gates(spec, before, errors)
    left = _with_changeable_parts_of(before, spec)
    if before.get("schedulingGates"):
        _allow_narrowing(left, before, errors)
    if left != before:
        difference = internal.spec_difference(before, left)
        message = f"pod updates may not change fields other than {_CHANGEABLE}\n{difference}"
        errors.append(forbidden("spec", message))
    return errors


def _validate_containers(new: list[Object], old: list[Object], path: str, errors: Errors) -> bool:
    """False when nothing more can be compared."""
    if len(new) != len(old):
        errors.append(forbidden(path, "pod updates may not add or remove containers"))
        return False
    for index, container in enumerate(new):
        if not container.get("image"):
            errors.append(required(f"{path}[{index}].image"))
        validate_image_padding(container, f"{path}[{index}]", errors)
    return True


def _validate_deadline(new: int | None, old: int | None, errors: Errors) -> bool:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        if old is not None:
            message = "must not update from a positive integer to nil value"
            errors.append(invalid(path, None, message))
        return True
    if not 0 <= new <= _DEADLINE_MAX:
        errors.append(invalid(path, new, names.inclusive_range_error(0, _DEADLINE_MAX)))
        return False
    if old is not None and old < new:
        errors.append(invalid(path, new, "must be less than or equal to previous value"))
        return False
    return True


def _validate_only_fewer_gates(spec: Object, before: Object, errors: Errors) -> None:
    known = {gate.get("name") for gate in before.get("schedulingGates", ())}
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        if gate.get("name") not in known:
            message = f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'"
            errors.append(forbidden(f"spec.schedulingGates[{index}].name", message))


def _with_changeable_parts_of(before: Object, spec: Object) -> Object:
    """The new spec as it would be without the changes that are allowed."""
    left = dict(spec)
    for field in ("containers", "initContainers"):
        if field in left:
            pairs = zip(left[field], before[field], strict=True)
            left[field] = [{**container, "image": was.get("image", "")} for container, was in pairs]
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        _keep(left, before, field)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and left.get("terminationGracePeriodSeconds") == 1:
        _keep(left, before, "terminationGracePeriodSeconds")
    return left


def _keep(obj: Object, old: Object, field: str) -> None:
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)


def _allow_narrowing(left: Object, before: Object, errors: Errors) -> None:
    """A gated pod is not scheduled yet: where it may run can still be narrowed, never widened."""
    new, old = left.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if new != old:
        if any(new.get(key) != value for key, value in old.items()):
            message = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errors.append(invalid("spec.nodeSelector", new, message))
        _keep(left, before, "nodeSelector")
    affinity, previous = left.get("affinity") or {}, before.get("affinity") or {}
    if affinity.get("nodeAffinity") != previous.get("nodeAffinity"):
        path = "spec.affinity.nodeAffinity"
        _validate_node_affinity(affinity.get("nodeAffinity"), previous.get("nodeAffinity"), path, errors)
        merged = dict(affinity)
        _keep(merged, previous, "nodeAffinity")
        left["affinity"] = merged
        if not merged and "affinity" not in before:
            del left["affinity"]


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_TERMS = f"{_REQUIRED}.nodeSelectorTerms"
_PARTS = ("matchExpressions", "matchFields")


def _validate_node_affinity(new: Object | None, old: Object | None, path: str, errors: Errors) -> None:
    if old is None or not old.get(_REQUIRED, {}).get("nodeSelectorTerms"):
        return
    was = old[_REQUIRED]["nodeSelectorTerms"]
    now = ((new or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms", [])
    path = f"{path}.{_TERMS}"
    if len(was) != len(now):
        shown = [internal.node_selector_term(term) for term in now] or None
        message = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.append(invalid(path, shown, message))
        return
    for index, (term, before) in enumerate(zip(now, was, strict=True)):
        # an empty term matched nothing; giving it content would widen the choice
        filled = not any(map(before.get, _PARTS)) and any(map(term.get, _PARTS))
        if filled or any(not _starts_with(term, before, part) for part in _PARTS):
            message = "only additions are allowed (no mutations or deletions)"
            errors.append(invalid(f"{path}[{index}]", internal.node_selector_term(term), message))


def _starts_with(term: Object, before: Object, field: str) -> bool:
    old = before.get(field, [])
    return term.get(field, [])[: len(old)] == old
