"""What /metrics tells of webhooks, under kube-apiserver's names."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.meta.metrics import Counters, Family, Histograms

PREFIX = "apiserver_admission_"
#: upper bounds of apiserver_admission_webhook_admission_duration_seconds
BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
CODE_MAX = 600
CALL = ("name", "type", "operation")
CONDITION = ("name", "kind", "type", "operation")


class Counts:
    """Counts the calls of both plugins; `type` is "admit" or "validating"."""

    def __init__(self) -> None:
        self._requests = Counters(
            f"{PREFIX}webhook_request_total", "Calls of admission webhooks.", *CALL, "code", "rejected"
        )
        self._durations = Histograms(
            f"{PREFIX}webhook_admission_duration_seconds",
            "How long calls of admission webhooks took, in seconds.",
            BOUNDS,
            *CALL,
            "rejected",
        )
        self._rejections = Counters(
            f"{PREFIX}webhook_rejection_count",
            "Requests that admission webhooks, or failing to call them, refused.",
            *CALL,
            "error_type",
            "rejection_code",
        )
        self._open = Counters(
            f"{PREFIX}webhook_fail_open_count",
            "Calls of admission webhooks that failed and were passed over.",
            "name",
            "type",
        )
        self._excluded = Counters(
            f"{PREFIX}match_condition_exclusions_total",
            "Requests that a match condition left out.",
            *CONDITION,
        )
        self._faults = Counters(
            f"{PREFIX}match_condition_evaluation_errors_total",
            "Match conditions that could not be evaluated.",
            *CONDITION,
        )

    def call(self, name: str, type_: str, operation: str, seconds: float, rejected: bool, code: int) -> None:
        flag = str(rejected).lower()
        self._requests.add(name, type_, operation, str(min(code, CODE_MAX)), flag)
        self._durations.observe(seconds, name, type_, operation, flag)

    def rejection(self, name: str, type_: str, operation: str, error: str, code: int) -> None:
        """`error` is no_error, calling_webhook_error or apiserver_internal_error."""
        self._rejections.add(name, type_, operation, error, str(min(code, CODE_MAX)))

    def failed_open(self, name: str, type_: str) -> None:
        self._open.add(name, type_)

    def excluded(self, name: str, type_: str, operation: str) -> None:
        """A match condition was false."""
        self._excluded.add(name, "webhook", type_, operation)

    def fault(self, name: str, type_: str, operation: str) -> None:
        """A match condition could not be evaluated."""
        self._faults.add(name, "webhook", type_, operation)

    def families(self) -> Iterator[Family]:
        counters = (self._requests, self._rejections, self._open, self._excluded, self._faults)
        for vector in (*counters, self._durations):
            yield vector.family()
