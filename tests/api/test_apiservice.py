"""APIService of apiregistration.k8s.io/v1: defaults, rules, table."""

import pytest

from knarr.meta import names

from .kindcases import Resource

SERVICES = Resource("apiservices", "apiregistration.k8s.io")
SERVICE = {"name": "s", "namespace": "n"}


def service(**spec):
    whole = {
        "group": "x.io",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "service": SERVICE,
        **spec,
    }
    return {"metadata": {"name": "v1.x.io"}, "spec": {k: v for k, v in whole.items() if v is not None}}


def test_the_port_is_that_of_https():
    assert SERVICES.created(service())["spec"]["service"] == {**SERVICE, "port": 443}


ERRORS = [
    pytest.param(service(), [], id="good"),
    pytest.param(
        service(groupPriorityMinimum=0, versionPriority=0),
        [
            "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
            "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
        ],
        id="priorities",
    ),
    pytest.param(service(service={"namespace": "n"}), ["spec.service.name: Required value"], id="service"),
    pytest.param(
        service(service={**SERVICE, "port": 70000}),
        [
            "spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive"
        ],
        id="port",
    ),
    pytest.param(
        service(insecureSkipTLSVerify=True, caBundle="YQ=="),
        ["spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present"],
        id="insecure with authorities",
    ),
    pytest.param(
        service(insecureSkipTLSVerify=True, service=None),
        [
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify"
        ],
        id="local",
    ),
    pytest.param(
        service(version="V"),
        [
            'metadata.name: Invalid value: "v1.x.io": must be `spec.version+"."+spec.group`: "V.x.io"',
            f'spec.version: Invalid value: "V": {names.is_dns1035_label("V")[0]}',
        ],
        id="version",
    ),
    pytest.param(
        service(service=None, caBundle="YQ=="),
        ['spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle'],
        id="local with authorities",
    ),
    pytest.param(
        {**service(), "metadata": {"name": "v1.x.io", "generateName": "v1."}},
        ['metadata.generateName: Invalid value: "v1.": must be `spec.version+"."+spec.group`: "v1.x.io"'],
        id="made name",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert SERVICES.errors(body) == errors


def test_a_condition_is_true_false_or_unknown():
    status = {"conditions": [{"type": "Available", "status": "False"}, {"type": "B", "status": "Maybe"}]}
    assert SERVICES.update_errors(service(), {**service(), "status": status}, "status") == [
        'status.conditions[1].status: Unsupported value: "Maybe": supported values: "True", "False", "Unknown"'
    ]


def test_rows():
    assert SERVICES.row_of(service()) == ["v1.x.io", "n/s", "Unknown", "120m"]
    assert SERVICES.row_of(service(service=None))[1] == "Local"
    status = {"conditions": [{"type": "Available", "status": "False", "reason": "Missing"}]}
    assert SERVICES.row_of({**service(), "status": status})[2] == "False (Missing)"
