"""Which kinds take an update that says no resourceVersion."""

from knarr.api.catalog import RESOURCES, kind_of

CONDITIONAL = {
    "apiservices",
    "csidrivers",
    "csinodes",
    "csistoragecapacities",
    "customresourcedefinitions",
    "leases",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "poddisruptionbudgets",
    "runtimeclasses",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
    "volumeattachments",
}


def test_kinds_that_want_to_know_what_is_replaced():
    strict = {r.name for r in RESOURCES if not kind_of(r.group, r.version, r.name).allow_unconditional_update}
    assert strict == CONDITIONAL


#: writers of whose status change nothing else, not even a label
KEEPING = {
    "apiservices",
    "flowschemas",
    "prioritylevelconfigurations",
    "resourceclaims",
    "servicecidrs",
    "validatingadmissionpolicies",
    "volumeattachments",
}


def test_kinds_whose_status_is_written_alone():
    kinds = {r.name: kind_of(r.group, r.version, r.name) for r in RESOURCES if "status" in r.subresources}
    assert {name for name, kind in kinds.items() if kind.status_keeps_metadata} == KEEPING
    for name in KEEPING:
        old = {"metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {}, "status": {}}
        new = {"metadata": {"name": "a", "annotations": {"c": "d"}}, "spec": {"x": 1}, "status": {}}
        kinds[name].prepare_for_status_update(new, old)
        assert new["metadata"] == old["metadata"], name
        assert new["spec"] == {}


def test_what_a_policys_controller_may_write():
    policy = kind_of("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
    status = {
        "typeChecking": {"expressionWarnings": [{}]},
        "conditions": [{"type": "Ready", "status": "Maybe"}],
    }
    obj = {"metadata": {"name": "a"}, "spec": {}, "status": status}
    assert [error.field for error in policy.validate_status_update(obj, obj)] == [
        "status.typeChecking.expressionWarnings[0].warning",
        "status.typeChecking.expressionWarnings[0].fieldRef",
        "status.conditions[0].status",
        "status.conditions[0].lastTransitionTime",
        "status.conditions[0].reason",
    ]
