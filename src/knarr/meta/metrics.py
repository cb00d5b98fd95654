"""What parts count for /metrics: families of numbers, told apart by labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from knarr.meta.gofmt import go_float
from knarr.meta.histogram import Histogram

Labels = dict[str, str]
#: suffix of the name, labels, value
Sample = tuple[str, Labels, float]
#: upper bounds of many durations: a millisecond and its doubles
DOUBLING = tuple(0.001 * 2**i for i in range(15))


class Family(NamedTuple):
    """One metric: `samples` are (suffix of the name, labels, value)."""

    name: str
    type: str
    help: str
    samples: list[Sample]


class Counters:
    """How often something happened, by the values of `labels`."""

    __slots__ = ("_help", "_labels", "_name", "values")

    def __init__(self, name: str, help_: str, *labels: str) -> None:
        self._name, self._help, self._labels = name, help_, labels
        self.values: Counter[tuple[str, ...]] = Counter()
        if not labels:
            self.values[()] = 0  # without labels there is one number from the start

    def add(self, *values: str, by: float = 1) -> None:
        """`values` are those of the labels, in their order."""
        self.values[values] += by  # type: ignore[assignment]

    def family(self) -> Family:
        samples: list[Sample] = [
            ("", dict(zip(self._labels, key, strict=True)), n) for key, n in self.values.items()
        ]
        return Family(self._name, "counter", self._help, samples)


class Histograms:
    """How values were distributed, by the values of `labels`."""

    __slots__ = ("_bounds", "_help", "_labels", "_name", "rows")

    def __init__(self, name: str, help_: str, bounds: tuple[float, ...], *labels: str) -> None:
        self._name, self._help, self._bounds, self._labels = name, help_, bounds, labels
        self.rows: dict[tuple[str, ...], Histogram] = {}
        if not labels:
            self.row()

    def row(self, *values: str) -> Histogram:
        """Where values of these labels are observed; for who observes many, to keep."""
        row = self.rows.get(values)
        if row is None:
            row = self.rows[values] = Histogram(self._bounds)
        return row

    def observe(self, value: float, *values: str) -> None:
        self.row(*values).observe(value)

    def family(self) -> Family:
        samples = [
            sample
            for key, row in self.rows.items()
            if row.count or not key
            for sample in buckets(
                dict(zip(self._labels, key, strict=True)), row.bounds, row.buckets, row.total, row.count
            )
        ]
        return Family(self._name, "histogram", self._help, samples)


def buckets(
    labels: Labels, bounds: Sequence[float], counts: Sequence[int], total: float, count: int
) -> Iterator[Sample]:
    """The samples of a histogram; `counts` has one more entry than there are bounds."""
    below = 0
    for bound, number_in in zip((*bounds, None), counts, strict=True):
        below += number_in
        yield "_bucket", {**labels, "le": "+Inf" if bound is None else number(bound)}, below
    yield "_sum", labels, total
    yield "_count", labels, count


def number(value: float) -> str:
    """As Go writes it; most are small counts, which need no looking at their digits."""
    if value == (whole := int(value) if abs(value) < 1e6 else None):
        return str(whole)
    return go_float(float(value))
