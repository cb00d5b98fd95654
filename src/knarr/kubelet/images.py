"""Image references, as container runtimes write them."""

from __future__ import annotations

import hashlib

DEFAULT_REGISTRY, DEFAULT_FOLDER = "docker.io", "library"


def normalized(image: str) -> str:
    """`nginx` is `docker.io/library/nginx:latest`."""
    name, at, digest = image.partition("@")
    head, slash, tail = name.partition("/")
    if not slash:
        name = f"{DEFAULT_REGISTRY}/{DEFAULT_FOLDER}/{name}"
    elif "." not in head and ":" not in head and head != "localhost":
        name = f"{DEFAULT_REGISTRY}/{name}"
    if at:
        return f"{name}@{digest}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def image_id(image: str) -> str:
    """A plausible, repeatable digest of an image that nobody pulled."""
    name = normalized(image)
    if "@" in name:
        return name
    return f"{name.rpartition(':')[0]}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"
