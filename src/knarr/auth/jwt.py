"""Compact JWTs: signed and verified, as service account tokens are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from knarr.auth import der, signatures
from knarr.auth.keys import EC_PUBLIC_KEY, P256, Key, base64url, key_id

RSA_KEY = "1.2.840.113549.1.1.1"
#: the object identifiers of a public key, and what it signs with
KINDS = {
    (RSA_KEY,): "RS256",
    (EC_PUBLIC_KEY, P256): "ES256",
    (EC_PUBLIC_KEY, "1.3.132.0.34"): "ES384",
    (EC_PUBLIC_KEY, "1.3.132.0.35"): "ES512",
}


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
    """One public key that tokens may be signed with: RSA (RS256), or of a curve (ES256, ES384, ES512).

    `public_der` is its SubjectPublicKeyInfo; ValueError for a key of another kind.
    """

    def __init__(self, public_der: bytes) -> None:
        self.public_der = public_der
        self.key_id = key_id(public_der)
        identifiers, bits = der.parse(public_der).children()
        kind = tuple(e.oid() for e in identifiers.children() if e.tag == der.OID)
        if kind not in KINDS:
            raise ValueError("only RSA and EC keys of 256, 384 and 521 bits sign tokens")
        self.algorithm = KINDS[kind]
        self._bits = bits.body[1:]

    @classmethod
    def from_pem(cls, text: str) -> Verifier:
        """A PEM public key, the public half of a private one, or a certificate's."""
        if "PRIVATE KEY-----" in text:
            return Signer.from_pem(text).verifier
        if "BEGIN CERTIFICATE-----" in text:
            return cls(der.read_certificate(der.from_pem(text, "CERTIFICATE")).public_key)
        if "BEGIN RSA PUBLIC KEY-----" in text:
            return cls(_rsa_info(der.from_pem(text, "RSA PUBLIC KEY")))
        return cls(der.from_pem(text, "PUBLIC KEY"))

    def verify(self, token: Parsed) -> bool:
        """Whether the token bears this key's signature; a token that names another algorithm does not."""
        if token.header.get("alg") != self.algorithm:
            return False
        return signatures.verify(self._key, self.algorithm, token.signed, token.signature)

    @cached_property
    def _key(self) -> signatures.PublicKey:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        if self.algorithm not in signatures.CURVES:
            modulus, exponent = self._numbers()
            return signatures.PublicKey(
                self.key_id, "RSA", rsa.RSAPublicNumbers(exponent, modulus).public_key()
            )
        name, _ = signatures.CURVES[self.algorithm]
        curve = signatures.curve(name)
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, self._bits)
        return signatures.PublicKey(self.key_id, name, key)

    def _numbers(self) -> list[int]:
        """An RSA key's modulus and exponent."""
        return [e.integer() for e in der.parse(self._bits).children()]

    def jwk(self) -> dict[str, str]:
        """The key as a member of a JSON Web Key set (RFC 7517), in Go's order."""
        if self.algorithm in signatures.CURVES:
            name, size = signatures.CURVES[self.algorithm]
            shape = {"kty": "EC", "kid": self.key_id, "crv": name, "alg": self.algorithm}
            x, y = self._bits[1 : 1 + size], self._bits[1 + size :]
            return {"use": "sig"} | shape | {"x": base64url(x), "y": base64url(y)}
        modulus, exponent = self._numbers()
        numbers = {"n": _number(modulus), "e": _number(exponent)}
        return {"use": "sig", "kty": "RSA", "kid": self.key_id, "alg": self.algorithm} | numbers


def _number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _rsa_info(numbers: bytes) -> bytes:
    """SubjectPublicKeyInfo of an RSA key's modulus and exponent."""
    return der.sequence(der.sequence(der.oid(RSA_KEY), der.tlv(der.NULL)), der.bits(numbers))


class Signer:
    """The private key that signs service account tokens.

    The cryptography library is imported, and makes its checks of the key, with the first signature.
    """

    def __init__(self, key: Callable[[], Any], verifier: Verifier) -> None:
        self._load = key
        self.verifier = verifier
        header = {"alg": verifier.algorithm, "kid": verifier.key_id}
        self._header = base64url(orjson.dumps(header))

    @classmethod
    def from_pem(cls, text: str) -> Signer:
        """RSA, or EC of 256, 384 or 521 bits; ValueError otherwise."""
        if "BEGIN RSA PRIVATE KEY-----" in text and "ENCRYPTED" not in text:
            _, modulus, exponent, *_ = der.parse(der.from_pem(text, "RSA PRIVATE KEY")).children()
            return cls(lambda: _load(text), Verifier(_rsa_info(der.sequence(modulus.raw, exponent.raw))))
        try:
            return cls.of(Key.from_pem(text))
        except ValueError:
            key = _load(text)
        return cls(lambda: key, Verifier(_public_half(key)))

    @classmethod
    def of(cls, key: Key) -> Signer:
        return cls(lambda: key, Verifier(key.public_der))

    @property
    def public_pem(self) -> str:
        return der.to_pem("PUBLIC KEY", self.verifier.public_der)

    def sign(self, claims: dict[str, Any]) -> str:
        """The compact form, claims in the order given."""
        signed = f"{self._header}.{base64url(orjson.dumps(claims))}"
        return f"{signed}.{base64url(self._signature(signed.encode()))}"

    @cached_property
    def _key(self) -> Any:
        return self._load()

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self._key, Key):
            return signatures.joined(self._key.sign(data), 32)
        return signatures.sign(self._key, self.verifier.algorithm, data)


def _load(text: str) -> Any:
    """The cryptography library's private key; ValueError."""
    from cryptography.hazmat.primitives import serialization

    try:
        return serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        raise ValueError("it is encrypted") from None


def _public_half(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def draw_rsa() -> str:
    """A new RSA key of 2048 bits in the PEM form that kubeadm writes.

    It takes 15 to 90 ms, during which other threads go on. Nothing but the operating system's chance draws it.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(*form, serialization.NoEncryption()).decode()
