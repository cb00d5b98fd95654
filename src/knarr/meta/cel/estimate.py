"""The worst cost of an expression, as Kubernetes limits it: cel-go's estimator with Kubernetes' functions.

Costs are (least, most), as the sizes they come from (sizes.py).
"""

from __future__ import annotations

import math
from typing import Any

from knarr.meta.cel.library.lists import COMPARABLE
from knarr.meta.cel.prices import LIST_BASE, MAP_BASE, REGEX, STRUCT_BASE, TRAVERSAL
from knarr.meta.cel.sizes import MAX, ONE, UNKNOWN, ZERO, Entries, Node, Range, SizeAt, Sizes, cap
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

#: the longest regular expression behind a named format, and the longest format
FORMAT_REGEX_MAX, FORMAT_MAX = 128, 64


def cost(expr: Expr, size_at: SizeAt) -> Range:
    """Of a checked expression."""
    return _Coster(size_at).cost(expr)


class _Coster(Sizes):
    def cost(self, e: Expr) -> Range:
        return _COSTS[e.__class__](self, e)

    def _const(self, e: Const) -> Range:
        return ZERO

    def _ident(self, e: Ident) -> Range:
        local = self.local(e.name)
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
        self.paths[e.id] = (*self.path_of(e.operand), e.field)
        return inner

    def _list(self, e: ListExpr) -> Range:
        total, item = ZERO, Range(0 if not e.elements else MAX, 0)
        for element in e.elements:
            total = total.plus(self.cost(element))
            item = item.union(self.size_or_unknown(element))
        self.entries[e.id] = Entries("list", ONE, item)
        return total.plus(Range(LIST_BASE, LIST_BASE))

    def _map(self, e: MapExpr) -> Range:
        total = ZERO
        keys = values = Range(0 if not e.entries else MAX, 0)
        for key, value, _ in e.entries:
            if isinstance(key, Expr):
                total = total.plus(self.cost(key))
                keys = keys.union(self.size_or_unknown(key))
            total = total.plus(self.cost(value))
            values = values.union(self.size_or_unknown(value))
        base = STRUCT_BASE if e.name else MAP_BASE
        if not e.name:
            self.entries[e.id] = Entries("map", keys, values)
        return total.plus(Range(base, base))

    # -- folds ----------------------------------------------------------------------------------------

    def _comprehension(self, e: Comprehension) -> Range:
        if self._is_bind(e):
            return self._bind(e)
        total = self.cost(e.iter_range).plus(self.cost(e.init))
        self.push(e.accu, self.path_of(e.init), self.size_of(e.init), self.entries_of(e.init))
        entries = self.entries_of(e.iter_range)
        kind = entries.kind if entries else e.iter_range.type[0]
        path = self.path_of(e.iter_range)
        if e.var2:
            index = "@indices" if kind == "list" else "@keys"
            value = "@items" if kind == "list" else "@values"
            self.push(e.var, (*path, index), entries.keys if entries else None)
            self.push(e.var2, (*path, value), entries.values if entries else None)
        else:
            size = None if entries is None else entries.values if kind == "list" else entries.keys
            self.push(e.var, (*path, "@items" if kind == "list" else "@keys"), size)
        condition = self.cost(e.condition)
        step = self.cost(e.step)
        loop = step.plus(condition)
        self.locals[e.var].pop()
        if e.var2:
            self.locals[e.var2].pop()
        total = total.plus(self.cost(e.result))
        self.locals[e.accu].pop()
        count = self.size_or_unknown(e.iter_range)
        total = total.plus(count.times(loop))
        if isinstance(e.init, Const):
            self.set_size(e, self.size_of(e.init))
        elif isinstance(e.init, ListExpr | MapExpr):
            self.sizes[e.id] = count
            step_entries = self.entries_of(e.step)
            if step_entries is not None:
                self.entries[e.id] = step_entries
        return total

    def _is_bind(self, e: Comprehension) -> bool:
        empty = isinstance(e.iter_range, ListExpr) and not e.iter_range.elements
        never = isinstance(e.condition, Const) and e.condition.value is False
        return empty and never and e.accu != ACCUMULATOR

    def _bind(self, e: Comprehension) -> Range:
        total = self.cost(e.iter_range).plus(self.cost(e.init))
        self.push(e.accu, self.path_of(e.init), self.size_of(e.init), self.entries_of(e.init))
        total = total.plus(self.cost(e.result))
        self.locals[e.accu].pop()
        self.copy(e, e.result)
        return total

    # -- calls ----------------------------------------------------------------------------------------

    def _call(self, e: Call) -> Range:
        if e.function == "dyn" and len(e.args) == 1:
            inner = self.cost(e.args[0])
            self.copy(e, e.args[0])
            return ONE.plus(inner)
        if e.function == "_?._":
            inner = self.cost(e.args[0]).plus(self.cost(e.args[1]))
            return inner.plus(ONE)
        costs = [self.cost(arg) for arg in e.args]
        args = [self.node_of(arg) for arg in e.args]
        total, target = ZERO, None
        if e.target is not None:
            total = self.cost(e.target)
            target = self.node_of(e.target)
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
                entries = self.entries_of(e.args[0])
                result = entries.values if entries else None
                self.paths[e.id] = (*self.path_of(e.args[0]), "@items")
            elif overload.id == "index_map" and args:
                entries = self.entries_of(e.args[0])
                result = entries.values if entries else None
                self.paths[e.id] = (*self.path_of(e.args[0]), "@values")
            if result is None:
                result = self.size_of(e)
        self.set_size(e, result)
        assert found is not None
        return total.plus(found)

    def _function(
        self, e: Call, name: str, id_: str, target: Node | None, args: list[Node], costs: list[Range]
    ) -> tuple[Range, Range | None]:
        """(cost with that of the arguments, size of the result)."""
        spent = ZERO
        for price in costs:
            spent = spent.plus(price)
        own = self._kubernetes(name, id_, target, args)
        if own is not None:
            return own[0].plus(spent), own[1]
        size = self.known
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
                compared = self.estimated(args[0]).times(self.estimated(args[1]))
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

    def _lists(self, id_: str, target: Node | None, args: list[Expr]) -> tuple[Range, Range] | None:
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
        size = self.estimated(target)
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
                size = size.times(self.estimated(element) if element else UNKNOWN).times(Range(depth, depth))
        return size.plus(made), size

    def _conditional(self, e: Call, args: list[Node], costs: list[Range]) -> tuple[Range, Range | None]:
        size = self.known(args[1]).union(self.known(args[2]))
        yes, no = self.entries_of(e.args[1]), self.entries_of(e.args[2])
        if yes is not None and no is not None:
            self.entries[e.id] = Entries(yes.kind, yes.keys.union(no.keys), yes.values.union(no.values))
        return costs[0].plus(costs[1].union(costs[2])), size

    def _add(self, e: Call, id_: str, args: list[Node], spent: Range) -> tuple[Range, Range | None]:
        size = self.known(args[0]).plus(self.known(args[1]))
        left, right = self.entries_of(e.args[0]), self.entries_of(e.args[1])
        if left is not None and right is not None:
            self.entries[e.id] = Entries(
                left.kind, left.keys.union(right.keys), left.values.union(right.values)
            )
        if id_ == "add_list":
            return ONE.plus(spent), size
        return size.factor(TRAVERSAL).plus(spent), size

    def _kubernetes(
        self, name: str, id_: str, target: Node | None, args: list[Node]
    ) -> tuple[Range, Range | None] | None:
        size = self.estimated
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

    def _equality(self, args: list[Node]) -> tuple[Range, Range | None] | None:
        type_ = args[0].type
        if type_[0] != "opaque":
            return None
        if type_[1] == "kubernetes.NamedFormat":
            return Range(1, FORMAT_MAX).factor(TRAVERSAL), None
        if type_[1] == "kubernetes.URL":
            most = args[1].size.most if args[1].size is not None else 1
            return Range(1, most).factor(TRAVERSAL), None
        return (ONE, None) if type_[1].startswith(("kubernetes.", "net.")) else None

    def _contains_address(self, name: str, id_: str, arg: Node) -> Range:
        bytes_ = Range(4, 16)
        found = bytes_.plus(bytes_).factor(TRAVERSAL)
        if name == "containsCIDR":
            found = found.plus(bytes_.factor(TRAVERSAL)).plus(ONE)
        if id_ in ("cidr_contains_ip_string", "cidr_contains_cidr_string"):
            found = found.plus(self.estimated(arg).factor(TRAVERSAL))
        return found

    def _joined(self, target: Node, args: list[Node]) -> Range:
        items = self.estimated(target)
        element = self._element(target)
        found = items.times(self.estimated(element)) if element is not None else ZERO
        if args:
            between = Range(max(items.least - 1, 0), max(items.most - 1, 0))
            found = found.plus(self.estimated(args[0]).times(between))
        return found

    def _element(self, node: Node) -> Node | None:
        if node.type[0] != "list":
            return None
        path = None if node.path is None or not node.path else (*node.path, "@items")
        return Node(path, node.type[1], None, None)


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
