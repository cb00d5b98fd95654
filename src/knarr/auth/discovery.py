"""OpenID Connect discovery: how others verify this cluster's service account tokens."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from knarr.auth.jwt import Verifier

CONFIGURATION_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"
KEYS_MEDIA_TYPE = "application/jwk-set+json"
CACHE_CONTROL = "public, max-age=3600"


def configuration(issuer: str, keys_url: str, verifiers: Sequence[Verifier]) -> bytes:
    """The document at CONFIGURATION_PATH; `keys_url` is the full address of KEYS_PATH."""
    return orjson.dumps(
        {
            "issuer": issuer,
            "jwks_uri": keys_url,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({v.algorithm for v in verifiers}),
        }
    )


def key_set(verifiers: Sequence[Verifier]) -> bytes:
    """The document at KEYS_PATH."""
    return orjson.dumps({"keys": [v.jwk() for v in verifiers]})
