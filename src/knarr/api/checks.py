"""Checks that several kinds share; each returns the errors it found and builds nothing when there are none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from knarr.meta import addresses, names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, not_supported, required

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"


def invalids(path: str, value: Any, messages: Iterable[str]) -> list[FieldError]:
    return [invalid(path, value, message) for message in messages]


def dns_label(path: str, value: str) -> list[FieldError]:
    return invalids(path, value, names.is_dns1123_label(value))


def dns_subdomain(path: str, value: str) -> list[FieldError]:
    return invalids(path, value, names.is_dns1123_subdomain(value))


def qualified_name(path: str, value: str) -> list[FieldError]:
    return invalids(path, value, names.is_qualified_name(value))


def one_of(path: str, value: Any, supported: Iterable[str]) -> list[FieldError]:
    return [] if value in supported else [not_supported(path, value, supported)]


def not_negative(path: str, value: int | None) -> list[FieldError]:
    return [invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def port_number(path: str, value: int) -> list[FieldError]:
    return invalids(path, value, names.is_port_number(value))


def unchanged(path: str, new: Any, old: Any) -> list[FieldError]:
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def duplicates(path: str, values: Iterable[str]) -> list[FieldError]:
    """Of a list in which nothing may stand twice: an error for every repetition."""
    seen: set[str] = set()
    found = []
    for i, value in enumerate(values):
        if value in seen:
            found.append(duplicate(f"{path}[{i}]", value))
        seen.add(value)
    return found


def required_text(path: str, value: str | None, detail: str = "") -> list[FieldError]:
    return [] if value else [required(path, detail)]


# addresses: what an object already holds stays accepted


def ip(path: str, value: str, old: Collection[str] = ()) -> list[FieldError]:
    return [] if value in old else invalids(path, value, addresses.is_ip(value))


def cidr(path: str, value: str, old: Collection[str] = ()) -> list[FieldError]:
    return [] if value in old else invalids(path, value, addresses.is_cidr(value))


def not_special_ip(path: str, value: str) -> list[FieldError]:
    """Endpoints and external IPs may not be unspecified, loopback or link-local addresses."""
    address = addresses.parse_ip(value)
    if address is None:
        return [invalid(path, value, "must be a valid IP address")]
    errors = []
    if address.is_unspecified:
        errors.append(invalid(path, value, f"may not be unspecified ({value})"))
    if address.is_loopback:
        errors.append(invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        errors.append(invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    packed = address.packed
    if packed[:3] == b"\xe0\x00\x00" if address.version == 4 else packed[0] == 0xFF and packed[1] & 0x0F == 2:
        errors.append(
            invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
        )
    return errors
