"""The type checker: gives every node its type and every call its overloads, with cel-go's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from knarr.meta.cel import literals, types
from knarr.meta.cel.functions import PYTHON_TYPES, Functions, Overload
from knarr.meta.cel.syntax import (
    Call,
    Comprehension,
    Const,
    Expr,
    Ident,
    ListExpr,
    MapExpr,
    Select,
    located,
    nodes,
)
from knarr.meta.cel.types import BOOL, DYN, ERROR, INT, NULL, Type, show

#: types by the names that expressions may use for them
TYPE_NAMES: dict[str, Type] = {
    **{name: types.SIMPLE[name] for name in ("bool", "bytes", "double", "int", "string", "uint")},
    "null_type": NULL,
    "google.protobuf.Timestamp": types.TIMESTAMP,
    "google.protobuf.Duration": types.DURATION,
    "list": ("list", DYN),
    "map": ("map", DYN, DYN),
    "type": ("type",),
    "optional_type": ("opaque", "optional_type", DYN),
}
#: of Kubernetes' types those that cel-go does not take for objects
FIELDLESS = frozenset({"kubernetes.NamedFormat"})


class CheckError(ValueError):
    """An expression whose types do not fit; the text is cel-go's."""


def check(
    expr: Expr,
    source: str,
    variables: Mapping[str, Type],
    functions: Functions,
    structs: Callable[[str], Type | None] = lambda name: None,
) -> None:
    """Sets types and overloads in place; `structs` knows the types that `Name{...}` makes. Raises CheckError."""
    checker = _Checker(source, variables, functions, structs)
    checker.check(expr)
    if checker.errors:
        checker.errors.sort(key=lambda error: error[0])
        texts = dict.fromkeys(located(source, offset, message) for offset, message in checker.errors)
        raise CheckError("\n".join(texts))
    checker.finish(expr)
    if wrong := [located(source, node.offset, fault) for node, fault in literals.faults(expr)]:
        raise CheckError("\n".join(wrong))


def qualified_name(expr: Expr | None) -> str:
    """`a.b.c` of identifiers and selections, "" for anything else."""
    if isinstance(expr, Ident):
        return expr.name
    if isinstance(expr, Select) and not expr.test_only:
        prefix = qualified_name(expr.operand)
        return f"{prefix}.{expr.field}" if prefix else ""
    return ""


class _Checker:
    def __init__(
        self,
        source: str,
        variables: Mapping[str, Type],
        functions: Functions,
        structs: Callable[[str], Type | None],
    ) -> None:
        self.source, self.functions, self.structs = source, functions, structs
        self.scopes: list[Mapping[str, Type]] = [variables]
        self.errors: list[tuple[int, str]] = []
        self.bound: dict[str, Type] = {}
        self._fresh = 0
        #: literals may mix types only as arguments of format()
        self._mixed = 0

    def error(self, expr: Expr, message: str) -> None:
        self.errors.append((expr.offset, message))

    # -- nodes ----------------------------------------------------------------------------------------

    def check(self, expr: Expr) -> Type:
        handler = _HANDLERS[expr.__class__]
        expr.type = handler(self, expr)
        return expr.type

    def _const(self, expr: Const) -> Type:
        return types.SIMPLE[PYTHON_TYPES[expr.value.__class__]]

    def _ident(self, expr: Ident) -> Type:
        found = self._lookup(expr.name)
        if found is None:
            self.error(expr, f"undeclared reference to '{expr.name}' (in container '')")
            return ERROR
        return found

    def _lookup(self, name: str) -> Type | None:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        named = TYPE_NAMES.get(name)
        return None if named is None else ("type", named)

    def _select(self, expr: Select) -> Type:
        name = qualified_name(expr)
        if name and (found := self._lookup(name)) is not None and not expr.test_only:
            expr.overloads = [name]
            return found
        operand = self.resolve(self.check(expr.operand))
        result = self._field(expr, operand, expr.field)
        return BOOL if expr.test_only else result

    def _field(self, expr: Expr, operand: Type, field: str) -> Type:
        if operand[0] == "opaque" and operand[1] == "optional_type":
            inner = self._field(expr, self.resolve(operand[2]), field)
            if inner[0] == "opaque" and inner[1] == "optional_type":
                return inner
            return types.optional_of(inner)
        match operand[0]:
            case "map":
                return operand[2]
            case "object":
                found = operand[1].fields.get(field)
                if found is None:
                    self.error(expr, f"undefined field '{field}'")
                    return ERROR
                return found
            case "param":
                self.assignable(DYN, operand)
                return DYN
            case "dyn" | "error":
                return DYN
        if operand[0] == "opaque" and operand[1].startswith("kubernetes.") and operand[1] not in FIELDLESS:
            self.error(expr, f"unexpected failed resolution of '{operand[1]}'")
            return ERROR
        self.error(expr, f"type '{show(operand)}' does not support field selection")
        return DYN

    def _optional_select(self, expr: Call) -> Type:
        operand = self.resolve(self.check(expr.args[0]))
        field = expr.args[1]
        self.check(field)
        if not isinstance(field, Const) or not isinstance(field.value, str):
            self.error(field, f"unsupported optional field selection: {field}")
            return ERROR
        inner = operand[2] if operand[:2] == ("opaque", "optional_type") else operand
        result = self._field(expr, self.resolve(inner), field.value)
        if result[:2] == ("opaque", "optional_type") and result[0] == "opaque":
            return result
        return types.optional_of(result)

    def _call(self, expr: Call) -> Type:
        if expr.function == "_?._":
            return self._optional_select(expr)
        self._mixed += expr.function == "format"
        for arg in expr.args:
            self.check(arg)
        self._mixed -= expr.function == "format"
        if expr.target is None:
            return self._resolve(expr, expr.function, None)
        prefix = qualified_name(expr.target)
        full = f"{prefix}.{expr.function}"
        if prefix and full in self.functions and self._lookup(prefix.partition(".")[0]) is None:
            expr.function, expr.target = full, None
            return self._resolve(expr, full, None)
        self.check(expr.target)
        return self._resolve(expr, expr.function, expr.target)

    def _resolve(self, expr: Call, name: str, target: Expr | None) -> Type:
        candidates = self.functions.get(name)
        if candidates is None:
            self.error(expr, f"undeclared reference to '{name}' (in container '')")
            return ERROR
        args = expr.args if target is None else [target, *expr.args]
        given = [self.resolve(arg.type) for arg in args]
        result: Type | None = None
        chosen: list[Overload] = []
        for candidate in candidates:
            if candidate.member != (target is not None) or len(candidate.params) != len(given):
                continue
            params, returned = self._instantiate(candidate)
            if not self._all_assignable(given, params):
                continue
            chosen.append(candidate)
            mine = self.resolve(returned)
            if result is None:
                result = mine
            elif result[0] != "dyn" and mine != result:
                result = DYN
        if result is None:
            shown = [show(self.substituted(t)) for t in given]
            style = f"{shown[0]}.({', '.join(shown[1:])})" if target is not None else f"({', '.join(shown)})"
            self.error(expr, f"found no matching overload for '{name}' applied to '{style}'")
            return ERROR
        expr.overloads = chosen
        return result

    def _instantiate(self, candidate: Overload) -> tuple[list[Type], Type]:
        """The signature with parameters of its own."""
        fresh: dict[str, Type] = {}

        def renew(type_: Type) -> Type:
            if type_[0] == "param":
                if type_[1] not in fresh:
                    self._fresh += 1
                    fresh[type_[1]] = ("param", f"_var{self._fresh}")
                return fresh[type_[1]]
            return _mapped(type_, renew)

        return [renew(p) for p in candidate.params], renew(candidate.result)

    def _list(self, expr: ListExpr) -> Type:
        item: Type | None = None
        for index, element in enumerate(expr.elements):
            found = self.check(element)
            if index in expr.optional:
                found = self._unwrapped(element, found)
            item = self._joined(element, item, found)
        if item is None:
            self._fresh += 1
            item = ("param", f"_var{self._fresh}")
        return types.list_of(item)

    def _unwrapped(self, expr: Expr, found: Type) -> Type:
        found = self.resolve(found)
        if found[:1] == ("opaque",) and found[1] == "optional_type":
            return found[2]
        if found[0] not in ("dyn", "error"):
            self.error(expr, f"expected type 'optional_type({show(found)})' but found '{show(found)}'")
        return found

    def _joined(self, expr: Expr, item: Type | None, found: Type) -> Type:
        if item is None:
            return found
        if self.assignable(item, found):
            return _most_general(self.resolve(item), self.resolve(found))
        if self._mixed:
            return DYN
        wanted, got = show(self.substituted(item)), show(self.substituted(found))
        self.error(expr, f"expected type '{wanted}' but found '{got}'")
        return item

    def _map(self, expr: MapExpr) -> Type:
        if expr.name:
            return self._struct(expr)
        key: Type | None = None
        value: Type | None = None
        for key_expr, value_expr, optional in expr.entries:
            key = self._joined(key_expr, key, self.check(key_expr))
            found = self.check(value_expr)
            if optional:
                found = self._unwrapped(value_expr, found)
            value = self._joined(value_expr, value, found)
        if key is None or value is None:
            self._fresh += 2
            key, value = ("param", f"_var{self._fresh - 1}"), ("param", f"_var{self._fresh}")
        return types.map_of(key, value)

    def _struct(self, expr: MapExpr) -> Type:
        made = self.structs(expr.name)
        if made is None:
            self.error(expr, f"undeclared reference to '{expr.name}' (in container '')")
            made = ERROR
        for field, value, optional in expr.entries:
            found = self.check(value)
            if optional:
                found = self._unwrapped(value, found)
            if made[0] == "object" and made[1].fields:
                wanted = made[1].fields.get(field)
                if wanted is None:
                    self.error(value, f"undefined field '{field}'")
                elif not self.assignable(wanted, found):
                    shown = show(self.substituted(found))
                    self.error(
                        value,
                        f"expected type of field '{field}' is '{show(wanted)}' but provided type is '{shown}'",
                    )
        return made

    def _comprehension(self, expr: Comprehension) -> Type:
        self.check(expr.iter_range)
        accu = self.check(expr.init)
        range_ = self.resolve(expr.iter_range.type)
        first, second = self._range_types(expr, range_)
        local: dict[str, Type] = {expr.var: first}
        if expr.var2:
            local = {expr.var: second[0], expr.var2: second[1]}
        self.scopes.append({expr.accu: accu})
        self.scopes.append(local)
        self.check(expr.condition)
        self._assert(expr.condition, BOOL)
        self.check(expr.step)
        self._assert(expr.step, accu)
        self.scopes.pop()
        result = self.check(expr.result)
        self.scopes.pop()
        return self.resolve(result)

    def _range_types(self, expr: Comprehension, range_: Type) -> tuple[Type, tuple[Type, Type]]:
        match range_[0]:
            case "list":
                return range_[1], (INT, range_[1])
            case "map":
                return range_[1], (range_[1], range_[2])
            case "dyn" | "error" | "param":
                self.assignable(DYN, range_)
                return DYN, (DYN, DYN)
        self.error(
            expr.iter_range,
            f"expression of type '{show(range_)}' cannot be range of a comprehension"
            " (must be list, map, or dynamic)",
        )
        return ERROR, (ERROR, ERROR)

    def _assert(self, expr: Expr, wanted: Type) -> None:
        if not self.assignable(wanted, expr.type):
            found = show(self.substituted(expr.type))
            self.error(expr, f"expected type '{show(self.substituted(wanted))}' but found '{found}'")

    # -- types ----------------------------------------------------------------------------------------

    def resolve(self, type_: Type) -> Type:
        """The type with what is known of its parameters."""
        if type_[0] == "param":
            known = self.bound.get(type_[1])
            return type_ if known is None else self.resolve(known)
        return _mapped(type_, self.resolve)

    def substituted(self, type_: Type) -> Type:
        """As `resolve`; parameters nothing is known of are dyn."""
        found = self.resolve(type_)
        return DYN if found[0] == "param" else _mapped(found, self.substituted)

    def finish(self, expr: Expr) -> None:
        for node in nodes(expr):
            node.type = self.substituted(node.type)

    def assignable(self, a: Type, b: Type) -> bool:
        return self._all_assignable([a], [b])

    def _all_assignable(self, given: list[Type], wanted: list[Type]) -> bool:
        before = dict(self.bound)
        if all(self._fits(a, b) for a, b in zip(given, wanted, strict=True)):
            return True
        self.bound = before
        return False

    def _fits(self, a: Type, b: Type) -> bool:
        if b[0] == "param":
            valid, known = self._substitutes(a, b)
            if valid:
                return True
            if known:
                return False
        if a[0] == "param":
            return self._substitutes(b, a)[0]
        if a[0] in ("dyn", "error") or b[0] in ("dyn", "error"):
            return True
        if a[0] == "null" or b[0] == "null":
            other = b if a[0] == "null" else a
            return other[0] == "null" or other[0] in NULLABLE
        if a[0] != b[0]:
            return False
        if a[0] == "object":
            return a[1] is b[1]
        if a[0] == "opaque" and (a[1] != b[1] or len(a) != len(b)):
            return False
        inner_a, inner_b = _parameters(a), _parameters(b)
        if a[0] == "type":
            return True
        return all(self._fits(x, y) for x, y in zip(inner_a, inner_b, strict=True))

    def _substitutes(self, a: Type, param: Type) -> tuple[bool, bool]:
        """(a may be what the parameter stands for, the parameter already stands for something)."""
        if a == param:
            return True, True
        known = self.bound.get(param[1])
        if known is not None:
            if known == a:
                return True, True
            if self._fits(a, known):
                general = _most_general(a, known)
                if not self._refers(general, param):
                    self.bound[param[1]] = general
                return True, True
            return False, True
        if not self._refers(a, param):
            self.bound[param[1]] = a
            return True, False
        return False, False

    def _refers(self, type_: Type, param: Type) -> bool:
        if type_ == param:
            return True
        if type_[0] == "param":
            known = self.bound.get(type_[1])
            return known is not None and self._refers(known, param)
        return any(self._refers(inner, param) for inner in _parameters(type_))


NULLABLE = types.NULLABLE
_HANDLERS: dict[type, Any] = {
    Const: _Checker._const,
    Ident: _Checker._ident,
    Select: _Checker._select,
    Call: _Checker._call,
    ListExpr: _Checker._list,
    MapExpr: _Checker._map,
    Comprehension: _Checker._comprehension,
}


def _parameters(type_: Type) -> tuple[Type, ...]:
    if type_[0] in ("list", "map", "type"):
        return type_[1:]
    return type_[2:] if type_[0] == "opaque" else ()


def _mapped(type_: Type, change: Any) -> Type:
    inner = _parameters(type_)
    if not inner:
        return type_
    head = type_[: len(type_) - len(inner)]
    return (*head, *(change(t) for t in inner))


def _most_general(a: Type, b: Type) -> Type:
    """The one that the other is a special case of."""
    return a if _at_most_as_specific(a, b) else b


def _at_most_as_specific(a: Type, b: Type) -> bool:
    if a[0] in ("dyn", "param") or b[0] == "error":
        return True
    if b[0] in ("dyn", "param"):
        return False
    if b[0] == "null":
        return True
    if a[0] != b[0]:
        return False
    inner = zip(_parameters(a), _parameters(b), strict=False)
    return all(_at_most_as_specific(x, y) for x, y in inner)
