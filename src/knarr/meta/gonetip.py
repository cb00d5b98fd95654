"""What Go's net/netip says of texts that are no addresses and no prefixes of networks."""

from __future__ import annotations

import re

from knarr.meta.gofmt import quote

_HEX = re.compile(r"[0-9a-fA-F]*")
_BITS = re.compile(r"[0-9]|[1-9][0-9]*")
BYTES = 16


def address_fault(text: str) -> str:
    """Why `netip.ParseAddr` refuses a text; empty if it is an address."""
    found = _address(text)
    return f"ParseAddr({quote(text)}): {found}" if found else ""


def prefix_fault(text: str) -> str:
    """Why `netip.ParsePrefix` refuses a text; empty if it is an address with the length of a prefix."""
    found = _prefix(text)
    return f"netip.ParsePrefix({quote(text)}): {found}" if found else ""


def _prefix(text: str) -> str:
    host, slash, bits = text.rpartition("/")
    if not slash:
        return "no '/'"
    if found := address_fault(host):
        return found
    if "%" in host:
        return "IPv6 zones cannot be present in a prefix"
    if not _BITS.fullmatch(bits):
        return f"bad bits after slash: {quote(bits)}"
    return "prefix length out of range" if int(bits) > (128 if ":" in host else 32) else ""


def _address(text: str) -> str:
    for letter in text:
        if letter == ".":
            return _fields_of_four(text)
        if letter == ":":
            return _six(text)
        if letter == "%":
            return "missing IPv6 address"
    return "unable to parse IP"


def _fields_of_four(text: str) -> str:
    value = digits = fields = 0
    for at, letter in enumerate(text):
        if "0" <= letter <= "9":
            if digits == 1 and value == 0:
                return "IPv4 field has octet with leading zero"
            value, digits = value * 10 + int(letter), digits + 1
            if value > 255:
                return "IPv4 field has value >255"
        elif letter == ".":
            if at in (0, len(text) - 1) or text[at - 1] == ".":
                return _at("IPv4 field must have at least one digit", text[at:])
            if fields == 3:
                return "IPv4 address too long"
            fields, value, digits = fields + 1, 0, 0
        else:
            return _at("unexpected character", text[at:])
    return "IPv4 address too short" if fields < 3 else ""


def _six(text: str) -> str:
    rest, percent, zone = text.partition("%")
    if percent and not zone:
        return "zone must be a non-empty string"
    gap = rest.startswith("::")
    rest = rest[2:] if gap else rest
    if gap and not rest:
        return ""
    done = 0
    while done < BYTES:
        group = _HEX.match(rest)
        size = len(group[0]) if group else 0
        if size > 4:
            return _at("each group must have 4 or less digits", rest)
        if size == 0:
            return _at("each colon-separated field must have at least one digit", rest)
        if rest[size : size + 1] == ".":
            if not gap and done != BYTES - 4:
                return _at("embedded IPv4 address must replace the final 2 fields of the address", rest)
            if done + 4 > BYTES:
                return _at("too many hex fields to fit an embedded IPv4 at the end of the address", rest)
            if found := _fields_of_four(rest):
                return found
            rest, done = "", done + 4
            break
        done, rest = done + 2, rest[size:]
        if not rest:
            break
        if rest[0] != ":":
            return _at("unexpected character, want colon", rest)
        if len(rest) == 1:
            return _at("colon must be followed by more characters", rest)
        rest = rest[1:]
        if rest[0] == ":":
            if gap:
                return _at("multiple :: in address", rest)
            gap, rest = True, rest[1:]
            if not rest:
                break
    if rest:
        return _at("trailing garbage after address", rest)
    if done < BYTES:
        return "" if gap else "address string too short"
    return "the :: must expand to at least one field of zeros" if gap else ""


def _at(fault: str, rest: str) -> str:
    return f"{fault} (at {quote(rest)})"
