"""IP addresses and networks in text: Kubernetes' strict rules for new objects and its lenient ones for old.

Since v1.36 a new address may hold no leading zeros and no IPv4 in IPv6; what an object already has stays allowed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

INVALID_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
INVALID_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
INVALID_INTERFACE = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"

_LEADING_ZEROS = re.compile(r"(?<![0-9A-Fa-f:])0+(?=[0-9])|(?<=:)0+(?=[0-9]+\.)")
_DIGITS = re.compile("[0-9]+").fullmatch
#: most addresses: a tenth of the cost of parsing one
_PLAIN_IPV4 = re.compile(
    r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
).fullmatch


@lru_cache(maxsize=4096)
def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """The address as Go's lenient parser reads it (leading zeros are decimal; an IPv4-mapped one is IPv4)."""
    if "%" in text or not text.isascii():
        return None
    plain = _LEADING_ZEROS.sub("", text) if "." in text else text
    try:
        address = ip_address(plain)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@lru_cache(maxsize=4096)
def parse_cidr(text: str) -> tuple[IPv4Address | IPv6Address, IPv4Network | IPv6Network] | None:
    """The address and its network, leniently; None for what is neither."""
    host, slash, length = text.rpartition("/")
    address = parse_ip(host) if slash and _DIGITS(length) else None
    if address is None:
        return None
    bits = int(length)
    if address.version == 4 and ":" in host:
        bits -= 96
    if not 0 <= bits <= address.max_prefixlen:
        return None
    return address, ip_network((address, bits), strict=False)


def _has_leading_zeros(text: str) -> bool:
    return "." in text and _LEADING_ZEROS.search(text) is not None


def is_ip(value: str) -> list[str]:
    """A new address in a field that once took lenient ones."""
    if _PLAIN_IPV4(value):
        return []
    address = parse_ip(value)
    if address is None:
        return [INVALID_IP]
    if _has_leading_zeros(value):
        return ["must not have leading 0s"]
    if address.version == 4 and ":" in value:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def is_canonical_ip(value: str) -> list[str]:
    """An address in the one form that stands for it (newer fields, names of IPAddress objects)."""
    if errors := is_ip(value):
        return errors
    canonical = str(parse_ip(value))
    return [] if value == canonical else [f'must be in canonical form ("{canonical}")']


def is_cidr(value: str) -> list[str]:
    """A new network in a field that once took lenient ones."""
    parsed = parse_cidr(value)
    if parsed is None:
        return [INVALID_CIDR]
    address, network = parsed
    host, _, length = value.rpartition("/")
    if _has_leading_zeros(host) or (len(length) > 1 and length[0] == "0"):
        return ["must not have leading 0s in IP or prefix length"]
    if address.version == 4 and ":" in host:
        return ["must not have an IPv4-mapped IPv6 address"]
    if address != network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def is_canonical_cidr(value: str) -> list[str]:
    if errors := is_cidr(value):
        return errors
    parsed = parse_cidr(value)
    canonical = str(parsed[1]) if parsed else value
    return [] if value == canonical else [f'must be in canonical form ("{canonical}")']


def is_interface_address(value: str) -> list[str]:
    """`192.168.1.5/24`: an address with the length of its subnet, in canonical form."""
    parsed = parse_cidr(value)
    if parsed is None:
        return [INVALID_INTERFACE]
    canonical = f"{parsed[0]}/{parsed[1].prefixlen}"
    return [] if value == canonical else [f'must be in canonical form ("{canonical}")']


def ip_warning(path: str, value: str) -> list[str]:
    """The warning for an address that is valid but not written as it should be."""
    address = parse_ip(value)
    if address is None:
        return []
    if _has_leading_zeros(value) or (address.version == 4 and ":" in value):
        return [
            f'{path}: non-standard IP address "{value}" will be considered invalid '
            f'in a future Kubernetes release: use "{address}"'
        ]
    if address.version == 6 and str(address) != value:
        return [f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")']
    return []


def cidr_warnings(path: str, value: str) -> list[str]:
    """The warnings for a network that is valid but ambiguous or not written as it should be."""
    parsed = parse_cidr(value)
    if parsed is None:
        return []
    address, network = parsed
    warnings = []
    if address != network.network_address:
        single = f"{address}/{address.max_prefixlen}"
        warnings.append(
            f'{path}: CIDR value "{value}" is ambiguous in this context (should be "{network}" or "{single}"?)'
        )
    host, _, length = value.rpartition("/")
    leading = _has_leading_zeros(host) or (len(length) > 1 and length[0] == "0")
    if leading or (address.version == 4 and ":" in host):
        warnings.append(
            f'{path}: non-standard CIDR value "{value}" will be considered invalid '
            f'in a future Kubernetes release: use "{network}"'
        )
    if not warnings and address.version == 6 and str(network) != value:
        warnings.append(
            f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{network}")'
        )
    return warnings
