"""ASN.1 DER, as much as certificates and keys need.

Written out here because importing a certificate library costs a fifth of the time in which a cluster has to be up.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

BOOLEAN, INTEGER, BITS, OCTETS, NULL, OID, UTF8 = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C
UTC_TIME, GENERAL_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element: tag, length, the parts one after another."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, *parts)


def integer(value: int) -> bytes:
    """A non-negative integer."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytearray([first * 40 + second])
    for arc in rest:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        encoded += bytes(reversed(groups))
    return tlv(OID, bytes(encoded))


def bits(data: bytes, unused: int = 0) -> bytes:
    return tlv(BITS, bytes([unused]), data)


def time(epoch: float) -> bytes:
    """UTCTime until 2049, GeneralizedTime after it, as RFC 5280 wants."""
    moment = datetime.fromtimestamp(epoch, UTC)
    if moment.year < 2050:
        return tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERAL_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


class Element(NamedTuple):
    """One parsed element: its tag, its content, and the whole encoding."""

    tag: int
    body: bytes
    raw: bytes

    def children(self) -> list[Element]:
        return list(elements(self.body))

    def integer(self) -> int:
        return int.from_bytes(self.body, "big", signed=True)

    def oid(self) -> str:
        first, rest = self.body[0], self.body[1:]
        arcs, arc = [str(min(first // 40, 2)), str(first - 40 * min(first // 40, 2))], 0
        for byte in rest:
            arc = arc << 7 | byte & 0x7F
            if not byte & 0x80:
                arcs.append(str(arc))
                arc = 0
        return ".".join(arcs)

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def time(self) -> float:
        """Epoch seconds of a UTCTime or GeneralizedTime."""
        pattern = "%y%m%d%H%M%SZ" if self.tag == UTC_TIME else "%Y%m%d%H%M%SZ"
        moment = datetime.strptime(self.body.decode(), pattern).replace(tzinfo=UTC)
        return moment.timestamp()


def elements(data: bytes) -> Iterator[Element]:
    """The elements that stand one after another in `data`; ValueError if they do not fit it exactly."""
    at, end = 0, len(data)
    while at < end:
        if at + 2 > end:
            raise ValueError("truncated DER element")
        size, body_at = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[body_at : body_at + count], "big")
            body_at += count
        stop = body_at + size
        if stop > end:
            raise ValueError("truncated DER element")
        yield Element(data[at], data[body_at:stop], data[at:stop])
        at = stop


def parse(data: bytes) -> Element:
    found = list(elements(data))
    if len(found) != 1:
        raise ValueError("expected one DER element")
    return found[0]


def to_pem(label: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def from_pem(text: str, label: str) -> bytes:
    """The first block of that label; ValueError without one."""
    _, found, rest = text.partition(f"-----BEGIN {label}-----")
    block, closed, _ = rest.partition(f"-----END {label}-----")
    if not found or not closed:
        raise ValueError(f"no {label} in the PEM data")
    return base64.b64decode("".join(block.split()), validate=True)


def all_pem(text: str, label: str) -> list[bytes]:
    """Every block of that label; ValueError for a damaged one."""
    start = f"-----BEGIN {label}-----"
    return [from_pem(start + rest, label) for rest in text.split(start)[1:]]


class Certificate(NamedTuple):
    """The parts of a certificate that decide who somebody is and whether it can still be used."""

    issuer: bytes
    subject: bytes
    #: of the subject, by object identifier, in order
    attributes: tuple[tuple[str, str], ...]
    not_before: float
    not_after: float
    names: frozenset[str]
    public_key: bytes

    def attribute(self, identifier: str) -> list[str]:
        return [value for key, value in self.attributes if key == identifier]


SUBJECT_ALT_NAME = "2.5.29.17"


def read_certificate(data: bytes) -> Certificate:
    """Raises ValueError when `data` is not an X.509 certificate."""
    try:
        fields = parse(data).children()[0].children()
        if fields[0].tag == 0xA0:  # the version, absent in version 1
            fields = fields[1:]
        _, _, issuer, validity, subject, key, *rest = fields
        start, end = (e.time() for e in validity.children())
        return Certificate(
            issuer.raw, subject.raw, tuple(_attributes(subject)), start, end, _names(rest), key.raw
        )
    except (IndexError, ValueError) as error:
        raise ValueError(f"not a certificate: {error}") from error


def _attributes(name: Element) -> Iterator[tuple[str, str]]:
    for relative in name.children():
        for pair in relative.children():
            key, value = pair.children()
            yield key.oid(), value.text()


def _names(rest: list[Element]) -> frozenset[str]:
    """DNS names and addresses of the subject alternative name extension."""
    for part in rest:
        if part.tag != 0xA3:
            continue
        for extension in part.children()[0].children():
            key, *_, value = extension.children()
            if key.oid() == SUBJECT_ALT_NAME:
                return frozenset(
                    e.text() if e.tag == 0x82 else str(ip_address(e.body))
                    for e in parse(value.body).children()
                    if e.tag in (0x82, 0x87)
                )
    return frozenset()
