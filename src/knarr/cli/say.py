"""What the command prints and how: results on stdout, everything else on stderr, colour only for people."""

from __future__ import annotations

import os
import sys
from typing import TextIO

BOLD, DIM, GREEN, YELLOW = "1", "2", "32", "33"


class Failure(Exception):
    """Ends the command with one sentence on stderr and exit code `code`."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.text, self.code = text, code


def out(text: str = "") -> None:
    print(text, flush=True)


def note(text: str = "") -> None:
    print(text, file=sys.stderr, flush=True)


def warning(text: str) -> None:
    note(f"{paint('Warning:', YELLOW, sys.stderr)} {text}")


def error(text: str) -> None:
    prefix = "" if text.startswith("Error from server") else "error: "
    note(f"{prefix}{text}")


def step(what: str, detail: str = "") -> None:
    """One thing that is done."""
    out(f"  {paint('✓', GREEN)} {what:<16} {paint(detail, DIM)}".rstrip())


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a colour or weight where a person looks at it."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def forget_stdout() -> None:
    """Nobody reads what we print any more: keep the interpreter's last flush from complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
