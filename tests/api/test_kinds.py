"""What holds for every kind here, whatever a client sends."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knarr.api import schema
from knarr.api.decoding import DecodeError
from knarr.api.scheme import scheme

from .kindcases import CREATED_AT, NOW, Resource
from .strategies import objects

RESOURCES = [
    ("services", "", "v1"),
    ("endpoints", "", "v1"),
    ("configmaps", "", "v1"),
    ("secrets", "", "v1"),
    ("serviceaccounts", "", "v1"),
    ("namespaces", "", "v1"),
    ("nodes", "", "v1"),
    ("persistentvolumes", "", "v1"),
    ("persistentvolumeclaims", "", "v1"),
    ("events", "", "v1"),
    ("limitranges", "", "v1"),
    ("resourcequotas", "", "v1"),
    ("ingresses", "networking.k8s.io", "v1"),
    ("ingressclasses", "networking.k8s.io", "v1"),
    ("networkpolicies", "networking.k8s.io", "v1"),
    ("ipaddresses", "networking.k8s.io", "v1"),
    ("servicecidrs", "networking.k8s.io", "v1"),
    ("storageclasses", "storage.k8s.io", "v1"),
    ("volumeattachments", "storage.k8s.io", "v1"),
    ("csidrivers", "storage.k8s.io", "v1"),
    ("csinodes", "storage.k8s.io", "v1"),
    ("csistoragecapacities", "storage.k8s.io", "v1"),
    ("volumeattributesclasses", "storage.k8s.io", "v1"),
    ("endpointslices", "discovery.k8s.io", "v1"),
    ("leases", "coordination.k8s.io", "v1"),
    ("runtimeclasses", "node.k8s.io", "v1"),
    ("events", "events.k8s.io", "v1"),
    ("priorityclasses", "scheduling.k8s.io", "v1"),
    ("poddisruptionbudgets", "policy", "v1"),
    ("horizontalpodautoscalers", "autoscaling", "v1"),
    ("horizontalpodautoscalers", "autoscaling", "v2"),
    ("roles", "rbac.authorization.k8s.io", "v1"),
    ("clusterroles", "rbac.authorization.k8s.io", "v1"),
    ("rolebindings", "rbac.authorization.k8s.io", "v1"),
    ("clusterrolebindings", "rbac.authorization.k8s.io", "v1"),
    ("pods", "", "v1"),
    ("podtemplates", "", "v1"),
    ("replicationcontrollers", "", "v1"),
    ("deployments", "apps", "v1"),
    ("replicasets", "apps", "v1"),
    ("statefulsets", "apps", "v1"),
    ("daemonsets", "apps", "v1"),
    ("controllerrevisions", "apps", "v1"),
    ("jobs", "batch", "v1"),
    ("cronjobs", "batch", "v1"),
    ("resourceclaims", "resource.k8s.io", "v1"),
    ("resourceclaimtemplates", "resource.k8s.io", "v1"),
    ("resourceslices", "resource.k8s.io", "v1"),
    ("deviceclasses", "resource.k8s.io", "v1"),
    ("certificatesigningrequests", "certificates.k8s.io", "v1"),
    ("flowschemas", "flowcontrol.apiserver.k8s.io", "v1"),
    ("prioritylevelconfigurations", "flowcontrol.apiserver.k8s.io", "v1"),
    ("mutatingwebhookconfigurations", "admissionregistration.k8s.io", "v1"),
    ("validatingwebhookconfigurations", "admissionregistration.k8s.io", "v1"),
    ("validatingadmissionpolicies", "admissionregistration.k8s.io", "v1"),
    ("validatingadmissionpolicybindings", "admissionregistration.k8s.io", "v1"),
    ("mutatingadmissionpolicies", "admissionregistration.k8s.io", "v1"),
    ("mutatingadmissionpolicybindings", "admissionregistration.k8s.io", "v1"),
    ("apiservices", "apiregistration.k8s.io", "v1"),
]


@pytest.mark.parametrize(("name", "group", "version"), RESOURCES, ids=lambda value: value or "core")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_object_is_defaulted_once_judged_and_shown(name, group, version, data):
    resource = Resource(name, group, version)
    row, kind = resource.row, resource.kind
    definition = schema.definition_of(row.group, row.version, row.kind)
    try:
        obj, _ = scheme().normalize(definition, data.draw(objects(definition, wild=True)))
    except DecodeError:
        return
    obj["metadata"] = {"name": "a", "namespace": "ns", "uid": "u", "creationTimestamp": CREATED_AT}
    obj.update(apiVersion=row.api_version, kind=row.kind)
    kind.default(obj)
    again = copy.deepcopy(obj)
    kind.default(again)
    assert again == obj
    assert len(kind.cells(obj, NOW)) == len(kind.columns) + (row.name == "ipaddresses")
    old = copy.deepcopy(obj)
    kind.prepare_for_create(obj)
    created = copy.deepcopy(obj)
    for error in kind.validate(obj):
        assert str(error)
        assert error.cause()["message"]
    kind.warnings_on_create(obj)
    assert obj == created, "validation only reads"
    assert all(isinstance(value, str) for value in kind.fields(obj).values())
    kind.default(old)
    kind.prepare_for_update(obj, old)
    kind.validate_update(obj, old)
    kind.warnings_on_update(obj, old)
    kind.prepare_for_status_update(obj, old)
    kind.validate_status_update(obj, old)


@pytest.mark.parametrize(("name", "group", "version"), RESOURCES, ids=lambda value: value or "core")
def test_fields_are_known_without_an_object(name, group, version):
    kind = Resource(name, group, version).kind
    assert set(kind.fields({"metadata": {}})) == set(
        kind.fields(Resource(name, group, version).defaulted({}))
    )
