"""The parts of a cluster write as who they are in Kubernetes: what webhooks and policies see of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knarr.admission.attributes import Attributes
from knarr.admission.chain import Plugin
from knarr.cluster.controlplane import user_agent
from knarr.testing import TestCluster


class Witness(Plugin):
    name = "Witness"

    def __init__(self) -> None:
        self.seen: set[tuple[str, str, tuple[str, ...]]] = set()

    def validate(self, a: Attributes) -> None:
        resource = f"{a.request.resource}/{a.request.subresource}".rstrip("/")
        self.seen.add((resource, a.user.name, a.user.groups))


def test_who_writes(tmp_path: Path) -> None:
    cluster = TestCluster(tmp_path, nodes=2)
    cluster.start()
    try:
        plane = cluster.cluster.plane  # type: ignore[union-attr]
        witness = Witness()
        chain = plane.plugins.chain
        chain.plugins.append(witness)
        chain.forget()
        cluster.run(_deploy(plane))
        cluster.advance(60)
    finally:
        cluster.stop()
    nodes = ("system:nodes", "system:authenticated")
    accounts = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
    prefix = "system:serviceaccount:kube-system:"
    for expected in (
        ("pods/status", "system:node:test-node-0", nodes),
        ("leases", "system:node:test-node-0", nodes),
        ("leases", "system:node:test-node-1", nodes),
        ("pods/binding", "system:kube-scheduler", ("system:authenticated",)),
        ("replicasets", f"{prefix}deployment-controller", accounts),
        ("pods", f"{prefix}replicaset-controller", accounts),
    ):
        assert expected in witness.seen
    assert not {entry for entry in witness.seen if entry[1] == "system:apiserver" and "pods" in entry[0]}


@pytest.mark.parametrize(
    ("manager", "user", "agent"),
    [
        ("kubelet", "system:node:n", "kubelet/v1.36.2 (linux/amd64) kubernetes/unknown"),
        (
            "kube-controller-manager",
            "system:serviceaccount:kube-system:job-controller",
            "kube-controller-manager/v1.36.2 (linux/amd64) kubernetes/unknown"
            "/system:serviceaccount:kube-system:job-controller",
        ),
        ("knarr", "", "knarr"),
    ],
)
def test_what_the_audit_log_knows_them_by(manager: str, user: str, agent: str) -> None:
    assert user_agent(manager, user) == agent


async def _deploy(plane: Any) -> None:
    labels = {"app": "a"}
    containers = [{"name": "c", "image": "i"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    await plane.client().create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "default"},
            "spec": {"replicas": 4, "selector": {"matchLabels": labels}, "template": template},
        }
    )
