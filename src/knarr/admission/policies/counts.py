"""What /metrics tells of policies, under kube-apiserver's names."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.meta.metrics import Counters, Family, Histograms

#: upper bounds of the histograms, seconds
BOUNDS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
NO_ERROR = "no_error"


def error_type(message: str) -> str:
    """How the metrics call the error that a message tells of."""
    if message.startswith("compilation"):
        return "compile_error"
    if message.startswith("validation failed due to running out of cost budget"):
        return "out_of_budget"
    return "invalid_error"


class Counts:
    """Counts checks by their labels; `subsystem` is validating_admission_policy or mutating_admission_policy."""

    def __init__(self, subsystem: str, *names: str) -> None:
        prefix = f"apiserver_{subsystem}_check"
        labels = ("policy", "policy_binding", "error_type", *names)
        self._total = Counters(f"{prefix}_total", "Checks by admission policies.", *labels)
        self._durations = Histograms(
            f"{prefix}_duration_seconds",
            "How long checks by admission policies took, in seconds.",
            BOUNDS,
            *labels,
        )

    def check(self, seconds: float, *labels: str) -> None:
        self._total.add(*labels)
        self._durations.observe(seconds, *labels)

    def families(self) -> Iterator[Family]:
        yield self._total.family()
        yield self._durations.family()
