"""Kubernetes' url(): absolute URLs and absolute paths, as Go parses them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote, unquote_to_bytes

from knarr.meta import gourl
from knarr.meta.cel.functions import overload
from knarr.meta.cel.values import CelError


class URL:
    """A URL as `url.ParseRequestURI` takes it apart: a fragment is part of the path, and only a scheme brings a host."""

    cel_type = "kubernetes.URL"
    __slots__ = ("host", "path", "query", "scheme", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        scheme, colon, rest = text.partition(":")
        if not colon or not _SCHEME.fullmatch(scheme):
            scheme, rest = "", text
        rest, _, self.query = rest.partition("?")
        self.scheme, self.host, self.path = scheme.lower(), "", rest
        if scheme and rest.startswith("//"):
            authority, slash, path = rest[2:].partition("/")
            self.host, self.path = unquote(authority.rpartition("@")[2]), slash + path
        elif scheme and not rest.startswith("/"):
            self.path = ""  # opaque, like mailto:

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PORT = re.compile(r":(\d*)$")
#: paths that need no escapes that they have not
_ESCAPED = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,;=:@\[\]/%]*")


def fault(text: str) -> str:
    """What is wrong with a URL, in Go's words; "" when nothing is."""
    return gourl.fault(text, request=True)


def parse(text: str) -> URL:
    if why := fault(text):
        raise CelError(f"URL parse error during conversion from string: {why}")
    return URL(text)


def _hostname(url: URL) -> str:
    if url.host.startswith("["):
        return url.host[1:].partition("]")[0]
    return url.host.partition(":")[0]


def _port(url: URL) -> str:
    found = _PORT.search(url.host.rpartition("]")[2])
    return found[1] if found else ""


def _escaped_path(url: URL) -> str:
    if _ESCAPED.fullmatch(url.path):
        return url.path
    return quote(unquote_to_bytes(url.path), safe="/$&+,:;=@")


def _query(url: URL) -> dict[str, Any]:
    # Go drops what has a semicolon.
    sound = [part for part in url.query.split("&") if ";" not in part]
    return parse_qs("&".join(sound), keep_blank_values=True)


OVERLOADS = (
    overload("string_to_url: url(string) -> kubernetes.URL", parse),
    overload("is_url_string: isURL(string) -> bool", lambda text: not fault(text)),
    overload("url_get_scheme: kubernetes.URL::getScheme() -> string", lambda u: u.scheme),
    overload("url_get_host: kubernetes.URL::getHost() -> string", lambda u: u.host),
    overload("url_get_hostname: kubernetes.URL::getHostname() -> string", _hostname),
    overload("url_get_port: kubernetes.URL::getPort() -> string", _port),
    overload(
        "url_get_escaped_path: kubernetes.URL::getEscapedPath() -> string",
        _escaped_path,
    ),
    overload("url_get_query: kubernetes.URL::getQuery() -> map<string,list<string>>", _query),
)
