"""The worst cost of an expression, as Kubernetes limits it: cel-go's estimator with Kubernetes' functions.

Sizes and costs are (least, most) in unsigned 64 bits that do not overflow. Where the size of a value comes from the
schema, `size_at(path)` gives its most; paths lead from a variable over fields, `@items`, `@keys` and `@values`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from knarr.meta.cel.library.lists import COMPARABLE
from knarr.meta.cel.prices import LIST_BASE, MAP_BASE, REGEX, STRUCT_BASE, TRAVERSAL
from knarr.meta.cel.syntax import (
    ACCUMULATOR,
    Call,
    Comprehension,
    Const,
    Expr,
    Ident,
    ListExpr,
    MapExpr,
    Select,
)
from knarr.meta.cel.types import SCALARS, Type

MAX = (1 << 64) - 1
#: the longest regular expression behind a named format, and the longest format
FORMAT_REGEX_MAX, FORMAT_MAX = 128, 64
Path = tuple[str, ...] | None
SizeAt = Callable[[tuple[str, ...]], int | None]


class Range(NamedTuple):
    least: int
    most: int

    def plus(self, other: Range) -> Range:
        return Range(cap(self.least + other.least), cap(self.most + other.most))

    def times(self, other: Range) -> Range:
        return Range(cap(self.least * other.least), cap(self.most * other.most))

    def factor(self, factor: float) -> Range:
        return Range(scaled(self.least, factor), scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.most, other.most))


UNKNOWN, ONE, ZERO = Range(0, MAX), Range(1, 1), Range(0, 0)


def cap(value: int) -> int:
    return min(value, MAX)


def scaled(value: int, factor: float) -> int:
    found = math.ceil(float(value) * factor)
    return MAX if found >= MAX else found


class Entries(NamedTuple):
    """The sizes of a container's keys and values."""

    kind: str
    keys: Range
    values: Range


class _Local(NamedTuple):
    path: Path
    size: Range | None
    entries: Entries | None


class _Node(NamedTuple):
    """An argument as functions see it."""

    path: Path
    type: Type
    expr: Expr | None
    size: Range | None


def cost(expr: Expr, size_at: SizeAt) -> Range:
    """Of a checked expression."""
    return _Coster(size_at).cost(expr)


class _Coster:
    def __init__(self, size_at: SizeAt) -> None:
        self._size_at = size_at
        self.paths: dict[int, tuple[str, ...]] = {}
        self.sizes: dict[int, Range] = {}
        self.entries: dict[int, Entries] = {}
        self.locals: dict[str, list[_Local]] = {}

    def cost(self, e: Expr) -> Range:
        return _COSTS[e.__class__](self, e)

    def _const(self, e: Const) -> Range:
        return ZERO

    def _ident(self, e: Ident) -> Range:
        local = self._local(e.name)
        self.paths[e.id] = (local.path or ()) if local else (e.name,)
        return ONE

    def _select(self, e: Select) -> Range:
        if e.overloads:
            return ONE
        inner = self.cost(e.operand)
        if e.test_only:
            return inner
        if e.operand.type[0] in ("map", "object", "param"):
            inner = inner.plus(ONE)
        self.paths[e.id] = (*self._path(e.operand), e.field)
        return inner

    def _list(self, e: ListExpr) -> Range:
        total, item = ZERO, Range(0 if not e.elements else MAX, 0)
        for element in e.elements:
            total = total.plus(self.cost(element))
            item = item.union(self._size_or_unknown(element))
        self.entries[e.id] = Entries("list", ONE, item)
        return total.plus(Range(LIST_BASE, LIST_BASE))

    def _map(self, e: MapExpr) -> Range:
        total = ZERO
        keys = values = Range(0 if not e.entries else MAX, 0)
        for key, value, _ in e.entries:
            if isinstance(key, Expr):
                total = total.plus(self.cost(key))
                keys = keys.union(self._size_or_unknown(key))
            total = total.plus(self.cost(value))
            values = values.union(self._size_or_unknown(value))
        base = STRUCT_BASE if e.name else MAP_BASE
        if not e.name:
            self.entries[e.id] = Entries("map", keys, values)
        return total.plus(Range(base, base))

    # -- folds ----------------------------------------------------------------------------------------

    def _comprehension(self, e: Comprehension) -> Range:
        if self._is_bind(e):
            return self._bind(e)
        total = self.cost(e.iter_range).plus(self.cost(e.init))
        self._push(e.accu, self._path(e.init), self._size(e.init), self._entries(e.init))
        entries = self._entries(e.iter_range)
        kind = entries.kind if entries else e.iter_range.type[0]
        path = self._path(e.iter_range)
        if e.var2:
            index = "@indices" if kind == "list" else "@keys"
            value = "@items" if kind == "list" else "@values"
            self._push(e.var, (*path, index), entries.keys if entries else None)
            self._push(e.var2, (*path, value), entries.values if entries else None)
        else:
            size = None if entries is None else entries.values if kind == "list" else entries.keys
            self._push(e.var, (*path, "@items" if kind == "list" else "@keys"), size)
        condition = self.cost(e.condition)
        step = self.cost(e.step)
        loop = step.plus(condition)
        self.locals[e.var].pop()
        if e.var2:
            self.locals[e.var2].pop()
        total = total.plus(self.cost(e.result))
        self.locals[e.accu].pop()
        count = self._size_or_unknown(e.iter_range)
        total = total.plus(count.times(loop))
        if isinstance(e.init, Const):
            self._set_size(e, self._size(e.init))
        elif isinstance(e.init, ListExpr | MapExpr):
            self.sizes[e.id] = count
            step_entries = self._entries(e.step)
            if step_entries is not None:
                self.entries[e.id] = step_entries
        return total

    def _is_bind(self, e: Comprehension) -> bool:
        empty = isinstance(e.iter_range, ListExpr) and not e.iter_range.elements
        never = isinstance(e.condition, Const) and e.condition.value is False
        return empty and never and e.accu != ACCUMULATOR

    def _bind(self, e: Comprehension) -> Range:
        total = self.cost(e.iter_range).plus(self.cost(e.init))
        self._push(e.accu, self._path(e.init), self._size(e.init), self._entries(e.init))
        total = total.plus(self.cost(e.result))
        self.locals[e.accu].pop()
        self._copy(e, e.result)
        return total

    # -- calls ----------------------------------------------------------------------------------------

    def _call(self, e: Call) -> Range:
        if e.function == "dyn" and len(e.args) == 1:
            inner = self.cost(e.args[0])
            self._copy(e, e.args[0])
            return ONE.plus(inner)
        if e.function == "_?._":
            inner = self.cost(e.args[0]).plus(self.cost(e.args[1]))
            return inner.plus(ONE)
        costs = [self.cost(arg) for arg in e.args]
        args = [self._node(arg) for arg in e.args]
        total, target = ZERO, None
        if e.target is not None:
            total = self.cost(e.target)
            target = self._node(e.target)
        if not e.overloads:
            return ZERO
        found: Range | None = None
        result: Range | None = None
        for overload in e.overloads:
            price, size = self._function(e, overload.function, overload.id, target, args, costs)
            found = price if found is None else found.union(price)
            if size is not None:
                result = size if result is None else result.union(size)
            if overload.id == "index_list" and args:
                entries = self._entries(e.args[0])
                result = entries.values if entries else None
                self.paths[e.id] = (*self._path(e.args[0]), "@items")
            elif overload.id == "index_map" and args:
                entries = self._entries(e.args[0])
                result = entries.values if entries else None
                self.paths[e.id] = (*self._path(e.args[0]), "@values")
            if result is None:
                result = self._size(e)
        self._set_size(e, result)
        assert found is not None
        return total.plus(found)

    def _function(
        self, e: Call, name: str, id_: str, target: _Node | None, args: list[_Node], costs: list[Range]
    ) -> tuple[Range, Range | None]:
        """(cost with that of the arguments, size of the result)."""
        spent = ZERO
        for price in costs:
            spent = spent.plus(price)
        own = self._kubernetes(name, id_, target, args)
        if own is not None:
            return own[0].plus(spent), own[1]
        size = self._known
        match id_:
            case "string_format" if target is not None:
                return size(target).factor(TRAVERSAL).plus(spent), size(target).plus(size(args[0]))
            case "string_to_bytes":
                s = size(args[0])
                return s.factor(TRAVERSAL).plus(spent), Range(s.least, cap(s.most * 4))
            case "bytes_to_string":
                s = size(args[0])
                return s.factor(TRAVERSAL).plus(spent), Range(s.least // 4, s.most)
            case "strings_quote":
                s = size(args[0])
                return s.factor(TRAVERSAL).plus(spent), Range(s.least + 2, cap(s.most * 2 + 2))
            case "starts_with_string" | "ends_with_string":
                return size(args[0]).factor(TRAVERSAL).plus(spent), None
            case "list_sets_contains_list" | "list_sets_intersects_list" | "list_sets_equivalent_list":
                compared = self._estimated(args[0]).times(self._estimated(args[1]))
                twice = id_ == "list_sets_equivalent_list"
                return (compared.times(Range(2, 2)) if twice else compared).plus(ONE).plus(spent), None
            case "in_list":
                return size(args[1]).factor(1).plus(spent), None
            case "matches_string" if target is not None:
                text = size(target).plus(ONE).factor(TRAVERSAL)
                return text.times(size(args[0]).factor(REGEX)).plus(spent), None
            case "contains_string" if target is not None:
                text = size(target).factor(TRAVERSAL)
                return text.times(size(args[0]).factor(TRAVERSAL)).plus(spent), None
            case "logical_or" | "logical_and":
                return Range(costs[0].least, costs[0].plus(costs[1]).most), None
            case "conditional":
                return self._conditional(e, args, costs)
            case _ if (found := self._lists(id_, target, e.args)) is not None:
                return found[0].plus(spent), found[1]
            case "add_string" | "add_bytes" | "add_list":
                return self._add(e, id_, args, spent)
        if id_ in COMPARISONS or id_ in ("equals", "not_equals"):
            smallest = min(size(args[0]).most, size(args[1]).most)
            return Range(1 if smallest else 0, smallest).factor(TRAVERSAL).plus(spent), None
        return ONE.plus(spent), None

    def _lists(self, id_: str, target: _Node | None, args: list[Expr]) -> tuple[Range, Range] | None:
        """cel-go's functions of lists: (cost, size of the result)."""
        made = Range(LIST_BASE + 1, LIST_BASE + 1)
        if id_ == "lists_range":
            if not isinstance(args[0], Const):
                return UNKNOWN, UNKNOWN
            length = args[0].value % (1 << 64)
            size = Range(length, length)
            return size.plus(made), size
        if target is None or id_ not in LIST_FUNCTIONS:
            return None
        size = self._estimated(target)
        if id_ == "list_distinct":
            return size.times(size).plus(made), size
        if id_.endswith(("_sort", "_sortByAssociatedKeys")):
            rounds = Range(_rounds(size.least), _rounds(size.most))
            return size.times(rounds).factor(0.1 if id_.endswith("_sort") else 0.2).plus(made), size
        if id_ == "list_slice":
            start = args[0].value if isinstance(args[0], Const) else 0
            end = args[1].value if isinstance(args[1], Const) else size.most
            size = Range(end - start, end - start) if 0 <= start <= end else size
        if id_ == "list_flatten_int":
            depth = args[0].value if isinstance(args[0], Const) else 256
            element = self._element(target)
            if depth > 1:
                size = size.times(self._estimated(element) if element else UNKNOWN).times(Range(depth, depth))
        return size.plus(made), size

    def _conditional(self, e: Call, args: list[_Node], costs: list[Range]) -> tuple[Range, Range | None]:
        size = self._known(args[1]).union(self._known(args[2]))
        yes, no = self._entries(e.args[1]), self._entries(e.args[2])
        if yes is not None and no is not None:
            self.entries[e.id] = Entries(yes.kind, yes.keys.union(no.keys), yes.values.union(no.values))
        return costs[0].plus(costs[1].union(costs[2])), size

    def _add(self, e: Call, id_: str, args: list[_Node], spent: Range) -> tuple[Range, Range | None]:
        size = self._known(args[0]).plus(self._known(args[1]))
        left, right = self._entries(e.args[0]), self._entries(e.args[1])
        if left is not None and right is not None:
            self.entries[e.id] = Entries(
                left.kind, left.keys.union(right.keys), left.values.union(right.values)
            )
        if id_ == "add_list":
            return ONE.plus(spent), size
        return size.factor(TRAVERSAL).plus(spent), size

    def _kubernetes(
        self, name: str, id_: str, target: _Node | None, args: list[_Node]
    ) -> tuple[Range, Range | None] | None:
        size = self._estimated
        if name == "check":
            return Range(350_000, 350_000), None
        if name in NOMINAL or (name == "ip" and id_ == "cidr_ip"):
            return ONE, None
        if name in ("fieldSelector", "labelSelector") and len(args) == 1:
            length = size(args[0])
            needed = length.factor(0.5).factor(LIST_BASE + STRUCT_BASE)
            return Range(LIST_BASE, LIST_BASE).plus(length.factor(TRAVERSAL)).plus(needed), None
        if name in ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf") and target is not None:
            element = self._element(target)
            if element is None:
                return size(target).factor(TRAVERSAL), None
            each = ONE
            if element.type[0] in ("string", "bytes"):
                each = each.plus(size(element).factor(TRAVERSAL))
            return size(target).times(each), None
        if name in PARSERS and len(args) == 1:
            return size(args[0]).factor(TRAVERSAL), None
        if name == "ip.isCanonical":
            return size(args[0]).factor(2 * TRAVERSAL), None
        if name in ("url", "jsonpatch.escapeKey") and len(args) == 1:
            return size(args[0]).factor(TRAVERSAL), size(args[0])
        if name in ("lowerAscii", "upperAscii", "substring", "trim") and target is not None:
            return size(target).factor(TRAVERSAL), size(target)
        if name == "replace" and target is not None and len(args) >= 2:
            s = size(target)
            return s.factor(2 * TRAVERSAL), _replaced(s, size(args[0]), size(args[1]))
        if name == "split" and target is not None:
            most = size(target).most
            if len(args) > 1 and isinstance(args[1].expr, Const) and args[1].expr.value.__class__ is int:
                most = args[1].expr.value % (1 << 64)
            return size(target).factor(2 * TRAVERSAL), Range(0, most)
        if name == "join" and target is not None:
            s = self._joined(target, args)
            return s.factor(TRAVERSAL), s
        if name in ("find", "findAll") and target is not None and args:
            text = size(target).plus(ONE).factor(TRAVERSAL)
            return text.times(size(args[0]).factor(REGEX)), Range(0, size(target).most)
        if name in ("containsIP", "containsCIDR") and target is not None and args:
            return self._contains_address(name, id_, args[0]), None
        if name == "validate" and target is not None:
            return size(args[0]).factor(TRAVERSAL).factor(FORMAT_REGEX_MAX * REGEX), None
        if name == "_==_" and len(args) == 2 and args[0].type == args[1].type:
            return self._equality(args)
        return None

    def _equality(self, args: list[_Node]) -> tuple[Range, Range | None] | None:
        type_ = args[0].type
        if type_[0] != "opaque":
            return None
        if type_[1] == "kubernetes.NamedFormat":
            return Range(1, FORMAT_MAX).factor(TRAVERSAL), None
        if type_[1] == "kubernetes.URL":
            most = args[1].size.most if args[1].size is not None else 1
            return Range(1, most).factor(TRAVERSAL), None
        return (ONE, None) if type_[1].startswith(("kubernetes.", "net.")) else None

    def _contains_address(self, name: str, id_: str, arg: _Node) -> Range:
        bytes_ = Range(4, 16)
        found = bytes_.plus(bytes_).factor(TRAVERSAL)
        if name == "containsCIDR":
            found = found.plus(bytes_.factor(TRAVERSAL)).plus(ONE)
        if id_ in ("cidr_contains_ip_string", "cidr_contains_cidr_string"):
            found = found.plus(self._estimated(arg).factor(TRAVERSAL))
        return found

    def _joined(self, target: _Node, args: list[_Node]) -> Range:
        items = self._estimated(target)
        element = self._element(target)
        found = items.times(self._estimated(element)) if element is not None else ZERO
        if args:
            between = Range(max(items.least - 1, 0), max(items.most - 1, 0))
            found = found.plus(self._estimated(args[0]).times(between))
        return found

    def _element(self, node: _Node) -> _Node | None:
        if node.type[0] != "list":
            return None
        path = None if node.path is None or not node.path else (*node.path, "@items")
        return _Node(path, node.type[1], None, None)

    # -- sizes and paths ----------------------------------------------------------------------------------

    def _local(self, name: str) -> _Local | None:
        stack = self.locals.get(name)
        return stack[-1] if stack else None

    def _push(self, name: str, path: Path, size: Range | None, entries: Entries | None = None) -> None:
        self.locals.setdefault(name, []).append(_Local(path, size, entries))

    def _path(self, e: Expr) -> tuple[str, ...]:
        if isinstance(e, Ident) and (local := self._local(e.name)) is not None:
            return local.path or ()
        return self.paths.get(e.id, ())

    def _node(self, e: Expr) -> _Node:
        path: Path = self._path(e)
        if path and path[0] == ACCUMULATOR:
            path = None
        return _Node(path, e.type, e, self._size(e))

    def _known(self, node: _Node) -> Range:
        return UNKNOWN if node.size is None else node.size

    def _estimated(self, node: _Node) -> Range:
        if node.size is not None:
            return node.size
        found = self._of_path(node.path)
        return UNKNOWN if found is None else found

    def _of_path(self, path: Path) -> Range | None:
        if not path:
            return None
        most = self._size_at(path)
        return None if most is None else Range(0, most)

    def _size(self, e: Expr) -> Range | None:
        if e.id in self.sizes:
            return self.sizes[e.id]
        own = _literal_size(e)
        if own is not None:
            return own
        found = self._of_path(self._path(e))
        if found is not None:
            self.sizes[e.id] = found
            return found
        if _is_scalar(e.type):
            return ONE
        if isinstance(e, Ident) and (local := self._local(e.name)) is not None:
            return local.size
        return None

    def _size_or_unknown(self, e: Expr) -> Range:
        found = self._size(e)
        return UNKNOWN if found is None else found

    def _set_size(self, e: Expr, size: Range | None) -> None:
        if size is not None:
            self.sizes[e.id] = size

    def _entries(self, e: Expr) -> Entries | None:
        if e.id in self.entries:
            return self.entries[e.id]
        if isinstance(e, Ident) and (local := self._local(e.name)) is not None:
            return local.entries
        return None

    def _copy(self, to: Expr, source: Expr) -> None:
        self._set_size(to, self._size(source))
        entries = self._entries(source)
        if entries is not None:
            self.entries[to.id] = entries


COMPARISONS = frozenset(
    f"{operator}_{kind}"
    for operator in ("less", "less_equals", "greater", "greater_equals")
    for kind in ("string", "bytes")
)
LIST_FUNCTIONS = frozenset(
    (
        *("list_distinct", "list_flatten", "list_flatten_int", "list_reverse", "list_slice"),
        *(f"list_{t}_{what}" for t in COMPARABLE for what in ("sort", "sortByAssociatedKeys")),
    )
)
#: what reads a text once
PARSERS = frozenset(("cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver"))
#: what costs 1
NOMINAL = frozenset(
    (
        *(
            "serviceAccount",
            "path",
            "group",
            "resource",
            "subresource",
            "namespace",
            "name",
            "allowed",
            "reason",
        ),
        *("error", "errored", "masked", "prefixLength", "family", "isUnspecified", "isLoopback"),
        *(
            "isLinkLocalMulticast",
            "isLinkLocalUnicast",
            "isGlobalUnicast",
            "format.named",
            "sign",
            "asInteger",
        ),
        *(
            "isInteger",
            "asApproximateFloat",
            "isGreaterThan",
            "isLessThan",
            "compareTo",
            "add",
            "sub",
            "major",
        ),
        *("minor", "patch", "getScheme", "getHostname", "getHost", "getPort", "getEscapedPath", "getQuery"),
    )
)
_COSTS: dict[type, Any] = {
    Const: _Coster._const,
    Ident: _Coster._ident,
    Select: _Coster._select,
    Call: _Coster._call,
    ListExpr: _Coster._list,
    MapExpr: _Coster._map,
    Comprehension: _Coster._comprehension,
}


def _rounds(size: int) -> int:
    """How often a sort looks at each item; Go makes 1 << 63 of the logarithm of 0."""
    return math.ceil(math.log2(size)) if size else 1 << 63


def _literal_size(e: Expr) -> Range | None:
    if isinstance(e, Const):
        count = len(e.value) if isinstance(e.value, str | bytes) else 1
    elif isinstance(e, ListExpr):
        count = len(e.elements)
    elif isinstance(e, MapExpr) and not e.name:
        count = len(e.entries)
    else:
        return None
    return Range(count, count)


def _is_scalar(type_: Type) -> bool:
    if type_[0] == "opaque" and type_[1] == "optional_type":
        return _is_scalar(type_[2])
    return type_[0] in SCALARS


def _replaced(s: Range, old: Range, new: Range) -> Range:
    """The size of a text in which something is replaced."""
    if old.least == 0:
        count_most, kept_most = cap(s.most + 1), s.most
    elif new.most <= old.least:
        count_most, kept_most = 0, s.most
    else:
        count_most, kept_most = math.ceil(s.most / old.least), 0
    if old.most == 0:
        count_least, kept_least = s.least + 1, s.least
    elif old.most <= new.least:
        count_least, kept_least = 0, s.least
    else:
        count_least, kept_least = math.ceil(s.least / old.most), 0
    return Range(count_least, count_most).times(new).plus(Range(kept_least, kept_most))
