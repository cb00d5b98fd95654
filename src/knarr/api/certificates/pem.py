"""PEM, and what is wrong with requests and certificates in it, in the words of Go's libraries."""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

_BLOCK = re.compile(rb"-----BEGIN ([^\n]*?)-----[ \t\r]*\n(.*?)-----END \1-----", re.DOTALL)
_SEQUENCE = 16


class Block(NamedTuple):
    kind: str
    has_headers: bool
    content: bytes


def blocks(data: str | None) -> list[Block]:
    """The blocks in base64 of PEM; what is no block is passed over."""
    try:
        text = base64.b64decode(data or "")
    except (binascii.Error, ValueError):
        return []
    found = []
    for match in _BLOCK.finditer(text):
        lines = match[2].splitlines()
        headers = [line for line in lines if b":" in line]
        try:
            content = base64.b64decode(b"".join(lines[len(headers) :]), validate=True)
        except binascii.Error:
            continue
        found.append(Block(match[1].decode("utf-8", "replace"), bool(headers), content))
    return found


def request_fault(der: bytes) -> str:
    """Why this is no certificate request signed with its own key; empty if it is one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if fault := _outer_fault(der, "certificateRequest"):
        return fault
    try:
        request = x509.load_der_x509_csr(der)
        signed = request.is_signature_valid
        key = request.public_key()
    except Exception as error:  # of many types, all about the bytes
        return f"asn1: structure error: {error}"
    if signed:
        return ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "x509: ECDSA verification failure"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "x509: Ed25519 verification failure"
    return "crypto/rsa: verification error"


def certificates_fault(der: bytes) -> str:
    """Why these are not one or more certificates."""
    from cryptography import x509

    if not der:
        return "found CERTIFICATE PEM block containing 0 certificates"
    while der:
        size = _size(der)
        if der[0] != 0x30 or size is None or size > len(der):
            return "x509: malformed certificate"
        try:
            x509.load_der_x509_certificate(der[:size])
        except ValueError:
            return "x509: malformed tbs certificate"
        der = der[size:]
    return ""


def _outer_fault(der: bytes, name: str) -> str:
    """What Go's asn1 says of bytes that are not one whole sequence."""
    if not der:
        return "asn1: syntax error: sequence truncated"
    head, size = _head(der), _size(der)
    if size is None:
        return "asn1: syntax error: truncated tag or length"
    class_, compound, tag = der[0] >> 6, bool(der[0] & 0x20), der[0] & 0x1F
    if (class_, compound, tag) != (0, True, _SEQUENCE):
        found = f"{{class:{class_} tag:{tag} length:{size - head} isCompound:{str(compound).lower()}}}"
        return (
            f"asn1: structure error: tags don't match ({_SEQUENCE} vs {found}) {{optional:false explicit:false "
            "application:false private:false defaultValue:<nil> tag:<nil> stringType:0 timeType:0 set:false "
            f"omitEmpty:false}} {name} @{head}"
        )
    if size > len(der):
        return "asn1: syntax error: data truncated"
    return "asn1: syntax error: trailing data" if size < len(der) else ""


def _head(der: bytes) -> int:
    """How many bytes tag and length take."""
    return 2 + (der[1] & 0x7F if len(der) > 1 and der[1] & 0x80 else 0)


def _size(der: bytes) -> int | None:
    """The bytes of the first element, tag and length with it; None if they do not say."""
    head = _head(der)
    if len(der) < head:
        return None
    return head + (int.from_bytes(der[2:head], "big") if der[1] & 0x80 else der[1])
