"""The facts: names, fields, OpenAPI, what patches ask."""

import pytest

from knarr.api import schema
from knarr.api.schema import FieldInfo, Type

POD, SPEC = "io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.PodSpec"


def test_definitions_by_kind():
    assert schema.definition_of("", "v1", "Pod") == POD
    assert schema.definition_of("apps", "v1", "Deployment") == "io.k8s.api.apps.v1.Deployment"
    assert schema.definition_of("meta.k8s.io", "v1", "Table") == schema.META + "Table"
    with pytest.raises(KeyError):
        schema.definition_of("", "v1", "Deployment")


def test_every_reference_leads_somewhere():
    def names(type_: Type):
        if type_.kind == "object":
            yield type_.name
        if type_.item:
            yield from names(type_.item)

    for definition in schema.load().values():
        for field in definition.fields.values():
            assert set(names(field.type)) <= schema.load().keys(), (definition.name, field.name)
            assert field.behaviour in "pnoas" and len(field.behaviour) == 1


def test_a_field():
    field = schema.load()[SPEC].fields["containers"]
    assert field.type == Type("list", item=Type("object", "io.k8s.api.core.v1.Container"))
    assert (field.behaviour, field.required, field.keys, field.merge_key) == ("a", True, ("name",), "name")
    ports = schema.load()["io.k8s.api.core.v1.ContainerPort"].fields["protocol"]
    assert (ports.default, ports.enum, ports.go_type) == ("TCP", ("SCTP", "TCP", "UDP"), "v1.Protocol")


def test_openapi():
    spec = schema.definitions()[SPEC]
    assert spec["required"] == ["containers"]
    assert spec["properties"]["containers"] == {
        "type": "array",
        "items": {"$ref": "#/definitions/io.k8s.api.core.v1.Container"},
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-list-type": "map",
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
    }
    assert schema.definitions()[POD]["x-kubernetes-group-version-kind"] == [
        {"group": "", "kind": "Pod", "version": "v1"}
    ]
    usages = schema.definitions()["io.k8s.api.certificates.v1.CertificateSigningRequestSpec"]["properties"][
        "usages"
    ]
    assert "digital signature" in usages["items"]["enum"]
    with pytest.raises(KeyError):
        schema.definitions()[schema.META + "Table"]  # not part of what a server publishes


@pytest.mark.parametrize(
    ("definition", "name", "info"),
    [
        (SPEC, "containers", FieldInfo("list", "io.k8s.api.core.v1.Container", ("merge",), "name")),
        (SPEC, "volumes", FieldInfo("list", "io.k8s.api.core.v1.Volume", ("merge", "retainKeys"), "name")),
        (SPEC, "nodeSelector", FieldInfo("map", None, (), None)),
        (SPEC, "securityContext", FieldInfo("object", "io.k8s.api.core.v1.PodSecurityContext", (), None)),
        (SPEC, "nodeName", FieldInfo("scalar", None, (), None)),
        (POD, "metadata", FieldInfo("object", schema.META + "ObjectMeta", (), None)),
        (schema.META + "ObjectMeta", "finalizers", FieldInfo("list", None, ("merge",), None)),
        (schema.META + "ObjectMeta", "creationTimestamp", FieldInfo("scalar", None, (), None)),
        (schema.META + "ManagedFieldsEntry", "fieldsV1", FieldInfo("map", None, (), None)),
        (POD, "nope", None),
        ("nope", "nope", None),
    ],
)
def test_what_strategic_merge_asks(definition, name, info):
    assert schema.field(definition, name) == info


def test_descriptions_come_from_kubernetes_validate():
    described = schema.descriptions()
    assert described[POD]["properties"]["spec"]["description"]
    assert set(schema.definitions()) <= set(described)
