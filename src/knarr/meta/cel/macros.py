"""Macros of Kubernetes' environments that the parser does not expand: cel.bind and the two-variable comprehensions."""

from __future__ import annotations

from typing import Any

from knarr.meta.cel.syntax import ACCUMULATOR, Call, Comprehension, Const, Expr, Ident, ListExpr, MapExpr

UNUSED = "#unused"
SORT_BY_INPUT, SORT_BY_KEYS = "@__sortBy_input__", "@sortByAssociatedKeys"
#: (name, number of arguments) of the comprehensions of two variables
OF_TWO_VARIABLES = frozenset(
    {
        *((name, 3) for name in ("all", "exists", "existsOne", "exists_one")),
        *((name, n) for name in ("transformList", "transformMap", "transformMapEntry") for n in (3, 4)),
    }
)


class MacroError(ValueError):
    """A macro that was given what it cannot take; `offset` says where."""

    def __init__(self, arg: Expr, message: str) -> None:
        super().__init__(message)
        self.offset = arg.offset


def expand(ids: Any, call: Call) -> Expr:
    """The call, or what stands for it; `ids.new_id()` numbers new nodes."""
    make = _Make(ids, call)
    args, target = call.args, call.target
    if call.function == "bind" and isinstance(target, Ident) and target.name == "cel" and len(args) == 3:
        return make.bind()
    if target is not None and call.function == "existsOne" and len(args) == 2:
        _check_variables(args[:1])
        return make.exists_one()
    if target is not None and call.function == "sortBy" and len(args) == 2:
        return make.sort_by()
    if target is None or (call.function, len(args)) not in OF_TWO_VARIABLES:
        return call
    _check_variables(args[:2])
    match call.function, len(args):
        case ("all", 3):
            return make.all()
        case ("exists", 3):
            return make.exists()
        case ("existsOne" | "exists_one", 3):
            return make.exists_one()
        case ("transformList", _):
            return make.transform_list()
        case ("transformMap" | "transformMapEntry", _):
            return make.transform_map(call.function == "transformMapEntry")
    return call


def _check_variables(args: list[Expr]) -> None:
    names = []
    for arg in args:
        if not isinstance(arg, Ident):
            raise MacroError(arg, "argument must be a simple name")
        names.append(arg.name)
    if len(set(names)) < len(names):
        raise MacroError(args[1], f"duplicate variable name: {names[0]}")
    for arg, name in zip(args, names, strict=True):
        if name in (ACCUMULATOR, "__result__"):
            raise MacroError(arg, "iteration variable overwrites accumulator variable")


class _Make:
    """Builds the nodes of one expansion, all at the call's place."""

    def __init__(self, ids: Any, call: Call) -> None:
        self.ids, self.call_, self.args, self.target = ids, call, call.args, call.target

    def const(self, value: Any) -> Expr:
        return Const(self.ids.new_id(), self.call_.offset, value)

    def ident(self, name: str) -> Expr:
        return Ident(self.ids.new_id(), self.call_.offset, name)

    def call(self, function: str, *args: Expr) -> Expr:
        return Call(self.ids.new_id(), self.call_.offset, function, None, list(args))

    def list(self, *items: Expr) -> Expr:
        return ListExpr(self.ids.new_id(), self.call_.offset, [*items], frozenset())

    def accu(self) -> Expr:
        return self.ident(ACCUMULATOR)

    def fold(self, init: Expr, condition: Expr, step: Expr, result: Expr) -> Expr:
        names = [arg.name for arg in self.args[:-1] if isinstance(arg, Ident)]
        var, var2 = names[0], names[1] if len(names) > 1 else ""
        assert self.target is not None
        return Comprehension(
            self.call_.id,
            self.call_.offset,
            var,
            var2,
            self.target,
            ACCUMULATOR,
            init,
            condition,
            step,
            result,
        )

    def bind(self) -> Expr:
        name = self.args[0]
        if not isinstance(name, Ident):
            raise MacroError(name, "cel.bind() variable names must be simple identifiers")
        return self._bound(name.name, self.args[1], self.args[2])

    def _bound(self, name: str, value: Expr, result: Expr) -> Expr:
        """`result`, in which `name` is `value`."""
        id_, at = self.call_.id, self.call_.offset
        never, same = self.const(False), self.ident(name)
        return Comprehension(id_, at, UNUSED, "", self.list(), name, value, never, same, result)

    def sort_by(self) -> Expr:
        """The items, sorted by what the expression makes of each."""
        name = self.args[0]
        if not isinstance(name, Ident):
            raise MacroError(name, "argument is not an identifier")
        assert self.target is not None
        step = self.call("_+_", self.accu(), self.list(self.args[1]))
        id_, at, items = self.ids.new_id(), self.call_.offset, self.ident(SORT_BY_INPUT)
        keys = Comprehension(
            id_, at, name.name, "", items, ACCUMULATOR, self.list(), self.const(True), step, self.accu()
        )
        id_, items = self.ids.new_id(), self.ident(SORT_BY_INPUT)
        return self._bound(SORT_BY_INPUT, self.target, Call(id_, at, SORT_BY_KEYS, items, [keys]))

    def all(self) -> Expr:
        keep = self.call("@not_strictly_false", self.accu())
        return self.fold(self.const(True), keep, self.call("_&&_", self.accu(), self.args[2]), self.accu())

    def exists(self) -> Expr:
        keep = self.call("@not_strictly_false", self.call("!_", self.accu()))
        return self.fold(self.const(False), keep, self.call("_||_", self.accu(), self.args[2]), self.accu())

    def exists_one(self) -> Expr:
        count = self.call("_+_", self.accu(), self.const(1))
        step = self.call("_?_:_", self.args[-1], count, self.accu())
        return self.fold(self.const(0), self.const(True), step, self.call("_==_", self.accu(), self.const(1)))

    def transform_list(self) -> Expr:
        step = self._filtered(self.call("_+_", self.accu(), self.list(self.args[-1])))
        return self.fold(self.list(), self.const(True), step, self.accu())

    def transform_map(self, entry: bool) -> Expr:
        """`@insert` puts a key and a value, or a whole entry, into the accumulated map."""
        value = self.args[-1]
        key = self.args[0]
        put = (
            self.call("cel.@mapInsert", self.accu(), value)
            if entry
            else self.call("cel.@mapInsert", self.accu(), self.ident(key.name), value)  # type: ignore[attr-defined]
        )
        empty = MapExpr(self.ids.new_id(), self.call_.offset, "", [])
        return self.fold(empty, self.const(True), self._filtered(put), self.accu())

    def _filtered(self, step: Expr) -> Expr:
        return self.call("_?_:_", self.args[2], step, self.accu()) if len(self.args) == 4 else step
