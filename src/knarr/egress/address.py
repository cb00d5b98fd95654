"""From a WebhookClientConfig to what is called: the URL, and the name that its certificate has to bear."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

#: where services listen that name no port
HTTPS_PORT = 443


class Target(NamedTuple):
    """`service` is (namespace, name, port); None where the URL says it all."""

    url: str
    service: tuple[str, str, int] | None


def target_of(client_config: Mapping[str, Any], path: str = "", query: str = "") -> Target:
    """`path` goes behind the configured one. Raises ValueError for a configuration without url and service."""
    service = client_config.get("service")
    if service is not None:
        port = service.get("port") or HTTPS_PORT
        place = service["namespace"], service["name"], port
        base = f"https://{service['name']}.{service['namespace']}.svc:{port}"
        return Target(base + _joined(service.get("path") or "", path) + _query(query), place)
    url = client_config.get("url")
    if not url:
        raise ValueError("webhook configuration must have either service or URL")
    parts = urlsplit(url)
    return Target(f"{parts.scheme}://{parts.netloc}{_joined(parts.path, path)}{_query(query)}", None)


def _joined(first: str, second: str) -> str:
    """As Go's path.Join makes it: one slash in front, none behind."""
    joined = posixpath.normpath("/" + "/".join(part.strip("/") for part in (first, second) if part))
    return "/" + joined.lstrip("/")


def _query(query: str) -> str:
    return f"?{query}" if query else ""
