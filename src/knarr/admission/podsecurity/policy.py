"""Which pod security level holds in a namespace, from its labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from knarr.meta import fielderrors as field
from knarr.meta.fielderrors import FieldError

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
LATEST = 1 << 30
#: the minor version that this is
NEWEST = 36
VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")


class Standard(NamedTuple):
    """A level as of a minor version of Kubernetes."""

    level: str = "privileged"
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    @property
    def strictness(self) -> int:
        return LEVELS.index(self.level)

    @property
    def version(self) -> str:
        """As metrics tell it: everything is allowed in every version alike, and versions to come are one."""
        if self.minor == LATEST or self.level == "privileged":
            return "latest"
        return "future" if self.minor > NEWEST else f"v1.{self.minor}"


class Policy(NamedTuple):
    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()
    errors: tuple[FieldError, ...] = ()

    @property
    def lenient(self) -> bool:
        return not (self.enforce.strictness or self.audit.strictness or self.warn.strictness)


DEFAULT = Policy()


def policy_of(labels: Mapping[str, str] | None) -> Policy:
    """The policy of a namespace; labels that cannot be read are reported.

    An unreadable level is the strictest one where it is enforced, and none where it is only told about.
    """
    relevant = tuple((k, v) for k, v in (labels or {}).items() if k.startswith(PREFIX))
    return _read(relevant) if relevant else DEFAULT


@lru_cache(maxsize=1024)
def _read(labels: tuple[tuple[str, str], ...]) -> Policy:
    given = dict(labels)
    found: list[FieldError] = []
    enforce = _standard(given, "enforce", "restricted", found)
    audit = _standard(given, "audit", "privileged", found)
    warn = _standard(given, "warn", "privileged", found)
    sure = given.get(f"{PREFIX}enforce") in LEVELS
    if sure and f"{PREFIX}warn" not in given and enforce.strictness > warn.strictness:
        # what is enforced for pods is worth a warning on what makes pods
        minor = warn.minor if f"{PREFIX}warn-version" in given else enforce.minor
        warn = Standard(enforce.level, minor)
    return Policy(enforce, audit, warn, tuple(found))


def _standard(labels: Mapping[str, str], mode: str, unreadable: str, found: list[FieldError]) -> Standard:
    """What the labels say for a mode; a level that is none counts as `unreadable`."""
    level, minor = "privileged", LATEST
    key = f"{PREFIX}{mode}"
    if key in labels:
        level = labels[key]
        if level not in LEVELS:
            words = f"must be one of {', '.join(LEVELS)}"
            found.append(field.invalid(f"metadata.labels[{key}]", level, words))
            level = unreadable
    key = f"{PREFIX}{mode}-version"
    if key in labels and labels[key] != "latest":
        match = VERSION.fullmatch(labels[key])
        if match:
            minor = int(match[1])
        else:
            words = 'must be "latest" or "v1.x"'
            found.append(field.invalid(f"metadata.labels[{key}]", labels[key], words))
    return Standard(level, minor)
