"""Fields whose JSON is kept as it was sent, blanks included (runtime.RawExtension in Kubernetes).

There the bytes count: an update that says the same in other words has changed such a field, and so has a patch that
leaves it alone, because what a patch makes is written without blanks.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

Object = dict[str, Any]
_texts = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Worded(dict[str, Any]):
    """A JSON object that is equal to one of the same words only."""

    def __init__(self, value: Object, text: bytes) -> None:
        super().__init__(value)
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Worded) and self.text == other.text

    def __ne__(self, other: object) -> bool:
        return not self == other  # a dict has its own

    __hash__ = None  # type: ignore[assignment]


def as_kept(obj: Object, sent: bytes, fields: tuple[str, ...]) -> Object:
    """The object for the store: with the words of the body that was sent, where it is still what that said."""
    return {**obj, **{field: orjson.Fragment(text) for field, text in _words(obj, sent, fields).items()}}


def as_worded(obj: Object, text: bytes, fields: tuple[str, ...]) -> Object:
    """The object for a comparison; `text` is its JSON, or empty where it has none."""
    words = _words(obj, text, fields)
    return {
        **obj,
        **{
            field: Worded(obj[field], words.get(field) or orjson.dumps(obj[field]))
            for field in fields
            if isinstance(obj.get(field), dict)
        },
    }


def _words(obj: Object, text: bytes, fields: tuple[str, ...]) -> dict[str, bytes]:
    if not text:
        return {}
    found = _texts.decode(text)
    words = {field: bytes(found[field]) for field in fields if field in found and field in obj}
    return {field: word for field, word in words.items() if orjson.loads(word) == obj[field]}
