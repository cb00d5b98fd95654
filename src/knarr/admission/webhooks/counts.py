"""What /metrics tells of webhooks, under kube-apiserver's names."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

#: upper bounds of apiserver_admission_webhook_admission_duration_seconds
BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
CODE_MAX = 600

Labels = dict[str, str]
#: name, type, help, samples of (suffix, labels, value)
Family = tuple[str, str, str, list[tuple[str, Labels, float]]]


class Counts:
    """Counts the calls of both plugins; `type` is "admit" or "validating"."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._rejections: Counter[tuple[str, ...]] = Counter()
        self._open: Counter[tuple[str, ...]] = Counter()
        self._excluded: Counter[tuple[str, ...]] = Counter()
        self._faults: Counter[tuple[str, ...]] = Counter()
        self._durations: dict[tuple[str, ...], list[float]] = {}

    def call(self, name: str, type_: str, operation: str, seconds: float, rejected: bool, code: int) -> None:
        flag = str(rejected).lower()
        self._requests[name, type_, operation, str(min(code, CODE_MAX)), flag] += 1
        key = name, type_, operation, flag
        row = self._durations.get(key)
        if row is None:
            row = self._durations[key] = [0.0] * (len(BOUNDS) + 2)
        row[bisect_left(BOUNDS, seconds)] += 1
        row[-1] += seconds

    def rejection(self, name: str, type_: str, operation: str, error: str, code: int) -> None:
        """`error` is no_error, calling_webhook_error or apiserver_internal_error."""
        self._rejections[name, type_, operation, error, str(min(code, CODE_MAX))] += 1

    def failed_open(self, name: str, type_: str) -> None:
        self._open[name, type_] += 1

    def excluded(self, name: str, type_: str, operation: str) -> None:
        """A match condition was false."""
        self._excluded[name, "webhook", type_, operation] += 1

    def fault(self, name: str, type_: str, operation: str) -> None:
        """A match condition could not be evaluated."""
        self._faults[name, "webhook", type_, operation] += 1

    def families(self) -> Iterator[Family]:
        call = ("name", "type", "operation")
        yield _counter(
            "webhook_request_total",
            "Calls of admission webhooks.",
            (*call, "code", "rejected"),
            self._requests,
        )
        yield self._histogram((*call, "rejected"))
        yield _counter(
            "webhook_rejection_count",
            "Requests that admission webhooks, or failing to call them, refused.",
            (*call, "error_type", "rejection_code"),
            self._rejections,
        )
        yield _counter(
            "webhook_fail_open_count",
            "Calls of admission webhooks that failed and were passed over.",
            ("name", "type"),
            self._open,
        )
        condition = ("name", "kind", "type", "operation")
        yield _counter(
            "match_condition_exclusions_total",
            "Requests that a match condition left out.",
            condition,
            self._excluded,
        )
        yield _counter(
            "match_condition_evaluation_errors_total",
            "Match conditions that could not be evaluated.",
            condition,
            self._faults,
        )

    def _histogram(self, names: tuple[str, ...]) -> Family:
        samples: list[tuple[str, Labels, float]] = []
        for key, row in self._durations.items():
            labels, total = dict(zip(names, key, strict=True)), 0.0
            for bound, count in zip((*map(_bound, BOUNDS), "+Inf"), row[:-1], strict=True):
                total += count
                samples.append(("_bucket", {**labels, "le": bound}, total))
            samples += [("_sum", labels, row[-1]), ("_count", labels, total)]
        return (
            "apiserver_admission_webhook_admission_duration_seconds",
            "histogram",
            "How long calls of admission webhooks took, in seconds.",
            samples,
        )


def _bound(value: float) -> str:
    return f"{value:g}"


def _counter(name: str, text: str, names: tuple[str, ...], values: Counter[tuple[str, ...]]) -> Family:
    samples = [("", dict(zip(names, key, strict=True)), float(n)) for key, n in values.items()]
    return f"apiserver_admission_{name}", "counter", text, samples
