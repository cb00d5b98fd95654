"""What a job's status may say: a finished job stays finished, counters only rise."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import non_negative
from knarr.api.batch.successpolicy import count_indexes
from knarr.api.core.podspec.paths import Errors
from knarr.meta.fielderrors import NO_VALUE, FieldError, duplicate, invalid, required

Object = dict[str, Any]
_FINAL = ("Failed", "Complete", "FailureTarget", "SuccessCriteriaMet")


def validate_status_update(job: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    status, before = job.get("status", {}), old.get("status", {})
    non_negative(status, "status", errors, "active", "succeeded", "failed", "ready", "terminating")
    _validate_uncounted(status.get("uncountedTerminatedPods", {}), errors)
    _validate_conditions(status, errors)
    _validate_indexes(status, job["spec"], errors)
    if status.get("ready", 0) > status.get("active", 0):
        message = "cannot set more ready pods than active"
        errors.append(invalid("status.ready", status.get("ready", 0), message))
    _validate_progress(status, before, old["spec"], errors)
    return errors


def _true(status: Object) -> set[str]:
    return {c.get("type", "") for c in status.get("conditions", ()) if c.get("status") == "True"}


def _condition_error(message: str, errors: Errors) -> None:
    errors.append(invalid("status.conditions", NO_VALUE, message))


def _validate_uncounted(uncounted: Object, errors: Errors) -> None:
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(field, ())):
            path = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                errors.append(invalid(path, uid, "must not be empty"))
            elif uid in seen:
                errors.append(duplicate(path, uid))
            seen.add(uid)


def _validate_conditions(status: Object, errors: Errors) -> None:
    true = _true(status)
    complete, failed = "Complete" in true, "Failed" in true
    start, end = status.get("startTime"), status.get("completionTime")
    if complete and failed:
        _condition_error("cannot set Complete=True and Failed=true conditions", errors)
    if complete and "FailureTarget" in true:
        _condition_error("cannot set Complete=True and FailureTarget=true conditions", errors)
    if end is not None and not complete:
        message = "cannot set completionTime when there is no Complete=True condition"
        errors.append(invalid("status.completionTime", end, message))
    if end is None and complete:
        errors.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    # canonical times sort as texts
    if start is not None and end is not None and end < start:
        message = "completionTime cannot be set before startTime"
        errors.append(invalid("status.completionTime", end, message))
    if failed and "FailureTarget" not in true:
        _condition_error("cannot set Failed=True condition without the FailureTarget=true condition", errors)
    if complete and "SuccessCriteriaMet" not in true:
        message = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        _condition_error(message, errors)
    if complete or failed:
        _validate_finished(status, errors)


def _validate_finished(status: Object, errors: Errors) -> None:
    if status.get("active", 0) > 0:
        errors.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    if status.get("terminating", 0) > 0:
        message = "terminating>0 is invalid for finished job"
        errors.append(invalid("status.terminating", status["terminating"], message))
    if "startTime" not in status:
        errors.append(required("status.startTime", "startTime is required for finished job"))
    uncounted = status.get("uncountedTerminatedPods", {})
    if uncounted.get("succeeded") or uncounted.get("failed"):
        shown = {"Succeeded": uncounted.get("succeeded"), "Failed": uncounted.get("failed")}
        message = "uncountedTerminatedPods needs to be empty for finished job"
        errors.append(invalid("status.uncountedTerminatedPods", shown, message))


def _validate_indexes(status: Object, spec: Object, errors: Errors) -> None:
    completed, failed = status.get("completedIndexes", ""), status.get("failedIndexes")
    completions = spec.get("completions")
    if completions is not None:
        _parse(completed, completions, "completedIndexes", errors)
        if failed is not None and "backoffLimitPerIndex" in spec:
            _parse(failed, completions, "failedIndexes", errors)
    if completed and spec.get("completionMode") != "Indexed":
        message = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid("status.completedIndexes", completed, message))
    if failed is not None and "backoffLimitPerIndex" not in spec:
        message = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid("status.failedIndexes", failed, message))


def _parse(text: str, completions: int, field: str, errors: Errors) -> None:
    try:
        count_indexes(text, completions)
    except ValueError as error:
        errors.append(invalid(f"status.{field}", text, f"error parsing {field}: {error}"))


def _validate_progress(status: Object, before: Object, spec: Object, errors: Errors) -> None:
    lost = _true(before) - _true(status)
    for kind in _FINAL:
        if kind in lost:
            _condition_error(f"cannot disable the terminal {kind}=True condition", errors)
    for counter in ("failed", "succeeded"):
        if status.get(counter, 0) < before.get(counter, 0):
            message = f"cannot decrease the {counter} counter"
            errors.append(invalid(f"status.{counter}", status.get(counter, 0), message))
    start, was = status.get("startTime"), before.get("startTime")
    if was is not None and start != was and not spec.get("suspend"):
        if start is None:
            errors.append(required("status.startTime", "startTime cannot be removed for unsuspended job"))
        else:
            message = "startTime cannot be modified for unsuspended job"
            errors.append(invalid("status.startTime", start, message))
    end, ended = status.get("completionTime"), before.get("completionTime")
    if ended is not None and end is not None and end != ended:
        errors.append(invalid("status.completionTime", end, "completionTime cannot be mutated"))
