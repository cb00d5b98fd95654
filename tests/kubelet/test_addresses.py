"""Which address a pod gets."""

from __future__ import annotations

import pytest

from knarr.kubelet.addresses import Exhausted, PodAddresses


def test_pods_of_a_node_get_the_addresses_of_its_network() -> None:
    addresses = PodAddresses("10.128.0.0/16")
    addresses.networks["a"] = "10.128.7.0/24"
    assert [addresses.take(uid, "a") for uid in "xyz"] == ["10.128.7.2", "10.128.7.3", "10.128.7.4"]


def test_a_node_whose_network_is_not_known_yet_takes_nothing_from_the_first_nodes() -> None:
    addresses = PodAddresses("10.128.0.0/16")
    for i in range(300):
        addresses.take(f"early-{i}", "b")
    addresses.networks["a"] = "10.128.0.0/24"
    assert len({addresses.take(f"a-{i}", "a") for i in range(253)}) == 253
    with pytest.raises(Exhausted, match=r"no addresses available in 10\.128\.0\.0/24"):
        addresses.take("one too many", "a")


def test_the_address_free_longest_comes_next_and_a_kept_one_stays() -> None:
    addresses = PodAddresses("10.0.0.0/29")
    first, second = addresses.take("x", "n"), addresses.take("y", "n")
    addresses.give_back(first, "x")
    assert addresses.take("z", "n") not in {first, second}
    assert addresses.keep(second, "y") and not addresses.keep(second, "other")
    assert addresses.owner(second) == "y"
