"""Texts that are no addresses, in the words of net/netip."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import gonetip

FAULTS = [
    ("", "unable to parse IP"),
    ("1.2.3.04", "IPv4 field has octet with leading zero"),
    ("1.2.3.256", "IPv4 field has value >255"),
    ("1..3.4", 'IPv4 field must have at least one digit (at ".3.4")'),
    ("1.2.3.4.5", "IPv4 address too long"),
    ("1.2.3.x", 'unexpected character (at "x")'),
    ("%eth0", "missing IPv6 address"),
    ("fe80::%", "zone must be a non-empty string"),
    ("1:2:3", "address string too short"),
    ("1:2:3:4:5:6:7:8:9", 'trailing garbage after address (at "9")'),
    ("1::2::3", 'multiple :: in address (at ":3")'),
    ("12345::", 'each group must have 4 or less digits (at "12345::")'),
    (":1", 'each colon-separated field must have at least one digit (at ":1")'),
    ("1:2.3.4.5", 'embedded IPv4 address must replace the final 2 fields of the address (at "2.3.4.5")'),
    ("1:2:3:4:5:6:7::8", "the :: must expand to at least one field of zeros"),
    ("1:", 'colon must be followed by more characters (at ":")'),
]
PREFIX_FAULTS = [
    ("10.0.0.0", "no '/'"),
    ("10.0.0.0/08", 'bad bits after slash: "08"'),
    ("10.0.0.0/33", "prefix length out of range"),
    ("::1%e/64", "IPv6 zones cannot be present in a prefix"),
    ("10.0.0/8", 'ParseAddr("10.0.0"): IPv4 address too short'),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_addresses(text: str, fault: str) -> None:
    assert gonetip.address_fault(text) == f'ParseAddr("{text}"): {fault}'


@pytest.mark.parametrize(("text", "fault"), PREFIX_FAULTS)
def test_prefixes(text: str, fault: str) -> None:
    assert gonetip.prefix_fault(text) == f'netip.ParsePrefix("{text}"): {fault}'


@given(st.ip_addresses().map(str) | st.text("0123456789af:.", max_size=20))
def test_addresses_are_those_of_python(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        assert gonetip.address_fault(text)
    else:
        assert not gonetip.address_fault(text)


@given(st.ip_addresses(), st.integers(0, 140))
def test_prefixes_are_those_of_python(address: object, bits: int) -> None:
    text = f"{address}/{bits}"
    try:
        ip_network(text, strict=False)
    except ValueError:
        assert gonetip.prefix_fault(text)
    else:
        assert not gonetip.prefix_fault(text)
