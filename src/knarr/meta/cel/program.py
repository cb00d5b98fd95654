"""A checked expression as a function. Evaluation counts its cost and stops at a limit, as in Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from knarr.meta.cel.functions import Overload, choose
from knarr.meta.cel.library.standard import find_key
from knarr.meta.cel.prices import LIST_BASE, MAP_BASE, PRICES, STRUCT_BASE
from knarr.meta.cel.syntax import Call, Comprehension, Const, Expr, Ident, ListExpr, MapExpr, Select
from knarr.meta.cel.types import TYPE_NAMES_OF_VALUES as TYPE_NAMES
from knarr.meta.cel.types import Type
from knarr.meta.cel.values import (
    NONE,
    CelError,
    DefaultMap,
    Fields,
    NoSuchOverload,
    Optional,
    Struct,
    TypeValue,
)

LIMIT = "operation cancelled: actual cost limit exceeded"


class Frame:
    """One evaluation: its variables and what it has cost so far."""

    __slots__ = ("cost", "limit", "variables")

    def __init__(self, variables: dict[str, Any], limit: int) -> None:
        self.variables, self.limit, self.cost = variables, limit, 0

    def spend(self, cost: int) -> None:
        self.cost += cost
        if self.cost > self.limit:
            raise CostLimit


class CostLimit(CelError):
    """The expression may cost no more: whoever pays for several stops with it."""

    def __init__(self) -> None:
        super().__init__(LIMIT)


Step = Callable[[Frame], Any]


class Program:
    """Evaluates one expression. `result_type` is the checker's."""

    def __init__(self, expr: Expr) -> None:
        self.result_type: Type = expr.type
        self._run = _compile(expr)

    def evaluate(self, variables: Mapping[str, Any], limit: int) -> tuple[Any, int]:
        """(value, cost). Raises CelError, with the cost so far as `error.cost`."""
        frame = Frame(dict(variables), limit)
        try:
            return self._run(frame), frame.cost
        except CelError as error:
            error.cost = frame.cost  # type: ignore[attr-defined]
            raise
        except RecursionError:
            raise CelError("expression recursion limit exceeded") from None


def _compile(e: Expr) -> Step:
    return _COMPILERS[e.__class__](e)


def _const(e: Const) -> Step:
    value = e.value
    return lambda frame: value


def _ident(e: Ident) -> Step:
    name = e.name
    known = TYPE_NAMES.get(name)

    def step(frame: Frame) -> Any:
        frame.spend(1)
        try:
            return frame.variables[name]
        except KeyError:
            if known is not None:
                return TypeValue(known)
            raise CelError(f"no such attribute(s): {name}") from None

    return step


def _select(e: Select) -> Step:
    if e.overloads:
        full = e.overloads[0]
        known = TYPE_NAMES.get(full, full)

        def named(frame: Frame) -> Any:
            frame.spend(1)
            return frame.variables.get(full, TypeValue(known))

        return named
    operand, field = _compile(e.operand), e.field
    if e.test_only:

        def test(frame: Frame) -> bool:
            return _present(operand(frame), field)

        return test

    def step(frame: Frame) -> Any:
        value = operand(frame)
        frame.spend(1)
        return _field(value, field)

    return step


def _present(value: Any, field: str) -> bool:
    if value.__class__ is dict:
        return field in value
    if value.__class__ is Optional:
        return value.present and _present(value.value, field)
    if isinstance(value, Fields):
        return value.has(field)
    if value.__class__ is Struct or value.__class__ is DefaultMap:
        return field in value
    raise NoSuchOverload


def _field(value: Any, field: str) -> Any:
    if value.__class__ is dict:
        try:
            return value[field]
        except KeyError:
            raise CelError(f"no such key: {field}") from None
    if value.__class__ is Optional:
        return _optional_field(value, field)
    if isinstance(value, Fields):
        return value.get(field)
    if value.__class__ is DefaultMap:
        return value[field]
    if value.__class__ is Struct:
        return _field(dict(value), field)
    raise NoSuchOverload


def _optional_field(value: Any, field: str) -> Any:
    if value.__class__ is Optional:
        if not value.present:
            return NONE
        value = value.value
    if isinstance(value, Fields):
        if not value.has(field):
            return NONE
        found = value.get(field)
    elif isinstance(value, dict):
        if field not in value:
            return NONE
        found = value[field]
    else:
        raise NoSuchOverload
    return found if found.__class__ is Optional else Optional(found)


def _list(e: ListExpr) -> Step:
    elements, optional = [_compile(x) for x in e.elements], e.optional

    def step(frame: Frame) -> Any:
        frame.spend(LIST_BASE)
        if not optional:
            return [element(frame) for element in elements]
        found = []
        for index, element in enumerate(elements):
            value = element(frame)
            if index in optional:
                if not value.present:
                    continue
                value = value.value
            found.append(value)
        return found

    return step


def _map(e: MapExpr) -> Step:
    if e.name:
        return _struct(e)
    entries = [(_compile(key), _compile(value), optional) for key, value, optional in e.entries]

    def step(frame: Frame) -> Any:
        frame.spend(MAP_BASE)
        found: dict[Any, Any] = {}
        for key_step, value_step, optional in entries:
            key, value = key_step(frame), value_step(frame)
            if optional:
                if not value.present:
                    continue
                value = value.value
            if find_key(found, key) is not None:
                raise CelError("Failed with repeated key")
            found[key] = value
        return found

    return step


def _struct(e: MapExpr) -> Step:
    """An object is a dict of its fields, and knows its type's name."""
    name = e.name
    entries = [(field, _compile(value), optional) for field, value, optional in e.entries]

    def step(frame: Frame) -> Any:
        frame.spend(STRUCT_BASE)
        found: dict[str, Any] = {}
        for field, value_step, optional in entries:
            value = value_step(frame)
            if optional:
                if not value.present:
                    continue
                value = value.value
            found[field] = value
        return Struct(name, found)

    return step


# -- calls ---------------------------------------------------------------------------------------------


def _call(e: Call) -> Step:
    special = {"_&&_": _and, "_||_": _or, "_?_:_": _conditional, "_?._": _optional_select}.get(e.function)
    if special is not None:
        return special(e)
    if e.function == "@not_strictly_false":
        return _not_strictly_false(e)
    args = [_compile(a) for a in ([e.target, *e.args] if e.target is not None else e.args)]
    candidates: list[Overload] = e.overloads
    price = PRICES.get(e.function)
    exact = len(candidates) == 1 and all(t[0] != "dyn" for t in _arg_types(e))
    if exact:
        impl = candidates[0].impl
        if len(args) == 1:
            only = args[0]

            def unary(frame: Frame) -> Any:
                a = only(frame)
                frame.spend(1 if price is None else price((a,)))
                return impl(a)

            return unary
        if len(args) == 2:
            left, right = args

            def binary(frame: Frame) -> Any:
                a, b = left(frame), right(frame)
                frame.spend(1 if price is None else price((a, b)))
                return impl(a, b)

            return binary

        def direct(frame: Frame) -> Any:
            values = [arg(frame) for arg in args]
            frame.spend(1 if price is None else price(values))
            return impl(*values)

        return direct

    def dispatched(frame: Frame) -> Any:
        values = [arg(frame) for arg in args]
        try:
            impl = choose(candidates, values)
        except NoSuchOverload:
            frame.spend(1)  # prices are of values that the function takes
            raise
        frame.spend(1 if price is None else price(values))
        return impl(*values)

    return dispatched


def _arg_types(e: Call) -> list[Type]:
    return [x.type for x in ([e.target, *e.args] if e.target is not None else e.args)]


def _and(e: Call) -> Step:
    return _junctor(e, False)


def _or(e: Call) -> Step:
    return _junctor(e, True)


def _junctor(e: Call, decisive: bool) -> Step:
    """&& and ||: an error on one side does not matter where the other side decides."""
    left, right = map(_compile, e.args)

    def step(frame: Frame) -> Any:
        try:
            a = left(frame)
        except CostLimit:
            raise
        except CelError as error:
            a = error
        if a is decisive:
            return decisive
        b = right(frame)
        if b is decisive:
            return decisive
        if isinstance(a, CelError):
            raise a
        if a.__class__ is not bool or b.__class__ is not bool:
            raise NoSuchOverload
        return not decisive

    return step


def _conditional(e: Call) -> Step:
    condition, yes, no = map(_compile, e.args)

    def step(frame: Frame) -> Any:
        chosen = condition(frame)
        if chosen.__class__ is not bool:
            raise NoSuchOverload
        return yes(frame) if chosen else no(frame)

    return step


def _not_strictly_false(e: Call) -> Step:
    inner = _compile(e.args[0])

    def step(frame: Frame) -> Any:
        try:
            return inner(frame) is not False
        except CostLimit:
            raise
        except CelError:
            return True

    return step


def _optional_select(e: Call) -> Step:
    operand = _compile(e.args[0])
    field = e.args[1].value  # type: ignore[attr-defined]

    def step(frame: Frame) -> Any:
        value = operand(frame)
        frame.spend(1)
        return _optional_field(value, field)

    return step


# -- folds ---------------------------------------------------------------------------------------------


def _comprehension(e: Comprehension) -> Step:
    range_, init, condition = _compile(e.iter_range), _compile(e.init), _compile(e.condition)
    step_, result = _compile(e.step), _compile(e.result)
    var, var2, accu = e.var, e.var2, e.accu
    lazy = isinstance(e.condition, Const) and e.condition.value is True

    def step(frame: Frame) -> Any:
        items = range_(frame)
        variables = frame.variables
        outer = {name: variables[name] for name in (var, var2, accu) if name in variables}
        variables[accu] = init(frame)
        try:
            for first, second in _pairs(items, bool(var2)):
                variables[var] = first
                if var2:
                    variables[var2] = second
                if not lazy and condition(frame) is False:
                    break
                try:
                    variables[accu] = step_(frame)
                except CostLimit:
                    raise
                except CelError as error:
                    # an error is kept: a later element may still decide all() or exists()
                    if not _decides(e):
                        raise
                    variables[accu] = error
            value = variables[accu]
            if isinstance(value, CelError):
                raise value
            return result(frame)
        finally:
            for name in (var, var2, accu):
                variables.pop(name, None)
            variables.update(outer)

    return step


def _decides(e: Comprehension) -> bool:
    return isinstance(e.step, Call) and e.step.function in ("_&&_", "_||_")


def _pairs(items: Any, two: bool) -> Any:
    if isinstance(items, list):
        return enumerate(items) if two else ((item, None) for item in items)
    if isinstance(items, dict):
        return items.items() if two else ((key, None) for key in items)
    raise NoSuchOverload


_COMPILERS: dict[type, Callable[[Any], Step]] = {
    Const: _const,
    Ident: _ident,
    Select: _select,
    Call: _call,
    ListExpr: _list,
    MapExpr: _map,
    Comprehension: _comprehension,
}
