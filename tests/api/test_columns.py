"""The columns of tables: what they say comes from the fields' documentation, which is looked up, never copied."""

import json
from pathlib import Path

import pytest

from knarr.api import schema
from knarr.api.apps import scale
from knarr.api.catalog import kind_of
from knarr.api.kind import Column, Kind
from knarr.api.resources import RESOURCES
from knarr.registry.custom.columns import Cells
from knarr.registry.custom.scale import SCALE as CUSTOM_SCALE

SCENARIOS = Path(__file__).parents[3] / "shared" / "parity" / "scenarios"
BUILT_IN = {(row.group, row.version, row.name): row for row in RESOURCES}
#: literal descriptions that are this long, because the printer's own words are
LONG = {("pods", "Restarts"), ("certificatesigningrequests", "SignerName")}
LONGEST_LITERAL = 120


class ScaleKind(Kind):
    columns = scale.COLUMNS


class PlainCustomKind(Kind):
    columns = Cells(()).columns


KINDS = [pytest.param(kind_of(*gvr), id="/".join(filter(None, gvr))) for gvr in BUILT_IN]
KINDS.append(pytest.param(ScaleKind(), id="scale"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_reference_finds_words(kind):
    for column, shown in zip(kind.columns, kind.column_definitions, strict=True):
        if not column.doc:
            assert shown["description"] == column.description
            continue
        assert not column.description, "either a reference or words"
        words = schema.description_of(column.doc)
        assert words.endswith(column.without)
        assert shown["description"] == words.removesuffix(column.without) != ""


def test_no_literal_is_as_long_as_documentation():
    long = {
        (gvr[2], column.name)
        for gvr in BUILT_IN
        for column in kind_of(*gvr).columns
        if len(column.description) > LONGEST_LITERAL
    }
    assert long == LONG


def test_no_literal_repeats_the_documentation_of_a_field():
    documented = {
        field.get("description")
        for definition in schema.descriptions().values()
        for field in definition.get("properties", {}).values()
    }
    copied = {
        (gvr[2], column.name)
        for gvr in BUILT_IN
        for column in kind_of(*gvr).columns
        if column.description and column.description in documented
    }
    assert copied == set()


def test_definitions_are_made_once():
    kind = kind_of("", "v1", "pods")
    assert kind.column_definitions is kind.column_definitions


def test_without_the_documentation_columns_say_nothing(monkeypatch):
    monkeypatch.setattr(schema, "descriptions", dict)
    column = Column("Node", doc="core.v1.PodSpec.nodeName", without=".", priority=1)
    assert column.definition() == {
        "name": "Node",
        "type": "string",
        "format": "",
        "description": "",
        "priority": 1,
    }


@pytest.mark.parametrize("field", ["core.v1.PodSpec.nodeName", "io.k8s.api.core.v1.PodSpec.nodeName"])
def test_a_field_is_named_by_its_short_or_full_definition(field):
    assert schema.description_of(field).startswith("NodeName")


@pytest.mark.parametrize("field", ["core.v1.PodSpec.none", "core.v1.None.nodeName"])
def test_what_is_no_field_has_no_description(field):
    assert schema.description_of(field) == ""


# -- recorded ----------------------------------------------------------------------------------------------


def tables(step):
    """(path, columnDefinitions) of every Table that a step was answered with."""
    body = step.get("expect", {}).get("body")
    if isinstance(body, dict):
        events = [event.get("object") for event in body.get("events") or () if isinstance(event, dict)]
        for obj in (body, *events):
            if isinstance(obj, dict) and obj.get("columnDefinitions"):
                yield step["path"], obj["columnDefinitions"]
    for inner in step.get("during", ()):
        yield from tables(inner)


def kind_at(path):
    """The kind that a path of the API is served by; for custom resources, that of those without printer columns."""
    parts = path.strip("/").split("/")
    group, version, *rest = parts[1:] if parts[0] == "apis" else ["", *parts[1:]]
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    is_scale = rest[2:] == ["scale"]
    if group.endswith(".example.com"):
        return CUSTOM_SCALE if is_scale else PlainCustomKind()
    return ScaleKind() if is_scale else kind_of(group, version, rest[0])


def recorded():
    for path in sorted(SCENARIOS.glob("*.json")):
        for step in json.loads(path.read_text())["steps"]:
            for url, definitions in tables(step):
                yield pytest.param(url, definitions, id=f"{path.stem}/{step['id']}")


@pytest.mark.parametrize(("path", "definitions"), list(recorded()))
def test_columns_are_as_recorded(path, definitions):
    kind = kind_at(path)
    if isinstance(kind, PlainCustomKind) and len(definitions) != len(kind.columns):
        pytest.skip("printer columns of the definition's own")
    if type(kind) is Kind:
        pytest.skip("a kind without rules of its own")
    assert kind.column_definitions == definitions
