"""Who owns the replicas, seen through the scale subresource."""

from __future__ import annotations

from typing import Any

from knarr.meta.managed import ScaleEntries

NOW = "2026-01-01T00:00:00Z"
PATHS = {"apps/v1": ("spec", "replicas"), "apps/v1beta1": None}


def entry(
    name: str, fields: dict[str, Any], operation: str, version: str = "apps/v1", **more: Any
) -> dict[str, Any]:
    return {
        "manager": name,
        "operation": operation,
        "apiVersion": version,
        "time": NOW,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


REPLICAS = {"f:spec": {"f:replicas": {}}}
BOTH = {"f:spec": {"f:paused": {}, "f:replicas": {}}}
PAUSED = {"f:spec": {"f:paused": {}}}


def test_the_scale_has_the_owners_of_the_replicas():
    parent = [
        entry("a", BOTH, "Apply"),
        entry("b", PAUSED, "Update"),
        entry("c", REPLICAS, "Update", subresource="scale"),
    ]
    assert ScaleEntries(parent, "apps/v1", PATHS).to_scale() == [
        entry("a", REPLICAS, "Apply", "autoscaling/v1"),
        entry("c", REPLICAS, "Update", "autoscaling/v1", subresource="scale"),
    ]


def test_an_applier_that_the_scale_still_has_keeps_its_entry():
    parent = [entry("a", BOTH, "Apply")]
    scale = ScaleEntries(parent, "apps/v1", PATHS)
    assert scale.to_parent(scale.to_scale()) == parent


def test_replicas_taken_through_the_scale_leave_their_owner():
    scale = ScaleEntries([entry("a", BOTH, "Apply"), entry("b", REPLICAS, "Apply")], "apps/v1", PATHS)
    taken = entry("scaler", REPLICAS, "Update", "autoscaling/v1", subresource="scale")
    expected = entry("scaler", REPLICAS, "Update", subresource="scale")
    del expected["time"]  # as in Kubernetes, which looks the time up where it cannot be
    assert scale.to_parent([taken]) == [entry("a", PAUSED, "Apply"), expected]


def test_entries_of_unknown_versions_go_and_those_without_replicas_stay():
    parent = [entry("a", BOTH, "Apply", "apps/v0"), entry("b", BOTH, "Apply", "apps/v1beta1")]
    scale = ScaleEntries(parent, "apps/v1", PATHS)
    assert scale.to_scale() == []
    assert scale.to_parent([]) == [parent[1]]
    assert ScaleEntries(None, "apps/v1", PATHS).to_parent(None) == []
