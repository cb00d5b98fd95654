"""Strategic merge patch: a merge patch that knows which lists are maps in disguise.

How a field merges (patchStrategy, patchMergeKey) comes from the schema; what a patch may say beyond values are its
directives: `$patch`, `$retainKeys`, `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>` (apimachinery's
strategicpatch package; the proposal "preserve order in strategic merge patch").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.meta.gofmt import go_plain, json_kind, quote

MARKER = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder"
DELETE_FROM = "$deleteFromPrimitiveList"
_SET_ORDER_PREFIX, _DELETE_FROM_PREFIX = f"{SET_ORDER}/", f"{DELETE_FROM}/"

BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
BAD_SET_ORDER = "invalid patch format of setElementOrder list"
BAD_DELETE_FROM = "invalid patch format of primitive list"

Map = dict[str, Any]


class FieldInfo(Protocol):
    """What the schema knows of one field."""

    @property
    def kind(self) -> str:
        """'scalar', 'map', 'list' or 'object'."""

    @property
    def ref(self) -> str | None:
        """The definition of an object, or of the items of a list or map."""

    @property
    def patch_strategy(self) -> Sequence[str]:
        """Of 'merge', 'replace', 'retainKeys'."""

    @property
    def merge_key(self) -> str | None: ...


class Schema(Protocol):
    def field(self, definition: str, name: str, /) -> FieldInfo | None:
        """None for a field that the definition lacks."""


class _Type(NamedTuple):
    """What is known where the merge stands: an object's definition, or a map of things."""

    definition: str | None
    item: str | None = None


class _Field(NamedTuple):
    type: _Type
    strategy: str
    merge_key: str


def apply(doc: Map, patch: Any, definition: str, schema: Schema) -> Map:
    """The patched document.

    StatusError: 400 for what is no patch, 422 for lists in lists, 500 (Kubernetes' own choice) for directives and
    merge keys that do not fit.
    """
    if patch is None:
        return dict(doc)
    if not isinstance(patch, dict):
        raise errors.bad_request(
            f"json: cannot unmarshal {json_kind(patch)} into Go value of type map[string]interface {{}}"
        )
    return _Merge(schema).maps(doc, patch, _Type(definition))


def patch_text(patch: Any) -> str:
    """How the server shows a strategic patch whose result does not decode: the bad value of field `patch`."""
    return go_plain(patch)


def _plain_error(message: str) -> StatusError:
    """Go errors that the API server does not know become a 500 without a reason."""
    return StatusError(errors.failure(500, "", message))


def _bad_type(expected: str, value: Any) -> StatusError:
    return _plain_error(f"expected a {expected}, but received a {_go_type(value)}")


def _no_merge_key(element: Map, key: str) -> StatusError:
    return _plain_error(f"map: {go_plain(element)} does not contain declared merge key: {key}")


def _bad_directive(directive: Any, element: Map) -> StatusError:
    return _plain_error(f"unknown patch type: {go_plain(directive)} in map: {go_plain(element)}")


_GO_TYPES = {
    dict: "map[string]interface {}",
    list: "[]interface {}",
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    type(None): "nil",
}


def _go_type(value: Any) -> str:
    return "string" if isinstance(value, str) else _GO_TYPES[type(value)]


def _same(a: Any, b: Any) -> bool:
    return a == b and (type(a) is type(b) or _go_type(a) == _go_type(b))


class _Merge:
    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    # -- maps --------------------------------------------------------------------------------------------

    def maps(self, original: Map, patch: Map, type_: _Type) -> Map:
        if MARKER in patch:
            return _directed(patch[MARKER], patch)
        merged, patch = _retained(dict(original), dict(patch))
        self._order_lists(merged, patch, type_)
        for key, value in patch.items():
            deletes = key.startswith(DELETE_FROM)
            if deletes:
                key = _list_name(key, DELETE_FROM, BAD_DELETE_FROM)
            if value is None:
                merged.pop(key, None)
                continue
            current: Any = merged.get(key)
            if key not in merged or _go_type(current) != _go_type(value):
                if not deletes:
                    _take(merged, key, value)
            elif isinstance(value, dict):
                field = self._field(type_, key)
                merged[key] = value if field.strategy == "replace" else self.maps(current, value, field.type)
            elif isinstance(value, list):
                merged[key] = self._list_field(current, value, self._field(type_, key), deletes)
            else:
                merged[key] = value
        return merged

    def _list_field(self, original: list[Any], patch: list[Any], field: _Field, deletes: bool) -> list[Any]:
        if field.strategy != "merge":
            return patch
        return self.lists(original, patch, field, deletes)

    def _field(self, type_: _Type, name: str) -> _Field:
        if type_.definition is None:
            raise _plain_error("merging an object in json but data type is not struct, instead is: map")
        info = self.schema.field(type_.definition, name)
        if info is None:
            struct = type_.definition.rpartition(".")[2]
            raise _plain_error(
                f"unable to find api field in struct {struct} for the json field {quote(name)}"
            )
        strategies = [s for s in info.patch_strategy if s != "retainKeys"]
        below = _Type(None, info.ref) if info.kind == "map" else _Type(info.ref)
        return _Field(below, strategies[0] if strategies else "", info.merge_key or "")

    def _order_lists(self, merged: Map, patch: Map, type_: _Type) -> None:
        """Merges the lists whose order the patch sets, and takes them out of the patch."""
        for key in [key for key in patch if key.startswith(SET_ORDER)]:
            order = patch.pop(key)
            if not isinstance(order, list):
                raise _bad_type(_GO_TYPES[list], order)
            name = _list_name(key, SET_ORDER, BAD_SET_ORDER)
            for side in (merged, patch):
                if name in side and not isinstance(side[name], list):
                    raise _bad_type(_GO_TYPES[list], side[name])
            field = self._field(type_, name)
            live, patched = merged.get(name), patch.pop(name, None)
            _check_order(patched or [], order, field.merge_key)
            if live is None and patched is None:
                continue
            if live is None:
                result = _without_directives(patched or [])
            elif patched is None:
                result = live
            else:
                result = self._list_field(live, patched, field, deletes=False)
            items = _Items(field.merge_key, live or [], patched or [])
            chosen, rest = items.split(result, order)
            merged[name] = items.arrange(chosen, rest, order, live or [])

    # -- lists -------------------------------------------------------------------------------------------

    def lists(self, original: list[Any], patch: list[Any], field: _Field, deletes: bool) -> list[Any]:
        if not original and not patch:
            return original
        items = _Items(field.merge_key, original, patch)
        if not items.are_maps:
            if deletes:
                return [item for item in original if not _contains(patch, item)]
            merged = _deduplicated([*original, *patch])
            chosen, rest = items.split_plain(merged, patch)
            return items.arrange(chosen, rest, patch, original)
        if not field.merge_key:
            raise _plain_error("cannot merge lists without merge key for struct")
        original, patch = _special_elements(original, patch, field.merge_key)
        merged = self._elements(original, patch, field)
        chosen, rest = items.split(merged, patch)
        return items.arrange(chosen, rest, patch, original)

    def _elements(self, original: list[Any], patch: list[Any], field: _Field) -> list[Any]:
        merged = list(original)
        for element in patch:
            if field.merge_key not in element:
                raise _no_merge_key(element, field.merge_key)
            at = _position(merged, field.merge_key, element[field.merge_key])
            if at is None:
                merged.append(element)
            else:
                merged[at] = self.maps(merged[at], element, field.type)
        return merged


def _list_name(key: str, prefix: str, complaint: str) -> str:
    head, slash, name = key.partition("/")
    if not slash or head != prefix:
        raise errors.bad_request(complaint)
    return name


def _directed(directive: Any, patch: Map) -> Map:
    """`$patch` inside a map: the map is replaced by what stands beside it, or emptied."""
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != MARKER}
    if directive == "delete":
        return {}
    raise _bad_directive(directive, patch)


def _retained(original: Map, patch: Map) -> tuple[Map, Map]:
    """Both without what `$retainKeys` does not list; the patch may set nothing else."""
    if RETAIN_KEYS not in patch:
        return original, patch
    keys = patch.pop(RETAIN_KEYS)
    if not isinstance(keys, list):
        raise errors.bad_request(BAD_RETAIN_KEYS)
    for key, value in patch.items():
        if value is not None and not key.startswith((DELETE_FROM, SET_ORDER)) and key not in keys:
            raise errors.bad_request(BAD_RETAIN_KEYS)
    return {key: value for key, value in original.items() if key in keys}, patch


def _without_nulls(value: Any) -> Any:
    """A patch's value that meets nothing to merge with: its nulls have nothing to delete."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def _take(merged: Map, key: str, value: Any) -> None:
    """Sets what has nothing to merge with; a map with a `$patch` is dropped, whatever it says."""
    if isinstance(value, dict) and MARKER in value:
        merged.pop(key, None)
    else:
        merged[key] = _without_directives(_without_nulls(value))


def _without_directives(value: Any) -> Any:
    """A value without the maps inside it that carry a `$patch`."""
    if isinstance(value, dict):
        return {key: _without_directives(inner) for key, inner in value.items() if not _is_directive(inner)}
    if isinstance(value, list):
        return [_without_directives(inner) for inner in value if not _is_directive(inner)]
    return value


def _is_directive(value: Any) -> bool:
    return isinstance(value, dict) and MARKER in value


def _contains(items: list[Any], wanted: Any) -> bool:
    return any(_same(item, wanted) for item in items)


def _deduplicated(items: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        if not _contains(kept, item):
            kept.append(item)
    return kept


def _position(items: list[Any], key: str, value: Any) -> int | None:
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise _plain_error(f"value for key {index} is not a map.")
        if key in item and _same(item[key], value):
            return index
    return None


def _special_elements(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Both lists after the patch's elements that are directives have done their work."""
    plain, replace = [], False
    for element in patch:
        if MARKER not in element:
            plain.append(element)
            continue
        directive = element[MARKER]
        if directive == "delete":
            if key not in element:
                raise _no_merge_key(element, key)
            original = [item for item in original if not (key in item and _same(item[key], element[key]))]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise _plain_error("merging lists cannot yet be specified in the patch")
        else:
            raise _bad_directive(directive, element)
    return (plain, []) if replace else (original, plain)


def _check_order(patch: list[Any], order: list[Any], key: str) -> None:
    """The patch's elements must be in the order list, and in its order."""
    if not order or not patch:
        return
    elements = patch
    if key:
        for element in patch:
            if not isinstance(element, dict):
                raise _bad_type(_GO_TYPES[dict], element)
        elements = [element for element in patch if element.get(MARKER) != "delete"]
    at = ordered = 0
    while at < len(elements) and ordered < len(order):
        element = elements[at]
        if isinstance(element, dict) and MARKER in element:
            at += 1
            continue
        if _equal_by_key(element, order[ordered], key):
            at += 1
        ordered += 1
    if at < len(elements):
        raise _plain_error(
            f"The order in patch list:\n{go_plain(patch)}\n doesn't match {SET_ORDER} list:\n{go_plain(order)}\n"
        )


def _equal_by_key(left: Any, right: Any, key: str) -> bool:
    if not key:
        return _same(left, right)
    for element in (left, right):
        if not isinstance(element, dict):
            raise _bad_type(_GO_TYPES[dict], element)
        if key not in element:
            raise _no_merge_key(element, key)
    return _same(left[key], right[key])


class _Items:
    """Elements of lists that are merged: all maps (known by a merge key) or all of one plain type."""

    def __init__(self, merge_key: str, *lists: list[Any]) -> None:
        self.key = merge_key
        kinds = list(dict.fromkeys(_go_type(item) for items in lists for item in items))
        if not kinds:
            raise _plain_error("no elements in any of the given slices")
        if kinds[0] == _GO_TYPES[list]:
            raise errors.StatusError(errors.failure(422, "Invalid", _REFUSED, {}))
        if len(kinds) > 1:
            shown = f"[{' '.join(map(go_plain, lists))}]"
            raise _plain_error(f"list element types are not identical: {shown}")
        self.are_maps = kinds[0] == _GO_TYPES[dict]

    def identity(self, item: Any) -> Any:
        """What the item is known by, such that equal texts and numbers stay apart."""
        value = item.get(self.key) if self.are_maps else item
        if type(value) is str:
            return value
        return _go_type(value), value if isinstance(value, str | int | float | bool | None) else repr(value)

    def split(self, items: list[Any], chosen: list[Any]) -> tuple[list[Any], list[Any]]:
        """The items that `chosen` knows, and the others."""
        if not self.key:
            return self.split_plain(items, chosen)
        inside: list[Any] = []
        outside: list[Any] = []
        for item in items:
            if not isinstance(item, dict):
                raise _bad_type(_GO_TYPES[dict], item)
            if self.key not in item:
                raise _no_merge_key(item, self.key)
            (outside if _position(chosen, self.key, item[self.key]) is None else inside).append(item)
        return inside, outside

    def split_plain(self, items: list[Any], chosen: list[Any]) -> tuple[list[Any], list[Any]]:
        inside = [item for item in items if _contains(chosen, item)]
        return inside, [item for item in items if not _contains(chosen, item)]

    def arrange(
        self, patched: list[Any], rest: list[Any], patch_order: list[Any], live_order: list[Any]
    ) -> list[Any]:
        """Both groups in one list: each in its own order, interleaved as the live list has them where it knows both."""
        patched = self._sorted(patched, self._ranks(patch_order))
        if not rest:
            return patched
        ranks = self._ranks(live_order)
        rest = self._sorted(rest, ranks)
        merged: list[Any] = []
        waiting = list(reversed(rest))
        for item in patched:
            rank = ranks.get(self.identity(item))
            while waiting and rank is not None:
                other = ranks.get(self.identity(waiting[-1]))
                if other is None or other >= rank:
                    break
                merged.append(waiting.pop())
            merged.append(item)
        return merged + waiting[::-1]

    def _ranks(self, order: list[Any]) -> dict[Any, int]:
        ranks: dict[Any, int] = {}
        for index, item in enumerate(order):
            if not self.are_maps or isinstance(item, dict):
                ranks.setdefault(self.identity(item), index)
        return ranks

    def _sorted(self, items: list[Any], ranks: dict[Any, int]) -> list[Any]:
        if self.are_maps:
            for item in items:
                if self.key not in item:
                    raise _no_merge_key(item, self.key)
        known = [ranks.get(self.identity(item)) for item in items]
        if None in known:
            return _insertion_sorted(items, known)
        places: list[Any] = known
        return [items[at] for at in sorted(range(len(items)), key=places.__getitem__)]


def _insertion_sorted(items: list[Any], ranks: list[int | None]) -> list[Any]:
    """As the server sorts when it does not know an item: what it cannot compare, it moves to the front."""
    pairs = list(zip(ranks, items, strict=True))
    for start in range(1, len(pairs)):
        at = start
        while at:
            this, before = pairs[at][0], pairs[at - 1][0]
            if this is not None and before is not None and this >= before:
                break
            pairs[at - 1], pairs[at] = pairs[at], pairs[at - 1]
            at -= 1
    return [item for _, item in pairs]


_REFUSED = "the server rejected our request due to an error in our request"
