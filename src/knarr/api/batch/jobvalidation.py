"""What a job's spec may say."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import non_negative
from knarr.api.batch.failurepolicy import validate_failure_policy
from knarr.api.batch.successpolicy import printed_success_policy, validate_success_policy
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.template import matches, mismatch, printed_selector, validate_template
from knarr.meta import names
from knarr.meta.fielderrors import (
    invalid,
    not_supported,
    required,
    too_long,
)
from knarr.meta.labels import validate_label_selector

Spec = dict[str, Any]
JOB_NAME = ("job-name", "batch.kubernetes.io/job-name")
CONTROLLER_UID = ("controller-uid", "batch.kubernetes.io/controller-uid")

MANAGED_BY_MAX = 63
PARALLELISM_INDEXED_MAX = 100_000
COMPLETIONS_PER_INDEX_MAX = 100_000
PARALLELISM_MANY_COMPLETIONS_MAX = 10_000


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
        validate_failure_policy(spec, f"{path}.podFailurePolicy", errors)
    if "successPolicy" in spec:
        if mode != "Indexed":
            shown = printed_success_policy(spec["successPolicy"])
            errors.append(invalid(f"{path}.successPolicy", shown, "requires indexed completion mode"))
        else:
            validate_success_policy(spec, f"{path}.successPolicy", errors)
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
