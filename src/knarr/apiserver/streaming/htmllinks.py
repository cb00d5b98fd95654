"""Links in proxied HTML: those that stay within the backend are made to lead through the proxy again.

Only the attributes of start tags that hold URLs are looked at, as in the API server's proxy; everything else is handed
on byte by byte.
"""

from __future__ import annotations

import gzip
import html
import re
import zlib
from collections.abc import Callable, Iterator

#: tag -> its attributes that hold URLs
ATTRIBUTES = {
    "a": {"href"},
    "applet": {"codebase"},
    "area": {"href"},
    "audio": {"src"},
    "base": {"href"},
    "blockquote": {"cite"},
    "body": {"background"},
    "button": {"formaction"},
    "command": {"icon"},
    "del": {"cite"},
    "embed": {"src"},
    "form": {"action"},
    "frame": {"longdesc", "src"},
    "head": {"profile"},
    "html": {"manifest"},
    "iframe": {"longdesc", "src"},
    "img": {"longdesc", "src", "usemap"},
    "input": {"src", "usemap", "formaction"},
    "ins": {"cite"},
    "link": {"href"},
    "object": {"classid", "codebase", "data", "usemap"},
    "q": {"cite"},
    "script": {"src"},
    "source": {"src"},
    "video": {"poster"},
}
#: elements whose content is text, whatever it looks like
TEXT_ONLY = frozenset(
    {"iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp"}
)
#: each step of the scanner is one of these, from where the last one ended: what a backend sends costs linear time
_NAME = re.compile(r"[a-zA-Z][^\s/>]*+")
_ATTRIBUTE = re.compile(r"[\s/]*+([^\s=/>]++)(?:\s*+=\s*+(?:\"([^\"]*)\"|'([^']*)'|([^\s>]*+)))?")
_END = re.compile(r"([\s/]*+)>")
Rewrite = Callable[[str], str]
#: HTML that is not rewritten because it is longer
BYTES_MAX = 8 << 20


def is_html(headers: list[tuple[str, str]]) -> bool:
    """Whether an answer is HTML in an encoding that is understood here."""
    found = {name.lower(): value for name, value in headers}
    kind = found.get("content-type", "").partition(";")[0].strip()
    return kind == "text/html" and found.get("content-encoding", "") in ("", "gzip", "deflate")


def rewritten(body: bytes, encoding: str, rewrite: Rewrite) -> bytes:
    """The document with its links rewritten, in the encoding it came in. Raises OSError and zlib.error."""
    if encoding == "gzip":
        return gzip.compress(_rewritten(gzip.decompress(body), rewrite), mtime=0)
    if encoding == "deflate":
        packer = zlib.compressobj(9, wbits=-15)
        return packer.compress(_rewritten(zlib.decompress(body, -15), rewrite)) + packer.flush()
    return _rewritten(body, rewrite)


def _rewritten(body: bytes, rewrite: Rewrite) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    return "".join(_pieces(text, rewrite)).encode("utf-8", "surrogateescape")


def _pieces(text: str, rewrite: Rewrite) -> Iterator[str]:
    at = 0
    while (open_ := text.find("<", at)) >= 0:
        yield text[at:open_]
        name = _NAME.match(text, open_ + 1)
        if name is None:
            at = _other_end(text, open_)
            yield text[open_:at]
            continue
        tag = name[0].lower()
        shown, after = _start_tag(text, tag, name.end(), rewrite)
        if after < 0:
            at = open_
            break
        yield shown
        at = after
        if tag in TEXT_ONLY:
            closing = re.compile(rf"</{re.escape(tag)}", re.IGNORECASE).search(text, at)
            stop = len(text) if closing is None else closing.start()
            yield text[at:stop]
            at = stop
    yield text[at:]


def _other_end(text: str, open_: int) -> int:
    """Where a comment, a declaration or an end tag ends; a bare `<` is text."""
    if text.startswith("<!--", open_):
        found, size = text.find("-->", open_ + 4), 3
    elif text[open_ + 1 : open_ + 2] in ("!", "?", "/"):
        found, size = text.find(">", open_), 1
    else:
        return open_ + 1
    return len(text) if found < 0 else found + size


def _start_tag(text: str, tag: str, at: int, rewrite: Rewrite) -> tuple[str, int]:
    """(the tag as Go's tokenizer writes it, where it ends); -1 where the document ends before it does."""
    urls: set[str] = ATTRIBUTES.get(tag, set())
    parts = [tag]
    while (end := _END.match(text, at)) is None:
        found = _ATTRIBUTE.match(text, at)
        if found is None:
            if at >= len(text) or text[at] != "=":
                return "", -1
            at += 1  # a stray sign is no attribute
            continue
        at = found.end()
        key, value = found[1].lower(), html.unescape(found[2] or found[3] or found[4] or "")
        parts.append(f'{key}="{_escaped(rewrite(value) if key in urls else value)}"')
    return f"<{' '.join(parts)}{'/' if '/' in end[1] else ''}>", end.end()


def _escaped(text: str) -> str:
    for letter, entity in (
        ("&", "&amp;"),
        ("'", "&#39;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ('"', "&#34;"),
        ("\r", "&#13;"),
    ):
        text = text.replace(letter, entity)
    return text
