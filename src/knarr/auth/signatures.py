"""The asymmetric signatures of JOSE: RFC 7518 section 3.1.

The cryptography library is imported with the first signature.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.auth import der

ALGORITHMS = tuple(f"{family}{bits}" for family in ("ES", "PS", "RS") for bits in (256, 384, 512))
#: an ES algorithm belongs to one curve; the sizes are those of a coordinate, in bytes
CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48), "ES512": ("P-521", 66)}


class PublicKey(NamedTuple):
    """`kind` is RSA or the name of a curve; `key` the cryptography library's."""

    key_id: str
    kind: str
    key: Any


def curve(name: str) -> Any:
    """The cryptography library's curve; KeyError for one that JOSE does not sign with."""
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[str, Any] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    return curves[name]()


def digest(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    digests: dict[str, Any] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
    return digests[algorithm[2:]]()


def verify(key: PublicKey, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Whether `signature` is this key's; a key of another kind than the algorithm's never signed anything."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    if algorithm not in ALGORITHMS:
        return False
    hashed = digest(algorithm)
    try:
        if algorithm in CURVES:
            name, size = CURVES[algorithm]
            if key.kind != name or len(signature) != 2 * size:
                return False
            halves = (signature[:size], signature[size:])
            pair = der.sequence(*(der.integer(int.from_bytes(half, "big")) for half in halves))
            key.key.verify(pair, signed, ec.ECDSA(hashed))
            return True
        if key.kind != "RSA":
            return False
        if algorithm.startswith("RS"):
            key.key.verify(signature, signed, padding.PKCS1v15(), hashed)
        else:
            salt = padding.PSS(padding.MGF1(hashed), padding.PSS.AUTO)
            key.key.verify(signature, signed, salt, hashed)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(key: Any, algorithm: str, data: bytes) -> bytes:
    """With a private key of the cryptography library: RS by PKCS 1, ES as JOSE writes it."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    if algorithm in CURVES:
        return joined(key.sign(data, ec.ECDSA(digest(algorithm))), CURVES[algorithm][1])
    return key.sign(data, padding.PKCS1v15(), digest(algorithm))


def joined(pair: bytes, size: int) -> bytes:
    """An ECDSA signature in DER as JOSE writes it: both numbers, one after the other."""
    return b"".join(e.integer().to_bytes(size, "big") for e in der.parse(pair).children())
