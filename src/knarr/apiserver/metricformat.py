"""Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.meta.metrics import Family, number

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


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
