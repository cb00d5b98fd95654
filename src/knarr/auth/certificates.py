"""Issuing X.509 certificates (RFC 5280) with ECDSA P-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from knarr.auth import der
from knarr.auth.keys import Key
from knarr.world.chance import Chance

ECDSA_SHA256 = "1.2.840.10045.4.3.2"
COMMON_NAME, ORGANIZATION = "2.5.4.3", "2.5.4.10"
SERVER_AUTH, CLIENT_AUTH = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"

YEAR = 365 * 24 * 3600.0


class Pair(NamedTuple):
    """A certificate and its private key, in PEM."""

    certificate: str
    key: str


class Subject(NamedTuple):
    common_name: str
    organizations: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Organizations first, as Go writes a name; UTF-8 so that every text is allowed."""
        pairs = [(ORGANIZATION, o) for o in self.organizations] + [(COMMON_NAME, self.common_name)]
        return der.sequence(
            *(der.tlv(der.SET, der.sequence(der.oid(k), der.tlv(der.UTF8, v.encode()))) for k, v in pairs)
        )


class Authority:
    """A certificate authority: its own certificate and what it signs."""

    def __init__(self, certificate: str, key: Key, chance: Chance) -> None:
        self.certificate = certificate
        self.key = key
        self.chance = chance
        self.read = der.read_certificate(der.from_pem(certificate, "CERTIFICATE"))

    @classmethod
    def create(cls, name: str, key: Key, now: float, seconds: float, chance: Chance) -> Authority:
        subject = Subject(name).encode()
        extensions = [
            _extension("2.5.29.15", der.bits(b"\xa4", 2), critical=True),  # digital signature, sign certs
            _extension("2.5.29.19", der.sequence(der.tlv(der.BOOLEAN, b"\xff")), critical=True),
            _extension("2.5.29.14", der.tlv(der.OCTETS, _identifier(key.public_bits))),
            _alternative_names([name]),
        ]
        body = _body(subject, subject, key.public_der, now, now + seconds, extensions, chance)
        return cls(_sign(body, key), key, chance)

    def issue(
        self,
        subject: Subject,
        public_der: bytes,
        now: float,
        seconds: float,
        usages: Sequence[str],
        names: Iterable[str] = (),
    ) -> str:
        """A certificate for a public key; `names` are DNS names and IP addresses. PEM."""
        extensions = [
            _extension(
                "2.5.29.15", der.bits(b"\xa0", 5), critical=True
            ),  # digital signature, key encipherment
            _extension("2.5.29.37", der.sequence(*map(der.oid, usages))),
            _extension("2.5.29.19", der.sequence(), critical=True),
            _extension("2.5.29.35", der.sequence(der.tlv(0x80, _identifier(self.key.public_bits)))),
        ]
        names = list(names)
        if names:
            extensions.append(_alternative_names(names))
        body = _body(
            self.read.subject, subject.encode(), public_der, now, now + seconds, extensions, self.chance
        )
        return _sign(body, self.key)


def _body(
    issuer: bytes,
    subject: bytes,
    public_der: bytes,
    start: float,
    end: float,
    extensions: list[bytes],
    chance: Chance,
) -> bytes:
    return der.sequence(
        der.tlv(0xA0, der.integer(2)),
        der.integer(int(chance.token(8), 16) >> 1 | 1),
        der.sequence(der.oid(ECDSA_SHA256)),
        issuer,
        der.sequence(der.time(start), der.time(end)),
        subject,
        public_der,
        der.tlv(0xA3, der.sequence(*extensions)),
    )


def _sign(body: bytes, key: Key) -> str:
    signed = der.sequence(body, der.sequence(der.oid(ECDSA_SHA256)), der.bits(key.sign(body)))
    return der.to_pem("CERTIFICATE", signed)


def _extension(identifier: str, value: bytes, critical: bool = False) -> bytes:
    flag = der.tlv(der.BOOLEAN, b"\xff") if critical else b""
    return der.sequence(der.oid(identifier), flag, der.tlv(der.OCTETS, value))


def _alternative_names(names: Iterable[str]) -> bytes:
    return _extension(der.SUBJECT_ALT_NAME, der.sequence(*map(_general_name, names)))


def _general_name(name: str) -> bytes:
    try:
        return der.tlv(0x87, ip_address(name).packed)
    except ValueError:
        return der.tlv(0x82, name.encode("idna" if not name.isascii() else "ascii"))


def _identifier(public_bits: bytes) -> bytes:
    return hashlib.sha1(public_bits, usedforsecurity=False).digest()
