"""Go's regular expressions by Python's: the same matches, and Go's messages for what Go refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import goregexp

MATCHES = [
    ("^[a-z]+$", "abc", True),
    ("^a$", "a\n", False),
    (r"\Aa\z", "a", True),
    (r"^\d+$", "٣", False),
    (r"^\w$", "é", False),
    (r"^\pL$", "é", True),
    (r"^\p{Greek}$", "λ", True),
    (r"^[[:alpha:]]+$", "ab", True),
    (r"^[^[:alpha:]]+$", "ab", False),
    ("^(?i)AB$", "ab", True),
    ("^(?i:a)B$", "aB", True),
    ("(?s)^a.b$", "a\nb", True),
    ("^a.b$", "a\nb", False),
    ("(?P<n>a)", "a", True),
    (r"^\Qa.b\E$", "a.b", True),
    (r"^\x{1F600}$", "\U0001f600", True),
    ("^a{2,3}$", "aaa", True),
    ("^a{,3}$", "a{,3}", True),
    ("^a{$", "a{", True),
    ("^[]a]$", "]", True),
    ("a|", "", True),
]


@pytest.mark.parametrize(("pattern", "text", "want"), MATCHES)
def test_matches(pattern, text, want):
    assert goregexp.check(pattern) == ""
    assert bool(goregexp.compile(pattern).search(text)) == want


REFUSED = [
    ("(", "missing closing ): `(`"),
    ("a)", "unexpected ): `a)`"),
    ("[a", "missing closing ]: `[a`"),
    ("*", "missing argument to repetition operator: `*`"),
    ("a**", "invalid nested repetition operator: `**`"),
    ("a{1001}", "invalid repeat count: `{1001}`"),
    ("a{3,2}", "invalid repeat count: `{3,2}`"),
    ("[b-a]", "invalid character class range: `b-a`"),
    (r"\8", r"invalid escape sequence: `\8`"),
    ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    ("(?ix)a", "invalid or unsupported Perl syntax: `(?ix`"),
    ("x(?<!a)", "invalid named capture: `(?<!a)`"),
    ("\\", "trailing backslash at end of expression: ``"),
    (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
    ("(?P<n>a)(?P<n>b)", "duplicate capture group name: `n`"),
]


@pytest.mark.parametrize(("pattern", "message"), REFUSED)
def test_what_go_refuses(pattern, message):
    assert goregexp.check(pattern) == f"error parsing regexp: {message}"


@given(st.text(alphabet="ab()[]{}*+?|^$.\\-,:<>P=!0189dwpLQE\n", max_size=12))
def test_whatever_is_accepted_compiles(pattern):
    if not goregexp.check(pattern):
        goregexp.compile(pattern).search("ab")
