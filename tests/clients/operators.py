"""Running an operator written with kopf beside a test."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

kopf = pytest.importorskip("kopf", reason="kopf is not installed")

PATIENCE_SECONDS = 20


@contextmanager
def running_operator(registry: Any, **options: Any) -> Iterator[None]:
    """The operator in a thread, from when it is ready; what it failed of fails the test. `options` are those of
    `kopf.operator`."""
    stop, ready = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(kopf.operator(registry=registry, stop_flag=stop, ready_flag=ready, **options))
        except BaseException as error:
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_SECONDS)
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
    assert not failures


def established(extensions: Any, name: str) -> bool:
    """Whether a custom resource definition is; `extensions` is the official client's ApiextensionsV1Api."""
    status = extensions.read_custom_resource_definition(name).status
    return any(one.type == "Established" and one.status == "True" for one in status.conditions or [])


def until(test: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not test():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
