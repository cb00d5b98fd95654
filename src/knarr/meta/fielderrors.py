"""What is wrong with which field, in Kubernetes' words (apimachinery's `field.Error`).

Paths are plain strings: `spec.containers[0].name`, `metadata.labels[app]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.meta.gofmt import go_value

#: the reason a Status cause carries, and the words a message opens with
PHRASES = {
    "FieldValueNotFound": "Not found",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "InternalError": "Internal error",
    "FieldValueTypeInvalid": "Invalid value",
}
#: types whose message never shows the value
WITHOUT_VALUE = frozenset({"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"})
NO_VALUE = object()


class FieldError(NamedTuple):
    """One finding; `type` is the reason of the Status cause."""

    type: str
    field: str
    value: Any
    detail: str

    def body(self) -> str:
        """The message without the field's path."""
        phrase = PHRASES[self.type]
        if self.type not in WITHOUT_VALUE and self.value is not NO_VALUE:
            phrase += f": {go_value(self.value)}"
        return f"{phrase}: {self.detail}" if self.detail else phrase

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"

    def cause(self) -> dict[str, str]:
        return {"reason": self.type, "message": self.body(), "field": self.field}


def required(path: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", path, "", detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, value, detail)


def type_invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueTypeInvalid", path, value, detail)


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """Quotes and sorts nothing: give the values in the order Kubernetes lists them (usually sorted)."""
    values = ", ".join(f'"{v}"' for v in supported)
    return FieldError("FieldValueNotSupported", path, value, f"supported values: {values}" if values else "")


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", path, value, "")


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, "", detail)


def not_found(path: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", path, value, "")


def too_long(path: str, max_bytes: int) -> FieldError:
    """`max_bytes` counts bytes, as Kubernetes does."""
    detail = f"may not be more than {max_bytes} bytes" if max_bytes >= 0 else "value is too long"
    return FieldError("FieldValueTooLong", path, "", detail)


def too_many(path: str, actual: int, maximum: int) -> FieldError:
    detail = (
        f"must have at most {maximum} item{'' if maximum == 1 else 's'}"
        if maximum >= 0
        else "has too many items"
    )
    return FieldError("FieldValueTooMany", path, actual if actual >= 0 else NO_VALUE, detail)


def internal(path: str, error: object) -> FieldError:
    return FieldError("InternalError", path, "", str(error))


def aggregate(errors: Iterable[object]) -> str:
    """Several errors as one message: each once, in brackets when there is more than one; "" for none."""
    messages = list(dict.fromkeys(map(str, errors)))
    return f"[{', '.join(messages)}]" if len(messages) > 1 else "".join(messages)
