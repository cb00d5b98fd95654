"""Paths: of files as specs may name them, and of containers inside a spec."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.meta.fielderrors import FieldError, invalid

Errors = list[FieldError]
Spec = dict[str, Any]
MODE_ERROR = "must be a number between 0 and 0777 (octal), both inclusive"


def add(errors: Errors, path: str, value: object, messages: Iterable[str]) -> None:
    for message in messages:
        errors.append(invalid(path, value, message))


def no_backsteps(path: str, value: str, errors: Errors) -> None:
    if ".." in value and ".." in value.split("/"):
        errors.append(invalid(path, value, "must not contain '..'"))


def local_descending(path: str, value: str, errors: Errors) -> None:
    """A relative path that stays inside."""
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    no_backsteps(path, value, errors)


def local_non_reserved(path: str, value: str, errors: Errors) -> None:
    """Names beginning with two dots belong to the writer of the volume."""
    local_descending(path, value, errors)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))


def file_mode(path: str, mode: int | None, errors: Errors) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(invalid(path, mode, MODE_ERROR))


def containers_with_paths(spec: Spec, path: str) -> list[tuple[Spec, str]]:
    """All containers in the order in which Kubernetes visits them."""
    return [
        (container, f"{path}.{field}[{index}]")
        for field in ("initContainers", "containers", "ephemeralContainers")
        for index, container in enumerate(spec.get(field, ()))
    ]
