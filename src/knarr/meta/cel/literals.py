"""What a checked expression says that can never work: durations, times, patterns and formats that are written out."""

from __future__ import annotations

from collections.abc import Callable

from knarr.meta import goregexp
from knarr.meta.cel.library import formatting
from knarr.meta.cel.library.times import parse_duration, parse_timestamp
from knarr.meta.cel.syntax import Call, Const, Expr, ListExpr, nodes
from knarr.meta.cel.values import CelError

_PARSERS: dict[str, Callable[[str], object]] = {
    "duration": parse_duration,
    "timestamp": parse_timestamp,
    "matches": goregexp.compile,
}


def faults(expr: Expr) -> list[tuple[Expr, str]]:
    """The places that are wrong, with what is."""
    found: list[tuple[Expr, str]] = []
    for node in nodes(expr):
        if not isinstance(node, Call) or not node.args:
            continue
        arg, text = node.args[0], _text(node.target)
        if node.function in _PARSERS and (written := _text(arg)) is not None:
            if not _parses(node.function, written):
                found.append((arg, f"invalid {node.function} argument"))
        elif node.function == "format" and text is not None and isinstance(arg, ListExpr):
            fault = formatting.static_fault(text, arg.elements)
            if fault is not None:
                found.append((fault[0] or node, fault[1]))
    return sorted(found, key=lambda fault: fault[0].offset)


def _text(expr: Expr | None) -> str | None:
    return expr.value if isinstance(expr, Const) and expr.value.__class__ is str else None


def _parses(function: str, text: str) -> bool:
    try:
        _PARSERS[function](text)
    except (ValueError, CelError):
        return False
    return True
