"""The asymmetric signatures of JOSE: RFC 7518 section 3.1, and keys as RFC 7517 writes them.

The cryptography library is imported with the first key.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.auth import der, jwt

ALGORITHMS = tuple(f"{family}{bits}" for family in ("ES", "PS", "RS") for bits in (256, 384, 512))
#: an ES algorithm belongs to one curve; the sizes are those of a coordinate, in bytes
CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48), "ES512": ("P-521", 66)}


class PublicKey(NamedTuple):
    """A key of a set. `kind` is RSA or the name of a curve; `key` the cryptography library's."""

    key_id: str
    kind: str
    key: Any


def read_key(jwk: dict[str, Any]) -> PublicKey | None:
    """A member of a JSON Web Key set; None for keys that cannot sign (or that this knows nothing of)."""
    if jwk.get("use", "sig") != "sig":
        return None
    try:
        if jwk.get("kty") == "RSA":
            return _rsa(jwk)
        if jwk.get("kty") == "EC":
            return _elliptic(jwk)
    except (KeyError, TypeError, ValueError):
        return None
    return None


def _number(text: str) -> int:
    return int.from_bytes(jwt.decode(text), "big")


def _rsa(jwk: dict[str, Any]) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
    return PublicKey(str(jwk.get("kid", "")), "RSA", key)


def _elliptic(jwk: dict[str, Any]) -> PublicKey | None:
    from cryptography.hazmat.primitives.asymmetric import ec

    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    if jwk.get("crv") not in curves:
        return None
    numbers = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curves[jwk["crv"]]())
    return PublicKey(str(jwk.get("kid", "")), jwk["crv"], numbers.public_key())


def verify(key: PublicKey, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Whether `signature` is this key's; a key of another kind than the algorithm's never signed anything."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    if algorithm not in ALGORITHMS:
        return False
    digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[2:]]()
    try:
        if algorithm in CURVES:
            curve, size = CURVES[algorithm]
            if key.kind != curve or len(signature) != 2 * size:
                return False
            halves = (signature[:size], signature[size:])
            pair = der.sequence(*(der.integer(int.from_bytes(half, "big")) for half in halves))
            key.key.verify(pair, signed, ec.ECDSA(digest))
            return True
        if key.kind != "RSA":
            return False
        if algorithm.startswith("RS"):
            key.key.verify(signature, signed, padding.PKCS1v15(), digest)
        else:
            salt = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
            key.key.verify(signature, signed, salt, digest)
    except (InvalidSignature, ValueError):
        return False
    return True
