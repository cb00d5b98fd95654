"""The DeleteOptions a DELETE may carry as its body."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.meta import errors, gojson
from knarr.registry.decode import ACCEPTED, PROTOBUF, unsupported

KINDS = ("DeleteOptions", "")
#: the scheme that options are read by, as messages name it
SCHEME = 'scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'


def parse(body: bytes, content_type: str) -> dict[str, Any] | None:
    """None when there is no body. Raises 400, 415."""
    if not body or not body.strip():
        return None
    if content_type not in ACCEPTED:
        raise unsupported()
    if content_type == "application/yaml":
        import yaml

        raw = yaml.safe_load(body)
    elif content_type == PROTOBUF:
        from knarr.api import protobuf

        raw = protobuf.decode(body, ("v1", "DeleteOptions"))
    else:
        try:
            raw = orjson.loads(body)
        except orjson.JSONDecodeError:
            why = gojson.syntax_error(body)
            raise errors.bad_request(f"couldn't get version/kind; json parse error: {why}") from None
    if raw is None:
        return None
    if not isinstance(raw, dict):
        why = gojson.type_meta_error(orjson.dumps(raw))
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {why}")
    kind, version = raw.get("kind", ""), raw.get("apiVersion", "v1")
    if kind not in KINDS:
        raise errors.bad_request(f'no kind "{kind}" is registered for version "{version}" in {SCHEME}')
    return raw
