"""Go's words for texts that are no URLs."""

import pytest

from knarr.meta.gourl import fault


@pytest.mark.parametrize(
    ("text", "request_", "why"),
    [
        ("https://host:99999/", False, ""),
        ("https://host:/x", False, ""),
        ("https://[::1]:80/", False, ""),
        ("mailto:a@b", False, ""),
        ("", False, ""),
        ("a b", False, ""),
        ("https://user:p@host/%20", False, ""),
        ("https://host:a/", False, 'parse "https://host:a/": invalid port ":a" after host'),
        ("https://[::1/", False, "parse \"https://[::1/\": missing ']' in host"),
        ("https://a b/", False, 'parse "https://a b/": invalid character " " in host name'),
        ("https://a/%zz", False, 'parse "https://a/%zz": invalid URL escape "%zz"'),
        ("a:b/c\n", False, 'parse "a:b/c\\n": net/url: invalid control character in URL'),
        (":x", False, 'parse ":x": missing protocol scheme'),
        ("1a:x", False, 'parse "1a:x": first path segment in URL cannot contain colon'),
        ("", True, 'parse "": empty url'),
        ("foo", True, 'parse "foo": invalid URI for request'),
        ("/foo", True, ""),
    ],
)
def test_faults(text, request_, why):
    assert fault(text, request_) == why
