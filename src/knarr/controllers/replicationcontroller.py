"""ReplicationController: a replica set of the first days, with a plain map for a selector."""

from __future__ import annotations

from typing import Any

from knarr.api.types import core_v1
from knarr.controllers.replicaset import ReplicaSetController
from knarr.meta.labels import Selector, from_label_selector


class ReplicationControllerController(ReplicaSetController):
    """Keeps replication controllers' pods exactly as replica sets' are kept."""

    name = "replicationcontroller-controller"
    service_account = "replication-controller"
    component = "replication-controller"
    counts_terminating = False

    @staticmethod
    def target() -> Any:
        return core_v1.ReplicationController

    def compile_selector(self, wire: Any) -> Selector:
        return from_label_selector({"matchLabels": dict(wire)})
