"""What several kinds share when they are shown as a table row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knarr.api.kind import AGE, NAME
from knarr.meta import times

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"

#: the table of kinds that Kubernetes has no printer for: name and the raw creation time
PLAIN_TABLE = (NAME, AGE._replace(name="Created At", type="date"))


def plain_cells(obj: dict[str, Any]) -> list[Any]:
    metadata = obj["metadata"]
    return [metadata["name"], metadata.get("creationTimestamp")]


def age(obj: dict[str, Any], now: float) -> str:
    return times.age(obj["metadata"].get("creationTimestamp"), now)


def format_labels(labels: Mapping[str, str] | None) -> str:
    """`a=b,c=d`, or `<none>`."""
    return ",".join(f"{k}={v}" for k, v in sorted(labels.items())) if labels else NONE


def shorten(shown: Sequence[str], count: int, maximum: int, separator: str = ",") -> str:
    """At most `maximum` entries, and how many more there are of `count`."""
    text = separator.join(shown[:maximum])
    return f"{text} + {count - maximum} more..." if count > maximum else text
