"""Names, keys, ports and addresses: what is good, and Kubernetes' words for what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import addresses, intstr, names

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
DNS1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
WILDCARD = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower "
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used "
    r"for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
KEY = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
ENV = "a valid environment variable name must consist only of printable ASCII characters other than '='"
CHARSET = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
LETTER = "must contain at least one letter (a-z)"

CASES: list[tuple[Callable[..., list[str]], object, list[str]]] = [
    (names.is_dns1123_label, "a-1", []),
    (names.is_dns1123_label, "1a", []),
    (names.is_dns1123_label, "a.b", ["must not contain dots"]),
    (names.is_dns1123_label, "A", [LABEL]),
    (names.is_dns1123_label, "", [LABEL]),
    (names.is_dns1123_label, "a\n", [LABEL]),
    (names.is_dns1123_label, "a" * 63, []),
    (names.is_dns1123_label, "a" * 64, ["must be no more than 63 characters"]),
    (
        names.is_dns1123_label,
        "a." + "b" * 63,
        ["must be no more than 63 characters", "must not contain dots"],
    ),
    (names.is_dns1123_subdomain, "a.b-c.1", []),
    (names.is_dns1123_subdomain, "a..b", [SUBDOMAIN]),
    (names.is_dns1123_subdomain, "a.", [SUBDOMAIN]),
    (names.is_dns1123_subdomain, "-a", [SUBDOMAIN]),
    (names.is_dns1123_subdomain, "é", [SUBDOMAIN]),
    (names.is_dns1123_subdomain, "a" * 253, []),
    (names.is_dns1123_subdomain, "a" * 254, ["must be no more than 253 characters"]),
    (names.is_dns1123_subdomain_with_underscore, "_tcp.a_b", []),
    (names.is_dns1035_label, "a1", []),
    (names.is_dns1035_label, "1a", [DNS1035]),
    (names.is_wildcard_dns1123_subdomain, "*.example.com", []),
    (names.is_wildcard_dns1123_subdomain, "a.*.example.com", [WILDCARD]),
    (names.is_qualified_name, "a", []),
    (names.is_qualified_name, "example.com/A_b.c", []),
    (names.is_qualified_name, "a b", [f"name part {KEY}"]),
    (names.is_qualified_name, "", ["name part must be non-empty", f"name part {KEY}"]),
    (names.is_qualified_name, "/a", ["prefix part must be non-empty"]),
    (names.is_qualified_name, "UP.example/a", [f"prefix part {SUBDOMAIN}"]),
    (names.is_qualified_name, "k" * 64, ["name part must be no more than 63 bytes"]),
    (
        names.is_qualified_name,
        "a/b/c",
        [
            f"a valid label key {KEY} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ],
    ),
    (names.is_domain_prefixed_path, "acme.io/a/b", []),
    (names.is_domain_prefixed_path, "acme.io/", ['must be a domain-prefixed path (such as "acme.io/foo")']),
    (names.is_domain_prefixed_path, "nope", ['must be a domain-prefixed path (such as "acme.io/foo")']),
    (
        names.is_domain_prefixed_path,
        "acme.io/a b",
        [r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')"],
    ),
    (names.is_fully_qualified_name, "a.b.c", []),
    (
        names.is_fully_qualified_name,
        "short",
        ["should be a domain with at least three segments separated by dots"],
    ),
    (names.is_fully_qualified_domain_name, "a.b.", []),
    (
        names.is_fully_qualified_domain_name,
        "a",
        ["should be a domain with at least two segments separated by dots"],
    ),
    (names.is_label_value, "", []),
    (names.is_label_value, "v" * 64, ["must be no more than 63 bytes"]),
    (names.is_label_value, "é" * 32, ["must be no more than 63 bytes", names.is_label_value("é")[0]]),
    (names.is_c_identifier, "_a1", []),
    (names.is_env_var_name, "any thing!", []),
    (names.is_env_var_name, "a=b", [ENV]),
    (names.is_env_var_name, "a\x7f", [ENV]),
    (names.is_env_var_name, "é", [ENV]),
    (names.is_env_var_name, "", ["environment variable name must be non-empty"]),
    (names.is_config_map_key, "a.b_c-d", []),
    (names.is_config_map_key, "bad key", [CONFIG_KEY]),
    (names.is_config_map_key, ".", ["must not be '.'"]),
    (names.is_config_map_key, "..", ["must not be '..'"]),
    (names.is_config_map_key, "..a", ["must not start with '..'"]),
    (names.is_config_map_key, "", [CONFIG_KEY]),
    (names.is_http_header_name, "X-A", []),
    (names.is_port_number, 80, []),
    (names.is_port_number, 0, ["must be between 1 and 65535, inclusive"]),
    (names.is_port_name, "http", []),
    (names.is_port_name, "Not_A_Port!", [CHARSET]),
    (names.is_port_name, "80", [LETTER]),
    (names.is_port_name, "", [CHARSET, LETTER]),
    (
        names.is_port_name,
        "a--b-",
        ["must not contain consecutive hyphens", "must not begin or end with a hyphen"],
    ),
    (names.is_port_name, "a" * 16, ["must be no more than 15 characters"]),
    (names.is_percent, "10%", []),
    (
        names.is_percent,
        "ten",
        [
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used "
            "for validation is '[0-9]+%')"
        ],
    ),
    (names.is_user_id, 2**31, ["must be between 0 and 2147483647, inclusive"]),
    (
        names.is_sysctl_name,
        "bad name",
        [
            "must have at most 253 characters and match regex "
            r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
        ],
    ),
    (names.path_segment_name, "system:node", []),
    (names.path_segment_name, "a/b", ["may not contain '/'"]),
    (names.path_segment_name, "a/b%", ["may not contain '/'", "may not contain '%'"]),
    (names.path_segment_name, "..", ["may not be '..'"]),
]


@pytest.mark.parametrize(("check", "value", "messages"), CASES)
def test_checks(check: Callable[..., list[str]], value: object, messages: list[str]) -> None:
    assert check(value) == messages


def test_a_generate_name_may_end_in_a_dash() -> None:
    assert names.name_is_dns_subdomain("gen-", prefix=True) == []
    assert names.name_is_dns_subdomain("gen-") == [SUBDOMAIN]
    assert names.name_is_path_segment("..", prefix=True) == []


@given(st.text(max_size=8))
def test_a_label_is_a_subdomain_and_a_service_name_is_a_label(text: str) -> None:
    if not names.is_dns1035_label(text):
        assert not names.is_dns1123_label(text)
    if not names.is_dns1123_label(text):
        assert not names.is_dns1123_subdomain(text)
        assert not names.is_qualified_name(text)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("10.1.2.3", []),
        ("2001:db8::1", []),
        ("2001:DB8::1", []),
        ("010.1.2.3", ["must not have leading 0s"]),
        ("::ffff:1.2.3.4", ["must not be an IPv4-mapped IPv6 address"]),
        ("1.2.3", [addresses.INVALID_IP]),
        ("300.1.2.3", [addresses.INVALID_IP]),
        ("fe80::1%eth0", [addresses.INVALID_IP]),
        ("", [addresses.INVALID_IP]),
        ("١.1.1.1", [addresses.INVALID_IP]),
    ],
)
def test_addresses(text: str, messages: list[str]) -> None:
    assert names.is_ip(text) == messages


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("10.0.0.0/8", []),
        ("2001:db8::/64", []),
        ("10.0.0.1/8", ["must not have bits set beyond the prefix length"]),
        ("10.0.0.0/08", ["must not have leading 0s in IP or prefix length"]),
        ("010.0.0.0/8", ["must not have leading 0s in IP or prefix length"]),
        ("::ffff:10.0.0.0/104", ["must not have an IPv4-mapped IPv6 address"]),
        ("10.0.0.0", [addresses.INVALID_CIDR]),
        ("10.0.0.0/33", [addresses.INVALID_CIDR]),
        ("10.0.0.0/255.0.0.0", [addresses.INVALID_CIDR]),
        ("nope", [addresses.INVALID_CIDR]),
    ],
)
def test_networks(text: str, messages: list[str]) -> None:
    assert names.is_cidr(text) == messages


def test_canonical_and_lenient_addresses() -> None:
    assert addresses.is_canonical_ip("2001:DB8::1") == ['must be in canonical form ("2001:db8::1")']
    assert addresses.is_canonical_cidr("2001:DB8::/64") == ['must be in canonical form ("2001:db8::/64")']
    assert addresses.is_interface_address("192.168.1.5/24") == []


def test_address_warnings() -> None:
    assert addresses.ip_warning("p", "010.1.2.3") == [
        'p: non-standard IP address "010.1.2.3" will be considered invalid in a future Kubernetes release: use "10.1.2.3"'
    ]
    assert addresses.ip_warning("p", "2001:DB8::1") == [
        'p: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'
    ]
    assert addresses.cidr_warnings("p", "10.0.0.1/8") == [
        'p: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)'
    ]
    assert addresses.ip_warning("p", "10.1.2.3") == addresses.cidr_warnings("p", "10.0.0.0/8") == []


@given(st.ip_addresses())
def test_every_address_is_good(address: object) -> None:
    if not getattr(address, "ipv4_mapped", None):
        assert addresses.is_canonical_ip(str(address)) == []


@pytest.mark.parametrize(
    ("value", "total", "up", "scaled"),
    [
        (3, 10, True, 3),
        ("25%", 10, True, 3),
        ("25%", 10, False, 2),
        ("100%", 7, True, 7),
        ("0%", 9, True, 0),
        ("150%", 2, False, 3),
    ],
)
def test_scaled(value: int | str, total: int, up: bool, scaled: int) -> None:
    assert intstr.scaled(value, total, up) == scaled


def test_scaled_refuses_what_is_no_percentage() -> None:
    with pytest.raises(
        ValueError, match="^invalid value for IntOrString: invalid type: string is not a percentage$"
    ):
        intstr.scaled("5", 10, True)
    with pytest.raises(ValueError, match='strconv.Atoi: parsing "x": invalid syntax$'):
        intstr.scaled("x%", 10, True)


def test_int_or_string_validation() -> None:
    assert intstr.is_percent("5%") and not intstr.is_percent("5") and not intstr.is_percent(5)
    assert [str(e) for e in intstr.validate_positive_int_or_percent(-1, "p")] == [
        "p: Invalid value: -1: must be greater than or equal to 0"
    ]
    assert [str(e) for e in intstr.validate_not_more_than_100_percent("101%", "p")] == [
        'p: Invalid value: "101%": must not be greater than 100%'
    ]
    assert intstr.validate_not_more_than_100_percent(500, "p") == []
    assert [str(e) for e in intstr.validate_port_number_or_name("Not_A_Port!", "p")] == [
        f'p: Invalid value: "Not_A_Port!": {CHARSET}'
    ]
    assert intstr.validate_port_number_or_name(80, "p") == []


@given(st.from_regex(r"[a-zA-Z0-9./_-]{0,8}", fullmatch=True), st.sampled_from([1, 40, 200]))
def test_the_quick_look_at_label_keys_agrees_with_the_slow_one(text: str, times: int) -> None:
    """A key is good when its parts are, each by its own rule."""
    key = text * times
    prefix, slash, name = key.rpartition("/")
    good = not names.is_dns1123_subdomain(prefix) if slash else True
    good = good and bool(name) and not names.is_label_value(name)
    assert (names.is_qualified_name(key) == []) == good
