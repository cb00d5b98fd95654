"""What holds for pods and all that makes pods, whatever a client sends."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knarr.api import schema
from knarr.api.decoding import DecodeError

from .kindcases import CREATED_AT, NOW, Resource
from .strategies import objects

RESOURCES = [
    ("pods", ""),
    ("podtemplates", ""),
    ("replicationcontrollers", ""),
    ("deployments", "apps"),
    ("replicasets", "apps"),
    ("statefulsets", "apps"),
    ("daemonsets", "apps"),
    ("controllerrevisions", "apps"),
    ("jobs", "batch"),
    ("cronjobs", "batch"),
]
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def sent(resource: Resource) -> st.SearchStrategy:
    """Bodies a client might send, good and bad, zero values and nulls included."""
    definition = schema.definition_of(resource.row.group, resource.row.version, resource.row.kind)
    return objects(definition, wild=True)


def decoded(resource: Resource, body: dict) -> dict | None:
    metadata = {
        key: value for key, value in (body.get("metadata") or {}).items() if key in ("labels", "annotations")
    }
    try:
        obj = resource.decoded({**body, "metadata": metadata})
    except DecodeError:
        return None
    obj["metadata"]["uid"] = "0a1b2c3d-4e5f-6789-abcd-000000000001"
    return obj


@pytest.mark.parametrize("name,group", RESOURCES, ids=[r[0] for r in RESOURCES])
@FEW
@given(data=st.data())
def test_any_body_is_defaulted_once_and_judged_without_a_fault(name, group, data):
    resource = Resource(name, group)
    obj = decoded(resource, data.draw(sent(resource)))
    if obj is None:
        return
    resource.kind.default(obj)
    once = copy.deepcopy(obj)
    resource.kind.default(obj)
    assert obj == once
    resource.kind.prepare_for_create(obj)
    before = copy.deepcopy(obj)
    first = [str(error) for error in resource.kind.validate(obj)]
    assert [str(error) for error in resource.kind.validate(obj)] == first
    assert all(isinstance(text, str) for text in resource.kind.warnings_on_create(obj))
    assert obj == before, "validation only reads"
    assert len(resource.kind.cells(obj, NOW)) == len(resource.kind.columns)
    assert all(isinstance(value, str) for value in resource.kind.fields(obj).values())


@pytest.mark.parametrize("name,group", RESOURCES, ids=[r[0] for r in RESOURCES])
@FEW
@given(data=st.data())
def test_any_update_is_judged_without_a_fault(name, group, data):
    resource = Resource(name, group)
    old, new = (decoded(resource, data.draw(sent(resource))) for _ in range(2))
    if old is None or new is None:
        return
    for obj in (old, new):
        resource.kind.default(obj)
    resource.kind.prepare_for_create(old)
    doors = [
        ("prepare_for_update", "validate_update"),
        ("prepare_for_status_update", "validate_status_update"),
    ]
    doors += getattr(resource.kind, "subresource_rules", {}).values()
    for prepare, validate in doors:
        changed = copy.deepcopy(new)
        kept = copy.deepcopy(old)
        getattr(resource.kind, prepare)(changed, old)
        errors = getattr(resource.kind, validate)(changed, old)
        assert all(error.cause()["message"] for error in errors)
        assert old == kept, "the stored object stays as it is"


@pytest.mark.parametrize("name,group", RESOURCES, ids=[r[0] for r in RESOURCES])
def test_an_object_that_says_nothing_gets_an_answer(name, group):
    resource = Resource(name, group)
    obj = resource.created({"metadata": {"uid": "u", "creationTimestamp": CREATED_AT}})
    assert all(str(error) for error in resource.kind.validate(obj))
    assert resource.kind.cells(obj, NOW)[0] == "a"
