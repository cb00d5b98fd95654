"""Field selectors: `metadata.name=a,status.phase!=Running` (apimachinery's fields package).

Which fields a kind knows is the registry's matter; here a selector is only read and matched. A field that an
object lacks counts as empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

_SPECIAL = re.compile(r"[\\,=]")
_OPERATOR = re.compile("!=|==|=")
#: a comma that no backslash guards
_TERM = re.compile(r"(?:\\.|[^\\,])*\\?", re.DOTALL)


class Requirement(NamedTuple):
    """`operator` is `=` or `!=`."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{escape(self.value)}"


class FieldSelector:
    """All of its requirements must hold."""

    __slots__ = ("matches", "requirements")
    matches: Callable[[Mapping[str, str]], bool]

    def __init__(self, requirements: tuple[Requirement, ...] = ()) -> None:
        self.requirements = requirements
        self.matches = _compile(requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements

    def exact(self, field: str) -> str | None:
        """The one value the field must have; None when the selector leaves it open."""
        for requirement in self.requirements:
            if requirement.field == field and requirement.operator == "=":
                return requirement.value
        return None

    def transform(self, change: Callable[[str, str], tuple[str, str]]) -> FieldSelector:
        """Each field and value put through `change`, which may rename a field or raise ValueError."""
        changed = []
        for requirement in self.requirements:
            field, value = change(requirement.field, requirement.value)
            if field or value:  # a requirement turned into nothing is left out, as in Go
                changed.append(Requirement(field, requirement.operator, value))
        return FieldSelector(tuple(changed))

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __repr__(self) -> str:
        return f"FieldSelector({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSelector) and self.requirements == other.requirements

    def __hash__(self) -> int:
        return hash(self.requirements)


def _compile(requirements: tuple[Requirement, ...]) -> Callable[[Mapping[str, str]], bool]:
    if not requirements:
        return lambda fields: True
    if len(requirements) == 1:
        ((field, operator, wanted),) = requirements
        if operator == "=":
            return lambda fields: fields.get(field, "") == wanted
        return lambda fields: fields.get(field, "") != wanted
    equal = tuple((r.field, r.value) for r in requirements if r.operator == "=")
    different = tuple((r.field, r.value) for r in requirements if r.operator != "=")

    def matches(fields: Mapping[str, str]) -> bool:
        for field, value in equal:
            if fields.get(field, "") != value:
                return False
        for field, value in different:  # noqa: SIM110 (a generator would cost more than the checks)
            if fields.get(field, "") == value:
                return False
        return True

    return matches


def everything() -> FieldSelector:
    return _EVERYTHING


def escape(value: str) -> str:
    """A value as it stands in a selector."""
    return _SPECIAL.sub(r"\\\g<0>", value)


def unescape(text: str) -> str:
    """The value a selector's text means. ValueError has Kubernetes' message."""
    if not _SPECIAL.search(text):
        return text
    value, guarded = [], False
    for letter in text:
        if guarded:
            if letter not in "\\,=":
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{letter}")
            value.append(letter)
            guarded = False
        elif letter == "\\":
            guarded = True
        elif letter in ",=":
            # Go prints the number of the rune here
            raise ValueError(f"invalid field selector: unescaped character in value: {ord(letter)}")
        else:
            value.append(letter)
    if guarded:
        raise ValueError("invalid field selector: invalid escape sequence: \\")
    return "".join(value)


def _terms(text: str) -> list[str]:
    terms, at = [], 0
    while True:
        match = _TERM.match(text, at)
        assert match
        terms.append(match[0])
        if match.end() >= len(text):
            return terms
        at = match.end() + 1


@lru_cache(maxsize=4096)
def parse(text: str) -> FieldSelector:
    """ValueError has Kubernetes' message."""
    requirements = []
    # Kubernetes sorts the terms, so the first complaint is about the first in that order.
    for term in sorted(_terms(text), key=lambda t: t.encode("utf-8", "surrogatepass")):
        if not term:
            continue
        operator = _OPERATOR.search(term)
        if not operator:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
        value = unescape(term[operator.end() :])
        requirements.append(
            Requirement(term[: operator.start()], "!=" if operator[0] == "!=" else "=", value)
        )
    return FieldSelector(tuple(requirements))


_EVERYTHING = FieldSelector()
