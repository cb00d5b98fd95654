"""What /metrics tells of policies, under kube-apiserver's names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

#: upper bounds of the histograms, seconds
BOUNDS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
NO_ERROR = "no_error"

Labels = dict[str, str]
#: name, type, help, samples of (suffix, labels, value)
Family = tuple[str, str, str, list[tuple[str, Labels, float]]]


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
        self._subsystem = subsystem
        self._names = ("policy", "policy_binding", "error_type", *names)
        self._rows: dict[tuple[str, ...], list[float]] = {}

    def check(self, seconds: float, *labels: str) -> None:
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = [0.0] * (len(BOUNDS) + 2)
        row[bisect_left(BOUNDS, seconds)] += 1
        row[-1] += seconds

    def families(self) -> Iterator[Family]:
        """None before the first check."""
        if not self._rows:
            return
        rows = [(dict(zip(self._names, key, strict=True)), row) for key, row in self._rows.items()]
        checks = [("", labels, sum(row[:-1])) for labels, row in rows]
        prefix = f"apiserver_{self._subsystem}_check"
        yield f"{prefix}_total", "counter", "Checks by admission policies.", checks
        samples: list[tuple[str, Labels, float]] = []
        for labels, row in rows:
            total = 0.0
            for bound, count in zip((*(f"{b:g}" for b in BOUNDS), "+Inf"), row[:-1], strict=True):
                total += count
                samples.append(("_bucket", {**labels, "le": bound}, total))
            samples += [("_sum", labels, row[-1]), ("_count", labels, total)]
        words = "How long checks by admission policies took, in seconds."
        yield f"{prefix}_duration_seconds", "histogram", words, samples
