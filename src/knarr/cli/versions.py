"""Which knarr this is."""

from __future__ import annotations


def knarr_version() -> str:
    """Of the installed package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("knarr")
    except PackageNotFoundError:
        return "(not installed)"
