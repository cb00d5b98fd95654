"""Applying a schema's rules to an object, and on update to what became of it."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.rules.celtypes import DeclType, declare
from knarr.api.apiextensions.rules.compile import OLD_SELF, SELF, Compiled, compile_rules
from knarr.api.apiextensions.schema.node import Node
from knarr.api.apiextensions.schema.ratcheting import ABSENT, key_of, same
from knarr.meta import fielderrors
from knarr.meta.cel.program import CostLimit
from knarr.meta.cel.values import NONE, CelError, NoSuchOverload, Optional
from knarr.meta.fielderrors import NO_VALUE, FieldError
from knarr.meta.gofmt import quote

#: what the rules of one object, and one call of a rule, may cost
BUDGET, CALL_MAX = 10_000_000, 1_000_000
MESSAGE_BYTES_MAX = 5 * 1024
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
MESSAGE_OUT_OF_BUDGET = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
MESSAGE_TOO_EXPENSIVE = (
    "no further validation rules will be run due to call cost exceeds limit for messageExpression: {}"
)


class Rules:
    """The rules of a schema. `root`: its objects are whole resources."""

    def __init__(self, node: Node, root: bool = True) -> None:
        self._root = _Place(node, root)

    def validate(self, obj: Any, old: Any, path: str = "") -> tuple[list[FieldError], list[str]]:
        """(errors, warnings); `old` is None on create."""
        run = _Run(old is not None)
        self._root.validate(run, path, obj, old, ABSENT if old is None else old, None)
        return run.errors, run.warnings


class _Run:
    """One validation: what it found and what it may still spend."""

    def __init__(self, updates: bool) -> None:
        self.errors: list[FieldError] = []
        self.warnings: list[str] = []
        self.budget = BUDGET
        self.updates = updates

    @property
    def over(self) -> bool:
        return self.budget < 0


class _Place:
    """The rules of one place of a schema and of the places below."""

    def __init__(self, node: Node, root: bool) -> None:
        self.node = node
        resource = root or node.embedded
        self.declared: DeclType | None = declare(node.schema, resource) if node.rules else None
        self.rules: list[Compiled] = (compile_rules(node.schema, resource) or []) if node.rules else []
        self.uses_old_self = any(rule.uses_old_self for rule in self.rules)
        below = {name: _Place(child, False) for name, child in node.properties.items()}
        self.properties = {name: place for name, place in below.items() if place.any}
        items = _Place(node.items, False) if node.items is not None else None
        self.items = items if items is not None and items.any else None
        additional = _Place(node.additional[1], False) if node.additional[1] is not None else None
        self.additional = additional if additional is not None and additional.any else None
        self.any: bool = bool(self.rules or self.properties or self.items or self.additional)

    def validate(self, run: _Run, path: str, value: Any, old: Any, before: Any, parent: Any) -> None:
        """`old`: what rules see as oldSelf, None for nothing. `before`: the value that is continued, ABSENT when it
        is not known, and then `parent`, (new, old) of the nearest one above that is."""
        if value is None:
            return
        if self.rules:
            self._rules(run, path, value, old, before, parent)
        if run.over:
            return
        if value.__class__ is list and self.items is not None:
            self._list(run, path, value, old, before, parent)
        elif value.__class__ is dict:
            self._object(run, path, value, old, before, parent)

    def _object(self, run: _Run, path: str, value: Any, old: Any, before: Any, parent: Any) -> None:
        olds = old if old.__class__ is dict else {}
        known = before.__class__ is dict
        above = (value, before) if before is not ABSENT else parent
        for key in sorted(value):
            place = self.properties.get(key)
            where = f"{path}.{key}" if path else key
            if place is None:
                if self.additional is None or key in self.node.properties:
                    continue
                place, where = self.additional, f"{path}[{key}]"
            continued = before.get(key, ABSENT) if known else ABSENT
            place.validate(run, where, value[key], olds.get(key), continued, above)
            if run.over:
                return

    def _list(self, run: _Run, path: str, value: Any, old: Any, before: Any, parent: Any) -> None:
        assert self.items is not None
        keys = self.node.list_keys if self.node.list_type == "map" else None
        olds = {key_of(item, keys): item for item in reversed(old)} if keys and old.__class__ is list else {}
        above = (value, before) if before is not ABSENT else parent
        for index, item in enumerate(value):
            continued = olds.get(key_of(item, keys)) if keys else None
            known = ABSENT if continued is None or before is ABSENT else continued
            self.items.validate(run, f"{path}[{index}]", item, continued, known, above)
            if run.over:
                return

    # -- rules of this place ------------------------------------------------------------------------------

    def _rules(self, run: _Run, path: str, value: Any, old: Any, before: Any, parent: Any) -> None:
        assert self.declared is not None
        convert = self.declared.convert
        if run.budget <= 0:
            run.errors.append(fielderrors.invalid(path or "<nil>", self.node.type, OUT_OF_BUDGET))
            run.budget = -1
            return
        try:
            cel = value if convert is None else convert(value)
            cel_old = None if old is None else old if convert is None else convert(old)
        except CelError as error:
            run.errors.append(fielderrors.invalid(path or "<nil>", self.node.type, str(error)))
            return
        for compiled in self.rules:
            self._rule(run, path, value, compiled, cel, cel_old, old is not None, before, parent)
            if run.over:
                return

    def _rule(
        self,
        run: _Run,
        path: str,
        value: Any,
        compiled: Compiled,
        cel: Any,
        cel_old: Any,
        has_old: bool,
        before: Any,
        parent: Any,
    ) -> None:
        where, kind = path or "<nil>", self.node.type
        if compiled.error:
            run.errors.append(fielderrors.invalid(where, kind, f"rule compile error: {compiled.error}"))
            return
        if compiled.expression is None:
            return
        optional = bool(compiled.rule.get("optionalOldSelf"))
        if compiled.uses_old_self and not has_old and not optional:
            return
        plain = {SELF: cel, OLD_SELF: cel_old} if has_old and self.uses_old_self else {SELF: cel}
        variables = plain
        if optional and self.uses_old_self:
            variables = {SELF: cel, OLD_SELF: Optional(cel_old) if has_old else NONE}
        try:
            result, cost = compiled.expression.program.evaluate(variables, CALL_MAX)
        except CelError as error:
            if not self._pay(run, getattr(error, "cost", 0), where):
                return
            run.errors.append(fielderrors.invalid(where, kind, _failure(error, compiled.rule)))
            if isinstance(error, CostLimit):
                run.budget = -1
            return
        if not self._pay(run, cost, where):
            return
        if result is True:
            return
        broken = self._error(run, where, path, value, compiled, plain)
        if not compiled.uses_old_self and run.updates and _unchanged(value, before, parent):
            run.warnings.append(str(broken))
        else:
            run.errors.append(broken)

    def _pay(self, run: _Run, cost: int, where: str) -> bool:
        if cost > run.budget:
            run.errors.append(fielderrors.invalid(where, self.node.type, OUT_OF_BUDGET))
            run.budget = -1
            return False
        run.budget -= cost
        return True

    def _error(
        self, run: _Run, where: str, path: str, value: Any, compiled: Compiled, variables: dict[str, Any]
    ) -> FieldError:
        rule = compiled.rule
        if compiled.field_path:
            where = f"{path}.{compiled.field_path}" if path else compiled.field_path
        try:
            detail = _message(run, compiled, variables) or _default_message(rule)
        except _Overspent as error:
            return fielderrors.invalid(where, self.node.type, str(error))
        shown = NO_VALUE if self.node.type in ("object", "array") else value
        match rule.get("reason"):
            case "FieldValueForbidden":
                return fielderrors.forbidden(where, detail)
            case "FieldValueRequired":
                return fielderrors.required(where, detail)
            case "FieldValueDuplicate":
                return fielderrors.duplicate(where, shown)
        return fielderrors.invalid(where, shown, detail)


def _unchanged(value: Any, before: Any, parent: Any) -> bool:
    """The update left this value, or if it cannot be told which it was the nearest known above, as it was."""
    if before is not ABSENT:
        return same(value, before)
    return parent is not None and same(*parent)


def _rule_text(rule: dict[str, Any]) -> str:
    return (rule.get("message") or rule.get("rule", "")).strip()


def _default_message(rule: dict[str, Any]) -> str:
    return rule["message"].strip() if rule.get("message") else f"failed rule: {_rule_text(rule)}"


def _failure(error: CelError, rule: dict[str, Any]) -> str:
    text = str(error)
    if isinstance(error, NoSuchOverload):
        return (
            f"'{text}': call arguments did not match a supported operator, function or macro signature for rule:"
            f" {_rule_text(rule)}"
        )
    if isinstance(error, CostLimit):
        why = "no further validation rules will be run due to call cost exceeds limit for rule"
        return f"'{text}': {why}: {_rule_text(rule)}"
    return f"{text} evaluating rule: {_rule_text(rule)}"


class _Overspent(Exception):
    """A message was too expensive: nothing is evaluated any more."""


def _message(run: _Run, compiled: Compiled, variables: dict[str, Any]) -> str:
    """What messageExpression says; "" when it says nothing usable.

    It sees oldSelf as it is even where the rule sees an optional value, so there it mostly fails.
    """
    if compiled.message is None:
        return ""
    failure: CelError | None = None
    text, cost = "", 0
    try:
        text, cost = compiled.message.program.evaluate(variables, CALL_MAX)
    except CelError as error:
        failure, cost = error, getattr(error, "cost", 0)
    if cost > run.budget:
        run.budget = -1
        raise _Overspent(MESSAGE_OUT_OF_BUDGET)
    if isinstance(failure, CostLimit):
        run.budget = -1
        raise _Overspent(MESSAGE_TOO_EXPENSIVE.format(quote(compiled.rule["messageExpression"])))
    run.budget -= cost
    if failure is not None or text.__class__ is not str:
        return ""
    trimmed = text.strip()
    if len(trimmed.encode()) > MESSAGE_BYTES_MAX or "\n" in trimmed:
        return ""
    return trimmed
