"""YAML as the API server reads it: YAML 1.1 as go-yaml has it, turned to JSON values.

What differs from PyYAML's loader: `y` and `n` are booleans, times stay text, numbers may be written as in Go, keys
that are no text become text, and a repeated key is noted instead of passed over.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import orjson
import yaml

_PREFIX = "tag:yaml.org,2002:"
BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
SPECIAL_FLOATS = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([0-9]+))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
#: levels of nesting; what Kubernetes stores has a few dozen
DEPTH_MAX = 250
_BASES = (None, None, 16, 2, 8, 10)


class Document:
    """One document: its value, and `line 7: key "a" already set in map` for each repeated key."""

    def __init__(self, value: Any, duplicates: list[str]) -> None:
        self.value, self.duplicates = value, duplicates

    @property
    def complaint(self) -> str:
        """The strict decoder's one error for all repeated keys; "" without any."""
        return "yaml: unmarshal errors:\n  " + "\n  ".join(self.duplicates) if self.duplicates else ""

    def json(self) -> bytes:
        """The value as JSON. Raises ValueError for what JSON cannot say."""
        try:
            return orjson.dumps(self.value)
        except TypeError as error:
            raise ValueError(f"yaml: {error}") from None


class Refused(yaml.YAMLError):
    """YAML that would take too much memory or stack to read."""


def read(text: bytes | str) -> Document:
    """The first document, as `load` gives it. Raises ValueError in go-yaml's words: `yaml: line N: problem`."""
    try:
        return load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark: Any = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        # go-yaml counts lines from 0 on the first and leaves that out
        where = f"line {mark.line + 1}: " if mark is not None and mark.line else ""
        raise ValueError(f"yaml: {where}{problem}") from None


def load(text: bytes | str) -> Document:
    """The first document; None for an empty text. Raises yaml.YAMLError for what is no YAML."""
    _check_depth(text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        loader.check_node()
        node = loader.get_node()
    finally:
        loader.dispose()
    reader = _Reader()
    return Document(None if node is None else reader.value(node), reader.duplicates)


def load_all(text: bytes | str) -> Iterator[Document]:
    """Every document of a stream; empty ones have the value None. Raises yaml.YAMLError when it comes to the fault."""
    _check_depth(text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        while loader.check_node():
            reader = _Reader()
            node = loader.get_node()
            yield Document(None if node is None else reader.value(node), reader.duplicates)
    finally:
        loader.dispose()


def _check_depth(text: bytes | str) -> None:
    """libyaml's composer recurses on the C stack: what nests too deep must not come near it.

    Events come without recursion, but reading them costs as much again, so few texts are asked: without this many
    characters that open a level on the same line, only indentation is left, which the size of a body bounds.
    """
    openers = ("[", "{", "-", "?") if isinstance(text, str) else (b"[", b"{", b"-", b"?")
    if sum(map(text.count, openers)) <= DEPTH_MAX:  # type: ignore[arg-type]
        return
    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise Refused("exceeded max depth")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reader:
    def __init__(self) -> None:
        self.duplicates: list[str] = []
        #: containers read so far, those being read, and how many aliases we are inside of
        self._known: set[int] = set()
        self._open: set[int] = set()
        self._aliases = 0
        self._read = self._read_aliased = 0

    def value(self, node: yaml.Node) -> Any:
        self._read += 1
        self._read_aliased += self._aliases > 0
        if not isinstance(node, yaml.CollectionNode):
            return scalar(node)
        identity = id(node)
        if identity in self._open:
            raise Refused("anchor value contains itself")
        if self._read > 100 and self._read_aliased > 1000 and self._read_aliased > _allowed(self._read):
            raise Refused("document contains excessive aliasing")
        aliased = identity in self._known
        self._known.add(identity)
        self._open.add(identity)
        self._aliases += aliased
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node)
            return [self.value(item) for item in node.value]
        finally:
            self._aliases -= aliased
            self._open.discard(identity)

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag == _PREFIX + "merge":
                self._merge(merged, value_node)
                continue
            key = key_text(self.value(key_node))
            if key in own:
                self.duplicates.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
            own[key] = self.value(value_node)
        return {**merged, **own} if merged else own

    def _merge(self, into: dict[str, Any], node: yaml.Node) -> None:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            found = self.value(source)
            if not isinstance(found, dict):
                raise yaml.constructor.ConstructorError(
                    None, None, "map merge requires map or sequence of maps as the value", source.start_mark
                )
            for key, value in found.items():
                into.setdefault(key, value)


def _allowed(read: int) -> float:
    """How many of the values read may come from aliases: nearly all of a small document, a tenth of a huge one."""
    low, high = 400_000, 4_000_000
    if read <= low:
        return 0.99 * read
    if read >= high:
        return 0.10 * read
    return (0.99 - 0.89 * (read - low) / (high - low)) * read


def scalar(node: yaml.ScalarNode) -> Any:
    """A scalar's value: by its tag where one is written, else by its look, where it is not quoted."""
    text: str = node.value
    if node.tag == _PREFIX + "binary":
        return base64.b64decode(text).decode("utf-8", "replace")
    if node.style in ("'", '"', "|", ">") or node.tag == _PREFIX + "str" and not node.style and _tagged(node):
        return text
    return plain(text)


def _tagged(node: yaml.ScalarNode) -> bool:
    """Whether `!!str` is written before the text (a plain text resolves to the same tag)."""
    return bool(node.end_mark.index - node.start_mark.index > len(node.value.encode()) + 1)


def plain(text: str) -> Any:
    """An unquoted scalar as YAML 1.1 and Go take it."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text in SPECIAL_FLOATS:
        return SPECIAL_FLOATS[text]
    if text[0] in "-+.0123456789":
        bare = text.replace("_", "")
        if found := _INTEGER.fullmatch(bare):
            return _integer(found)
        if _FLOAT.fullmatch(bare):
            return float(bare)
    return text


def _integer(found: re.Match[str]) -> int:
    for group in (2, 3, 4, 5):
        if digits := found[group]:
            number = int(digits, _BASES[group])  # type: ignore[arg-type]
            return -number if found[1] == "-" else number
    raise AssertionError("unreachable")


def key_text(key: Any) -> str:
    """A key as JSON must have it."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None:
        return "null"
    if isinstance(key, float) and key.is_integer():
        return str(int(key))
    return str(key)
