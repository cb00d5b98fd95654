"""What an update may change of a job."""

from __future__ import annotations

from typing import Any

from knarr.api.batch.failurepolicy import printed_failure_policy
from knarr.api.batch.jobvalidation import validate_spec
from knarr.api.batch.successpolicy import printed_success_policy
from knarr.api.core.podspec import internal
from knarr.api.core.podspec.template import printed_selector
from knarr.meta.fielderrors import FieldError, invalid

Spec = dict[str, Any]


def validate_spec_update(spec: Spec, old: Spec, status: Spec, errors: list[FieldError]) -> None:
    """A job's identity and its work are fixed; how much of it runs at one time is not."""
    validate_spec(spec, errors)
    _validate_completions(spec, old, errors)
    _unchanged(spec, old, "selector", errors)
    _validate_template_update(spec, old, status, errors)
    for field in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        _unchanged(spec, old, field, errors)


def _unchanged(spec: Spec, old: Spec, field: str, errors: list[FieldError]) -> None:
    if spec.get(field) != old.get(field):
        errors.append(invalid(f"spec.{field}", _shown(spec.get(field), field), "field is immutable"))


def _shown(value: Any, field: str) -> Any:
    if field == "selector":
        return printed_selector(value)
    if field == "successPolicy" and value is not None:
        return printed_success_policy(value)
    if field == "podFailurePolicy" and value is not None:
        return printed_failure_policy(value)
    return value


def _validate_completions(spec: Spec, old: Spec, errors: list[FieldError]) -> None:
    """Indexed jobs may grow and shrink, if what runs grows and shrinks alike."""
    new, before = spec.get("completions"), old.get("completions")
    if new == before:
        return
    if spec.get("completionMode") != "Indexed":
        errors.append(invalid("spec.completions", new, "field is immutable"))
        return
    # that an indexed job has completions is checked already
    if new is not None and new != spec.get("parallelism"):
        errors.append(
            invalid("spec.completions", new, "can only be modified in tandem with spec.parallelism")
        )


_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def _validate_template_update(spec: Spec, old: Spec, status: Spec, errors: list[FieldError]) -> None:
    """A suspended job of which nothing runs may still be told where its pods shall run and what they need."""
    new, before = spec["template"], old["template"]
    if new == before:
        return
    pod, old_pod = new.get("spec", {}), before.get("spec", {})
    if not (old.get("suspend") and _is_idle(status)):
        errors.append(invalid("spec.template", internal.pod_template(new), "field is immutable"))
    elif _with_directives_of(old_pod, pod) != old_pod:
        errors.append(invalid("spec.template.spec", internal.pod_spec(pod), "field is immutable"))


def _is_idle(status: Spec) -> bool:
    """It never began, or its controller has said that it stands still."""
    if status.get("active"):
        return False
    suspended = any(
        c.get("type") == "Suspended" and c.get("status") == "True" for c in status.get("conditions", ())
    )
    return suspended or "startTime" not in status


def _with_directives_of(before: Spec, new: Spec) -> Spec:
    """The new spec of a pod with all that may change as it was before."""
    pod = dict(new)
    for field in _DIRECTIVES:
        _take_over(pod, before, field)
    _take_over_node_affinity(pod, before)
    for field in ("containers", "initContainers"):
        given, known = pod.get(field, []), before.get(field, [])
        if given and len(given) == len(known):
            pod[field] = [_with_resources_of(*pair) for pair in zip(known, given, strict=True)]
    return pod


def _take_over_node_affinity(pod: Spec, before: Spec) -> None:
    """Of the affinities only the one to nodes may change; none at all is the same as an empty one."""
    affinity = dict(pod.get("affinity") or {})
    _take_over(affinity, before.get("affinity") or {}, "nodeAffinity")
    if affinity or before.get("affinity"):
        pod["affinity"] = affinity
    else:
        _take_over(pod, before, "affinity")


def _with_resources_of(before: Spec, new: Spec) -> Spec:
    if before.get("name") != new.get("name"):
        return new
    container = dict(new)
    _take_over(container, before, "resources")
    return container


def _take_over(obj: Spec, old: Spec, field: str) -> None:
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)
