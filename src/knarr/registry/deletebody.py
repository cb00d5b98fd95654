"""The DeleteOptions a DELETE may carry as its body."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.scheme import Strictness, scheme
from knarr.meta import errors, gojson
from knarr.registry.decode import ACCEPTED, PROTOBUF, YAML, unsupported

KINDS = ("DeleteOptions", "")
DEFINITION = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
#: the scheme that options are read by, as messages name it
SCHEME = 'scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'


def parse(body: bytes, content_type: str) -> dict[str, Any] | None:
    """None when there is no body. Raises 400, 415."""
    if not body:
        return None
    if content_type not in ACCEPTED:
        raise unsupported()
    try:
        return _read(body, content_type)
    except ValueError as error:
        raise errors.bad_request(str(error)) from None


def _read(body: bytes, content_type: str) -> dict[str, Any]:
    """Raises ValueError in the decoder's words."""
    if content_type == PROTOBUF:
        from knarr.api import protobuf

        raw = protobuf.decode(body, ("v1", "DeleteOptions"))
    else:
        if content_type == YAML:
            from knarr.meta import goyaml

            body = goyaml.read(body).json()
        try:
            raw = orjson.loads(body)
        except orjson.JSONDecodeError:
            why = gojson.syntax_error(body)
        else:
            why = gojson.type_meta_error(body)
        if why:
            raise ValueError(f"couldn't get version/kind; json parse error: {why}")
    raw = raw or {}
    kind, version = raw.get("kind") or "", raw.get("apiVersion") or "v1"
    if kind not in KINDS:
        raise ValueError(f'no kind "{kind}" is registered for version "{version}" in {SCHEME}')
    if content_type == PROTOBUF:
        return raw
    return scheme().decode_object(DEFINITION, body, Strictness.IGNORE)[0]
