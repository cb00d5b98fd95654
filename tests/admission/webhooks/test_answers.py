"""Whatever a webhook answers is a response or a reason why it is none; and whatever it patches an object or a reason."""

from __future__ import annotations

import json
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from knarr.admission.webhooks import answer
from knarr.admission.webhooks.answer import NotUnderstood, Response
from knarr.admission.webhooks.errors import CallFailed, denial
from knarr.admission.webhooks.mutating import decode_patch, patched
from knarr.egress import Answer

SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = st.sampled_from([*answer.SHAPES, "else"])
STATUSES = st.dictionaries(st.sampled_from([*answer.STATUS_SHAPES, "else"]), SCALARS)
RESPONSES = st.dictionaries(FIELDS, VALUES | STATUSES | st.sampled_from(["W10=", "JSONPatch", "u"])) | VALUES
REVIEWS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.just("AdmissionReview") | SCALARS,
        "apiVersion": st.just("admission.k8s.io/v1") | SCALARS,
        "response": RESPONSES,
    },
)
BODIES = st.binary(max_size=30) | (REVIEWS | VALUES).map(json.dumps).map(str.encode)


@given(BODIES, st.sampled_from([200, 201, 204, 301, 400, 403, 404, 500, 503]), st.booleans())
def test_answers_are_understood_or_not(body, code, mutating):
    found = Answer(code, [("Content-Type", "application/json")], body)
    for version in ("v1", "v1beta1"):
        try:
            response = answer.verify(answer.decode(found, version), "u", version, mutating)
        except (NotUnderstood, ValueError) as error:
            assert str(error)
            continue
        assert isinstance(response, Response)
        denied = denial("w", response.status).error
        assert denied.status["kind"] == "Status" and denied.code >= 400
        json.dumps(denied.status)


PATHS = st.sampled_from(
    ["", "/", "/a", "/a/b", "/a/-", "/a/0", "/a/7", "/l/-1", "a", "/metadata/labels/x~1y"]
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]) | SCALARS,
        "path": PATHS | SCALARS,
        "from": PATHS | SCALARS,
        "value": VALUES,
    },
)


@given(st.lists(OPERATIONS | VALUES, max_size=4) | VALUES)
def test_patches_fit_or_say_why_not(operations):
    response = Response(True, None, json.dumps(operations).encode(), "JSONPatch", {}, [])
    try:
        patch = decode_patch(SimpleNamespace(name="w"), response)
    except CallFailed as error:
        assert "received undecodable patch in webhook response: json: cannot unmarshal" in str(error)
        return
    before = {"a": {"b": [1]}, "l": [1, 2], "metadata": {"labels": {"x/y": "z"}}}
    try:
        patched(before, patch)
    except ValueError as error:
        assert str(error)
