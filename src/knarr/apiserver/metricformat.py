"""Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

Labels = dict[str, str]
#: suffix of the name, labels, value
Sample = tuple[str, Labels, float]


class Family(NamedTuple):
    """One metric: `samples` are (suffix of the name, labels, value)."""

    name: str
    type: str
    help: str
    samples: list[Sample]


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


def lines(families: Iterable[Family]) -> Iterator[str]:
    """Families in alphabetical order, labels too, but for a bucket's bound, which is last."""
    for family in sorted(families, key=lambda f: f.name):
        if not family.samples:
            continue
        yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.type}\n"
        for suffix, labels, value in family.samples:
            ordered = sorted(labels.items(), key=lambda item: (item[0] == "le", item[0]))
            shown = ",".join(f'{name}="{escape(text)}"' for name, text in ordered)
            braces = f"{{{shown}}}" if shown else ""
            yield f"{family.name}{suffix}{braces} {number(value)}\n"


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
