"""Changing a YAML file without rewriting it: only the lines of an entry change, comments stay.

Made for kubeconfigs: a mapping whose sections are lists of named items. The parser's own marks say where an entry
stands. Whatever the result, it is read again and compared with the content that is meant: where the file's style
defies line edits (flow style, anchors), it is written anew from that content, and only its comments are lost.
"""

from __future__ import annotations

import copy
from typing import Any


class Unsplicable(Exception):
    """This text cannot be changed line by line."""


class Document:
    """`text` and the `data` it holds, always in step."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.data: dict[str, Any] = _load(text) or {}

    def set(self, key: str, value: str) -> None:
        """A top-level scalar."""
        if self.data.get(key) == value and key in self.data:
            return
        meant = {**self.data, key: value}
        self._become(meant, lambda: _set_scalar(self.text, key, value))

    def put_item(self, section: str, item: dict[str, Any]) -> None:
        """Replace the item of the same name, or append."""
        meant = copy.deepcopy(self.data)
        items = meant[section] = meant.get(section) or []
        position = _position(items, item["name"])
        if position is None:
            items.append(item)
        elif items[position] == item:
            return
        else:
            items[position] = item
        self._become(meant, lambda: _put_item(self.text, section, position, item))

    def remove_item(self, section: str, name: str) -> None:
        """Every item of that name; none is fine."""
        while (position := _position(self.data.get(section) or [], name)) is not None:
            meant = copy.deepcopy(self.data)
            del meant[section][position]
            self._become(meant, lambda at=position: _remove_item(self.text, section, at))  # type: ignore[misc]

    def _become(self, meant: dict[str, Any], edit: Any) -> None:
        import yaml

        try:
            text = edit()
            if _load(text) != meant:
                raise Unsplicable
        except (Unsplicable, yaml.YAMLError):
            text = self.dumped(meant)
        self.text, self.data = text, meant

    @staticmethod
    def dumped(data: dict[str, Any]) -> str:
        return _dump(data)


def _load(text: str) -> Any:
    import yaml

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _dump(data: Any) -> str:
    import yaml

    return yaml.safe_dump(
        data, default_flow_style=False, sort_keys=False, allow_unicode=True, width=1_000_000
    )


def _position(items: list[Any], name: str) -> int | None:
    return next((i for i, item in enumerate(items) if item.get("name") == name), None)


# -- line edits ---------------------------------------------------------------------------------------------


def _root(text: str) -> Any:
    """The root mapping's node, or None for an empty text."""
    import yaml

    root = yaml.compose(text, yaml.SafeLoader)
    if root is None:
        return None
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise Unsplicable
    return root


def _value(root: Any, key: str) -> Any:
    for key_node, value_node in root.value if root is not None else ():
        if key_node.value == key:
            return value_node
    return None


def _set_scalar(text: str, key: str, value: str) -> str:
    node = _value(_root(text), key)
    scalar = _dump({key: value})
    if node is None:
        return _ended(text) + scalar
    start, end = node.start_mark.index, node.end_mark.index
    written = scalar.partition(":")[2].strip()
    if start == end:  # nothing after the colon
        written = " " + written
    return text[:start] + written + text[end:]


def _put_item(text: str, section: str, position: int | None, item: dict[str, Any]) -> str:
    node = _value(_root(text), section)
    if node is None:
        return _ended(text) + _dump({section: [item]})
    if not node.value or isinstance(node.value, str):  # [], null, or nothing at all
        start, end = node.start_mark.index, node.end_mark.index
        line_end = _line_end(text, end)
        rest = text[end:line_end].rstrip("\n")
        return text[:start].rstrip(" ") + rest + "\n" + _dump([item]) + text[line_end:]
    if node.flow_style:
        raise Unsplicable
    if position is None:
        indent, _ = _dash(text, node.value[0])
        at = _content_end(text, node.value[-1])
        return _ended(text[:at]) + _indented(_dump([item]), indent) + text[at:]
    indent, start = _dash(text, node.value[position])
    end = _content_end(text, node.value[position])
    return text[:start] + _indented(_dump([item]), indent) + text[end:]


def _remove_item(text: str, section: str, position: int) -> str:
    node = _value(_root(text), section)
    if node is None or node.flow_style:
        raise Unsplicable
    if len(node.value) == 1:  # a list must stay a list
        at = node.start_mark.index
        _, start = _dash(text, node.value[0])
        key_line_end = text.rindex(":", 0, at) + 1
        end = _content_end(text, node.value[0])
        return text[:key_line_end] + " []" + text[key_line_end:start] + text[end:]
    _, start = _dash(text, node.value[position])
    return text[:start] + text[_content_end(text, node.value[position]) :]


def _dash(text: str, item: Any) -> tuple[str, int]:
    """(the indentation before an item's dash, where its line begins)."""
    start = text.rfind("\n", 0, item.start_mark.index) + 1
    lead = text[start : item.start_mark.index]
    if lead.strip() != "-":
        raise Unsplicable
    return lead[: lead.index("-")], start


def _content_end(text: str, node: Any) -> int:
    """After the line on which the node's last content stands; comments below it belong to what follows."""
    import yaml

    while isinstance(node, (yaml.MappingNode, yaml.SequenceNode)) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return _line_end(text, node.end_mark.index)


def _line_end(text: str, at: int) -> int:
    if at and text[at - 1] == "\n":
        return at
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1


def _indented(text: str, indent: str) -> str:
    return "".join(indent + line for line in text.splitlines(keepends=True))


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
