"""Keys as RFC 7517 writes them. The cryptography library is imported with the first."""

from __future__ import annotations

from typing import Any

from knarr.auth import jwt, signatures
from knarr.auth.signatures import PublicKey


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


def _elliptic(jwk: dict[str, Any]) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    numbers = ec.EllipticCurvePublicNumbers(
        _number(jwk["x"]), _number(jwk["y"]), signatures.curve(jwk["crv"])
    )
    return PublicKey(str(jwk.get("kid", "")), jwk["crv"], numbers.public_key())
