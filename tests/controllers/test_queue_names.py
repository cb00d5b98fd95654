"""Queues go by kube-controller-manager's names, so that dashboards find them."""

from __future__ import annotations

from importlib import import_module

import pytest

from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.inprocess import InProcess
from knarr.controllers import CONTROLLERS
from knarr.controllers.queuenames import QUEUE_NAMES
from knarr.world import World


def test_every_name_is_a_controllers() -> None:
    assert QUEUE_NAMES.keys() <= CONTROLLERS.keys()


@pytest.mark.parametrize(
    ("controller", "queue"),
    [
        ("deployment-controller", "deployment"),
        ("certificatesigningrequest-cleaner-controller", "certificatesigningrequest-cleaner-controller"),
        ("pod-garbage-collector-controller", ""),
    ],
)
def test_how_queues_are_called(controller: str, queue: str) -> None:
    module, _, name = CONTROLLERS[controller].partition(":")
    client = Client(InProcess(None))  # type: ignore[arg-type]
    made = getattr(import_module(module), name)(client, SharedInformers(client), World())
    assert made.queue.name == queue
