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
