"""Schemas of built-in types, in the spellings of OpenAPI v2 and v3."""

from __future__ import annotations

import pytest

from knarr.api.schema import definition_of, definitions
from knarr.meta.managed import schema_of, schema_of_crd
from knarr.meta.managed.maps import MapNode
from knarr.meta.managed.node import Leaf
from knarr.meta.managed.schema import zero_of

from .managed_shapes import DEFINITIONS


def node_at(name: str, *path: str):
    node = schema_of(definitions(), name).root
    for field in path:
        node = node.item if field == "*" else node.at(field)[1]
    return node


ZEROES = [
    (("", "v1", "ConfigMap"), {}),
    (("", "v1", "Pod"), {"spec": {"containers": None}, "status": {"startTime": None}}),
    (
        ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
        {"roleRef": {"apiGroup": "", "kind": "", "name": ""}},
    ),
    (("networking.k8s.io", "v1", "IPAddress"), {"spec": {}}),
]


@pytest.mark.parametrize(("gvk", "zero"), ZEROES, ids=str)
def test_an_empty_object_has_what_is_always_written(gvk, zero):
    found = zero_of(definitions(), definition_of(*gvk))
    del found["metadata"]
    assert found == zero


def test_openapi_v3_says_the_same_with_allof():
    v3 = {
        "T": {
            "type": "object",
            "properties": {
                "metadata": {"default": {}, "allOf": [{"$ref": "#/components/schemas/M"}]},
                "whole": {"allOf": [{"$ref": "#/components/schemas/M"}], "x-kubernetes-map-type": "atomic"},
            },
        },
        "M": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 0}},
        },
    }
    schema = schema_of(v3, "T")
    assert schema.zero == {"metadata": {"count": 0}}
    assert schema.root.at("whole")[1].atomic and not schema.root.at("metadata")[1].atomic


POD, META = "io.k8s.api.core.v1.Pod", "metadata"


def test_facts_of_built_in_types():
    assert node_at(POD, "spec", "containers").keys == ["name"]
    assert node_at(POD, "spec", "containers", "*", "ports").defaults["protocol"] == "TCP"
    assert node_at(POD, "spec", "tolerations").atomic
    assert node_at(POD, "spec", "nodeSelector").atomic
    assert not node_at(POD, META, "labels").atomic
    assert node_at(POD, META, "finalizers").keys == []
    assert node_at("io.k8s.api.apps.v1.Deployment", "spec", "selector").atomic
    limits = node_at(POD, "spec", "containers", "*", "resources", "limits")
    assert isinstance(limits.at("cpu")[1], Leaf)
    data = node_at("io.k8s.api.apps.v1.ControllerRevision", "data")
    assert isinstance(data, Leaf) and data.free_form


def test_patch_facts_stand_in_for_missing_list_types():
    items = {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}}
    merge = {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "k"}
    root = schema_of_crd({"type": "object", "properties": {"a": {**items, **merge}, "b": items}}).root
    assert not root.at("a")[1].atomic and root.at("a")[1].keys == ["k"]
    assert root.at("b")[1].atomic


def test_a_schema_is_compiled_once_and_may_refer_to_itself():
    assert schema_of(DEFINITIONS, "Thing") is schema_of(DEFINITIONS, "Thing")
    props = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    root = schema_of(definitions(), props).root
    assert isinstance(root, MapNode) and root.at("not")[1] is root


def test_only_free_form_parts_are_loose():
    assert not schema_of(definitions(), POD).root.loose
    assert schema_of(
        definitions(), definition_of("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    ).root.loose
