"""Kubernetes' ip() and cidr()."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from knarr.meta import gonetip
from knarr.meta.cel.functions import overload
from knarr.meta.cel.values import CelError
from knarr.meta.gofmt import quote


class IPValue:
    cel_type = "net.IP"
    __slots__ = ("address",)

    def __init__(self, address: Any) -> None:
        self.address = address

    @property
    def cel_size(self) -> int:
        return len(self.address.packed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IPValue) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)


class CIDRValue:
    """An address with the length of its network's prefix."""

    cel_type = "net.CIDR"
    __slots__ = ("address", "network")

    def __init__(self, address: Any, network: Any) -> None:
        self.address, self.network = address, network

    @property
    def cel_size(self) -> int:
        """The bytes of the prefix."""
        return -(-self.network.prefixlen // 8)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CIDRValue) and (self.address, self.network) == (other.address, other.network)

    def __hash__(self) -> int:
        return hash((self.address, self.network))

    def __str__(self) -> str:
        return f"{self.address}/{self.network.prefixlen}"


def _address(text: str) -> Any:
    if why := gonetip.address_fault(text):
        raise CelError(f"IP Address {quote(text)} parse error during conversion from string: {why}")
    if "%" in text:
        raise CelError(f"IP address {quote(text)} with zone value is not allowed")
    return _unmapped(ip_address(text), text)


def _unmapped(address: Any, text: str) -> Any:
    if address.version == 6 and address.ipv4_mapped is not None:
        raise CelError(f"IPv4-mapped IPv6 address {quote(text)} is not allowed")
    return address


def parse_ip(text: str) -> IPValue:
    return IPValue(_address(text))


def parse_cidr(text: str) -> CIDRValue:
    if why := gonetip.prefix_fault(text):
        raise CelError(f"network address parse error during conversion from string: {why}")
    host, _, bits = text.rpartition("/")
    address = _unmapped(ip_address(host), text)
    return CIDRValue(address, ip_network((address, int(bits)), strict=False))


def _is(parse: Any) -> Any:
    def test(text: str) -> bool:
        try:
            parse(text)
        except CelError:
            return False
        return True

    return test


def is_canonical(text: str) -> bool:
    return str(_address(text)) == text


def contains_ip(cidr: CIDRValue, ip: Any) -> bool:
    address = ip.address if isinstance(ip, IPValue) else _address(ip)
    return address.version == cidr.network.version and address in cidr.network


def contains_cidr(cidr: CIDRValue, other: Any) -> bool:
    inner = other if isinstance(other, CIDRValue) else parse_cidr(other)
    return inner.network.version == cidr.network.version and inner.network.subnet_of(cidr.network)


def _global_unicast(ip: IPValue) -> bool:
    a = ip.address
    broadcast = a.version == 4 and int(a) == 0xFFFFFFFF
    return not (broadcast or a.is_unspecified or a.is_loopback or a.is_multicast or a.is_link_local)


def _link_local_multicast(ip: IPValue) -> bool:
    packed = ip.address.packed
    if ip.address.version == 4:
        return packed[:3] == b"\xe0\x00\x00"
    return packed[0] == 0xFF and packed[1] & 0x0F == 2


OVERLOADS = (
    overload("string_to_ip: ip(string) -> net.IP", parse_ip),
    overload("is_ip: isIP(string) -> bool", _is(parse_ip)),
    overload("ip_is_canonical: ip.isCanonical(string) -> bool", is_canonical),
    overload("ip_family: net.IP::family() -> int", lambda ip: ip.address.version),
    overload("ip_is_unspecified: net.IP::isUnspecified() -> bool", lambda ip: ip.address.is_unspecified),
    overload("ip_is_loopback: net.IP::isLoopback() -> bool", lambda ip: ip.address.is_loopback),
    overload("ip_is_link_local_multicast: net.IP::isLinkLocalMulticast() -> bool", _link_local_multicast),
    overload(
        "ip_is_link_local_unicast: net.IP::isLinkLocalUnicast() -> bool", lambda ip: ip.address.is_link_local
    ),
    overload("ip_is_global_unicast: net.IP::isGlobalUnicast() -> bool", _global_unicast),
    overload("ip_to_string: string(net.IP) -> string", lambda ip: str(ip.address)),
    overload("string_to_cidr: cidr(string) -> net.CIDR", parse_cidr),
    overload("is_cidr: isCIDR(string) -> bool", _is(parse_cidr)),
    overload("cidr_contains_ip_string: net.CIDR::containsIP(string) -> bool", contains_ip),
    overload("cidr_contains_ip_ip: net.CIDR::containsIP(net.IP) -> bool", contains_ip),
    overload("cidr_contains_cidr_string: net.CIDR::containsCIDR(string) -> bool", contains_cidr),
    overload("cidr_contains_cidr: net.CIDR::containsCIDR(net.CIDR) -> bool", contains_cidr),
    overload("cidr_ip: net.CIDR::ip() -> net.IP", lambda c: IPValue(c.address)),
    overload("cidr_prefix_length: net.CIDR::prefixLength() -> int", lambda c: c.network.prefixlen),
    overload(
        "cidr_masked: net.CIDR::masked() -> net.CIDR",
        lambda c: CIDRValue(c.network.network_address, c.network),
    ),
    overload("cidr_to_string: string(net.CIDR) -> string", str),
)
