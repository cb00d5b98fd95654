"""What the validation of one value found, in the order and with the words of kube-openapi's validator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.meta import fielderrors, gofmt
from knarr.meta.fielderrors import FieldError


class Finding(NamedTuple):
    """`kind` says which field error it becomes; `name` is the path inside the value, None for general messages."""

    kind: str
    name: str | None
    value: Any = None
    valid: Any = None
    text: str = ""


class Result:
    """Findings, each once, and how many checks matched: anyOf and oneOf show the closest alternative's."""

    __slots__ = ("findings", "matches")

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.matches = 0

    @property
    def valid(self) -> bool:
        return not self.findings

    def add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)

    def merge(self, other: Result) -> None:
        for finding in other.findings:
            self.add(finding)
        self.matches += other.matches


def field_errors(findings: Iterable[Finding], path: str) -> list[FieldError]:
    """Findings as field errors below `path` ("" is the root, where general messages have the field `<nil>`)."""
    return [_field_error(finding, path) for finding in findings]


def _field_error(finding: Finding, path: str) -> FieldError:
    kind, name, value, valid, text = finding
    where = path
    if name is not None:
        tail = name.removeprefix(".")
        where = f"{path}.{tail}" if path and tail else path or tail
    where = where or "<nil>"
    if kind == "required":
        return fielderrors.required(where)
    if kind == "enum":
        shown = [v if isinstance(v, str) else gofmt.go_json(v) for v in valid]
        return fielderrors.not_supported(where, value, shown)
    if kind == "too_long":
        return fielderrors.too_long(where, valid)
    if kind == "too_many":
        return fielderrors.too_many(where, value, valid)
    if kind == "type":
        return fielderrors.type_invalid(where, "" if value is None else value, text)
    return fielderrors.invalid(where, "" if value is None else value, text)
