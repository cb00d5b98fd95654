"""cel-go's string extensions and Kubernetes' regular expressions."""

from __future__ import annotations

import json
from typing import Any

from knarr.meta import goregexp
from knarr.meta.cel.functions import overload
from knarr.meta.cel.library.formatting import format_
from knarr.meta.cel.values import CelError, NoSuchOverload

LOWER = {i: i + 32 for i in range(ord("A"), ord("Z") + 1)}
UPPER = {i: i - 32 for i in range(ord("a"), ord("z") + 1)}


def char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise CelError(f"index out of range: {at}")
    return text[at : at + 1]


def index_of(text: str, part: str, start: int = 0) -> int:
    if not part:
        return start
    if not 0 <= start <= len(text):
        raise CelError(f"index out of range: {start}")
    return text.find(part, start)


def last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    if not part:
        return start
    if not 0 <= start <= len(text):
        raise CelError(f"index out of range: {start}")
    return text.rfind(part, 0, start + len(part))


def replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count if count >= 0 else -1)


def split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if count == 1:
        return [text]
    if not separator:
        parts = list(text)
        return (
            parts if count < 0 or len(parts) <= count else [*parts[: count - 1], "".join(parts[count - 1 :])]
        )
    return text.split(separator, count - 1 if count > 0 else -1)


def substring(text: str, start: int, end: int | None = None) -> str:
    if end is None:
        if not 0 <= start <= len(text):
            raise CelError(f"index out of range: {start}")
        return text[start:]
    if start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= len(text):
        raise CelError(f"index out of range: {start}")
    if not 0 <= end <= len(text):
        raise CelError(f"index out of range: {end}")
    return text[start:end]


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def find(text: str, pattern: str) -> str:
    found = _compiled(pattern).search(text)
    return "" if found is None else found[0]


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [m[0] for m in _compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _compiled(pattern: str) -> Any:
    try:
        return goregexp.compile(pattern)
    except goregexp.RegexpError as error:
        raise CelError(f"Illegal regex: {error}") from None


def _joined(items: list[Any], separator: str = "") -> str:
    if not all(isinstance(item, str) for item in items):
        raise NoSuchOverload
    return separator.join(items)


OVERLOADS = (
    overload("string_char_at_int: string::charAt(int) -> string", char_at),
    overload("string_index_of_string: string::indexOf(string) -> int", index_of),
    overload("string_index_of_string_int: string::indexOf(string,int) -> int", index_of),
    overload("string_last_index_of_string: string::lastIndexOf(string) -> int", last_index_of),
    overload("string_last_index_of_string_int: string::lastIndexOf(string,int) -> int", last_index_of),
    overload("string_lower_ascii: string::lowerAscii() -> string", lambda s: s.translate(LOWER)),
    overload("string_upper_ascii: string::upperAscii() -> string", lambda s: s.translate(UPPER)),
    overload("string_replace_string_string: string::replace(string,string) -> string", replace),
    overload("string_replace_string_string_int: string::replace(string,string,int) -> string", replace),
    overload("string_split_string: string::split(string) -> list<string>", split),
    overload("string_split_string_int: string::split(string,int) -> list<string>", split),
    overload("string_substring_int: string::substring(int) -> string", substring),
    overload("string_substring_int_int: string::substring(int,int) -> string", substring),
    overload("string_trim: string::trim() -> string", str.strip),
    overload("list_join: list<string>::join() -> string", _joined),
    overload("list_join_string: list<string>::join(string) -> string", _joined),
    overload("string_format: string::format(list<dyn>) -> string", format_),
    overload("strings_quote: strings.quote(string) -> string", quote),
    overload("string_find_string: string::find(string) -> string", find),
    overload("string_find_all_string: string::findAll(string) -> list<string>", find_all),
    overload("string_find_all_string_int: string::findAll(string,int) -> list<string>", find_all),
    overload(
        "jsonpatch_escapeKey: jsonpatch.escapeKey(string) -> string",
        lambda s: s.replace("~", "~0").replace("/", "~1"),
    ),
)
