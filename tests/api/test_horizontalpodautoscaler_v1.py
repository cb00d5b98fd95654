"""HorizontalPodAutoscaler of autoscaling/v1: defaults, rules, updates, table."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.api.autoscaling import conversion

from .kindcases import Resource, without_metadata

AUTOSCALERS = Resource("horizontalpodautoscalers", "autoscaling", "v2")
AUTOSCALERS_V1 = Resource("horizontalpodautoscalers", "autoscaling")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "spec": {
                "maxReplicas": 3,
                "targetCPUUtilizationPercentage": 50,
                "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
            }
        },
        {
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
                "minReplicas": 1,
                "maxReplicas": 3,
                "targetCPUUtilizationPercentage": 50,
            },
            "status": {"currentReplicas": 0, "desiredReplicas": 0},
        },
        id="hpa v1",
    ),
    pytest.param(
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
            }
        },
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
                "minReplicas": 1,
                "targetCPUUtilizationPercentage": 80,
            },
            "status": {"currentReplicas": 0, "desiredReplicas": 0},
        },
        id="cpu target by default",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(AUTOSCALERS_V1.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {
            "spec": {
                "maxReplicas": 1,
                "targetCPUUtilizationPercentage": 0,
                "scaleTargetRef": {"kind": "D", "name": "n"},
            }
        },
        [
            'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group',
            "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
        ],
        id="hpa v1 cpu",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert AUTOSCALERS_V1.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
                "targetCPUUtilizationPercentage": 50,
            }
        },
        ["a", "Deployment/x", "cpu: <unknown>/50%", "1", 3, 0, "120m"],
        id="row",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert AUTOSCALERS_V1.row_of(body) == cells


# the stored version

TARGET = {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"}
PODS = {
    "type": "Pods",
    "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "10"}},
}


def test_the_cpu_target_is_a_metric():
    v1 = AUTOSCALERS_V1.defaulted(
        {"spec": {"maxReplicas": 3, "scaleTargetRef": TARGET, "targetCPUUtilizationPercentage": 50}}
    )
    v2 = conversion.v1_to_v2(v1)
    assert v2["spec"]["metrics"] == [conversion.cpu_metric(50)]
    assert conversion.v2_to_v1(v2) == v1
    assert conversion.v1_to_v2(v2) is v2


def test_the_rest_travels_in_annotations():
    policies = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    v2 = AUTOSCALERS.defaulted(
        {
            "metadata": {"annotations": {"mine": "x"}},
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": TARGET,
                "metrics": [PODS, conversion.cpu_metric(50)],
                "behavior": {"scaleUp": {"policies": policies}},
            },
        }
    )
    v1 = conversion.v2_to_v1(v2)
    annotations = v1["metadata"]["annotations"]
    assert v1["spec"]["targetCPUUtilizationPercentage"] == 50
    assert annotations["mine"] == "x"
    assert orjson.loads(annotations[conversion.METRICS]) == [
        {"type": "Pods", "pods": {"metricName": "m", "targetAverageValue": "10"}}
    ]
    assert orjson.loads(annotations[conversion.BEHAVIOR])["ScaleUp"] == {
        "StabilizationWindowSeconds": 0,
        "SelectPolicy": "Max",
        "Policies": [{"Type": "Pods", "Value": 1, "PeriodSeconds": 60}],
        "Tolerance": None,
    }
    assert conversion.v1_to_v2(v1) == v2


quantities = st.sampled_from(["1", "100m", "3Gi"])
selectors = st.sampled_from([{}, {"selector": {"matchLabels": {"a": "b"}}}])
identifiers = selectors.map(lambda selector: {"name": "m", **selector})
percents = st.integers(1, 100).map(lambda n: {"type": "Utilization", "averageUtilization": n})
averages = quantities.map(lambda text: {"type": "AverageValue", "averageValue": text})
values = quantities.map(lambda text: {"type": "Value", "value": text})
metrics = st.one_of(
    st.tuples(identifiers, averages).map(
        lambda t: {"type": "Pods", "pods": {"metric": t[0], "target": t[1]}}
    ),
    st.tuples(identifiers, averages | values).map(
        lambda t: {"type": "External", "external": {"metric": t[0], "target": t[1]}}
    ),
    st.tuples(identifiers, averages | values).map(
        lambda t: {"type": "Object", "object": {"describedObject": TARGET, "metric": t[0], "target": t[1]}}
    ),
    (percents | averages).map(
        lambda target: {"type": "Resource", "resource": {"name": "memory", "target": target}}
    ),
    (percents | averages).map(
        lambda target: {
            "type": "ContainerResource",
            "containerResource": {"name": "cpu", "container": "c", "target": target},
        }
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(metrics, min_size=1, max_size=3), st.integers(0, 100))
def test_nothing_is_lost_on_the_way(others, percent):
    cpu = [conversion.cpu_metric(percent)] if percent else []
    spec = {"maxReplicas": 3, "scaleTargetRef": TARGET, "metrics": others + cpu}
    v2 = AUTOSCALERS.defaulted({"spec": spec})
    v2["status"]["conditions"] = [{"type": "AbleToScale", "status": "True"}]
    v2["status"]["currentMetrics"] = [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "current": {"averageUtilization": 5, "averageValue": "1"}},
        }
    ]
    assert conversion.v1_to_v2(conversion.v2_to_v1(v2)) == v2
