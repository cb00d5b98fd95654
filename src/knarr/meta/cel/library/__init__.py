"""The functions of Kubernetes' CEL environments."""

from __future__ import annotations

from functools import cache

from knarr.meta.cel.functions import Functions, table


@cache
def functions() -> Functions:
    """All functions by name; loaded when the first expression is compiled."""
    from knarr.meta.cel.library import (
        addresses,
        format,
        lists,
        optional,
        quantity,
        semver,
        sets,
        standard,
        strings,
        times,
        urls,
    )

    modules = (standard, times, strings, lists, sets, optional, urls, quantity, addresses, format, semver)
    return table(*(module.OVERLOADS for module in modules))
