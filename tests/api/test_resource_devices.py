"""Devices of resource.k8s.io/v1 in depth: configuration, taints, attributes, capacities, counters, what claims got."""

import pytest

from .kindcases import LABEL, LABEL_VALUE, QUALIFIED, SUBDOMAIN, Resource

GROUP = "resource.k8s.io"
CLAIMS, CLASSES, SLICES = (Resource(n, GROUP) for n in ("resourceclaims", "deviceclasses", "resourceslices"))
DEVICES = "spec.devices"
UNKNOWN = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
UID = "11111111-2222-3333-4444-555555555555"


def claim(exactly=None, **devices):
    requests = [{"name": "a", "exactly": {"deviceClassName": "c", **(exactly or {})}}]
    return {"spec": {"devices": {"requests": requests, **devices}}}


def opaque(**parts):
    return {"opaque": {"driver": "d.io", "parameters": {}, **parts}}


CLAIM_ERRORS = [
    pytest.param(claim(config=[opaque()]), [], id="config"),
    pytest.param(
        claim(config=[{}, {"requests": ["b", "a", "a"], **opaque(driver="", parameters=[])}]),
        [
            f"{DEVICES}.config[0].opaque: Required value",
            f'{DEVICES}.config[1].requests[0]: Invalid value: "b": {UNKNOWN}',
            f'{DEVICES}.config[1].requests[2]: Duplicate value: "a"',
            f"{DEVICES}.config[1].opaque.driver: Required value",
            f'{DEVICES}.config[1].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
        ],
        id="bad config",
    ),
    pytest.param(
        claim(config=[opaque(parameters={"x": "y" * 10240})]),
        [f"{DEVICES}.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"],
        id="large config",
    ),
    pytest.param(
        claim(config=[opaque()] * 33),
        [f"{DEVICES}.config: Too many: 33: must have at most 32 items"],
        id="33",
    ),
    pytest.param(
        claim(constraints=[{}, {"requests": ["a/b/c"], "matchAttribute": "model"}]),
        [
            f'{DEVICES}.constraints[0]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is'
            " required, but multiple fields are set",
            f'{DEVICES}.constraints[1].requests[0]: Invalid value: "a/b/c": {UNKNOWN}',
            f'{DEVICES}.constraints[1].matchAttribute: Invalid value: "model": a fully qualified name must be a'
            " domain and a name separated by a slash",
        ],
        id="constraints",
    ),
    pytest.param(
        claim({"tolerations": [{"operator": "Exists", "value": "x"}, {"operator": "Less", "effect": "No"}]}),
        [
            f'{DEVICES}.requests[0].exactly.tolerations[0].value: Invalid value: "x": must be empty for operator'
            " `Exists`",
            f'{DEVICES}.requests[0].exactly.tolerations[1].operator: Unsupported value: "Less": supported values:'
            ' "Equal", "Exists"',
            f'{DEVICES}.requests[0].exactly.tolerations[1].effect: Unsupported value: "No": supported values:'
            ' "NoExecute", "NoSchedule", "None"',
        ],
        id="tolerations",
    ),
]


@pytest.mark.parametrize(("body", "errors"), CLAIM_ERRORS)
def test_claims(body, errors):
    assert CLAIMS.errors(body) == errors


def test_classes():
    assert CLASSES.errors({"spec": {"config": [opaque()], "extendedResourceName": "a.io/gpu"}}) == []
    assert CLASSES.errors({"spec": {"config": [{}], "extendedResourceName": "cpu"}}) == [
        "spec.config[0].opaque: Required value",
        'spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name',
    ]


def test_what_a_class_has_is_not_judged_again():
    large = {"spec": {"config": [opaque(parameters={"x": "y" * 10240})]}}
    assert CLASSES.errors(large) != []
    assert CLASSES.update_errors(large, large) == []
    assert CLASSES.update_errors({"spec": {}}, large) != []


def of_device(spec=None, **device):
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    placed = {"nodeName": "n"} if spec is None else spec
    return {"spec": {"driver": "d.io", "pool": pool, "devices": [{"name": "a", **device}], **placed}}


AT = "spec.devices[0]"
SEMVER = "must be a string compatible with semver.org spec 2.0.0"


def shared(**policy):
    return {"allowMultipleAllocations": True, "capacity": {"m": {"value": "10", "requestPolicy": policy}}}


POLICY = f"{AT}.capacity[m].requestPolicy"

DEVICE_ERRORS = [
    pytest.param({"attributes": {"a": {"int": 1}, "d.io/b": {"version": "1.2.3-x.1+y"}}}, [], id="good"),
    pytest.param(
        {"attributes": {"a": {}, "b": {"bool": True, "string": "s" * 65}, "c": {"version": "1.2"}}},
        [
            f'{AT}.attributes[a]: Invalid value: "": exactly one value must be specified',
            f"{AT}.attributes[b].string: Too long: may not be more than 64 bytes",
            f'{AT}.attributes[b]: Invalid value: {{"IntValue":null,"BoolValue":true,"StringValue":"{"s" * 65}",'
            '"VersionValue":null,"IntValues":null,"BoolValues":null,"StringValues":null,"VersionValues":null}:'
            " exactly one value must be specified",
            f'{AT}.attributes[c].version: Invalid value: "1.2": {SEMVER}',
        ],
        id="attributes",
    ),
    pytest.param(
        {"attributes": {"/x": {"int": 1}, "d.io/": {"int": 1}, "a/b/c": {"int": 1}}},
        [
            f'{AT}.attributes: Invalid value: "": the domain must not be empty',
            f'{AT}.attributes: Invalid value: "a/b/c": must not contain more than one slash',
            f'{AT}.attributes: Invalid value: "": the name must not be empty',
        ],
        id="names",
    ),
    pytest.param(
        {"attributes": {f"a{i}": {"int": i} for i in range(33)}},
        [f"{AT}: Invalid value: 33: the total number of attributes and capacities must not exceed 32"],
        id="many",
    ),
    pytest.param(
        {"capacity": {"m": {"value": "1", "requestPolicy": {}}}},
        [f"{POLICY}: Forbidden: allowMultipleAllocations must be true"],
        id="not shared",
    ),
    pytest.param(shared(default="2", validRange={"min": "2", "max": "8", "step": "2"}), [], id="range"),
    pytest.param(
        shared(validValues=["1"]),
        [f"{POLICY}.default: Required value: required when validValues is defined"],
        id="d",
    ),
    pytest.param(
        shared(default="3", validValues=["2", "1", "11"]),
        [
            f'{POLICY}.validValues[1]: Invalid value: "1": values must be sorted in ascending order',
            f'{POLICY}.validValues[2]: Invalid value: "11": option is larger than capacity value: 10',
            f'{POLICY}.validValues: Invalid value: "3": default value is not valid according to the requestPolicy',
        ],
        id="values",
    ),
    pytest.param(
        shared(default="3", validRange={"min": "4", "max": "20", "step": "7"}),
        [
            f'{POLICY}.validRange.default: Invalid value: "3": default is less than min: 4',
            f'{POLICY}.validRange.max: Invalid value: "20": max is larger than capacity value: 10',
            f'{POLICY}.validRange.step: Invalid value: "7": one step 11 is larger than capacity value: 10',
            f'{POLICY}.validRange.step: Invalid value: "3": value is not a multiple of a given step (7) from (4)',
            f'{POLICY}.validRange.step: Invalid value: "20": value is not a multiple of a given step (7) from (4)',
        ],
        id="bad range",
    ),
    pytest.param(
        {"taints": [{"key": "a b", "value": "x y", "effect": ""}, {"key": "k", "effect": "Never"}]},
        [
            f'{AT}.taints[0].key: Invalid value: "a b": {QUALIFIED}',
            f'{AT}.taints[0].value: Invalid value: "x y": {LABEL_VALUE}',
            f"{AT}.taints[0].effect: Required value",
            f'{AT}.taints[1].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "None"',
        ],
        id="taints",
    ),
    pytest.param(
        {"consumesCounters": [{"counterSet": "A"}, {"counters": {"x": {"value": "1"}}}]},
        [
            f'{AT}.consumesCounters[0].counterSet: Invalid value: "A": {LABEL}',
            f"{AT}.consumesCounters[0].counters: Required value",
            f"{AT}.consumesCounters[1].counterSet: Required value",
        ],
        id="counters",
    ),
    pytest.param(
        {"bindingConditions": ["a", "a"]},
        [
            f'{AT}.bindingConditions[1]: Duplicate value: "a"',
            f"{AT}.bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use"
            " bindingConditions",
        ],
        id="binding",
    ),
    pytest.param(
        {"nodeName": "n"},
        [
            f"{AT}: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if"
            " `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        ],
        id="place",
    ),
]


@pytest.mark.parametrize(("device", "errors"), DEVICE_ERRORS)
def test_devices(device, errors):
    assert SLICES.errors(of_device(**device)) == errors


def test_places():
    each = {"perDeviceNodeSelection": True}
    one_of = (
        "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set"
        " to true in the ResourceSlice spec"
    )
    assert SLICES.errors(of_device(each, allNodes=True)) == []
    assert SLICES.errors(of_device(each)) == [f"{AT}: Required value: {one_of}"]
    assert SLICES.errors(of_device(each, nodeName="N", allNodes=True)) == [
        f'{AT}.nodeName: Invalid value: "N": {SUBDOMAIN}',
        f'{AT}: Invalid value: "{{`nodeName`, `allNodes`}}": {one_of}',
    ]
    assert SLICES.errors(of_device({"allNodes": False, "nodeName": "n"})) == [
        "spec.allNodes: Invalid value: false: must be either unset or set to true"
    ]


def test_what_is_switched_off_is_dropped():
    made = SLICES.created(
        of_device(attributes={"a": {"int": 1, "ints": [1]}}, nodeAllocatableResourceMappings={"cpu": {}})
    )
    assert made["spec"]["devices"] == [{"name": "a", "attributes": {"a": {"int": 1}}}]


RESULT = {"request": "a", "driver": "d.io", "pool": "p", "device": "x"}
ALLOCATED = {"allocation": {"devices": {"results": [RESULT]}}}
USER = {"resource": "pods", "name": "p", "uid": "1"}


def with_status(**status):
    return {**claim(), "status": status}


STATUS_ERRORS = [
    pytest.param({}, ALLOCATED, [], id="allocated"),
    pytest.param(
        {},
        {"reservedFor": [USER, USER, {}]},
        [
            "status.reservedFor[2].resource: Required value",
            "status.reservedFor[2].name: Required value",
            "status.reservedFor[2].uid: Required value",
            'status.reservedFor[1]: Duplicate value: "1"',
            "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
        ],
        id="reserved",
    ),
    pytest.param(
        {},
        {
            "allocation": {
                "devices": {"results": [{**RESULT, "request": "z", "shareID": "U"}], "config": [opaque()]}
            }
        },
        [
            f'status.allocation.devices.results[0].request: Invalid value: "z": {UNKNOWN}',
            'status.allocation.devices.results[0].shareID: Invalid value: "U": error validating uid: invalid UUID'
            " length: 1",
            "status.allocation.devices.config[0].source: Required value",
        ],
        id="results",
    ),
    pytest.param(
        ALLOCATED,
        {
            **ALLOCATED,
            "devices": [{**RESULT, "device": "y"}, {**RESULT, "networkData": {"ips": ["1.2.3.4"]}}],
        },
        [
            "status.devices[0]: Invalid value: d.io/p/y: must be an allocated device in the claim",
            'status.devices[1].networkData.ips[0]: Invalid value: "1.2.3.4": must be a valid address in CIDR form,'
            " (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
        ],
        id="devices",
    ),
]


def of_status(status):
    """Results name a request in `request`, statuses of devices do not."""
    if "devices" in status:
        devices = [{k: v for k, v in d.items() if k != "request"} for d in status["devices"]]
        status = {**status, "devices": devices}
    return with_status(**status)


def status_update(old, new):
    before, after = CLAIMS.defaulted(of_status(old)), CLAIMS.defaulted(of_status(new))
    CLAIMS.kind.prepare_for_status_update(after, before)
    return after, [str(error) for error in CLAIMS.kind.validate_status_update(after, before)]


@pytest.mark.parametrize(("old", "new", "errors"), STATUS_ERRORS)
def test_statuses_of_claims(old, new, errors):
    assert status_update(old, new)[1] == errors


def test_an_allocation_does_not_change():
    other = {"allocation": {"devices": {"results": [{**RESULT, "device": "y"}]}}}
    (error,) = status_update(ALLOCATED, other)[1]
    assert error.startswith(
        'status.allocation: Invalid value: {"Devices":{"Results":[{"Request":"a","Driver":"d.io",'
    )
    assert error.endswith(": field is immutable")


def test_devices_that_are_given_back_lose_their_status():
    got = {**ALLOCATED, "devices": [RESULT]}
    made, errors = status_update(got, {"devices": [RESULT]})
    assert not errors
    assert "devices" not in made["status"]
