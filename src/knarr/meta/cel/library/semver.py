"""Kubernetes' semver()."""

from __future__ import annotations

import re

from knarr.meta.cel.functions import overload
from knarr.meta.cel.values import CelError

_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)


class Semver:
    """A semantic version; builds do not count when versions are compared."""

    cel_type = "kubernetes.Semver"
    __slots__ = ("key", "numbers")

    def __init__(self, text: str) -> None:
        found = _VERSION.fullmatch(text)
        if found is None:
            raise ValueError(text)
        self.numbers = tuple(int(found[i]) for i in (1, 2, 3))
        pre = found[4]
        # a release is newer than its pre-releases, whose numbers come before words
        rank = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")) if pre else ()
        self.key = (self.numbers, pre is None, rank)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def parse(text: str, normalize: bool = False) -> Semver:
    try:
        return Semver(normalized(text) if normalize else text)
    except ValueError:
        raise CelError(_fault(text)) from None


def _fault(text: str) -> str:
    if not text:
        return "Version string empty"
    if text.count(".") < 2:
        return "No Major.Minor.Patch elements found"
    return f'Invalid character(s) found in version "{text}"'


def normalized(text: str) -> str:
    """Without a leading v and leading zeros, with missing minor and patch as 0."""
    core, plus, build = text.removeprefix("v").partition("+")
    core, dash, pre = core.partition("-")
    parts = core.split(".")
    if all(part.isdigit() for part in parts) and len(parts) <= 3:
        parts = [str(int(part)) for part in parts]
        if len(parts) < 3 and (dash or plus):
            return text
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts) + dash + pre + plus + build


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
