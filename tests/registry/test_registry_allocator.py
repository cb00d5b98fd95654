"""Ranges of numbers, addresses and ports against a plain set."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.registry.allocator import AddressRange, Full, NumberRange, PortRange
from knarr.world import chance

ACTIONS = st.lists(st.tuples(st.sampled_from(["any", "take", "release"]), st.integers(0, 25)), max_size=80)


@given(ACTIONS, st.integers(0, 12), st.integers())
def test_a_range_hands_out_each_number_once(actions, reserved, seed):
    numbers, model = NumberRange(3, 20, chance(seed), reserved), set()
    for action, number in actions:
        if action == "release":
            numbers.release(number)
            model.discard(number)
        elif action == "take":
            if number in numbers:
                assert numbers.take(number) == (number not in model)
                model.add(number)
        elif len(model) == 18:
            with pytest.raises(Full):
                numbers.take_any()
        else:
            got = numbers.take_any()
            assert 3 <= got <= 20 and got not in model
            # the lower part is for those who ask for a number
            if got < 3 + reserved:
                assert set(range(3 + reserved, 21)) <= model
            model.add(got)
        assert len(numbers) == len(model)


@pytest.mark.parametrize(
    ("cidr", "family", "count", "first"),
    [
        ("10.96.0.0/16", "IPv4", 65534, "10.96.0.1"),
        ("10.96.0.0/29", "IPv4", 6, "10.96.0.1"),
        ("10.96.0.0/30", "IPv4", 2, "10.96.0.1"),
        ("fd00::/112", "IPv6", 65535, "fd00::1"),
        ("fd00::/125", "IPv6", 7, "fd00::1"),
    ],
)
def test_the_addresses_of_a_network(cidr, family, count, first):
    addresses = AddressRange(cidr, chance(1))
    assert (addresses.family, addresses.first) == (family, first)
    network = ipaddress.ip_network(cidr)
    assert (
        addresses.take(str(network.network_address))
        == "the provided network does not match the current range"
    )
    assert addresses.take("192.168.9.9" if family == "IPv4" else "fe80::1")
    if count < 100:
        taken = [ipaddress.ip_address(addresses.take_any()) for _ in range(count)]
        assert len(set(taken)) == count and all(a in network for a in taken)
        if family == "IPv4":
            assert network.broadcast_address not in taken
        with pytest.raises(Full):
            addresses.take_any()
        addresses.release(str(taken[1]))
        assert addresses.take_any() == str(taken[1])


def test_an_address_is_taken_once():
    addresses = AddressRange("10.0.0.0/24", chance(1))
    assert addresses.take("10.0.0.7") is None
    assert addresses.take("10.0.0.7") == "provided IP is already allocated"
    addresses.release("10.0.0.7")
    assert addresses.take("10.0.0.7") is None
    addresses.release("192.168.0.1")  # not ours: nothing happens


def test_ports():
    ports = PortRange(30000, 30003, chance(1))
    assert ports.take(30001) is None
    assert ports.take(30001) == "provided port is already allocated"
    assert (
        ports.take(80) == "provided port is not in the valid range. The range of valid ports is 30000-30003"
    )
    assert sorted(ports.take_any() for _ in range(3)) == [30000, 30002, 30003]
    with pytest.raises(Full):
        ports.take_any()


def test_free_choice_comes_from_the_upper_part_first():
    ports = PortRange(30000, 32767, chance(1))
    assert min(ports.take_any() for _ in range(200)) >= 30000 + 86
    addresses = AddressRange("10.96.0.0/16", chance(1))
    low = ipaddress.ip_address("10.96.1.0")
    assert all(ipaddress.ip_address(addresses.take_any()) >= low for _ in range(200))
