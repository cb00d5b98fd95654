"""Names inside resource.k8s.io: drivers, pools, devices, attributes, shares; and the limits of lists and maps of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from knarr.api import checks
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required, too_long, too_many

DRIVER_BYTES_MAX, POOL_BYTES_MAX = 63, 253
DOMAIN_BYTES_MAX, IDENTIFIER_BYTES_MAX = 63, 32
#: keys of attributes and capacities that are longer are cut in the middle where a path shows them
KEY_BYTES_MAX = DOMAIN_BYTES_MAX + 1 + IDENTIFIER_BYTES_MAX
SHOWN_KEY_BYTES_MIN = 16

_HEX = "[0-9a-fA-F]"
_UUID_36 = re.compile(rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}").fullmatch
_HEX_32 = re.compile(rf"{_HEX}{{32}}").fullmatch
_NOT_NORMAL = (
    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase"
    " hexadecimal characters"
)

Check = Callable[[Any, str], list[FieldError]]


def driver(value: str, path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    found = [too_long(path, DRIVER_BYTES_MAX)] if names.byte_length(value) > DRIVER_BYTES_MAX else []
    return found + checks.invalids(path, value, names.is_dns1123_subdomain(value.lower()))


def pool(value: str, path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    found = [too_long(path, POOL_BYTES_MAX)] if names.byte_length(value) > POOL_BYTES_MAX else []
    for part in value.split("/"):
        found += checks.dns_subdomain(path, part)
    return found


def required_label(value: str, path: str) -> list[FieldError]:
    return checks.dns_label(path, value) if value else [required(path)]


def node(value: str, path: str) -> list[FieldError]:
    return checks.dns_subdomain(path, value)


def label_value(value: str, path: str) -> list[FieldError]:
    return checks.invalids(path, value, names.is_label_value(value))


def identifier(value: str, path: str) -> list[FieldError]:
    found = [too_long(path, IDENTIFIER_BYTES_MAX)] if names.byte_length(value) > IDENTIFIER_BYTES_MAX else []
    return found + checks.invalids(path, value, names.is_c_identifier(value))


def qualified(value: str, path: str) -> list[FieldError]:
    """`model` or `driver.example.com/model`."""
    parts = value.split("/")
    if len(parts) == 1:
        return identifier(value, path)
    if len(parts) > 2:
        return [invalid(path, value, "must not contain more than one slash")]
    domain, name = parts
    found = driver(domain, path) if domain else [invalid(path, "", "the domain must not be empty")]
    return found + (identifier(name, path) if name else [invalid(path, "", "the name must not be empty")])


def fully_qualified(value: str, path: str) -> list[FieldError]:
    found = qualified(value, path)
    if "/" not in value:
        detail = "a fully qualified name must be a domain and a name separated by a slash"
        found.append(invalid(path, value, detail))
    return found


def uid(value: str, path: str) -> list[FieldError]:
    if why := _uuid_error(value):
        return [invalid(path, value, f"error validating uid: {why}")]
    return [] if len(value) == 36 and value == value.lower() else [invalid(path, value, _NOT_NORMAL)]


def _uuid_error(value: str) -> str:
    """What google/uuid has against a text; it also reads braces, `urn:uuid:` and no dashes."""
    match len(value.encode()):
        case 36:
            good = _UUID_36(value)
        case 45:
            if not value.lower().startswith("urn:uuid:"):
                return f'invalid urn prefix: "{value[:9]}"'
            good = _UUID_36(value[9:])
        case 38:
            if value[0] != "{" or value[-1] != "}":
                return "invalid bracketed UUID format"
            good = _UUID_36(value[1:-1])
        case 32:
            good = _HEX_32(value)
        case length:
            return f"invalid UUID length: {length}"
    return "" if good else "invalid UUID format"


def items(found: Iterable[Any], maximum: int | None, check: Check, path: str) -> list[FieldError]:
    """Every item in its place; a list that is too long is told by its length alone."""
    listed = list(found or ())
    if maximum is not None and len(listed) > maximum:
        return [too_many(path, len(listed), maximum)]
    errors: list[FieldError] = []
    for i, item in enumerate(listed):
        errors += check(item, f"{path}[{i}]")
    return errors


def distinct(
    found: Iterable[Any], maximum: int | None, check: Check, key: Callable[[Any], Any], path: str
) -> list[FieldError]:
    """As `items`, and no two with one key."""
    listed = list(found or ())
    errors = items(listed, maximum, check, path)
    if maximum is not None and len(listed) > maximum:
        return errors
    seen: list[Any] = []
    for i, item in enumerate(listed):
        if (its := key(item)) in seen:
            errors.append(duplicate(f"{path}[{i}]", its))
        else:
            seen.append(its)
    return errors


def entries(
    found: dict[str, Any] | None,
    maximum: int | None,
    shown_max: int,
    key_check: Check,
    check: Check,
    path: str,
) -> list[FieldError]:
    """Keys and values of a map, keys in order."""
    if maximum is not None and len(found or ()) > maximum:
        return [too_many(path, len(found or ()), maximum)]
    errors: list[FieldError] = []
    for key in sorted(found or ()):
        errors += key_check(key, path)
        errors += check((found or {})[key], f"{path}[{shortened(key, shown_max)}]")
    return errors


def shortened(key: str, bytes_max: int) -> str:
    bytes_max = max(bytes_max, SHOWN_KEY_BYTES_MIN)
    if len(key) <= bytes_max:
        return key
    left = bytes_max - len("...")
    return f"{key[: (left + 1) // 2]}...{key[len(key) - left // 2 :]}"


def name_of(item: dict[str, Any]) -> str:
    return str(item.get("name", ""))


def itself(item: Any) -> Any:
    return item
