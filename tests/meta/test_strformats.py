"""The formats of texts: what strfmt takes for one."""

from __future__ import annotations

import pytest

from knarr.meta import strformats

GOOD = [
    ("email", "blah@gmail.com"),
    ("email", "test@d.verylongtoplevel"),
    ("email", '" "@example.com'),
    ("email", '"Abc\\@def"@example.com'),
    ("email", '"Fred Bloggs"@example.com'),
    ("email", "customer/department=shipping@example.com"),
    ("email", "!#$%&'*+-/=?^_`{}|~@example.com"),
    ("email", "postmaster@☁→❄→☃→☀→☺→☂→☹→✝.ws"),
    ("email", "root@localhost"),
    ("email", "Joe Q. Public <j@x.com>"),
    ("email", "<a@b>"),
    ("hostname", "somewhere.com"),
    ("hostname", "888.com"),
    ("hostname", "1.2.3.4.com"),
    ("hostname", "xn--bcher-kva.example.com"),
    ("hostname", "☁→❄→☃→☀→☺→☂→☹→✝.ws"),
    ("hostname", "www.example.ôlà"),
    ("hostname", "ôlà.ôlà"),
    ("hostname", "ex$ample"),
    ("hostname", "localhost"),
    ("hostname", "x"),
    ("hostname", "x-y"),
    ("hostname", "a.b.c.dot"),
    ("hostname", "ex=ample.com"),
    ("hostname", "<foo>"),
    ("hostname", "www.example-hyphenated.org"),
    ("hostname", "www.詹姆斯.london"),
    ("ipv4", "1.2.3.4"),
    ("ipv4", "192.168.1.01"),
    ("ipv4", "::ffff:1.2.3.4"),
    ("ipv6", "::1"),
    ("ipv6", "::ffff:1.2.3.4"),
    ("cidr", "192.0.02.1/24"),
    ("cidr", "2001:db8:a0b:12f0::1/32"),
    ("mac", "01:02:03:04:05:06"),
    ("mac", "01-02-03-04-05-06-07-08"),
    ("mac", "0123.4567.89ab"),
    ("mac", "0123.4567.89ab.cdef"),
    ("mac", "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"),
    ("uri", "http://a.b"),
    ("uri", "/x"),
    ("uri", "mailto:a@b"),
    ("uri", "http://a/ b"),
    ("byte", "YQ=="),
    ("byte", "YWJj"),
    ("ssn", "111-11-1111"),
    ("ssn", "999 99 9999"),
    ("duration", "1s"),
    ("duration", "-1.5h"),
    ("duration", "2 days"),
    ("duration", "1 week 3 hours"),
    ("duration", "5 mins"),
    ("duration", "1d 3foo"),
    ("date", "2020-02-29"),
    ("date-time", "2020-01-01T00:00:00Z"),
    ("date-time", "2020-01-01t00:00:00.5+01:00"),
    ("isbn", "0321751043"),
    ("isbn", "978-0321751041"),
    ("creditcard", "4111-1111-1111-1111"),
    ("hexcolor", "#fff"),
    ("rgbcolor", "rgb(0, 1,255)"),
    ("uuid", "6BA7B8109DAD11D180B400C04FD430C8"),
    ("k8s-short-name", "a-b"),
    ("k8slongname", "a.b"),
    ("password", ""),
    ("bsonobjectid", "507f1f77bcf86cd799439011"),
    ("isbn10", "0-306-40615-2"),
]
BAD = [
    ("email", "somebody@somewhere@com"),
    ("email", "a"),
    ("email", "a@"),
    ("email", "@b"),
    ("email", "a..b@c"),
    ("email", "a b@c"),
    ("email", ""),
    ("hostname", "somewhere.com!"),
    ("hostname", "1.1.1.1"),
    ("hostname", "x.y.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("hostname", "www.example-.org"),
    ("hostname", "-www.example.org"),
    ("hostname", "www-"),
    ("hostname", "_www.example.org"),
    ("hostname", "www.詹姆斯.x"),
    ("hostname", "a.b.c.d"),
    ("hostname", "x."),
    ("hostname", "a.b.c.dot-"),
    ("hostname", ""),
    ("ipv4", "198.168.254.2.2"),
    ("ipv4", "::1"),
    ("ipv6", "127.0.0.1"),
    ("ipv6", "fe80::1%eth0"),
    ("cidr", "1.2.3.4"),
    ("mac", "01:02:03:04:05"),
    ("mac", "01:02:03:04:05:06:07"),
    ("mac", "01:02-03:04:05:06"),
    ("uri", "somewhere.com"),
    ("uri", ""),
    ("uri", "a b"),
    ("uri", "http://a b/"),
    ("byte", ""),
    ("byte", "YQ"),
    ("byte", "ZWxpemFiZXRocG9zZXk"),
    ("ssn", "111111111"),
    ("ssn", "999 99 999"),
    ("duration", ""),
    ("duration", "1"),
    ("duration", "abc"),
    ("duration", "1 month"),
    ("duration", "1foo"),
    ("date", "2020-02-30"),
    ("date", "2020-1-1"),
    ("date-time", "2020-01-01"),
    ("date-time", "2020-01-01T24:00:00Z"),
    ("date-time", "2020-01-01T00:00:00"),
    ("date-time", "x"),
    ("isbn", "836217463"),
    ("isbn10", "0-306-40615-3"),
    ("isbn13", "978-3-16-148410-1"),
    ("creditcard", "4111 1111 1111 1112"),
    ("rgbcolor", "rgb(1,2,256)"),
    ("uuid4", "0ab1c2d3-0000-1000-8000-000000000000"),
    ("uuid", "x"),
    ("hexcolor", "#ggg"),
    ("bsonobjectid", "x"),
]


@pytest.mark.parametrize(("name", "text"), GOOD)
def test_texts_of_a_format(name: str, text: str) -> None:
    check = strformats.check_of(name)
    assert check is not None
    assert check(text)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_texts_that_are_not(name: str, text: str) -> None:
    check = strformats.check_of(name)
    assert check is not None
    assert not check(text)


def test_durations_in_words() -> None:
    assert strformats.parse_duration("2 days 1h") == 49 * 3600 * 10**9
    assert strformats.parse_duration("-1.5h") == -5400 * 10**9
