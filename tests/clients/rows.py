"""Tests of kubectl as rows of what is typed and what is answered."""

from __future__ import annotations

import re
import shlex

from .conftest import Kubectl


def play(kubectl: Kubectl, script: str) -> None:
    """Rows of `arguments -> pattern`, or `! arguments -> pattern` for what must fail; `NS` is the namespace."""
    for row in script.strip().splitlines():
        command, _, pattern = row.strip().partition(" -> ")
        failing = command.startswith("! ")
        arguments = [
            word.replace("NS", kubectl.namespace) for word in shlex.split(command.removeprefix("! "))
        ]
        said = kubectl(*arguments, code=1 if failing else 0)
        assert re.search(pattern.replace("NS", kubectl.namespace), said, re.M), f"{row}\n{said}"
