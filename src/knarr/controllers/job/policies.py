"""podFailurePolicy and successPolicy: rules by which single pods decide over their job."""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.controllers.job.indexes import Indexes, parse


class Match(NamedTuple):
    """What the rules make of a failed pod. `message` is set where the job must fail."""

    action: str | None
    message: str = ""

    @property
    def counts(self) -> bool:
        """Does the failure count towards the back-off limit?"""
        return self.action != "Ignore"


NO_RULE = Match(None)


def match_failure(policy: Any | None, pod: Any) -> Match:
    """By the first rule that fits."""
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        if rule.onExitCodes is not None:
            what = _exit_code(rule.onExitCodes, pod)
        else:
            what = _condition(rule.onPodConditions, pod)
        if what:
            message = f"{what} matching {rule.action} rule at index {number}"
            return Match(rule.action, message if rule.action == "FailJob" else "")
    return NO_RULE


def _exit_code(requirement: Any, pod: Any) -> str:
    for status in (*pod.status.containerStatuses, *pod.status.initContainerStatuses):
        terminated = status.state.terminated if status.state is not None else None
        if terminated is None or requirement.containerName not in (None, status.name):
            continue
        code = terminated.exitCode
        if code and (code in requirement.values) == (requirement.operator == "In"):
            place = f"{pod.metadata.namespace}/{pod.metadata.name}"
            return f"Container {status.name} for pod {place} failed with exit code {code}"
    return ""


def _condition(patterns: Any, pod: Any) -> str:
    wanted = {(pattern.type, pattern.status or "True") for pattern in patterns}
    for condition in pod.status.conditions:
        if (condition.type, condition.status) in wanted:
            return f"Pod {pod.metadata.namespace}/{pod.metadata.name} has condition {condition.type}"
    return ""


def match_success(policy: Any | None, succeeded: Indexes, completions: int) -> str | None:
    """The message where the indexes that succeeded are enough."""
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        if rule.succeededIndexes is None:
            enough = rule.succeededCount is not None and succeeded.total >= rule.succeededCount
        else:
            required = parse(rule.succeededIndexes, completions)
            count = required.total if rule.succeededCount is None else rule.succeededCount
            enough = required.common(succeeded) >= count
        if enough:
            return f"Matched rules at index {number}"
    return None
