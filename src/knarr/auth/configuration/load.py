"""Configuration files of apiserver.config.k8s.io: YAML or JSON, and nothing in them that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knarr.auth.configuration import ConfigurationError
from knarr.meta.gofmt import quote

GROUP = "apiserver.config.k8s.io"
VERSIONS = ("v1", "v1beta1", "v1alpha1")

#: the type of a field: one of these words, [the type of its items], or {field: type}
Shape = Any
STRING, BOOL, DURATION = "string", "bool", "duration"


def read_file(path: str) -> bytes:
    """Raises ConfigurationError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"open {path}: {(error.strerror or str(error)).lower()}") from None


def decode(data: bytes, kind: str, shape: dict[str, Shape], path: str) -> dict[str, Any]:
    """The object, checked for its shape; durations are seconds. Raises ConfigurationError, which names the file."""
    try:
        return _decode(data, kind, shape)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _decode(data: bytes, kind: str, shape: dict[str, Shape]) -> dict[str, Any]:
    import yaml

    from knarr.meta import goyaml

    if not data.strip():
        raise ConfigurationError("empty config data")
    try:
        document = goyaml.load(data)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not YAML: {' '.join(str(error).split())}") from None
    found = document.value
    if not isinstance(found, dict):
        raise ConfigurationError(f"couldn't get version/kind: expected an object, got {type(found).__name__}")
    _check_kind(found, kind)
    complaints = [document.complaint] if document.complaint else []
    complaints += [
        f"unknown field {quote(name)}"
        for name in _unknown(found, {"apiVersion": STRING, "kind": STRING} | shape)
    ]
    if complaints:
        raise ConfigurationError(f"strict decoding error: {', '.join(complaints)}")
    return {name: _value(found[name], shape[name], name) for name in shape if found.get(name) is not None}


def _check_kind(found: dict[str, Any], kind: str) -> None:
    for key, title in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not found.get(key):
            raise ConfigurationError(f"Object '{title}' is missing")
    group, _, version = str(found["apiVersion"]).partition("/")
    if found["kind"] != kind or group != GROUP or version not in VERSIONS:
        raise ConfigurationError(
            f"no kind {quote(str(found['kind']))} is registered for version {quote(str(found['apiVersion']))}: "
            f"expected {kind} of {GROUP}/{VERSIONS[0]}"
        )


def _unknown(found: Any, shape: Shape, path: str = "") -> Iterator[str]:
    if isinstance(shape, dict) and isinstance(found, dict):
        for name, value in found.items():
            where = f"{path}.{name}" if path else str(name)
            if name not in shape:
                yield where
            else:
                yield from _unknown(value, shape[name], where)
    elif isinstance(shape, list) and isinstance(found, list):
        for number, item in enumerate(found):
            yield from _unknown(item, shape[0], f"{path}[{number}]")


def _value(found: Any, shape: Shape, path: str) -> Any:
    if isinstance(shape, dict):
        if not isinstance(found, dict):
            raise ConfigurationError(f"{path}: expected an object")
        return {
            name: _value(found[name], shape[name], f"{path}.{name}")
            for name in shape
            if found.get(name) is not None
        }
    if isinstance(shape, list):
        if not isinstance(found, list):
            raise ConfigurationError(f"{path}: expected a list")
        return [_value(item, shape[0], f"{path}[{number}]") for number, item in enumerate(found)]
    return _scalar(found, shape, path)


def _scalar(found: Any, shape: str, path: str) -> Any:
    if shape == BOOL:
        if not isinstance(found, bool):
            raise ConfigurationError(f"{path}: expected true or false")
        return found
    if not isinstance(found, str):
        raise ConfigurationError(f"{path}: expected a string")
    if shape == DURATION:
        from knarr.meta.durations import parse_go_duration

        try:
            return parse_go_duration(found)
        except ValueError as error:
            raise ConfigurationError(f"{path}: {error}") from None
    return found
