"""The CEL expressions of configuration files: compiled once, with Kubernetes' messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from knarr.meta import fielderrors as field
from knarr.meta.fielderrors import FieldError

if TYPE_CHECKING:
    from knarr.meta.cel.environment import Environment, Expression
    from knarr.meta.cel.types import Type

#: what one evaluation may cost
COST_MAX = 1_000_000


class Compiled:
    """An expression with the text it was made of."""

    __slots__ = ("_expression", "text")

    def __init__(self, text: str, expression: Expression) -> None:
        self.text = text
        self._expression = expression

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """Raises CelError."""
        value, _ = self._expression.program.evaluate(variables, COST_MAX)
        return value

    def selects(self, variable: str, name: str) -> bool:
        """Whether `variable.name` (or `variable.?name`) stands in it somewhere."""
        return self._expression.selects(variable, name)


@cache
def claims_environment() -> Environment:
    """`claims`: what a token says, of any type."""
    from knarr.meta.cel.environment import Environment
    from knarr.meta.cel.types import DYN, STRING, map_of

    return Environment({"claims": map_of(STRING, DYN)})


@cache
def user_environment() -> Environment:
    """`user`: the UserInfo that the mappings made."""
    from knarr.meta.cel.environment import Environment
    from knarr.meta.cel.types import STRING, ObjectType, list_of, map_of

    texts = list_of(STRING)
    fields = {"username": STRING, "uid": STRING, "groups": texts, "extra": map_of(STRING, texts)}
    return Environment({"user": ("object", ObjectType("kubernetes.UserInfo", fields))})


@cache
def review_environment() -> Environment:
    """`request`: the spec of a SubjectAccessReview."""
    from knarr.meta.cel.environment import Environment
    from knarr.meta.cel.types import STRING, ObjectType, list_of, map_of

    def an_object(kind: str, /, **fields: Type) -> Type:
        return ("object", ObjectType(f"kubernetes.{kind}", fields))

    texts = list_of(STRING)
    requirement = an_object("SelectorRequirement", key=STRING, operator=STRING, values=texts)
    selectors = {
        name: an_object(kind, rawSelector=STRING, requirements=list_of(requirement))
        for name, kind in (
            ("fieldSelector", "FieldSelectorAttributes"),
            ("labelSelector", "LabelSelectorAttributes"),
        )
    }
    words = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
    spec = an_object(
        "SubjectAccessReviewSpec",
        resourceAttributes=an_object("ResourceAttributes", **dict.fromkeys(words, STRING), **selectors),
        nonResourceAttributes=an_object("NonResourceAttributes", path=STRING, verb=STRING),
        user=STRING,
        groups=texts,
        extra=map_of(STRING, texts),
        uid=STRING,
    )
    return Environment({"request": spec})


def compile_expression(
    environment: Environment, text: str, path: str, wanted: Sequence[Type] = (), told: bool = False
) -> tuple[Compiled | None, list[FieldError]]:
    """The expression, if its type is one of `wanted` (any, where that is empty), or what is wrong with it.

    `told`: the message says which type was found instead.
    """
    from knarr.meta.cel.environment import CompileError
    from knarr.meta.cel.types import show

    try:
        expression = environment.compile(text)
    except CompileError as error:
        return None, [field.invalid(path, text, f"compilation failed: {error}")]
    if wanted and expression.type not in wanted:
        found = f" but got {show(expression.type)}" if told else ""
        return None, [field.invalid(path, text, f"must evaluate to {show(wanted[0])}{found}")]
    return Compiled(text, expression), []
