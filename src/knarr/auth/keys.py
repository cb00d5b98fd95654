"""ECDSA P-256 keys: drawn from the cluster's chance, so that a simulation draws the same ones again."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, cached_property
from typing import Any

from knarr.auth import der
from knarr.world.chance import Chance, SecureChance

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
P256 = "1.2.840.10045.3.1.7"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A P-256 private key; `pem` is the SEC 1 form that kubeadm writes.

    `repeatable` signs the same data the same way (RFC 6979); `point` is the public half where it is already known.
    The cryptography library is imported only when something is signed or a new key's public half is worked out.
    """

    def __init__(self, secret: int, repeatable: bool = False, point: bytes = b"") -> None:
        self._secret = secret
        self._repeatable = repeatable
        if point:
            self.public_bits = point

    @classmethod
    def draw(cls, chance: Chance) -> Key:
        """A new key; 16 bytes more than the order needs make every key equally likely."""
        secret = int(chance.token(48), 16) % (P256_ORDER - 1) + 1
        return cls(secret, repeatable=not isinstance(chance, SecureChance))

    @classmethod
    def from_pem(cls, text: str) -> Key:
        """Raises ValueError for anything but a P-256 key in SEC 1 or PKCS 8 form."""
        try:
            data = der.from_pem(text, "EC PRIVATE KEY")
        except ValueError:
            outer = der.parse(der.from_pem(text, "PRIVATE KEY")).children()
            if P256 not in [e.oid() for e in outer[1].children() if e.tag == der.OID]:
                raise ValueError("not a P-256 key") from None
            data = outer[2].body
        parts = der.parse(data).children()
        secret = int.from_bytes(parts[1].body, "big")
        if len(parts[1].body) != 32 or not 0 < secret < P256_ORDER:
            raise ValueError("not a P-256 key")
        points = [der.parse(e.body).body[1:] for e in parts if e.tag == 0xA1]
        return cls(secret, point=points[0] if points else b"")

    @cached_property
    def _key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.derive_private_key(self._secret, ec.SECP256R1())

    @cached_property
    def public_bits(self) -> bytes:
        numbers = self._key.public_key().public_numbers()
        x, y = numbers.x, numbers.y
        return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")

    @cached_property
    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        return public_key_info(self.public_bits)

    @property
    def public_pem(self) -> str:
        return der.to_pem("PUBLIC KEY", self.public_der)

    @property
    def pem(self) -> str:
        body = der.sequence(
            der.integer(1),
            der.tlv(der.OCTETS, self._secret.to_bytes(32, "big")),
            der.tlv(0xA0, der.oid(P256)),
            der.tlv(0xA1, der.bits(self.public_bits)),
        )
        return der.to_pem("EC PRIVATE KEY", body)

    def sign(self, data: bytes) -> bytes:
        """An ECDSA-SHA256 signature in DER."""
        return self._key.sign(data, _algorithm(self._repeatable))


def public_key_info(point: bytes) -> bytes:
    return der.sequence(der.sequence(der.oid(EC_PUBLIC_KEY), der.oid(P256)), der.bits(point))


def key_id(public_der: bytes) -> str:
    """The `kid` of a key: it names the key without showing it."""
    return base64url(hashlib.sha256(public_der).digest())


@cache
def _algorithm(repeatable: bool) -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if not repeatable:
        return ec.ECDSA(hashes.SHA256())
    # asking for it imports another 13 ms of the library, so only simulations do
    return ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
