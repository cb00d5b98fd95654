"""What a job's spec and status may say."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import non_negative
from knarr.api.core.podspec import internal
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.template import matches, mismatch, printed_selector, validate_template
from knarr.meta import names
from knarr.meta.fielderrors import (
    NO_VALUE,
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from knarr.meta.labels import validate_label_selector

Spec = dict[str, Any]
JOB_NAME = ("job-name", "batch.kubernetes.io/job-name")
CONTROLLER_UID = ("controller-uid", "batch.kubernetes.io/controller-uid")

RULES_MAX = 20
PATTERNS_MAX = 20
EXIT_CODES_MAX = 255
SUCCESS_RULES_MAX = 20
INDEXES_TEXT_MAX = 64 * 1024
MANAGED_BY_MAX = 63
PARALLELISM_INDEXED_MAX = 100_000
COMPLETIONS_PER_INDEX_MAX = 100_000
PARALLELISM_MANY_COMPLETIONS_MAX = 10_000
_NEGATIVE = "must be greater than or equal to 0"


def validate_generated_selector(job: Spec, errors: Errors) -> None:
    """A selector that the server made must still be the one it would make."""
    metadata, spec = job["metadata"], job["spec"]
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    if not uid:
        errors.append(required("metadata.uid"))
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    expected = {**dict.fromkeys(CONTROLLER_UID, uid), **dict.fromkeys(JOB_NAME, name)}
    for key, value in (
        *((k, uid) for k in reversed(CONTROLLER_UID)),
        *((k, name) for k in reversed(JOB_NAME)),
    ):
        _has_label(labels, key, value, "spec.template.metadata", errors)
    if matches(selector, {"metadata": {"labels": expected}}) is False:
        errors.append(invalid("spec.selector", printed_selector(selector), "`selector` not auto-generated"))


def _has_label(labels: dict[str, str], key: str, value: str, path: str, errors: Errors) -> None:
    if key not in labels:
        errors.append(required(f"{path}.labels[{key}]", f"must be '{value}'"))
    elif labels[key] != value:
        errors.append(invalid(f"{path}.labels[{key}]", labels[key], f"must be '{value}'"))


def validate_spec(spec: Spec, errors: Errors) -> None:
    """The spec of a job (not of a cron job's template)."""
    validate_shared_spec(spec, "spec", errors)
    selector = spec.get("selector")
    if selector is None:
        errors.append(required("spec.selector"))
    else:
        errors += validate_label_selector(selector, "spec.selector")
    if matches(selector, spec["template"]) is False:
        errors.append(mismatch(spec["template"], "spec.template"))


def validate_shared_spec(spec: Spec, path: str, errors: Errors) -> None:
    """What jobs and the templates of cron jobs share."""
    non_negative(spec, path, errors, "parallelism", "completions", "activeDeadlineSeconds")
    non_negative(spec, path, errors, "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex")
    non_negative(spec, path, errors, "maxFailedIndexes")
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if "managedBy" in spec:
        _validate_managed_by(spec["managedBy"], f"{path}.managedBy", errors)
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in ("NonIndexed", "Indexed"):
        errors.append(not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        _validate_indexed(spec, path, errors)
    elif mode == "NonIndexed":
        _validate_not_indexed(spec, path, errors)
    if "podFailurePolicy" in spec:
        _validate_failure_policy(spec, f"{path}.podFailurePolicy", errors)
    if "successPolicy" in spec:
        if mode != "Indexed":
            shown = _printed_success_policy(spec["successPolicy"])
            errors.append(invalid(f"{path}.successPolicy", shown, "requires indexed completion mode"))
        else:
            _validate_success_policy(spec, f"{path}.successPolicy", errors)
    _validate_replacement_policy(spec, f"{path}.podReplacementPolicy", errors)
    template = spec.get("template", {})
    validate_template(template, f"{path}.template", errors)
    _validate_restart_policy(spec, template, f"{path}.template.spec.restartPolicy", errors)


def _validate_restart_policy(spec: Spec, template: Spec, path: str, errors: Errors) -> None:
    policy = template.get("spec", {}).get("restartPolicy", "")
    if policy in ("", "Always"):
        errors.append(required(path, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(not_supported(path, policy, ("OnFailure", "Never")))
    elif "podFailurePolicy" in spec and policy != "Never":
        message = 'only "Never" is supported when podFailurePolicy is specified'
        errors.append(invalid(path, policy, message))


def _validate_managed_by(name: str, path: str, errors: Errors) -> None:
    for shown, message in names.domain_prefixed_path_problems(name):
        errors.append(invalid(path, shown, message))
    if names.byte_length(name) > MANAGED_BY_MAX:
        errors.append(too_long(path, MANAGED_BY_MAX))


def _validate_indexed(spec: Spec, path: str, errors: Errors) -> None:
    completions, parallelism = spec.get("completions"), spec.get("parallelism", 0)
    if completions is None:
        message = "when completion mode is Indexed"
        errors.append(required(f"{path}.completions", message))
    if parallelism > PARALLELISM_INDEXED_MAX:
        message = f"must be less than or equal to {PARALLELISM_INDEXED_MAX} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallelism, message))
    failed, completions = spec.get("maxFailedIndexes"), completions or 0
    if failed is not None and failed > completions:
        message = "must be less than or equal to completions"
        errors.append(invalid(f"{path}.maxFailedIndexes", failed, message))
    if failed is not None and failed > COMPLETIONS_PER_INDEX_MAX:
        message = f"must be less than or equal to {COMPLETIONS_PER_INDEX_MAX}"
        errors.append(invalid(f"{path}.maxFailedIndexes", failed, message))
    if completions > COMPLETIONS_PER_INDEX_MAX and "backoffLimitPerIndex" in spec:
        if failed is None:
            message = f"must be specified when completions is above {COMPLETIONS_PER_INDEX_MAX}"
            errors.append(required(f"{path}.maxFailedIndexes", message))
        if parallelism > PARALLELISM_MANY_COMPLETIONS_MAX:
            message = (
                f"must be less than or equal to {PARALLELISM_MANY_COMPLETIONS_MAX} when completions are above"
                f" {COMPLETIONS_PER_INDEX_MAX} and used with backoff limit per index"
            )
            errors.append(invalid(f"{path}.parallelism", parallelism, message))
        if failed is not None and failed > PARALLELISM_MANY_COMPLETIONS_MAX:
            message = (
                f"must be less than or equal to {PARALLELISM_MANY_COMPLETIONS_MAX} when completions are above"
                f" {COMPLETIONS_PER_INDEX_MAX} and used with backoff limit per index"
            )
            errors.append(invalid(f"{path}.maxFailedIndexes", failed, message))


def _validate_not_indexed(spec: Spec, path: str, errors: Errors) -> None:
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if field in spec:
            errors.append(invalid(f"{path}.{field}", spec[field], "requires indexed completion mode"))


def _validate_replacement_policy(spec: Spec, path: str, errors: Errors) -> None:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return
    if "podFailurePolicy" in spec:
        if policy != "Failed":
            errors.append(not_supported(path, policy, ("Failed",)))
    elif policy not in ("Failed", "TerminatingOrFailed"):
        errors.append(not_supported(path, policy, ("Failed", "TerminatingOrFailed")))


# pod failure policy

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


def _validate_failure_policy(spec: Spec, path: str, errors: Errors) -> None:
    path = f"{path}.rules"
    rules = spec["podFailurePolicy"].get("rules") or []
    if len(rules) > RULES_MAX:
        errors.append(too_many(path, len(rules), RULES_MAX))
    template = spec.get("template", {}).get("spec", {})
    containers = {
        c.get("name") for c in (*template.get("containers", ()), *template.get("initContainers", ()))
    }
    for index, rule in enumerate(rules):
        _validate_rule(spec, rule, containers, f"{path}[{index}]", errors)


def _validate_rule(spec: Spec, rule: Spec, containers: set[Any], path: str, errors: Errors) -> None:
    action = rule.get("action", "")
    if not action:
        errors.append(required(f"{path}.action", f"valid values: {', '.join(map(_quoted, _ACTIONS))}"))
    elif action == "FailIndex" and "backoffLimitPerIndex" not in spec:
        message = "requires the backoffLimitPerIndex to be set"
        errors.append(invalid(f"{path}.action", action, message))
    elif action not in _ACTIONS:
        errors.append(not_supported(f"{path}.action", action, _ACTIONS))
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if codes is not None:
        _validate_exit_codes(codes, containers, f"{path}.onExitCodes", errors)
    if patterns:
        _validate_patterns(patterns, f"{path}.onPodConditions", errors)
    if codes is not None and patterns:
        message = "specifying both OnExitCodes and OnPodConditions is not supported"
        errors.append(invalid(path, NO_VALUE, message))
    if codes is None and not patterns:
        message = "specifying one of OnExitCodes and OnPodConditions is required"
        errors.append(invalid(path, NO_VALUE, message))


def _quoted(word: str) -> str:
    return f'"{word}"'


def _validate_patterns(patterns: list[Spec], path: str, errors: Errors) -> None:
    if len(patterns) > PATTERNS_MAX:
        errors.append(too_many(path, len(patterns), PATTERNS_MAX))
    for index, pattern in enumerate(patterns):
        here, kind, status = f"{path}[{index}]", pattern.get("type", ""), pattern.get("status", "")
        for message in names.is_qualified_name(kind):
            errors.append(invalid(f"{here}.type", kind, message))
        if not status:
            valid = ", ".join(map(_quoted, ("False", "True", "Unknown")))
            errors.append(required(f"{here}.status", f"valid values: {valid}"))
        elif status not in ("False", "True", "Unknown"):
            errors.append(not_supported(f"{here}.status", status, ("False", "True", "Unknown")))


def _validate_exit_codes(codes: Spec, containers: set[Any], path: str, errors: Errors) -> None:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    if not operator:
        errors.append(required(f"{path}.operator", 'valid values: "In", "NotIn"'))
    elif operator not in ("In", "NotIn"):
        errors.append(not_supported(f"{path}.operator", operator, ("In", "NotIn")))
    name = codes.get("containerName")
    if name is not None and name not in containers:
        message = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", name, message))
    path = f"{path}.values"
    if not values:
        errors.append(invalid(path, values, "at least one value is required"))
    elif len(values) > EXIT_CODES_MAX:
        errors.append(too_many(path, len(values), EXIT_CODES_MAX))
    ordered, seen = True, set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(invalid(f"{path}[{index}]", value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(duplicate(f"{path}[{index}]", value))
        seen.add(value)
        ordered = ordered and (index == 0 or values[index - 1] <= value)
    if not ordered:
        errors.append(invalid(path, values, "must be ordered"))


# success policy


def _printed_success_policy(policy: Spec) -> Spec:
    rules = [
        {"SucceededIndexes": r.get("succeededIndexes"), "SucceededCount": r.get("succeededCount")}
        for r in policy.get("rules") or ()
    ]
    return {"Rules": rules or None}


def _validate_success_policy(spec: Spec, path: str, errors: Errors) -> None:
    path = f"{path}.rules"
    rules = spec["successPolicy"].get("rules") or []
    if not rules:
        message = "at least one rules must be specified when the successPolicy is specified"
        errors.append(required(path, message))
    if len(rules) > SUCCESS_RULES_MAX:
        errors.append(too_many(path, len(rules), SUCCESS_RULES_MAX))
    for index, rule in enumerate(rules):
        _validate_success_rule(spec, rule, f"{path}[{index}]", errors)


def _validate_success_rule(spec: Spec, rule: Spec, path: str, errors: Errors) -> None:
    indexes, count, completions = (
        rule.get("succeededIndexes"),
        rule.get("succeededCount"),
        spec.get("completions"),
    )
    if indexes is None and count is None:
        message = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(required(path, message))
    chosen = 0
    if indexes is not None:
        path_of = f"{path}.succeededIndexes"
        if len(indexes) > INDEXES_TEXT_MAX:
            errors.append(too_long(path_of, INDEXES_TEXT_MAX))
        try:
            chosen = count_indexes(indexes, completions or 0)
        except ValueError as error:
            errors.append(invalid(path_of, indexes, f"error parsing succeededIndexes: {error}"))
    if count is not None:
        path_of = f"{path}.succeededCount"
        if count < 0:
            errors.append(invalid(path_of, count, _NEGATIVE))
        if completions is not None and count > completions:
            message = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid(path_of, count, message))
        if indexes is not None and count > chosen:
            message = f"must be less than or equal to {chosen} (the number of indexes in the specified succeededIndexes field)"
            errors.append(invalid(path_of, count, message))


def count_indexes(text: str, completions: int) -> int:
    """How many indexes `1,3-5` names. ValueError has Kubernetes' message."""
    if not text:
        return 0
    total, last = 0, None
    for interval in text.split(","):
        limits = interval.split("-")
        if len(limits) > 2:
            raise ValueError(
                f'the fragment "{interval}" violates the requirement that an index interval can have at most two parts'
                " separated by '-'"
            )
        first = _index(limits[0], completions)
        if last is not None and last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        last = first
        if len(limits) == 2:
            end = _index(limits[1], completions)
            if first >= end:
                raise ValueError(f"non-increasing order, previous: {first}, current: {end}")
            last = end
        total += last - first + 1
    return total


def _index(text: str, completions: int) -> int:
    if not (text.isascii() and text.isdigit()):
        quoted = f'"{text}"'
        raise ValueError(
            f"cannot convert string to integer for index: {quoted}: strconv.Atoi: parsing {quoted}: invalid syntax"
        )
    number = int(text)
    if number >= completions:
        raise ValueError(f'too large index: "{text}"')
    return number


# updates


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
        return _printed_success_policy(value)
    if field == "podFailurePolicy" and value is not None:
        return _printed_failure_policy(value)
    return value


def _printed_failure_policy(policy: Spec) -> Spec:
    return {
        "Rules": [
            {
                "Action": rule.get("action", ""),
                "OnExitCodes": None
                if "onExitCodes" not in rule
                else {
                    "ContainerName": rule["onExitCodes"].get("containerName"),
                    "Operator": rule["onExitCodes"].get("operator", ""),
                    "Values": rule["onExitCodes"].get("values"),
                },
                "OnPodConditions": [
                    {"Type": p.get("type", ""), "Status": p.get("status", "")}
                    for p in rule.get("onPodConditions", ())
                ]
                or None,
            }
            for rule in policy.get("rules") or ()
        ]
        or None
    }


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


_DIRECTIVES = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def _validate_template_update(spec: Spec, old: Spec, status: Spec, errors: list[FieldError]) -> None:
    """A suspended job that has not started may still be told where its pods shall run and what they need."""
    new, before = spec["template"], old["template"]
    if new == before:
        return
    allowed = new
    if old.get("suspend") and "startTime" not in status:
        allowed = _with_directives_of(before, new)
    metadata, old_metadata = allowed.get("metadata", {}), before.get("metadata", {})
    if metadata != old_metadata:
        errors.append(invalid("spec.template.metadata", new.get("metadata", {}), "field is immutable"))
    if allowed.get("spec") != before.get("spec"):
        shown = internal.pod_spec(new.get("spec", {}))
        errors.append(invalid("spec.template.spec", shown, "field is immutable"))


def _with_directives_of(before: Spec, new: Spec) -> Spec:
    metadata, pod = dict(new.get("metadata", {})), dict(new.get("spec", {}))
    for field in ("labels", "annotations"):
        _take_over(metadata, before.get("metadata", {}), field)
    for field in _DIRECTIVES:
        _take_over(pod, before.get("spec", {}), field)
    for field in ("containers", "initContainers"):
        pairs = list(zip(pod.get(field, ()), before.get("spec", {}).get(field, ()), strict=False))
        if pairs and len(pairs) == len(pod[field]):
            pod[field] = [{**c, "resources": was.get("resources", {})} for c, was in pairs]
    return {**new, "metadata": metadata, "spec": pod}


def _take_over(obj: Spec, old: Spec, field: str) -> None:
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)
