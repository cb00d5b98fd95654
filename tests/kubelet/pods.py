"""Pods and container runs for the tests of pure functions."""

from __future__ import annotations

from typing import Any

from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.kubelet.runtime import CREATED, EXITED, FAILED, RUNNING, ContainerRecord, PodRecord


def pod_dict(*containers: str | dict[str, Any], inits: tuple[Any, ...] = (), **spec: Any) -> dict[str, Any]:
    """A pod `p` on node `n0`; containers by name or in full."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": "u1", "generation": 1},
        "spec": {
            "nodeName": "n0",
            "restartPolicy": "Always",
            **spec,
            "containers": [_container(c) for c in containers or ("c",)],
            **({"initContainers": [_container(c) for c in inits]} if inits else {}),
        },
    }


def pod(*containers: str | dict[str, Any], inits: tuple[Any, ...] = (), **spec: Any) -> Any:
    return struct(pod_dict(*containers, inits=inits, **spec))


def struct(obj: dict[str, Any]) -> Any:
    return scheme().from_dict(core_v1.Pod, obj)


def sidecar(name: str = "s", **fields: Any) -> dict[str, Any]:
    return {"name": name, "restartPolicy": "Always", **fields}


def _container(given: str | dict[str, Any]) -> dict[str, Any]:
    given = {"name": given} if isinstance(given, str) else given
    return {"image": "app:1", **given}


def record(**runs: str) -> PodRecord:
    """What a runtime knows, in words: c="exit 1 run" is a run that ended with 1 and one that goes on.

    `run`, `make` (being created), `exit N` (at second 100 + attempt), `fail REASON` (not created).
    """
    made = PodRecord("u1", ready=True, ips=("10.244.0.2",))
    for name, text in runs.items():
        words = text.split()
        attempt = 0
        while words:
            verb = words.pop(0)
            run = ContainerRecord(
                name, attempt, f"{name}{attempt}", made_from="app:1", image="app:1", started_at=50.0
            )
            if verb == "run":
                run.state = RUNNING
            elif verb == "make":
                run.state, run.started_at = CREATED, 0.0
            elif verb == "exit":
                run.state, run.exit_code, run.finished_at = EXITED, int(words.pop(0)), 100.0 + attempt
            elif verb == "fail":
                run.state, run.reason, run.finished_at = FAILED, words.pop(0), 100.0
                run.started_at, run.message = 0.0, "why"
            made.add(run)
            attempt += 1
    return made
