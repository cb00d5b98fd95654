"""HorizontalPodAutoscaler of autoscaling/v2: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

AUTOSCALERS = Resource("horizontalpodautoscalers", "autoscaling", "v2")

TARGET = {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"}
#: the least that makes an autoscaler
TO_THREE = {"maxReplicas": 3, "scaleTargetRef": TARGET}

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": TO_THREE},
        {
            "spec": {
                "scaleTargetRef": TARGET,
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 80},
                        },
                    }
                ],
            },
            "status": {"desiredReplicas": 0, "currentMetrics": None},
        },
        id="hpa v2",
    ),
    pytest.param(
        {
            "spec": {
                "maxReplicas": 3,
                "behavior": {
                    "scaleDown": {"stabilizationWindowSeconds": 5},
                    "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
                },
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "memory",
                            "target": {"type": "AverageValue", "averageValue": "1Gi"},
                        },
                    }
                ],
                "scaleTargetRef": TARGET,
            }
        },
        {
            "spec": {
                "scaleTargetRef": TARGET,
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "memory",
                            "target": {"type": "AverageValue", "averageValue": "1Gi"},
                        },
                    }
                ],
                "behavior": {
                    "scaleUp": {
                        "stabilizationWindowSeconds": 0,
                        "selectPolicy": "Max",
                        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                    },
                    "scaleDown": {
                        "stabilizationWindowSeconds": 5,
                        "selectPolicy": "Max",
                        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
                    },
                },
            },
            "status": {"desiredReplicas": 0, "currentMetrics": None},
        },
        id="hpa v2 behavior",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(AUTOSCALERS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {}},
        [
            "spec.maxReplicas: Required value: must be set and greater than 0",
            "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            "spec.scaleTargetRef.kind: Required value",
            "spec.scaleTargetRef.name: Required value",
            'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group',
        ],
        id="hpa empty",
    ),
    pytest.param(
        {
            "spec": {
                "maxReplicas": -1,
                "scaleTargetRef": TARGET,
            }
        },
        [
            "spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1",
            "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
        ],
        id="hpa less than nothing",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "ContainerResource",
                        "containerResource": {
                            "name": "pods",
                            "container": "c",
                            "target": {"type": "Utilization", "averageUtilization": 1},
                        },
                    }
                ],
            }
        },
        [
            'spec.metrics[0].containerResource.name: Invalid value: "pods": must be a standard resource for containers'
        ],
        id="what no container asks for",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "minReplicas": 5,
            }
        },
        ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"],
        id="hpa min above max",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "minReplicas": 0,
            }
        },
        [
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
        ],
        id="hpa min zero",
    ),
    pytest.param(
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "", "name": ""}}},
        [
            "spec.scaleTargetRef.kind: Required value",
            "spec.scaleTargetRef.name: Required value",
            'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group',
        ],
        id="hpa no target",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [{"type": "Wild"}],
            }
        },
        [
            'spec.metrics[0].type: Unsupported value: "Wild": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
            'spec.metrics[0].type: Unsupported value: "Wild": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
        ],
        id="hpa metric type",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [{"type": "Resource"}],
            }
        },
        ["spec.metrics[0].resource: Required value: must populate information for the given metric source"],
        id="hpa metric no source",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                        "pods": {
                            "metric": {"name": "x"},
                            "target": {"type": "AverageValue", "averageValue": "1"},
                        },
                    }
                ],
            }
        },
        ["spec.metrics[0].pods: Forbidden: must populate the given metric source only"],
        id="hpa metric two",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
                ],
            }
        },
        [
            "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization"
        ],
        id="hpa target missing",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 0},
                        },
                    }
                ],
            }
        },
        ["spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"],
        id="hpa target zero",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "External",
                        "external": {"metric": {"name": ""}, "target": {"type": "Value", "value": "1"}},
                    }
                ],
            }
        },
        ["spec.metrics[0].external.metric.name: Required value: must specify a metric name"],
        id="hpa external no name",
    ),
    pytest.param(
        {
            "spec": {
                "maxReplicas": 1,
                "scaleTargetRef": {"kind": "ReplicationController", "name": "x", "apiVersion": "v1"},
            }
        },
        [],
        id="replication controllers have no group",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "Object",
                        "object": {
                            "describedObject": {"kind": "Service", "name": "s", "apiVersion": "v1"},
                            "metric": {"name": "m"},
                            "target": {"type": "Value"},
                        },
                    }
                ],
            }
        },
        [
            "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue"
        ],
        id="object",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "Pods",
                        "pods": {"metric": {"name": "m"}, "target": {"type": "Odd", "averageValue": "0"}},
                    }
                ],
            }
        },
        [
            'spec.metrics[0].pods.target.type: Invalid value: "Odd": must be either Utilization, Value, or AverageValue',
            'spec.metrics[0].pods.target.averageValue: Invalid value: "0": must be positive',
        ],
        id="pods",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "ContainerResource",
                        "containerResource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 1, "averageValue": "1"},
                        },
                    }
                ],
            }
        },
        [
            "spec.metrics[0].containerResource.container: Required value: must specify a container",
            "spec.metrics[0].containerResource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization",
        ],
        id="container",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "ContainerResource",
                        "containerResource": {
                            "name": "cpu",
                            "container": "A",
                            "target": {"type": "Utilization", "averageUtilization": 1},
                        },
                    },
                    {
                        "type": "Pods",
                        "pods": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}},
                    },
                ],
            }
        },
        [
            'spec.metrics[0].containerResource.container: Invalid value: "A": a lowercase RFC 1123 label must consist'
            " of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g."
            " 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.metrics[1].pods.target.averageValue: Required value: must specify a positive target averageValue",
        ],
        id="name of the container",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "behavior": {
                    "scaleDown": {
                        "stabilizationWindowSeconds": 3601,
                        "policies": [{"type": "X", "value": 1, "periodSeconds": 1801}],
                    }
                },
            }
        },
        [
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
            'spec.behavior.scaleDown.policies[0].type: Unsupported value: "X": supported values: "Percent", "Pods"',
            "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
        ],
        id="long window",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert AUTOSCALERS.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "minReplicas": 2,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                    }
                ],
            }
        },
        ["a", "Deployment/x", "cpu: <unknown>/50%", "2", 3, 0, "120m"],
        id="unknown",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                    },
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "m"},
                            "target": {"type": "AverageValue", "averageValue": "10"},
                        },
                    },
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                    },
                ],
            },
            "status": {
                "currentReplicas": 4,
                "currentMetrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}}
                ],
            },
        },
        ["a", "Deployment/x", "cpu: 12%/50%, <unknown>/10 + 1 more...", "1", 3, 4, "120m"],
        id="known",
    ),
    pytest.param(
        {
            "spec": {
                **TO_THREE,
                "metrics": [
                    {
                        "type": "External",
                        "external": {
                            "metric": {"name": "m"},
                            "target": {"type": "AverageValue", "averageValue": "5"},
                        },
                    }
                ],
            }
        },
        ["a", "Deployment/x", "<unknown>/5 (avg)", "1", 3, 0, "120m"],
        id="external",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert AUTOSCALERS.row_of(body) == cells
