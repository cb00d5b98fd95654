"""Label selectors: `env in (prod,dev),tier!=db,!legacy` and their structured form (apimachinery's labels package)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from knarr.meta import fielderrors
from knarr.meta.fielderrors import FieldError
from knarr.meta.names import is_label_value, is_qualified_name

Labels = Mapping[str, str]

IN, NOT_IN, EXISTS, NOT_EXISTS = "in", "notin", "exists", "!"
EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS = "=", "==", "!=", "gt", "lt"
#: as messages list them
_BINARY_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_OPERATORS = (IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS, EXISTS, NOT_EXISTS)
_INTEGER = re.compile("[+-]?[0-9]+").fullmatch


def _integer(text: str) -> int | None:
    """A number that fits 64 bits, as Go's ParseInt reads it."""
    if not _INTEGER(text) or len(text) > 4000:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


class Requirement:
    """One condition; `values` are sorted."""

    __slots__ = ("key", "matches", "operator", "values")
    matches: Callable[[Labels], bool]

    def __init__(self, key: str, operator: str, values: Iterable[str] = ()) -> None:
        """Takes what has been validated; `requirement` is the way in for others."""
        self.key = key
        self.operator = operator
        self.values = tuple(sorted(set(values)))
        self.matches = _COMPILERS[operator](key, self.values)

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == NOT_EXISTS:
            return f"!{self.key}"
        values = ",".join(self.values)
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({values})"
        return f"{self.key}{_SIGNS.get(self.operator, self.operator)}{values}"

    def _identity(self) -> tuple[str, str, tuple[str, ...]]:
        return self.key, self.operator, self.values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requirement) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"Requirement({str(self)!r})"


_SIGNS = {GREATER: ">", LESS: "<"}


def _compile_in(key: str, values: tuple[str, ...]) -> Callable[[Labels], bool]:
    if len(values) == 1:
        return _compile_equals(key, values)
    allowed = frozenset(values)
    return lambda labels: labels.get(key) in allowed


def _compile_equals(key: str, values: tuple[str, ...]) -> Callable[[Labels], bool]:
    (wanted,) = values
    return lambda labels: labels.get(key) == wanted


def _compile_not_in(key: str, values: tuple[str, ...]) -> Callable[[Labels], bool]:
    if len(values) == 1:
        (unwanted,) = values
        return lambda labels: labels.get(key) != unwanted
    refused = frozenset(values)
    return lambda labels: labels.get(key) not in refused


def _compile_than(above: bool) -> Callable[[str, tuple[str, ...]], Callable[[Labels], bool]]:
    def compiled(key: str, values: tuple[str, ...]) -> Callable[[Labels], bool]:
        limit = int(values[0])

        def matches(labels: Labels) -> bool:
            number = _integer(labels.get(key, ""))
            return number is not None and (number > limit if above else number < limit)

        return matches

    return compiled


_COMPILERS: dict[str, Callable[[str, tuple[str, ...]], Callable[[Labels], bool]]] = {
    IN: _compile_in,
    EQUALS: _compile_equals,
    DOUBLE_EQUALS: _compile_equals,
    NOT_IN: _compile_not_in,
    NOT_EQUALS: _compile_not_in,
    EXISTS: lambda key, values: lambda labels: key in labels,
    NOT_EXISTS: lambda key, values: lambda labels: key not in labels,
    GREATER: _compile_than(above=True),
    LESS: _compile_than(above=False),
}


class Selector:
    """All of its requirements must hold; `requirements` is None for the selector of nothing."""

    __slots__ = ("matches", "requirements")
    matches: Callable[[Labels], bool]

    def __init__(self, requirements: Iterable[Requirement] | None) -> None:
        self.requirements: tuple[Requirement, ...] | None = None
        if requirements is not None:
            self.requirements = tuple(sorted(requirements, key=lambda r: r.key))
        self.matches = _compile_all(self.requirements)

    @property
    def empty(self) -> bool:
        """Does it select everything?"""
        return self.requirements == ()

    @property
    def selects_nothing(self) -> bool:
        return self.requirements is None

    def exact(self, key: str) -> str | None:
        """The one value the label must have; None when the selector leaves it open."""
        for requirement in self.requirements or ():
            if requirement.key == key and requirement.operator in (IN, EQUALS, DOUBLE_EQUALS):
                if len(requirement.values) == 1:
                    return requirement.values[0]
        return None

    def add(self, *requirements: Requirement) -> Selector:
        return self if self.requirements is None else Selector((*self.requirements, *requirements))

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements or ()))

    def __repr__(self) -> str:
        return "Selector(nothing)" if self.requirements is None else f"Selector({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.requirements == other.requirements

    def __hash__(self) -> int:
        return hash(self.requirements)


def _compile_all(requirements: tuple[Requirement, ...] | None) -> Callable[[Labels], bool]:
    if requirements is None:
        return lambda labels: False
    if not requirements:
        return lambda labels: True
    if len(requirements) == 1:
        return requirements[0].matches
    if all(r.operator in (EQUALS, DOUBLE_EQUALS) for r in requirements):
        wanted = tuple((r.key, r.values[0]) for r in requirements)

        def matches_all_equal(labels: Labels) -> bool:
            for key, value in wanted:  # noqa: SIM110 (a generator would cost more than the checks)
                if labels.get(key) != value:
                    return False
            return True

        return matches_all_equal
    checks = tuple(r.matches for r in requirements)

    def matches(labels: Labels) -> bool:
        for check in checks:  # noqa: SIM110
            if not check(labels):
                return False
        return True

    return matches


_EVERYTHING = Selector(())
_NOTHING = Selector(None)


def everything() -> Selector:
    return _EVERYTHING


def nothing() -> Selector:
    return _NOTHING


def from_set(labels: Labels | None) -> Selector:
    """Equality with every label given; an empty set selects everything."""
    if not labels:
        return _EVERYTHING
    return Selector(Requirement(key, EQUALS, (value,)) for key, value in labels.items())


# validated requirements


def _key_error(key: str, path: str) -> FieldError | None:
    wrong = is_qualified_name(key)
    return fielderrors.invalid(path, key, "; ".join(wrong)) if wrong else None


def requirement(key: str, operator: str, values: Sequence[str], path: str = "") -> Requirement:
    """A requirement that has been checked. ValueError has Kubernetes' message."""
    child = f"{path}." if path else ""
    values_path = f"{child}values"
    errors: list[FieldError] = []
    if error := _key_error(key, f"{child}key"):
        errors.append(error)
    if operator in (IN, NOT_IN):
        if not values:
            errors.append(
                fielderrors.invalid(
                    values_path, list(values), "for 'in', 'notin' operators, values set can't be empty"
                )
            )
    elif operator in (EQUALS, DOUBLE_EQUALS, NOT_EQUALS):
        if len(values) != 1:
            errors.append(
                fielderrors.invalid(
                    values_path, list(values), "exact-match compatibility requires one single value"
                )
            )
    elif operator in (EXISTS, NOT_EXISTS):
        if values:
            errors.append(
                fielderrors.invalid(
                    values_path, list(values), "values set must be empty for exists and does not exist"
                )
            )
    elif operator in (GREATER, LESS):
        if len(values) != 1:
            errors.append(
                fielderrors.invalid(
                    values_path, list(values), "for 'Gt', 'Lt' operators, exactly one value is required"
                )
            )
        for index, value in enumerate(values):
            if _integer(value) is None:
                errors.append(
                    fielderrors.invalid(
                        f"{values_path}[{index}]",
                        value,
                        "for 'Gt', 'Lt' operators, the value must be an integer",
                    )
                )
    else:
        errors.append(fielderrors.not_supported(f"{child}operator", operator, _OPERATORS))
    for index, value in enumerate(values):
        if wrong := is_label_value(value):
            errors.append(fielderrors.invalid(f"{values_path}[{index}][{key}]", value, "; ".join(wrong)))
    if errors:
        raise ValueError(fielderrors.aggregate(errors))
    return Requirement(key, operator, values)


# the text form

_SYMBOLS = re.compile(r"[ \t\r\n]*(?:(!=|==|[=!(),<>])|([^ \t\r\n=!(),<>\x00]+)|(\x00|$))")
_END = ""
_OPERATOR_OF = {
    "in": IN,
    "notin": NOT_IN,
    "=": EQUALS,
    "==": DOUBLE_EQUALS,
    "!=": NOT_EQUALS,
    ">": GREATER,
    "<": LESS,
}


class _Parser:
    """One token of look-ahead; a token is (is it a word, its text), the end is (False, "")."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.position = 0

    def peek(self) -> tuple[bool, str]:
        return self.tokens[self.position]

    def take(self) -> tuple[bool, str]:
        self.position += 1
        return self.tokens[self.position - 1]

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            word, text = self.peek()
            if not word and text == _END:
                return found
            if not word and text != "!":
                raise ValueError(f"found '{text}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self.requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            word, text = self.take()
            if not word and text == _END:
                return found
            if word or text != ",":
                raise ValueError(f"found '{text}', expected: ',' or 'end of string'")
            word, text = self.peek()
            if not word and text != "!":
                raise ValueError(f"found '{text}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        word, key = self.take()
        negated = not word and key == "!"
        if negated:
            word, key = self.take()
        if not word:
            raise ValueError(f"found '{key}', expected: identifier")
        # Go has no path at this point and prints that.
        if error := _key_error(key, "<nil>"):
            raise ValueError(str(error))
        if negated:
            return requirement(key, NOT_EXISTS, ())
        word, text = self.peek()
        if not word and text in (_END, ","):
            return requirement(key, EXISTS, ())
        word, text = self.take()
        operator = _OPERATOR_OF.get(text)
        if operator is None:
            raise ValueError(f"found '{text}', expected: {_BINARY_OPERATORS}")
        values = self.value_set() if operator in (IN, NOT_IN) else self.exact_value()
        return requirement(key, operator, sorted(values))

    def exact_value(self) -> set[str]:
        word, text = self.peek()
        if not word and text in (_END, ","):
            return {""}
        self.take()
        if not word:
            raise ValueError(f"found '{text}', expected: identifier")
        return {text}

    def value_set(self) -> set[str]:
        word, text = self.take()
        if word or text != "(":
            raise ValueError(f"found '{text}' expected: '('")
        word, text = self.peek()
        if not word and text == ")":
            self.take()
            return {""}
        if not word and text != ",":
            raise ValueError(f"found '{text}', expected: ',', ')' or identifier")
        values = self.identifiers()
        self.take()  # identifiers stops before the closing parenthesis only
        return values

    def identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            word, text = self.take()
            following = self.tokens[min(self.position, len(self.tokens) - 1)]
            if word:
                values.add(text)
                if following == (False, ","):
                    continue
                if following == (False, ")"):
                    return values
                raise ValueError(f"found '{following[1]}', expected: ',' or ')'")
            if text != ",":
                raise ValueError(f"found '{text}', expected: ',', or identifier")
            if not values:
                values.add("")
            if following == (False, ")"):
                values.add("")
                return values
            if following == (False, ","):
                self.take()
                values.add("")


def _tokens(text: str) -> Iterable[tuple[bool, str]]:
    at = 0
    while True:
        match = _SYMBOLS.match(text, at)
        assert match
        if match[1]:
            yield False, match[1]
        elif match[2]:
            yield True, match[2]
        else:
            yield False, _END
            return
        at = match.end()


@lru_cache(maxsize=4096)
def parse(text: str) -> Selector:
    """The selector a query names. ValueError has Kubernetes' message."""
    return Selector(_Parser(text).requirements()) if text else _EVERYTHING


# the structured form

_STRUCTURED = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": NOT_EXISTS}


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """matchLabels and matchExpressions: None selects nothing, an empty one everything.

    ValueError has Kubernetes' message.
    """
    if selector is None:
        return _NOTHING
    found = [requirement(key, EQUALS, (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _STRUCTURED.get(expression.get("operator") or "")
        if operator is None:
            raise ValueError(f'"{expression.get("operator") or ""}" is not a valid label selector operator')
        found.append(requirement(expression.get("key") or "", operator, expression.get("values") or ()))
    return Selector(found) if found else _EVERYTHING


def format_label_selector(selector: Mapping[str, Any] | None) -> str:
    """As a table shows it: `<none>` for no conditions, `<error>` for a bad one."""
    try:
        return str(from_label_selector(selector)) or "<none>"
    except ValueError:
        return "<error>"


# validation


def validate_label_name(key: str, path: str) -> list[FieldError]:
    return [fielderrors.invalid(path, key, message) for message in is_qualified_name(key)]


def validate_labels(labels: Labels | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in (labels or {}).items():
        errors += validate_label_name(key, path)
        errors += [fielderrors.invalid(path, value, message) for message in is_label_value(value)]
    return errors


def validate_label_selector(
    selector: Mapping[str, Any] | None,
    path: str,
    *,
    allow_invalid_values: bool = False,
    allow_unknown_operators: bool = False,
) -> list[FieldError]:
    """A selector inside an object; values that an old object already has may be let through."""
    if selector is None:
        return []
    errors = validate_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        errors += _validate_expression(
            expression, f"{path}.matchExpressions[{index}]", allow_invalid_values, allow_unknown_operators
        )
    return errors


def _validate_expression(
    expression: Mapping[str, Any], path: str, allow_invalid_values: bool, allow_unknown_operators: bool
) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = expression.get("operator") or "", expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(
                fielderrors.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            )
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.append(
                fielderrors.forbidden(
                    f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
            )
    elif not allow_unknown_operators:
        errors.append(fielderrors.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    errors += validate_label_name(expression.get("key") or "", f"{path}.key")
    if not allow_invalid_values:
        for index, value in enumerate(values):
            errors += [
                fielderrors.invalid(f"{path}.values[{index}]", value, message)
                for message in is_label_value(value)
            ]
    return errors
