"""Kubernetes' semver()."""

from __future__ import annotations

import re

from knarr.meta.cel.functions import overload
from knarr.meta.cel.values import CelError
from knarr.meta.gofmt import quote
from knarr.meta.strconv import parse_uint

_NUMBER = re.compile(r"[0-9]*")
_WORD = re.compile(r"[0-9A-Za-z-]*")


class Semver:
    """A semantic version; builds do not count when versions are compared. Raises CelError."""

    cel_type = "kubernetes.Semver"
    __slots__ = ("key", "numbers")

    def __init__(self, text: str) -> None:
        if not text:
            raise CelError("Version string empty")
        parts = text.split(".", 2)
        if len(parts) != 3:
            raise CelError("No Major.Minor.Patch elements found")
        major, minor = _number("Major", parts[0]), _number("Minor", parts[1])
        patch, plus, build = parts[2].partition("+")
        patch, dash, pre = patch.partition("-")
        self.numbers = (major, minor, _number("Patch", patch))
        # a release is newer than its pre-releases, whose numbers come before words
        rank = tuple(map(_prerelease, pre.split("."))) if dash else ()
        self.key = (self.numbers, not dash, rank)
        for word in build.split(".") if plus else ():
            _check_word("build meta data", word)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _number(part: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise CelError(f"Invalid character(s) found in {part.lower()} number {quote(text)}")
    if len(text) > 1 and text[0] == "0":
        raise CelError(f"{part} number must not contain leading zeroes {quote(text)}")
    return _uint(text)


def _prerelease(text: str) -> tuple[int, int, str]:
    if not text or not _NUMBER.fullmatch(text):
        _check_word("prerelease", text)
        return 1, 0, text
    if len(text) > 1 and text[0] == "0":
        raise CelError(f"Numeric PreRelease version must not contain leading zeroes {quote(text)}")
    return 0, _uint(text), ""


def _check_word(part: str, text: str) -> None:
    if not text:
        raise CelError(f"{part.capitalize()} is empty")
    if not _WORD.fullmatch(text):
        raise CelError(f"Invalid character(s) found in {part} {quote(text)}")


def _uint(text: str) -> int:
    try:
        return parse_uint(text)
    except ValueError as error:
        raise CelError(str(error)) from None


def parse(text: str, normalize: bool = False) -> Semver:
    return Semver(normalized(text) if normalize else text)


def normalized(text: str) -> str:
    """Without a leading v and leading zeros, with missing minor and patch as 0. Raises CelError."""
    parts = [_without_zeros(part) for part in text.removeprefix("v").split(".", 2)]
    if len(parts) < 3 and ("+" in parts[-1] or "-" in parts[-1]):
        raise CelError("short version cannot contain PreRelease/Build meta data")
    return ".".join(parts + ["0"] * (3 - len(parts)))


def _without_zeros(part: str) -> str:
    if len(part) < 2:
        return part
    stripped = part.lstrip("0")
    return stripped if stripped[:1] and stripped[0] in "0123456789" else f"0{stripped}"


def is_semver(text: str, normalize: bool = False) -> bool:
    try:
        parse(text, normalize)
    except CelError:
        return False
    return True


S = "kubernetes.Semver"
OVERLOADS = (
    overload(f"string_to_semver: semver(string) -> {S}", parse),
    overload(f"string_bool_to_semver: semver(string,bool) -> {S}", parse),
    overload("is_semver_string: isSemver(string) -> bool", is_semver),
    overload("is_semver_string_bool: isSemver(string,bool) -> bool", is_semver),
    overload(f"semver_major: {S}::major() -> int", lambda s: s.numbers[0]),
    overload(f"semver_minor: {S}::minor() -> int", lambda s: s.numbers[1]),
    overload(f"semver_patch: {S}::patch() -> int", lambda s: s.numbers[2]),
    overload(f"semver_is_greater_than: {S}::isGreaterThan({S}) -> bool", lambda a, b: a.key > b.key),
    overload(f"semver_is_less_than: {S}::isLessThan({S}) -> bool", lambda a, b: a.key < b.key),
    overload(
        f"semver_compare_to: {S}::compareTo({S}) -> int", lambda a, b: (a.key > b.key) - (a.key < b.key)
    ),
)
