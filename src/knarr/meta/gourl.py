"""What Go's net/url says of texts that are no URLs."""

from __future__ import annotations

import re

from knarr.meta.gofmt import quote

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_PORT = re.compile(r"(:\d*)?")
#: ASCII that Go's `unescape` does not take in a host
_NO_HOST = re.compile(r"[ #/?@\\^`{|}]")


def fault(text: str, request: bool = False) -> str:
    """Why `url.Parse` refuses a text, or `url.ParseRequestURI` (`request`); empty if it is a URL."""
    found = _fault(text, request)
    return f"parse {quote(text)}: {found}" if found else ""


def _fault(text: str, request: bool) -> str:
    if _CONTROL.search(text):
        return "net/url: invalid control character in URL"
    if not text:
        return "empty url" if request else ""
    if text == "*":
        return ""
    rest = text if request else text.partition("#")[0]
    if rest.startswith(":"):
        return "missing protocol scheme"
    scheme = _SCHEME.match(rest)
    rest = rest[scheme.end() :] if scheme else rest
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return ""  # opaque, like mailto:
        if request:
            return "invalid URI for request"
        if ":" in rest.partition("/")[0]:
            return "first path segment in URL cannot contain colon"
    if rest.startswith("//") and (scheme or (not request and not rest.startswith("///"))):
        authority, slash, path = rest[2:].partition("/")
        if found := _authority_fault(authority):
            return found
        rest = slash + path
    escape = _BAD_ESCAPE.search(rest)
    return f"invalid URL escape {quote(escape[0])}" if escape else ""


def _authority_fault(authority: str) -> str:
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        if "]" not in host:
            return "missing ']' in host"
        port = host.rpartition("]")[2]
    else:
        port = f":{host.rpartition(':')[2]}" if ":" in host else ""
    if not _PORT.fullmatch(port):
        return f"invalid port {quote(port)} after host"
    if escape := _BAD_ESCAPE.search(host):
        return f"invalid URL escape {quote(escape[0])}"
    if letter := _NO_HOST.search(host):
        return f"invalid character {quote(letter[0])} in host name"
    return ""
