"""Regular expressions of Go (RE2's syntax) on Python's engine, with Go's words for what cannot be parsed.

Patterns come from schemas and CEL rules. What differs between the two syntaxes is rewritten: `$` and `\\z` match at
the very end only, classes such as `[[:alpha:]]`, `\\pL` and `\\Q...\\E` are spelled out, `\\d \\w \\s` are ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

REPEAT_MAX = 1000
POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7F",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1F\\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
ESCAPED = {"a": "\\x07", "f": "\\x0c", "t": "\\t", "n": "\\n", "r": "\\r", "v": "\\x0b"}
CLASSES = frozenset("dDsSwW")


class RegexpError(ValueError):
    """A pattern Go cannot compile; the text is `error parsing regexp: ...`."""

    def __init__(self, code: str, expression: str) -> None:
        super().__init__(f"error parsing regexp: {code}: `{expression}`")


@lru_cache(maxsize=1024)
def compile(pattern: str) -> re.Pattern[str]:
    """Raises RegexpError."""
    translated = _Translator(pattern).run()
    try:
        return re.compile(translated, re.ASCII)
    except (re.error, OverflowError, RecursionError):
        raise RegexpError("invalid or unsupported Perl syntax", pattern) from None


def check(pattern: str) -> str:
    """What is wrong with a pattern; "" when nothing is."""
    try:
        compile(pattern)
    except RegexpError as error:
        return str(error)
    return ""


class _Translator:
    def __init__(self, pattern: str) -> None:
        self.text, self.at = pattern, 0
        self.out: list[str] = []
        #: flags in force per open group: (multi-line, ungreedy)
        self.flags = [(False, False)]
        self.repeatable = False
        self.last_operator = -1
        self.names: set[str] = set()
        #: (depth, opening) of groups made for flags that hold to the end of theirs
        self.pending: list[tuple[int, str]] = []

    def run(self) -> str:
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            match char:
                case "\\":
                    self._escape()
                case "[":
                    self._class()
                case "(":
                    self._open()
                case ")":
                    self._close()
                case "*" | "+" | "?":
                    self._repeat(char)
                case "{":
                    self._counted()
                case "|":
                    reopened = self._end_flags()
                    self._add("|", repeatable=False)
                    self.pending += reopened
                    self.out += [opening for _, opening in reopened]
                case "^":
                    self._add("^" if self.flags[-1][0] else "\\A", zero_width=True)
                case "$":
                    self._add("$" if self.flags[-1][0] else "\\Z", zero_width=True)
                case _:
                    self._add(char)
        if len(self.flags) > 1:
            raise RegexpError("missing closing )", text)
        self._end_flags()
        return "".join(self.out)

    def _add(self, piece: str, repeatable: bool = True, zero_width: bool = False, length: int = 1) -> None:
        self.out.append(f"(?:{piece})" if zero_width and self._repeats(self.at + length) else piece)
        self.at += length
        self.repeatable, self.last_operator = repeatable, -1

    def _repeats(self, at: int) -> bool:
        return self.text[at : at + 1] in ("*", "+", "?", "{") and bool(self.text[at : at + 1])

    # -- repetition -----------------------------------------------------------------------------------

    def _repeat(self, operator: str, length: int = 1) -> None:
        text, at = self.text, self.at
        after = at + length
        if not self.repeatable and self.last_operator < 0:
            raise RegexpError("missing argument to repetition operator", text[at:after])
        lazy = text[after : after + 1] == "?"
        end = after + lazy
        if self.last_operator >= 0:
            raise RegexpError("invalid nested repetition operator", text[self.last_operator : end])
        if self.flags[-1][1]:
            lazy = not lazy
        self.out.append(operator + ("?" if lazy else ""))
        self.at = end
        self.repeatable, self.last_operator = False, at

    def _counted(self) -> None:
        found = re.compile(r"\{(\d+)(,(\d*))?\}").match(self.text, self.at)
        if found is None:
            self._add("\\{")
            return
        low, high = int(found[1]), int(found[3]) if found[3] else -1
        if low > REPEAT_MAX or high > REPEAT_MAX or (found[3] and high < low):
            raise RegexpError("invalid repeat count", found[0])
        self._repeat(found[0], len(found[0]))

    # -- groups ---------------------------------------------------------------------------------------

    def _open(self) -> None:
        text, at = self.text, self.at
        if text[at + 1 : at + 2] != "?":
            self.flags.append(self.flags[-1])
            self._add("(", repeatable=False)
            return
        named = re.compile(r"\(\?P?<").match(text, at)
        if named:
            end = text.find(">", at)
            if end < 0:
                raise RegexpError("invalid named capture", text[at:])
            name = text[named.end() : end]
            if not re.fullmatch(r"\w+", name, re.ASCII):
                raise RegexpError("invalid named capture", text[at : end + 1])
            if name in self.names:
                raise RegexpError("duplicate capture group name", name)
            self.names.add(name)
            self.flags.append(self.flags[-1])
            self._add(f"(?P<g_{name}>", repeatable=False, length=end + 1 - at)
            return
        self._flags()

    def _flags(self) -> None:
        text, at = self.text, self.at
        found = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])").match(text, at)
        if found is None or (found[2] is None and not found[1] and found[3] == ")"):
            if len(text) <= at + 2:
                raise RegexpError("missing argument to repetition operator", "?")
            read = re.compile(r"\(\?[imsU]*(?:-[imsU]*)?.?", re.DOTALL).match(text, at)
            raise RegexpError("invalid or unsupported Perl syntax", read[0] if read else text[at:])
        multi, ungreedy = self.flags[-1]
        on, off = found[1], found[2] or ""
        multi = ("m" in on or multi) and "m" not in off
        ungreedy = ("U" in on or ungreedy) and "U" not in off
        plain_on = "".join(f for f in on if f in "is") + ("m" if multi and "m" in on else "")
        plain_off = "".join(f for f in off if f in "ism")
        head = plain_on + (f"-{plain_off}" if plain_off else "")
        if found[3] == ":":
            self.flags.append((multi, ungreedy))
            self._add(f"(?{head}:", repeatable=False, length=len(found[0]))
            return
        # Flags hold to the end of the group: Python knows that only as a group of its own.
        self.flags[-1] = (multi, ungreedy)
        opening = f"(?{head}:" if head else "(?:"
        self.out.append(opening)
        self.pending.append((len(self.flags), opening))
        self.at += len(found[0])
        self.repeatable, self.last_operator = False, -1

    def _end_flags(self) -> list[tuple[int, str]]:
        """Close the flags' groups of this depth; they are returned in the order they were opened."""
        closed: list[tuple[int, str]] = []
        while self.pending and self.pending[-1][0] == len(self.flags):
            closed.insert(0, self.pending.pop())
            self.out.append(")")
        return closed

    def _close(self) -> None:
        if len(self.flags) == 1:
            raise RegexpError("unexpected )", self.text)
        self._end_flags()
        self.flags.pop()
        self._add(")")

    # -- escapes and classes --------------------------------------------------------------------------

    def _escape(self) -> None:
        text, at = self.text, self.at
        if at + 1 >= len(text):
            raise RegexpError("trailing backslash at end of expression", "")
        char = text[at + 1]
        if char == "Q":
            end = text.find("\\E", at + 2)
            literal = text[at + 2 : end if end >= 0 else len(text)]
            for letter in literal:
                self.out.append(re.escape(letter))
            self.at = len(text) if end < 0 else end + 2
            self.repeatable, self.last_operator = bool(literal) or self.repeatable, -1
        elif char == "z":
            self._add("\\Z", zero_width=True, length=2)
        elif char in "AbB":
            self._add(f"\\{char}", zero_width=True, length=2)
        elif char in "pP":
            inner, length = self._property(at)
            self._add(f"[{inner}]" if inner else "(?!)", length=length)
        elif char in CLASSES:
            self._add(f"\\{char}", length=2)
        else:
            piece, length = self._char_escape(at)
            self._add(piece, length=length)

    def _char_escape(self, at: int) -> tuple[str, int]:
        """(Python's spelling, how many characters it took) of an escape for one character."""
        text, char = self.text, self.text[at + 1 : at + 2]
        if char in ESCAPED and char:
            return ESCAPED[char], 2
        if char == "x":
            found = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))").match(text, at)
            if found and int(found[1] or found[2], 16) <= 0x10FFFF:
                return f"\\U{int(found[1] or found[2], 16):08x}", len(found[0])
        if found := re.compile(r"\\(0[0-7]{0,2}|[1-7][0-7]{1,2})").match(text, at):
            return f"\\U{int(found[1], 8):08x}", len(found[0])
        if char and char.isascii() and not char.isalnum():
            return re.escape(char), 2
        raise RegexpError("invalid escape sequence", text[at : at + 2])

    def _property(self, at: int) -> tuple[str, int]:
        """(the inside of a class, characters taken) of `\\pL`, `\\p{Greek}`, `\\P{^Lu}`."""
        found = re.compile(r"\\([pP])(?:\{(\^?)([^}]*)\}|(.))", re.DOTALL).match(self.text, at)
        if found is None:
            raise RegexpError("invalid character class range", self.text[at:])
        negated = (found[1] == "P") != bool(found[2])
        ranges = _property_ranges(found[3] if found[4] is None else found[4], negated)
        if ranges is None:
            raise RegexpError("invalid character class range", found[0])
        return ranges, len(found[0])

    def _class(self) -> None:
        text, start = self.text, self.at
        at = start + 1
        negated = text[at : at + 1] == "^"
        at += negated
        pieces: list[str] = []
        first = True
        while at < len(text) and (text[at] != "]" or first):
            if text.startswith("[:", at) and (end := text.find(":]", at)) > 0:
                name = text[at + 2 : end]
                inverted = name.startswith("^")
                if name.lstrip("^") not in POSIX:
                    raise RegexpError("invalid character class range", text[at : end + 2])
                pieces.append(_inverse(POSIX[name.lstrip("^")]) if inverted else POSIX[name.lstrip("^")])
                at, first = end + 2, False
                continue
            if text[at] == "\\" and text[at + 1 : at + 2] in CLASSES and text[at + 1 : at + 2]:
                pieces.append(text[at : at + 2])
                at, first = at + 2, False
                continue
            if text[at] == "\\" and text[at + 1 : at + 2] in ("p", "P"):
                inner, length = self._property(at)
                pieces.append(inner)
                at, first = at + length, False
                continue
            begun = at
            low, at = self._class_char(at, start)
            if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("]", ""):
                high, at = self._class_char(at + 1, start)
                if _code(high) < _code(low):
                    raise RegexpError("invalid character class range", text[begun:at])
                pieces.append(f"{low}-{high}")
            else:
                pieces.append(low)
            first = False
        if at >= len(text):
            raise RegexpError("missing closing ]", text[start:])
        inside = "".join(pieces)
        if not inside:
            self._add("(?!)" if not negated else "[\\s\\S]", length=at + 1 - start)
            return
        self._add(f"[{'^' if negated else ''}{inside}]", length=at + 1 - start)

    def _class_char(self, at: int, start: int) -> tuple[str, int]:
        text = self.text
        if at >= len(text):
            raise RegexpError("missing closing ]", text[start:])
        if text[at] == "\\":
            if at + 1 >= len(text):
                raise RegexpError("trailing backslash at end of expression", "")
            piece, length = self._char_escape(at)
            return piece, at + length
        char = text[at]
        return (f"\\{char}" if char in "\\[]^-&~|" else char), at + 1


def _code(piece: str) -> int:
    if piece.startswith("\\U"):
        return int(piece[2:], 16)
    if piece.startswith("\\x"):
        return int(piece[2:], 16)
    if len(piece) == 2:
        return ord({"t": "\t", "n": "\n", "r": "\r"}.get(piece[1], piece[1]))
    return ord(piece)


def _inverse(inside: str) -> str:
    accepts = re.compile(f"[{inside}]").fullmatch
    return _ranges([code for code in range(0x80) if not accepts(chr(code))]) + "\\x80-\\U0010ffff"


SCRIPTS = ("Latin", "Greek", "Cyrillic", "Han", "Hiragana", "Katakana", "Hebrew", "Arabic", "Thai", "Hangul")
SCRIPT_WORDS = {"Han": "CJK"}


@lru_cache(maxsize=64)
def _property_ranges(name: str, negated: bool) -> str | None:
    """The characters of a general category or script as the inside of a class; None for an unknown name."""
    if name == "Any":
        return "" if negated else "\\x00-\\U0010ffff"
    if name in SCRIPTS:
        word = SCRIPT_WORDS.get(name, name.upper())

        def matches(char: str) -> bool:
            return unicodedata.name(char, "").startswith(word)
    elif re.fullmatch("[CLMNPSZ][a-z]?", name):

        def matches(char: str) -> bool:
            return unicodedata.category(char).startswith(name)
    else:
        return None
    return _ranges([code for code in range(0x110000) if matches(chr(code)) != negated])


def _ranges(codes: list[int]) -> str:
    pieces: list[str] = []
    start = previous = -2
    for code in [*codes, -2]:
        if code != previous + 1:
            if start >= 0:
                pieces.append(f"\\U{start:08x}-\\U{previous:08x}")
            start = code
        previous = code
    return "".join(pieces)
