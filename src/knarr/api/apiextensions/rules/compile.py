"""The rules of one place of a schema, compiled and priced."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions import fieldpath
from knarr.api.apiextensions.rules.celtypes import REQUEST_BYTES_MAX, DeclType, declare
from knarr.meta.cel import types
from knarr.meta.cel.environment import CompileError, Environment, Expression

Schema = dict[str, Any]
UINT64_MAX = (1 << 64) - 1
SELF, OLD_SELF = "self", "oldSelf"


class Compiled:
    """One rule. `error` and `message_error` say why an expression is no good."""

    __slots__ = (
        "count_max",
        "error",
        "expression",
        "field_path",
        "max_cost",
        "message",
        "message_cost",
        "message_error",
        "rule",
        "uses_old_self",
    )

    def __init__(self, rule: dict[str, Any], count_max: int) -> None:
        self.rule, self.count_max = rule, count_max
        self.error = self.message_error = self.field_path = ""
        self.expression: Expression | None = None
        self.message: Expression | None = None
        self.max_cost = self.message_cost = 0
        self.uses_old_self = False

    @property
    def has_message(self) -> bool:
        return self.message is not None

    def cost_of_rule(self, place: Any) -> int:
        """What the rule can cost in a whole object, however often its place occurs there."""
        count = self.count_max if place.count is None else place.count
        return min(self.max_cost * count, UINT64_MAX)


def compile_rules(schema: Schema, root: bool) -> list[Compiled] | None:
    """The rules of a schema, None where it has no type that rules can see; `root`: it is that of a whole resource."""
    declared = declare(schema, root)
    if declared is None:
        return None
    rules = schema.get("x-kubernetes-validations") or []
    return [_compile(schema, declared, rule) for rule in rules]


def _compile(schema: Schema, declared: DeclType, rule: dict[str, Any]) -> Compiled:
    found = Compiled(rule, REQUEST_BYTES_MAX // (declared.shortest + 1))
    text = rule.get("rule", "")
    if not text.strip():
        return found
    old = types.optional_of(declared.type) if rule.get("optionalOldSelf") else declared.type
    environment = Environment({SELF: declared.type, OLD_SELF: old})

    def size_at(path: tuple[str, ...]) -> int | None:
        return declared.size_at(path[1:])

    try:
        expression = environment.compile(text)
    except CompileError as error:
        found.error = f"compilation failed: {error}"
        return found
    if expression.type != types.BOOL:
        found.error = "cel expression must evaluate to a bool"
        return found
    found.expression = expression
    found.uses_old_self = OLD_SELF in expression.names
    found.max_cost = expression.cost(size_at).most
    if rule.get("messageExpression"):
        _compile_message(found, environment, rule["messageExpression"], size_at)
    if rule.get("fieldPath"):
        try:
            found.field_path = fieldpath.resolve(rule["fieldPath"], schema)[0]
        except ValueError:
            found.field_path = ""
    return found


def _compile_message(found: Compiled, environment: Environment, text: str, size_at: Any) -> None:
    try:
        message = environment.compile(text)
    except CompileError as error:
        found.message_error = f"messageExpression compilation failed: {error}"
        return
    if message.type != types.STRING:
        found.message_error = "messageExpression must evaluate to a string"
        return
    found.message = message
    found.message_cost = message.cost(size_at).most
