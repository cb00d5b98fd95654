"""Hashes that become part of names: of pod templates and of controller revisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.controllers.gotemplate import spew
from knarr.world.chance import SUFFIX_ALPHABET


def fnv1a32(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def fnv32(data: bytes) -> int:
    """FNV-1, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value * 0x01000193 & 0xFFFFFFFF) ^ byte
    return value


def safe_encode(text: str) -> str:
    """In an alphabet without vowels, so that no hash spells a word."""
    return "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in text.encode())


def template_hash(template: Mapping[str, Any], collisions: int | None) -> str:
    """Of a pod template in wire form, as Kubernetes computes it. `collisions`, once there were any, makes another
    name for the same template."""
    data = spew(template).encode()
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return safe_encode(str(fnv1a32(data)))
