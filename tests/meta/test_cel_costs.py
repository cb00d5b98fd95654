"""What calls of functions cost: at least and at most as estimated, and when they run. The numbers are Kubernetes'."""

from __future__ import annotations

import pytest

from knarr.meta.cel.environment import Environment

ENVIRONMENT = Environment({})
V4, V6 = "ip('192.168.0.1')", "ip('2001:db8:3333:4444:5555:6666:7777:8888')"
NET4, NET6 = "cidr('192.168.0.0/16')", "cidr('2001:db8::/32')"
NUMBERS, UINTS = "[1, 2, 3, 4, 5]", "[uint(1), uint(2), uint(3), uint(4), uint(5)]"
TEXT, LETTERS = "'abc 123 def 123'", "'ABCDEFGHIJ abcdefghij'"
COSTS = [
    (f"{NUMBERS}.sum()", 15, 15, 15),
    (f"{UINTS}.max()", 20, 20, 20),
    (f"{UINTS}.indexOf(uint(3))", 21, 21, 21),
    ("'01234567890123456789012345678901234567890123456789'.lastIndexOf('123')", 5, 5, 5),
    ("url('https:://kubernetes.io/').getHost()", 4, 4, 4),
    (V4, 2, 2, 2),
    (V6, 4, 4, 4),
    (f"{V6}.isLoopback()", 5, 5, 5),
    ("ip.isCanonical('2001:db8:3333:4444:5555:6666:7777:8888')", 8, 8, 8),
    (NET4, 2, 2, 2),
    (f"{NET6}.ip()", 3, 3, 3),
    (f"{NET4}.containsCIDR(cidr('192.0.0.0/30'))", 7, 11, 7),
    (f"{NET4}.containsCIDR('192.168.0.0/16')", 7, 11, 7),
    (f"{NET4}.containsIP(ip('192.0.0.1'))", 4, 7, 4),
    (f"{NET4}.containsIP('192.169.0.1')", 5, 8, 5),
    (f"{NET6}.containsIP({V6})", 7, 10, 7),
    (f"{LETTERS}.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 7, 9, 9),
    (f"strings.quote({LETTERS}) == strings.quote({LETTERS})", 7, 11, 9),
    (f"{TEXT}.replace('123', '456')", 3, 3, 3),
    (f"{TEXT}.split(' ', 1)", 3, 3, 3),
    (f"{TEXT}.substring(5)", 2, 2, 2),
    (f"{TEXT}.findAll('123', 1)", 2, 2, 2),
    ("quantity('12Mi')", 1, 1, 1),
    ("quantity('200M').compareTo(quantity('0.2G')) > 0", 4, 4, 4),
    ("quantity('50k').add(20).sub(quantity('100k')).sub(-50000).asInteger() > 0", 7, 7, 7),
    ("sets.contains([], [])", 21, 21, 21),
    ("sets.contains([1, 2, 3, 4], [2, 3])", 29, 29, 29),
    ("sets.equivalent([1], [1, 1])", 25, 25, 25),
    ("!sets.intersects([1], [2])", 23, 23, 23),
]


@pytest.mark.parametrize(("source", "least", "most", "spent"), COSTS)
def test_costs(source: str, least: int, most: int, spent: int) -> None:
    expression = ENVIRONMENT.compile(source)
    assert expression.cost(lambda path: None) == (least, most)
    assert expression.program.evaluate({}, 1_000_000)[1] == spent


@pytest.mark.parametrize(
    ("source", "spent"),
    [
        ("['aa', 'bb', 'cc', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join(' ')", 15),
        ("['aa', 'bb', 'cc', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join()", 13),
        # ceil(1.2) for the text, ceil(7.5) for the pattern, and 1 to find the format
        ("format.dns1123Label().validate('0123456789a').hasValue()", 2 * 8 + 2),
    ],
)
def test_what_is_spent(source: str, spent: int) -> None:
    assert ENVIRONMENT.compile(source).program.evaluate({}, 1_000_000)[1] == spent
