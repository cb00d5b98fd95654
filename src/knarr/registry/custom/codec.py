"""Bodies of custom resources: JSON of any shape, made to fit the version's schema."""

from __future__ import annotations

import re
from typing import Any

import orjson

from knarr.api.apiextensions.schema.version import VersionSchema
from knarr.api.decoding import find_duplicates
from knarr.meta import errors, gojson
from knarr.registry.decode import Unrecognized
from knarr.registry.storage import Object

_KEYS = re.compile(rb'"\s*:')


class Codec:
    """Reads bodies of one version. `schemas` are all versions', by name: a body may name another one's."""

    def __init__(self, kind: str, version: str, schemas: dict[str, VersionSchema]) -> None:
        self._kind, self._version, self._schemas = kind, version, schemas
        self._unknown = VersionSchema(None)

    def __call__(self, obj: Object) -> tuple[Object, list[str]]:
        """A patched object and its findings. Raises ValueError for metadata of a wrong shape."""
        gojson.whole_numbers(obj)
        unknown = self._schemas[self._version].normalize(obj)
        return obj, [f'unknown field "{path}"' for path in unknown]

    def read(self, body: bytes, strict: bool = True) -> tuple[Object, list[str]]:
        """The object of a request's body, which is JSON; `strict` looks for duplicate keys. Raises 400."""
        obj = orjson.loads(body)
        if not isinstance(obj, dict):
            raise self._unreadable(body)
        kind, api_version = obj.get("kind"), obj.get("apiVersion")
        if kind.__class__ is not str or api_version.__class__ is not str or not kind:
            self._check_type(obj, body)
        findings = find_duplicates(body) if strict and _may_repeat(obj, body) else []
        gojson.whole_numbers(obj)
        version = (api_version or "").rpartition("/")[2]
        try:
            unknown = self._schemas.get(version, self._unknown).normalize(obj)
        except ValueError as error:
            raise errors.bad_request(
                f'{obj["kind"]} in version "{version}" cannot be handled as a {self._kind}: {error}'
            ) from None
        return obj, findings + [f'unknown field "{path}"' for path in unknown]

    def _unreadable(self, body: bytes) -> errors.StatusError:
        return self._unrecognized(
            f"couldn't get version/kind; json parse error: {gojson.type_meta_error(body)}", body
        )

    def _unrecognized(self, why: str, body: bytes) -> errors.StatusError:
        return Unrecognized(self._kind, why, body)

    def _check_type(self, obj: Object, body: bytes) -> None:
        if gojson.type_meta_error(body):
            raise self._unreadable(body)
        if not obj.get("kind"):
            text = body.decode("utf-8", "replace")
            raise self._unrecognized(f"Object 'Kind' is missing in '{text}'", body)


def _may_repeat(obj: Any, body: bytes) -> bool:
    """Whether the text could hold more keys than the object does; exact counting is slow and rarely needed."""
    return len(_KEYS.findall(body)) != _count_keys(obj)


def _count_keys(value: Any) -> int:
    if value.__class__ is dict:
        return len(value) + sum(
            _count_keys(item) for item in value.values() if item.__class__ is dict or item.__class__ is list
        )
    return sum(_count_keys(item) for item in value if item.__class__ is dict or item.__class__ is list)
