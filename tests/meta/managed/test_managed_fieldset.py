"""Sets of paths against Python's sets of tuples, and their spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta.managed import elements, fieldset

from .managed_shapes import steady

path_elements = st.sampled_from(["f:a", "f:b", 'k:{"n":1}', 'k:{"n":10}', 'v:"x"', "i:0"])
path_sets = st.frozensets(st.lists(path_elements, min_size=1, max_size=3).map(tuple), max_size=8)


def members(tree: dict) -> set[tuple[str, ...]]:
    return set(fieldset.paths(tree))


@steady
@given(path_sets)
def test_a_set_holds_the_paths_it_was_made_of(paths):
    tree = fieldset.from_paths(paths)
    assert members(tree) == paths
    for path in paths:
        assert fieldset.includes(tree, path)
    assert not fieldset.includes(tree, ("f:absent",))


@steady
@given(path_sets, path_sets)
def test_operations_are_those_of_sets(a, b):
    left, right = fieldset.from_paths(a), fieldset.from_paths(b)
    assert members(fieldset.union(left, right)) == a | b
    assert members(fieldset.intersection(left, right)) == a & b
    assert members(fieldset.difference(left, right)) == a - b
    below = {path for path in a if any(path[: len(prefix)] == prefix for prefix in b)}
    assert members(fieldset.without(left, right)) == a - below


@steady
@given(path_sets, path_sets)
def test_equal_sets_are_equal_trees(a, b):
    """There is one tree for each set, whatever operations led to it."""
    left, right = fieldset.from_paths(a), fieldset.from_paths(b)
    assert fieldset.union(fieldset.difference(left, right), fieldset.intersection(left, right)) == left


@steady
@given(path_sets, path_sets)
def test_arguments_are_left_alone_and_nothing_taken_means_the_same_tree(a, b):
    left, right = fieldset.from_paths(a), fieldset.from_paths(b)
    for operation in (fieldset.union, fieldset.intersection, fieldset.difference, fieldset.without):
        operation(left, right)
        assert members(left) == a and members(right) == b
    if not a & b:
        assert fieldset.difference(left, right) is left


@steady
@given(path_sets)
def test_decoding_what_was_encoded_gives_the_same(paths):
    tree = fieldset.ordered(fieldset.from_paths(paths))
    assert fieldset.decode(tree) == tree
    assert list(fieldset.decode(tree)) == list(tree)


def test_elements_are_ordered_by_kind_and_value():
    shuffled = ["i:2", 'v:"b"', 'k:{"n":10}', "f:b", ".", 'k:{"n":9}', "v:3", "f:a", 'k:{"m":11}', "i:10"]
    tree = {element: {} for element in shuffled}
    assert list(fieldset.ordered(tree)) == [
        ".", "f:a", "f:b", 'k:{"m":11}', 'k:{"n":9}', 'k:{"n":10}', "v:3", 'v:"b"', "i:2", "i:10",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ('k:{ "b": 1, "a":"x"}', 'k:{"a":"x","b":1}'),
        ('v:"a<b"', 'v:"a\\u003cb"'),
        ("v: 1", "v:1"),
        ("i:07", "i:7"),
        ("f:a.b/c", "f:a.b/c"),
        ("q:from-the-future", ""),
    ],
)
def test_elements_have_one_spelling(sent, canonical):
    assert elements.canonical_element(sent) == canonical


@pytest.mark.parametrize(
    "fields", [[], {"f": {}}, {"fa": {}}, {"f:a": 1}, {"k:[1]": {}}, {"v:": {}}, {"i:x": {}}]
)
def test_what_is_no_set_is_refused(fields):
    with pytest.raises(ValueError):
        fieldset.decode(fields)


def test_unknown_kinds_of_elements_are_dropped():
    assert fieldset.decode({"f:a": {"z:9": {}}, "y:1": {"f:b": {}}}) == {"f:a": {}}


def test_only_keeps_what_patterns_name():
    one, two = 'k:{"n":1}', 'k:{"n":2}'
    tree = fieldset.from_paths(
        [("f:a",), ("f:a", one, "f:x"), ("f:a", one, "f:x", "f:deep"), ("f:a", two, "f:y"), ("f:b",)]
    )
    pattern = fieldset.from_paths([("f:a", "*", "f:x")])
    assert members(fieldset.only(tree, pattern)) == {("f:a", one, "f:x"), ("f:a", one, "f:x", "f:deep")}


def test_paths_are_described_as_messages_show_them():
    path = ("f:spec", 'k:{"port":80,"protocol":"TCP"}', 'v:"a\\"b"', "i:3")
    assert elements.describe(path) == '.spec[port=80,protocol="TCP"][="a\\"b"][3]'
