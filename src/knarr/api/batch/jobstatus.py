"""What a job's status may say: a finished job stays finished, counters only rise.

Most rules are asked only when what they are about has changed: a status that broke one before may still be written.
"""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import non_negative
from knarr.api.batch.successpolicy import count_indexes, intervals
from knarr.api.core.podspec.paths import Errors
from knarr.meta.fielderrors import NO_VALUE, FieldError, duplicate, invalid, required

Object = dict[str, Any]
_TERMINAL = ("Failed", "Complete", "FailureTarget")


class Change:
    """A status and the one before."""

    def __init__(self, job: Object, old: Object) -> None:
        self.spec = job["spec"]
        self.status, self.before = job.get("status", {}), old.get("status", {})
        self.true, self.was_true = _true(self.status), _true(self.before)
        self.complete, self.failed = "Complete" in self.true, "Failed" in self.true
        self.finished = self.complete or self.failed

    def of(self, *fields: str) -> bool:
        """Have any of these fields changed? No counter is the same as zero."""
        return any((self.status.get(field) or None) != (self.before.get(field) or None) for field in fields)

    def flips(self, *types: str) -> bool:
        """Has any of these conditions become true, or ceased to be?"""
        return any((type_ in self.true) != (type_ in self.was_true) for type_ in types)

    @property
    def ends(self) -> bool:
        """Does the job finish with it, or cease to be finished?"""
        return self.finished != bool({"Complete", "Failed"} & self.was_true)

    @property
    def resumes(self) -> bool:
        """Its clock begins anew."""
        now = {c.get("type"): c.get("status") for c in self.status.get("conditions", ())}
        return "Suspended" in self.was_true and now.get("Suspended") == "False"

    @property
    def is_indexed(self) -> bool:
        return bool(self.spec.get("completionMode") == "Indexed")


def _true(status: Object) -> set[str]:
    return {c.get("type", "") for c in status.get("conditions", ()) if c.get("status") == "True"}


def validate_status_update(job: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    change = Change(job, old)
    non_negative(change.status, "status", errors, "active", "succeeded", "failed", "ready", "terminating")
    _validate_uncounted(change.status.get("uncountedTerminatedPods", {}), errors)
    _validate_end(change, errors)
    _validate_finished(change, errors)
    _validate_indexes(change, errors)
    _validate_pods(change, errors)
    _validate_success(change, errors)
    _validate_progress(change, errors)
    return errors


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


def _validate_end(change: Change, errors: Errors) -> None:
    """How a job ends, and when."""
    status, true = change.status, change.true
    start, end = status.get("startTime"), status.get("completionTime")
    if change.complete and change.failed and change.flips("Complete", "Failed"):
        _condition_error("cannot set Complete=True and Failed=true conditions", errors)
    if change.complete and "FailureTarget" in true and change.flips("Complete", "FailureTarget"):
        _condition_error("cannot set Complete=True and FailureTarget=true conditions", errors)
    if change.flips("Complete") or change.of("completionTime"):
        if end is not None and not change.complete:
            message = "cannot set completionTime when there is no Complete=True condition"
            errors.append(invalid("status.completionTime", end, message))
        if end is None and change.complete:
            errors.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    # canonical times sort as texts
    if start is not None and end is not None and end < start and change.of("startTime", "completionTime"):
        message = "completionTime cannot be set before startTime"
        errors.append(invalid("status.completionTime", end, message))
    began = change.flips("Failed") or change.of("failedIndexes")
    if change.failed and "FailureTarget" not in true and began:
        _condition_error("cannot set Failed=True condition without the FailureTarget=true condition", errors)
    if (
        change.complete
        and "SuccessCriteriaMet" not in true
        and change.flips("Complete", "SuccessCriteriaMet")
    ):
        message = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        _condition_error(message, errors)


def _validate_finished(change: Change, errors: Errors) -> None:
    """Nothing is left to do."""
    if not change.finished:
        return
    status, ends = change.status, change.ends
    if status.get("active", 0) > 0 and (ends or change.of("active")):
        errors.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    # a suspended job with nothing to do is complete without ever having begun
    never_began = change.spec.get("suspend") and change.spec.get("completions") == 0
    if "startTime" not in status and (ends or change.of("startTime")) and not never_began:
        errors.append(required("status.startTime", "startTime is required for finished job"))
    uncounted = status.get("uncountedTerminatedPods", {})
    if uncounted.get("succeeded") or uncounted.get("failed"):
        if ends or change.of("uncountedTerminatedPods"):
            shown = {"Succeeded": uncounted.get("succeeded"), "Failed": uncounted.get("failed")}
            message = "uncountedTerminatedPods needs to be empty for finished job"
            errors.append(invalid("status.uncountedTerminatedPods", shown, message))


def _validate_indexes(change: Change, errors: Errors) -> None:
    status, spec = change.status, change.spec
    completed, failed = status.get("completedIndexes", ""), status.get("failedIndexes")
    completions, per_index = spec.get("completions"), "backoffLimitPerIndex" in spec
    new_completed, new_failed = change.of("completedIndexes"), failed != change.before.get("failedIndexes")
    if completions is not None and new_completed:
        _parse(completed, completions, "completedIndexes", errors)
    if completions is not None and new_failed and failed is not None and per_index:
        _parse(failed, completions, "failedIndexes", errors)
    if completed and new_completed and not change.is_indexed:
        message = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid("status.completedIndexes", completed, message))
    if failed is not None and new_failed and not per_index:
        message = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid("status.failedIndexes", failed, message))
    if completions is not None and failed is not None and (new_completed or new_failed):
        both = _first_common(intervals(completed, completions), intervals(failed, completions))
        if both is not None:
            message = f"failedIndexes and completedIndexes overlap at index: {both}"
            errors.append(invalid("status.failedIndexes", failed, message))


def _parse(text: str, completions: int, field: str, errors: Errors) -> None:
    try:
        count_indexes(text, completions)
    except ValueError as error:
        errors.append(invalid(f"status.{field}", text, f"error parsing {field}: {error}"))


def _first_common(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> int | None:
    """The first index that is in intervals of both lists, which go up."""
    left, right = left[::-1], right[::-1]
    while left and right:
        first, last = max(left[-1][0], right[-1][0]), min(left[-1][1], right[-1][1])
        if first <= last:
            return first
        (left if left[-1][0] <= right[-1][0] else right).pop()
    return None


def _validate_pods(change: Change, errors: Errors) -> None:
    status = change.status
    terminating, ready = status.get("terminating", 0), status.get("ready", 0)
    if terminating > 0 and change.finished and (change.ends or change.of("terminating")):
        message = "terminating>0 is invalid for finished job"
        errors.append(invalid("status.terminating", terminating, message))
    if ready > status.get("active", 0) and change.of("ready", "active"):
        errors.append(invalid("status.ready", ready, "cannot set more ready pods than active"))


def _validate_success(change: Change, errors: Errors) -> None:
    met = "SuccessCriteriaMet" in change.true
    if met and change.failed:
        _condition_error("cannot set SuccessCriteriaMet=True and Failed=true conditions", errors)
    if met and "FailureTarget" in change.true:
        _condition_error("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions", errors)
    if "successPolicy" in change.spec and change.complete and not met:
        message = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        _condition_error(message, errors)


def _validate_progress(change: Change, errors: Errors) -> None:
    status, before, spec = change.status, change.before, change.spec
    lost, met = change.was_true - change.true, "SuccessCriteriaMet"
    for type_ in _TERMINAL:
        if type_ in lost:
            _condition_error(f"cannot disable the terminal {type_}=True condition", errors)
    # an indexed job may be scaled down
    may_shrink = change.is_indexed and spec.get("completions") == spec.get("parallelism")
    for counter in ("failed",) if may_shrink else ("failed", "succeeded"):
        if status.get(counter, 0) < before.get(counter, 0):
            message = f"cannot decrease the {counter} counter"
            errors.append(invalid(f"status.{counter}", status.get(counter, 0), message))
    end, ended = status.get("completionTime"), before.get("completionTime")
    if ended is not None and end is not None and end != ended:
        errors.append(invalid("status.completionTime", end, "completionTime cannot be mutated"))
    runs_on = not spec.get("suspend") and not change.resumes
    if before.get("startTime") is not None and change.of("startTime") and runs_on:
        errors.append(required("status.startTime", "startTime cannot be removed for unsuspended job"))
    if met in lost:
        _condition_error(f"cannot disable the {met}=True condition", errors)
    if "Complete" in change.was_true and met in change.true - change.was_true:
        message = f"cannot set {met}=True for Job already has Complete=true conditions"
        _condition_error(message, errors)
