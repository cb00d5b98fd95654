"""JSONPath templates, as kubectl renders them."""

from __future__ import annotations

import pytest

from knarr.cli.jsonpath import find, render
from knarr.cli.say import Failure

DOCUMENT = {
    "kind": "List",
    "items": [
        {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "n": 1, "ok": True},
        {"metadata": {"name": "b"}, "n": 2, "ok": False, "list": [{"type": "Ready", "status": "True"}]},
        {"metadata": {"name": "c"}, "n": 3},
    ],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{.kind}", "List"),
        ("{$.kind}", "List"),
        ("{.items[0].metadata.name}", "a"),
        ("{.items[-1].metadata.name}", "c"),
        ("{.items[*].metadata.name}", "a b c"),
        ("{.items[0,2].metadata.name}", "a c"),
        ("{.items[0:2].metadata.name}", "a b"),
        ("{.items[1:].n}", "2 3"),
        ("{.items[::2].n}", "1 3"),
        ("{..name}", "a b c"),
        ("{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "x"),
        ("{.items[0].metadata.labels['app.kubernetes.io/name']}", "x"),
        ("{.items[0]['n','ok']}", "1 true"),
        ("{.items[?(@.n==2)].metadata.name}", "b"),
        ("{.items[?(@.n>=2)].metadata.name}", "b c"),
        ('{.items[?(@.metadata.name=="b")].n}', "2"),
        ("{.items[?(@.metadata.name!='b')].n}", "1 3"),
        ("{.items[?(@.list)].n}", "2"),
        ('{.items[*].list[?(@.type=="Ready")].status}', "True"),
        ("{.items[0].metadata.labels}", '{"app.kubernetes.io/name":"x"}'),
        ("{.nothing}", ""),
        ("{.items[7].n}", ""),
        ('{.kind}{"\\n"}{.items[0].n}', "List\n1"),
        ('{range .items[*]}{.metadata.name}={.n}{"\\t"}{end}.', "a=1\tb=2\tc=3\t."),
        ("{range .items[0:2]}{range .list[*]}{.type}{end}|{end}", "|Ready|"),
        ('{"{}"}', "{}"),
    ],
)
def test_render(template, text):
    assert render(template, DOCUMENT) == text


@pytest.mark.parametrize(
    "template",
    ["{.kind", "{end}", "{range .items[*]}", "{.items[}", "{.items[x]}", "{nonsense}", "{.items[?(@.n==x)]}"],
)
def test_what_is_malformed_is_said(template):
    with pytest.raises(Failure, match="jsonpath"):
        render(template, DOCUMENT)


@pytest.mark.parametrize("expression", [".items[0].n", "{.items[0].n}", "items[0].n"])
def test_find(expression):
    assert find(expression, DOCUMENT) == [1]
