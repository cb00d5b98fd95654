"""The recorded answers of a v1.36 server, as far as FieldManager alone decides them."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.meta.managed import elements, fieldset

from .managed_replay import SCENARIOS, Replay, Step, owners, run

pytestmark = pytest.mark.skipif(
    not SCENARIOS.is_dir(), reason="the recordings (../shared/parity) are not here"
)

NAMES = sorted(path.stem for path in SCENARIOS.glob("*.json")) if SCENARIOS.is_dir() else []
#: kinds whose answers to a create also show what admission and the server's preparations did afterwards, so that
#: more is found than the manager owns
PREPARED = {
    "CertificateSigningRequest", "ConfigMap", "Job", "LocalSubjectAccessReview", "Namespace", "Node", "PersistentVolume",
    "PersistentVolumeClaim", "Pod", "Service", "Status", "SubjectAccessReview", "TokenReview",
}  # fmt: skip
#: sent, owned, and dropped or turned into null before the answer
DROPPED = {".spec.dataSource", ".rules"}


def can_replay(step: Step) -> bool:
    if step.config is None:
        return step.status < 300 and (step.method == "POST" or step.live is not None)
    return step.live is not None or step.status != 200


def check_apply(step: Step) -> None:
    result = run(step)
    if step.status < 300:
        assert owners(result) == owners(step.after), str(step)
    elif result.get("kind") == "Status":
        # a step may ignore the field `status`, which the recording then lacks
        assert result | {"status": "Failure"} == step.after | {"status": "Failure"}, str(step)


def check_write(step: Step) -> bool:
    """False for a create whose answer shows more than the request said; what is owned must be found even so."""
    found, recorded = owners(run(step)), owners(step.after)
    if found == recorded:
        return True
    assert step.method == "POST", str(step)
    missing = owned_paths(recorded) - owned_paths(found)
    assert {path for _, path in missing} <= DROPPED, str(step)
    assert missing or step.after["kind"] in PREPARED, str(step)
    return False


def owned_paths(entries: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {
        (e["manager"], elements.describe(path)) for e in entries for path in fieldset.paths(e["fieldsV1"])
    }


@pytest.mark.parametrize("name", NAMES)
def test_owners_and_refusals_are_as_recorded(name):
    for step in filter(can_replay, Replay(name).steps()):
        if step.config is None:
            check_write(step)
        else:
            check_apply(step)


def test_the_replay_is_worth_its_name():
    """Enough steps are told apart by their owners; a broken replay would skip them all."""
    applies = writes = 0
    for name in ("apply-basics", "apply-lists", "apply-conflicts", "create-workloads", "patch-strategic"):
        for step in filter(can_replay, Replay(name).steps()):
            if step.config is not None:
                applies += 1
            else:
                writes += check_write(step)
    assert applies > 60 and writes > 30
