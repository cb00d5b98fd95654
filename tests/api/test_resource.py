"""Kinds of resource.k8s.io/v1: defaults, rules, updates, tables."""

import pytest

from .kindcases import LABEL, SUBDOMAIN, Resource

GROUP = "resource.k8s.io"
CLAIMS, TEMPLATES = Resource("resourceclaims", GROUP), Resource("resourceclaimtemplates", GROUP)
CLASSES, SLICES = Resource("deviceclasses", GROUP), Resource("resourceslices", GROUP)
ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"
NODES = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
REQUESTS = "spec.devices.requests"


def request(name="a", **exactly):
    return {"name": name, "exactly": {"deviceClassName": "c", **exactly}}


def claim(*requests, **devices):
    return {"spec": {"devices": {"requests": list(requests), **devices}}}


def test_a_request_is_for_one_device():
    want = {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}
    assert CLAIMS.created(claim(request()))["spec"]["devices"]["requests"][0]["exactly"] == want
    inner = TEMPLATES.created({"spec": claim(request())})["spec"]["spec"]
    assert inner["devices"]["requests"][0]["exactly"] == want
    every = CLAIMS.created(claim(request(allocationMode="All")))["spec"]["devices"]["requests"][0]["exactly"]
    assert "count" not in every


CLAIM_ERRORS = [
    pytest.param(claim(request()), [], id="good"),
    pytest.param(
        claim(request("A"), {"name": "b"}),
        [f'{REQUESTS}[0].name: Invalid value: "A": {LABEL}', f"{REQUESTS}[1]: Required value: {ONE_OF}"],
        id="requests",
    ),
    pytest.param(
        claim({**request(), "firstAvailable": [{"name": "s", "deviceClassName": "c"}]}),
        [f"{REQUESTS}[0]: Invalid value: null: {ONE_OF}, but multiple fields are set"],
        id="both",
    ),
    pytest.param(claim(request(), request()), [f'{REQUESTS}[1]: Duplicate value: "a"'], id="twice"),
    pytest.param(
        claim(request(allocationMode="X")),
        [
            f'{REQUESTS}[0].exactly.allocationMode: Unsupported value: "X": supported values: "All", "ExactCount"'
        ],
        id="mode",
    ),
    pytest.param(
        claim(request(), constraints=[{"requests": ["z"], "matchAttribute": "d.io/x"}]),
        [
            'spec.devices.constraints[0].requests[0]: Invalid value: "z": must be the name of a request in the claim'
            " or the name of a request and a subrequest separated by '/'"
        ],
        id="constraint",
    ),
]


@pytest.mark.parametrize(("body", "errors"), CLAIM_ERRORS)
def test_errors_of_claims(body, errors):
    assert CLAIMS.errors(body) == errors


def test_claims_do_not_change():
    (error,) = CLAIMS.update_errors(claim(request("a")), claim(request("b")))
    assert error.startswith(
        'spec: Invalid value: {"Devices":{"Requests":[{"Name":"b","Exactly":{"DeviceClassName":"c",'
    )
    assert error.endswith(": field is immutable")


def selected(expression):
    return {"spec": {"selectors": [{"cel": {"expression": expression}}]}}


def test_selectors_are_true_or_false_of_a_device():
    at = "spec.selectors[0].cel.expression"
    assert CLASSES.errors({"spec": {}}) == []
    assert CLASSES.errors(selected('device.driver == "d.io"')) == []
    assert CLASSES.errors(selected('device.attributes["d.io"].healthy')) == []
    assert CLASSES.errors(selected('device.attributes["d.io"].model == "x"')) == []
    assert CLASSES.errors(selected('device.capacity["d.io"].mem.isGreaterThan(quantity("1Gi"))')) == []
    assert CLASSES.errors(selected("1")) == [
        f'{at}: Invalid value: "1": must evaluate to bool or the unknown type, not int'
    ]
    (error,) = CLASSES.errors(selected("device.zzz"))
    assert error.startswith(
        f'{at}: Invalid value: "device.zzz": compilation failed: ERROR: <input>:1:7: undefined field'
    )


def of_pool(pool=None, **spec):
    return {
        "spec": {
            "driver": "d.io",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1, **(pool or {})},
            **spec,
        }
    }


SLICE_ERRORS = [
    pytest.param(of_pool(nodeName="n", devices=[{"name": "a"}]), [], id="good"),
    pytest.param(
        of_pool({"name": "", "resourceSliceCount": 0}, driver="D!"),
        [
            f'spec.driver: Invalid value: "D!": {SUBDOMAIN}',
            "spec.pool.name: Required value",
            "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
            f"spec: Required value: {NODES}",
        ],
        id="nothing right",
    ),
    pytest.param(
        of_pool({"generation": -1}, nodeName="n", allNodes=True, devices=[{"name": "a"}, {"name": "a"}]),
        [
            "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
            f'spec: Invalid value: "{{`nodeName`, `allNodes`}}": {NODES}, but multiple fields are set',
            'spec.devices[1]: Duplicate value: "a"',
        ],
        id="devices",
    ),
]


@pytest.mark.parametrize(("body", "errors"), SLICE_ERRORS)
def test_errors_of_slices(body, errors):
    assert SLICES.errors(body) == errors


def test_rows():
    assert CLAIMS.row_of(claim(request())) == ["a", "pending", "120m"]
    allocated = {
        **claim(request()),
        "status": {"allocation": {}, "reservedFor": [{"name": "p", "resource": "pods", "uid": "1"}]},
    }
    assert CLAIMS.row_of(allocated)[1] == "allocated,reserved"
    assert SLICES.row_of(of_pool(nodeName="n")) == ["a", "n", "d.io", "p", "120m"]
