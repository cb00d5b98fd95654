"""Kubernetes' url(): absolute URLs and absolute paths, as Go parses them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from knarr.meta import gourl
from knarr.meta.cel.functions import overload
from knarr.meta.cel.values import CelError


class URL:
    """A parsed URL."""

    cel_type = "kubernetes.URL"
    __slots__ = ("parts", "text")

    def __init__(self, text: str) -> None:
        self.text, self.parts = text, urlsplit(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


_PORT = re.compile(r":(\d*)$")


def fault(text: str) -> str:
    """What is wrong with a URL, in Go's words; "" when nothing is."""
    return gourl.fault(text, request=True)


def parse(text: str) -> URL:
    if why := fault(text):
        raise CelError(f"URL parse error during conversion from string: {why}")
    return URL(text)


def _host(url: URL) -> str:
    return url.parts.netloc.rpartition("@")[2]


def _hostname(url: URL) -> str:
    host = _host(url)
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _port(url: URL) -> str:
    host = _host(url)
    found = _PORT.search(host.rpartition("]")[2] if host.startswith("[") else host)
    return found[1] if found else ""


def _query(url: URL) -> dict[str, Any]:
    return parse_qs(url.parts.query, keep_blank_values=True)


OVERLOADS = (
    overload("string_to_url: url(string) -> kubernetes.URL", parse),
    overload("is_url_string: isURL(string) -> bool", lambda text: not fault(text)),
    overload("url_get_scheme: kubernetes.URL::getScheme() -> string", lambda u: u.parts.scheme),
    overload("url_get_host: kubernetes.URL::getHost() -> string", _host),
    overload("url_get_hostname: kubernetes.URL::getHostname() -> string", _hostname),
    overload("url_get_port: kubernetes.URL::getPort() -> string", _port),
    overload(
        "url_get_escaped_path: kubernetes.URL::getEscapedPath() -> string",
        lambda u: quote(unquote(u.parts.path), safe="/$&+,:;=@!*'()~"),
    ),
    overload("url_get_query: kubernetes.URL::getQuery() -> map<string,list<string>>", _query),
)
