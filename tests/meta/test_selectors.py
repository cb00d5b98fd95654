"""Label and field selectors: what they select, what they say, what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import fields, labels

OBJECTS = {
    "a": {"env": "prod", "tier": "web"},
    "b": {"env": "dev", "tier": "web"},
    "c": {"env": "prod", "tier": "db", "example.com/x": "1"},
    "d": {"env": ""},
    "e": {"n": "5"},
    "f": {},
}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", "abcdef"),
        ("env=prod", "ac"),
        ("env==prod", "ac"),
        ("env!=prod", "bdef"),
        ("env in (prod,dev)", "abc"),
        ("env in (prod)", "ac"),
        ("env notin (prod)", "bdef"),
        ("env notin (prod,dev)", "def"),
        ("tier", "abc"),
        ("!tier", "def"),
        ("! tier", "def"),
        ("env=prod,tier=web", "a"),
        ("env in (prod,dev),tier notin (db)", "ab"),
        (" env = prod , tier = web ", "a"),
        ("env=", "d"),
        ("env in ()", "d"),
        ("env in (,prod)", "acd"),
        ("env in (prod,)", "acd"),
        ("env in (prod,,dev)", "abcd"),
        ("example.com/x=1", "c"),
        ("n>4", "e"),
        ("n<4", ""),
        ("n>5", ""),
        ("env>4", ""),
        ("n>4,n<6", "e"),
        ("env=prod,env=dev", ""),
        ("ENV=prod", ""),
        ("!tier,env", "d"),
        ("in", ""),
        ("notin in (in)", ""),
    ],
)
def test_labels_select(text: str, selected: str) -> None:
    selector = labels.parse(text)
    assert "".join(name for name, found in OBJECTS.items() if selector.matches(found)) == selected


KEY_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
LONG = "v" * 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "n>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("env=a b", "found 'b', expected: ',' or 'end of string'"),
        ("a b=c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("env=>prod", "unable to parse requirement: found '>', expected: identifier"),
        ("env===prod", "unable to parse requirement: found '=', expected: identifier"),
        ("env in (prod", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("env in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"),
        ("env in", "unable to parse requirement: found '' expected: '('"),
        ("env in prod", "unable to parse requirement: found 'prod' expected: '('"),
        ("env in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("env in (a,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        (",env=prod", "found ',', expected: !, identifier, or 'end of string'"),
        ("(", "found '(', expected: !, identifier, or 'end of string'"),
        ("env=prod,", "found '', expected: identifier after ','"),
        ("env,,tier", "found ',', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!tier=web", "found '=', expected: ',' or 'end of string'"),
        ("env=-x", f'unable to parse requirement: values[0][env]: Invalid value: "-x": {VALUE_WORDS}'),
        (
            'env="prod"',
            f'unable to parse requirement: values[0][env]: Invalid value: "\\"prod\\"": {VALUE_WORDS}',
        ),
        (
            "env=prod;tier=web",
            f'unable to parse requirement: values[0][env]: Invalid value: "prod;tier": {VALUE_WORDS}',
        ),
        (
            f"env={LONG}",
            f'unable to parse requirement: values[0][env]: Invalid value: "{LONG}": must be no more than 63 bytes',
        ),
        ("~", f'unable to parse requirement: <nil>: Invalid value: "~": {KEY_WORDS}'),
    ],
)
def test_labels_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        labels.parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {
                "matchLabels": {"z": "1"},
                "matchExpressions": [
                    {"key": "k", "operator": "In", "values": ["y", "x"]},
                    {"key": "l", "operator": "NotIn", "values": ["x"]},
                    {"key": "m", "operator": "Exists"},
                    {"key": "n", "operator": "DoesNotExist"},
                ],
            },
            "k in (x,y),l notin (x),m,!n,z=1",
        ),
    ],
)
def test_structured_selectors(selector: dict, text: str) -> None:
    assert str(labels.from_label_selector(selector)) == text
    assert labels.parse(text) == labels.from_label_selector(selector)


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not labels.from_label_selector(None).matches({"a": "b"})
    assert labels.from_label_selector({}).matches({})
    assert labels.nothing() != labels.everything()
    assert labels.format_label_selector(None) == labels.format_label_selector({}) == "<none>"
    assert labels.format_label_selector({"matchExpressions": [{"key": "a", "operator": "Like"}]}) == "<error>"


def test_unknown_operator() -> None:
    with pytest.raises(ValueError, match='^"Like" is not a valid label selector operator$'):
        labels.from_label_selector({"matchExpressions": [{"key": "a", "operator": "Like"}]})


def test_exact_value_of_a_label() -> None:
    assert labels.parse("a=1,b").exact("a") == "1"
    assert labels.parse("a in (1,2)").exact("a") is None


def test_validate_label_selector() -> None:
    selector = {
        "matchLabels": {"a b": "c d"},
        "matchExpressions": [
            {"key": "a", "operator": "In"},
            {"key": "a", "operator": "Exists", "values": ["x"]},
            {"key": "a", "operator": "Like", "values": ["b c"]},
            {"key": "", "operator": "Exists"},
        ],
    }
    assert list(map(str, labels.validate_label_selector(selector, "spec.selector"))) == [
        f'spec.selector.matchLabels: Invalid value: "a b": {KEY_WORDS}',
        f'spec.selector.matchLabels: Invalid value: "c d": {VALUE_WORDS}',
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        "spec.selector.matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        'spec.selector.matchExpressions[2].operator: Invalid value: "Like": not a valid selector operator',
        f'spec.selector.matchExpressions[2].values[0]: Invalid value: "b c": {VALUE_WORDS}',
        'spec.selector.matchExpressions[3].key: Invalid value: "": name part must be non-empty',
        f'spec.selector.matchExpressions[3].key: Invalid value: "": {KEY_WORDS}',
    ]
    lenient = labels.validate_label_selector(
        selector, "s", allow_invalid_values=True, allow_unknown_operators=True
    )
    assert not any("Like" in str(error) or "b c" in str(error) for error in lenient)
    assert labels.validate_label_selector(None, "s") == []


keys = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,5}[A-Za-z0-9])?", fullmatch=True)
values = st.one_of(st.just(""), keys)


@st.composite
def label_selectors(draw: st.DrawFn) -> labels.Selector:
    found = []
    for _ in range(draw(st.integers(0, 4))):
        key, operator = (
            draw(keys),
            draw(st.sampled_from(["in", "notin", "exists", "!", "=", "==", "!=", "gt", "lt"])),
        )
        if operator in ("exists", "!"):
            chosen = []
        elif operator in ("gt", "lt"):
            chosen = [str(draw(st.integers(0, 2**63 - 1)))]
        else:
            chosen = draw(st.lists(values, min_size=1, max_size=3 if operator in ("in", "notin") else 1))
        found.append(labels.requirement(key, operator, chosen))
    return labels.Selector(found)


@given(label_selectors())
def test_a_label_selector_means_its_text(selector: labels.Selector) -> None:
    assert labels.parse(str(selector)) == selector


@given(label_selectors(), st.dictionaries(keys, values, max_size=4))
def test_a_label_selector_matches_where_each_requirement_does(selector: labels.Selector, found: dict) -> None:
    assert selector.matches(found) == all(holds(r, found) for r in selector.requirements or ())


def holds(requirement: labels.Requirement, found: dict[str, str]) -> bool:
    """The naive reading."""
    value, wanted = found.get(requirement.key), requirement.values
    match requirement.operator:
        case "exists":
            return value is not None
        case "!":
            return value is None
        case "in" | "=" | "==":
            return value is not None and value in wanted
        case "notin" | "!=":
            return value is None or value not in wanted
    if value is None or not value.isdigit():
        return False
    return int(value) > int(wanted[0]) if requirement.operator == "gt" else int(value) < int(wanted[0])


@given(st.text(alphabet="ab=!<>(), in\t\x00é", max_size=12))
def test_any_text_is_a_selector_or_refused_in_words(text: str) -> None:
    try:
        selector = labels.parse(text)
    except ValueError as error:
        assert "found" in str(error) or "Invalid value" in str(error)
    else:
        assert labels.parse(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "canonical", "matching", "other"),
    [
        ("", "", {"a": "b"}, None),
        ("metadata.name=a", "metadata.name=a", {"metadata.name": "a"}, {}),
        ("metadata.name==a", "metadata.name=a", {"metadata.name": "a"}, {"metadata.name": "b"}),
        ("x!=a", "x!=a", {}, {"x": "a"}),
        ("x=", "x=", {}, {"x": "a"}),
        ("b=2,a=1,", "a=1,b=2", {"a": "1", "b": "2"}, {"a": "1"}),
        ("b!=2,a=1", "a=1,b!=2", {"a": "1"}, {"a": "1", "b": "2"}),
        (r"x=a\,b", r"x=a\,b", {"x": "a,b"}, {"x": "a"}),
        (r"x=a\=\\", r"x=a\=\\", {"x": "a=\\"}, {}),
    ],
)
def test_fields_select(text: str, canonical: str, matching: dict, other: dict | None) -> None:
    selector = fields.parse(text)
    assert str(selector) == canonical
    assert selector.matches(matching)
    assert other is None or not selector.matches(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("metadata.name>a", "invalid selector: 'metadata.name>a'; can't understand 'metadata.name>a'"),
        ("metadata.name in (a,b)", "invalid selector: 'metadata.name in (a,b)'; can't understand 'b)'"),
        (r"x=a\b", r"invalid field selector: invalid escape sequence: \b"),
        ("x=a\\", "invalid field selector: invalid escape sequence: \\"),
        ("x=a=b", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_fields_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        fields.parse(text)
    assert str(error.value) == message


def test_exact_value_of_a_field() -> None:
    selector = fields.parse("spec.nodeName=n,metadata.name!=x")
    assert (selector.exact("spec.nodeName"), selector.exact("metadata.name")) == ("n", None)
    renamed = selector.transform(lambda field, value: (field.upper(), value))
    assert str(renamed) == "METADATA.NAME!=x,SPEC.NODENAME=n"


@given(st.lists(st.tuples(keys, st.sampled_from(["=", "!="]), st.text(max_size=6)), max_size=4))
def test_a_field_selector_means_its_text(found: list) -> None:
    requirements = sorted((fields.Requirement(*f) for f in found), key=lambda r: str(r).encode())
    selector = fields.FieldSelector(tuple(requirements))
    assert fields.parse(str(selector)) == selector


@given(st.text(alphabet="ab=!\\,", max_size=10))
def test_any_text_is_a_field_selector_or_refused(text: str) -> None:
    try:
        selector = fields.parse(text)
    except ValueError as error:
        assert str(error).startswith("invalid ")
    else:
        # `==` becomes `=`, which may sort elsewhere
        assert sorted(fields.parse(str(selector)).requirements) == sorted(selector.requirements)
