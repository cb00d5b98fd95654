"""The selectors of access reviews: what of them an authorizer is asked, and what the answer says of the rest."""

import pytest

from knarr.auth.authorize import Authorizers, Decision
from knarr.auth.reviews import Reviews
from knarr.auth.reviewselectors import field_selector, label_selector, selector_faults
from knarr.registry.context import ANONYMOUS, Request

from .memory_reader import run


def requirements(*rows):
    keys = ("key", "operator", "values")
    return {"requirements": [dict(zip(keys, row, strict=False)) for row in rows]}


@pytest.mark.parametrize(
    "attributes,text,count",
    [
        ({}, "", 0),
        ({"rawSelector": "a=b,c!=d"}, "a=b,c!=d", 2),
        ({"rawSelector": "a"}, "", 0),
        (requirements(("a", "In", ["b"])), "a=b", 1),
        (requirements(("a", "NotIn", ["b"])), "a!=b", 1),
        (requirements(("a", "In", ["b,c=d\\"])), "a=b\\,c\\=d\\\\", 1),
        (requirements(("a", "In", ["b", "c"]), ("d", "Exists", [])), "", 0),
        (requirements(("a", "In", ["b", "c"]), ("d", "In", ["e"])), "d=e", 1),
    ],
)
def test_field_selectors(attributes, text, count):
    from knarr.meta import fields

    assert field_selector(attributes) == text
    assert len(fields.parse(text).requirements) == count


@pytest.mark.parametrize(
    "attributes,text",
    [
        ({}, ""),
        ({"rawSelector": "a in (b,c),!d"}, "a in (b,c),!d"),
        ({"rawSelector": "a in ("}, ""),
        (requirements(("a", "In", ["c", "b"])), "a in (b,c)"),
        (requirements(("a", "NotIn", ["b"]), ("d", "Exists"), ("e", "DoesNotExist")), "a notin (b),d,!e"),
        (requirements(("a", "Gt", ["1"]), ("-bad-", "Exists"), ("d", "In", [])), ""),
    ],
)
def test_label_selectors(attributes, text):
    assert label_selector(attributes) == text


@pytest.mark.parametrize(
    "attributes,how",
    [
        (requirements(("a", "In", ["b"])), None),
        (requirements(("a", "In", ["b", "c"])), "ignored"),
        (requirements(("a", "In", ["b", "c"]), ("d", "In", ["e"])), "partially ignored"),
        ({"rawSelector": "a=b"}, None),
        ({"rawSelector": "="}, None),
        ({"rawSelector": "a"}, "ignored"),
    ],
)
def test_what_the_answer_says_of_field_selectors(attributes, how):
    found = selector_faults({"resourceAttributes": {"fieldSelector": attributes}})
    words = [] if how is None else [f"spec.resourceAttributes.fieldSelector {how} due to parse error"]
    assert found == words


def test_what_the_answer_says_of_label_selectors():
    broken = {"labelSelector": requirements(("a", "Gt", ["1"])), "fieldSelector": {"rawSelector": "a"}}
    assert selector_faults({"resourceAttributes": broken}) == [
        "spec.resourceAttributes.fieldSelector ignored due to parse error",
        "spec.resourceAttributes.labelSelector ignored due to parse error",
    ]


def test_an_authorizer_is_asked_with_selectors(clock):
    asked = []

    class Listens:
        def authorize(self, request):
            asked.append(request)
            return Decision(False, "", False, "out of order")

        def resolve(self, user, namespace):
            raise AssertionError

    reviews = Reviews(None, Authorizers(Listens()), clock)
    attributes = {
        "verb": "list",
        "resource": "pods",
        "fieldSelector": requirements(("spec.nodeName", "In", ["n"])),
        "labelSelector": {"rawSelector": "a in ("},
    }
    obj = {"metadata": {}, "spec": {"user": "jane", "resourceAttributes": attributes}}
    request = Request("create", resource="subjectaccessreviews", user=ANONYMOUS)
    status = run(reviews.create(request, obj))["status"]
    assert asked[0].query == {"fieldSelector": "spec.nodeName=n"}
    assert status == {
        "allowed": False,
        "evaluationError": "[out of order, spec.resourceAttributes.labelSelector ignored due to parse error]",
    }
