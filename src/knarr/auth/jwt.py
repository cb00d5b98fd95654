"""Compact JWTs, signed and verified with ES256 (our keys) or RS256 (keys that were brought along)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, NamedTuple

import orjson

from knarr.auth import der
from knarr.auth.keys import EC_PUBLIC_KEY, P256, Key, base64url, key_id

RSA_KEY = "1.2.840.113549.1.1.1"


class Parsed(NamedTuple):
    """A token taken apart; nothing in it is to be trusted before `verify`."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def decode(text: str) -> bytes:
    """Unpadded base64url; ValueError otherwise."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def parse(token: str) -> Parsed | None:
    """None if this is no JWT at all."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = orjson.loads(decode(parts[0])), orjson.loads(decode(parts[1]))
        signature = decode(parts[2])
    except (ValueError, binascii.Error):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return Parsed(header, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


class Verifier:
    """One public key that tokens may be signed with."""

    def __init__(self, public_der: bytes) -> None:
        self.public_der = public_der
        self.key_id = key_id(public_der)
        algorithm, bits = der.parse(public_der).children()
        identifiers = [e.oid() for e in algorithm.children() if e.tag == der.OID]
        if identifiers == [EC_PUBLIC_KEY, P256]:
            self.algorithm = "ES256"
        elif identifiers == [RSA_KEY]:
            self.algorithm = "RS256"
        else:
            raise ValueError("only P-256 and RSA keys sign tokens")
        self._bits = bits.body[1:]
        self._key: Any = None

    @classmethod
    def from_pem(cls, text: str) -> Verifier:
        """A PEM public key, or the public half of a private one."""
        if "PRIVATE KEY-----" in text:
            return Signer.from_pem(text).verifier
        return cls(der.from_pem(text, "PUBLIC KEY"))

    def verify(self, token: Parsed) -> bool:
        """Whether the token bears this key's signature; a token that names another algorithm does not."""
        if token.header.get("alg") != self.algorithm:
            return False
        from cryptography.exceptions import InvalidSignature

        try:
            if self.algorithm == "ES256":
                self._verify_ec(token)
            else:
                self._verify_rsa(token)
        except (InvalidSignature, ValueError):
            return False
        return True

    def _verify_ec(self, token: Parsed) -> None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        if self._key is None:
            self._key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self._bits)
        raw = token.signature
        if len(raw) != 64:
            raise ValueError("an ES256 signature has 64 bytes")
        pair = der.sequence(
            der.integer(int.from_bytes(raw[:32], "big")), der.integer(int.from_bytes(raw[32:], "big"))
        )
        self._key.verify(pair, token.signed, ec.ECDSA(hashes.SHA256()))

    def _verify_rsa(self, token: Parsed) -> None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        if self._key is None:
            modulus, exponent = (e.integer() for e in der.parse(self._bits).children())
            self._key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        self._key.verify(token.signature, token.signed, padding.PKCS1v15(), hashes.SHA256())

    def jwk(self) -> dict[str, str]:
        """The key as a member of a JSON Web Key set (RFC 7517)."""
        if self.algorithm == "ES256":
            x, y = self._bits[1:33], self._bits[33:]
            shape = {"kty": "EC", "kid": self.key_id, "alg": "ES256", "crv": "P-256"}
            return {"use": "sig"} | shape | {"x": base64url(x), "y": base64url(y)}
        modulus, exponent = (e.integer() for e in der.parse(self._bits).children())
        numbers = {"n": _number(modulus), "e": _number(exponent)}
        return {"use": "sig", "kty": "RSA", "kid": self.key_id, "alg": "RS256"} | numbers


def _number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Signer:
    """The private key that signs service account tokens."""

    def __init__(self, key: Any, verifier: Verifier) -> None:
        self._key = key
        self.verifier = verifier
        header = {"alg": verifier.algorithm, "kid": verifier.key_id}
        self._header = base64url(orjson.dumps(header))

    @classmethod
    def from_pem(cls, text: str) -> Signer:
        """P-256 or RSA; ValueError otherwise."""
        try:
            ours = Key.from_pem(text)
        except ValueError:
            return cls._other(text)
        return cls.of(ours)

    @classmethod
    def of(cls, key: Key) -> Signer:
        return cls(key, Verifier(key.public_der))

    @classmethod
    def _other(cls, text: str) -> Signer:
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_pem_private_key(text.encode(), None)
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(key, Verifier(public))

    @property
    def public_pem(self) -> str:
        return der.to_pem("PUBLIC KEY", self.verifier.public_der)

    def sign(self, claims: dict[str, Any]) -> str:
        """The compact form, claims in the order given."""
        signed = f"{self._header}.{base64url(orjson.dumps(claims))}"
        return f"{signed}.{base64url(self._signature(signed.encode()))}"

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self._key, Key):
            r, s = (e.integer() for e in der.parse(self._key.sign(data)).children())
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def fingerprint(token: str) -> bytes:
    """What caches keep instead of the token itself."""
    return hashlib.sha256(token.encode()).digest()
