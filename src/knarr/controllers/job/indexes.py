"""Sets of completion indexes as statuses write them: "0,2-5,7"."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

ANNOTATION = "batch.kubernetes.io/job-completion-index"


class Indexes(NamedTuple):
    """Sorted ranges (first, last), both included, none touching another."""

    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def total(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def has(self, index: int) -> bool:
        at = bisect_right(self.ranges, (index, 1 << 62)) - 1
        return at >= 0 and index <= self.ranges[at][1]

    def adding(self, indexes: Iterable[int]) -> Indexes:
        return merged([*self.ranges, *((index, index) for index in indexes)])

    def joined(self, other: Indexes) -> Indexes:
        return merged([*self.ranges, *other.ranges])

    def common(self, other: Indexes) -> int:
        """How many are in both."""
        return self.total + other.total - self.joined(other).total

    def gaps(self, end: int) -> Iterator[int]:
        """What is missing below `end`, in order."""
        start = 0
        for first, last in self.ranges:
            yield from range(start, min(first, end))
            start = last + 1
        yield from range(start, end)

    def __str__(self) -> str:
        return ",".join(_text(first, last) for first, last in self.ranges)


def _text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first}{',' if first + 1 == last else '-'}{last}"


def merged(ranges: Iterable[tuple[int, int]]) -> Indexes:
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return Indexes(tuple(result))


def parse(text: str | None, completions: int) -> Indexes:
    """What a status or a rule says, as far as it lies below `completions`; nonsense is skipped."""
    ranges = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (not last or last.isdecimal()) and int(first) < completions:
            ranges.append((int(first), min(int(last or first), completions - 1)))
    return merged(ranges)


def index_of(pod: Any) -> int | None:
    """Which completion a pod works on; None for a pod that has none or a senseless one."""
    text = pod.metadata.annotations.get(ANNOTATION, "")
    return int(text) if text.isdecimal() else None


def valid_index(job: Any, pod: Any) -> int | None:
    """`index_of`, if the job (still) has that completion."""
    index = index_of(pod)
    return index if index is not None and index < job.spec.completions else None
