"""Node: defaults, rules, updates, table."""

import pytest

from .kindcases import BAD_CIDR, LABEL_VALUE, Resource, without_metadata

NODES = Resource("nodes")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {},
        {
            "spec": {},
            "status": {
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
                "nodeInfo": {
                    "machineID": "",
                    "systemUUID": "",
                    "bootID": "",
                    "kernelVersion": "",
                    "osImage": "",
                    "containerRuntimeVersion": "",
                    "kubeletVersion": "",
                    "kubeProxyVersion": "",
                    "operatingSystem": "",
                    "architecture": "",
                },
            },
        },
        id="node",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(NODES.created(body)) == want


OLD = "scheduler.alpha.kubernetes.io/"
BAD_FEATURE = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or"
    " MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)

#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"taints": [{"key": "a", "effect": "X"}]}},
        [
            'metadata.taints[0].effect: Unsupported value: "X": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'
        ],
        id="taint",
    ),
    pytest.param(
        {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]}},
        [
            'metadata.taints[1]: Duplicate value: {"Key":"a","Value":"","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair'
        ],
        id="taint duplicate",
    ),
    pytest.param(
        {"spec": {"podCIDR": "nope"}}, [f'spec.podCIDRs[0]: Invalid value: "nope": {BAD_CIDR}'], id="pod cidr"
    ),
    pytest.param(
        {"spec": {"taints": [{"key": "a", "effect": ""}]}},
        ["metadata.taints[0].effect: Required value"],
        id="taint without effect",
    ),
    pytest.param(
        {"spec": {"taints": [{"key": "a", "value": "b c", "effect": "NoSchedule"}]}},
        [f'metadata.taints[0].value: Invalid value: "b c": {LABEL_VALUE}'],
        id="taint value",
    ),
    pytest.param(
        {"status": {"capacity": {"pods": "500m"}}},
        [
            'status.capacity.pods: Invalid value: "500m": must be an integer',
            'status.allocatable.pods: Invalid value: "500m": must be an integer',
        ],
        id="fraction of a pod",
    ),
    pytest.param(
        {"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}},
        [
            'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family'
        ],
        id="two networks of a family",
    ),
    pytest.param(
        {"spec": {"podCIDRs": ["10.0.0.0/24", "x"]}},
        [
            f'spec.podCIDRs[1]: Invalid value: "x": {BAD_CIDR}',
            "spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[1]: <nil> (invalid CIDR address: x)",
            'spec.podCIDRs: Invalid value: ["10.0.0.0/24","x"]: may specify no more than one CIDR for each IP family',
        ],
        id="no network",
    ),
    pytest.param(
        {"status": {"nodeInfo": {"swap": {"capacity": 0}}}},
        ["metadata.nodeSwapStatus.capacity: Invalid value: 0: must be greater than zero"],
        id="no swap",
    ),
    pytest.param({"status": {"declaredFeatures": ["A/b", "B"]}}, [], id="features"),
    pytest.param(
        {"status": {"declaredFeatures": ["B", "A", "A", "c", "D" * 254]}},
        [
            'status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically',
            'status.declaredFeatures[2]: Duplicate value: "A"',
            f'status.declaredFeatures[3]: Invalid value: "c": invalid feature name "c": {BAD_FEATURE}',
            f'status.declaredFeatures[4]: Invalid value: "{"D" * 254}": list must be sorted alphabetically',
            f'status.declaredFeatures[4]: Invalid value: "{"D" * 254}": invalid feature name "{"D" * 254}": must be no more than 253 characters',
        ],
        id="features out of order",
    ),
    *(
        pytest.param({"metadata": {"annotations": {OLD + key: text}}}, errors, id=f"annotation {text}")
        for key, text, errors in [
            ("taints", "", []),
            ("taints", "null", []),
            ("taints", '[{"key": "a", "effect": "NoExecute"}]', []),
            (
                "taints",
                "{}",
                [
                    f'metadata.annotations: Invalid value: "{OLD}taints": json: cannot unmarshal object into Go value of type []core.Taint'
                ],
            ),
            (
                "taints",
                "[",
                [f'metadata.annotations: Invalid value: "{OLD}taints": unexpected end of JSON input'],
            ),
            ("taints", '[{"key": "a"}]', [f"metadata.annotations.{OLD}taints[0].effect: Required value"]),
            (
                "preferAvoidPods",
                "x",
                [
                    f"metadata.annotations.AvoidPods: Invalid value: \"{OLD}preferAvoidPods\": invalid character 'x' looking for beginning of value"
                ],
            ),
            (
                "preferAvoidPods",
                '{"preferAvoidPods": [{}]}',
                [f"metadata.annotations.{OLD}preferAvoidPods[0].PodSignature: Required value"],
            ),
            (
                "preferAvoidPods",
                '{"preferAvoidPods": [{"podSignature": {"podController": {"controller": true}}}]}',
                [],
            ),
            (
                "preferAvoidPods",
                '{"preferAvoidPods": [{"podSignature": {"podController": {"controller": false}}}]}',
                [
                    f"metadata.annotations.{OLD}preferAvoidPods[0].PodSignature.PodController.Controller: Invalid value: false: must point to a controller"
                ],
            ),
        ]
    ),  # fmt: skip
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert NODES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"podCIDR": "10.0.0.0/24"}},
        {"spec": {"podCIDR": "10.0.1.0/24"}},
        ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
        id="pod network",
    ),
    pytest.param({}, {"spec": {"podCIDR": "10.0.1.0/24"}}, [], id="first pod network"),
    pytest.param(
        {},
        {"spec": {"podCIDR": "nope"}},
        [f'spec.podCIDRs[0]: Invalid value: "nope": {BAD_CIDR}'],
        id="first pod network that is none",
    ),
    pytest.param(
        {},
        {"spec": {"taints": [{"key": "a"}]}},
        # looked at as of a new node and as of a changed one
        ["metadata.taints[0].effect: Required value"] * 2,
        id="taint",
    ),
    pytest.param(
        {"spec": {"providerID": "a"}},
        {"spec": {"providerID": "b"}},
        ['spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'],
        id="provider",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert NODES.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "x"}},
            "spec": {"unschedulable": True},
            "status": {
                "nodeInfo": {
                    "kubeletVersion": "v1.36.0",
                    "osImage": "OS",
                    "kernelVersion": "6.1",
                    "containerRuntimeVersion": "cri://1",
                },
                "addresses": [
                    {"type": "InternalIP", "address": "10.0.0.1"},
                    {"type": "ExternalIP", "address": "9.9.9.9"},
                ],
            },
        },
        [
            "a",
            "Unknown,SchedulingDisabled",
            "worker,x",
            "120m",
            "v1.36.0",
            "10.0.0.1",
            "9.9.9.9",
            "OS",
            "6.1",
            "cri://1",
        ],
        id="cordoned",
    ),
    pytest.param(
        {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
        ["a", "Ready", "<none>", "120m", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
        id="ready",
    ),
    pytest.param(
        {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
        ["a", "NotReady", "<none>", "120m", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
        id="not ready",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert NODES.row_of(body) == cells


def test_capacity_is_what_can_be_allocated():
    status = NODES.created({"status": {"capacity": {"cpu": "4", "memory": "0.1m"}}})["status"]
    assert status["allocatable"] == {"cpu": "4", "memory": "1m"}


def test_negative_capacity_in_status():
    _, errors = NODES.updated({}, {"status": {"capacity": {"cpu": "-4"}, "allocatable": {}}}, "status")
    assert errors[0] == 'status.capacity.cpu: Invalid value: "-4": must be greater than or equal to 0'


def test_conditions_show_their_times():
    obj = NODES.defaulted({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert obj["status"]["conditions"] == [
        {"type": "Ready", "status": "True", "lastHeartbeatTime": None, "lastTransitionTime": None}
    ]
