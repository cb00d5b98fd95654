"""The leases by which the parts of a control plane say that they are there, and which of several leads.

Nobody else runs here who could lead instead, so the leases are kept, not contested. Kubernetes' controllers and
scheduler renew theirs every two seconds; a third of the writes does, as long as none is ever seen to be over.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from knarr.api.catalog import BY_GVR
from knarr.client.client import Client, is_not_found
from knarr.client.events import EventRecorder
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World, machine

log = logging.getLogger(__name__)

LEASES = BY_GVR["coordination.k8s.io", "v1", "leases"]
NAMESPACE = "kube-system"
RENEW_SECONDS = 10.0
#: how long a leader that is silent stays one, and how long an API server is known after it was heard last
LEADER_SECONDS, IDENTITY_SECONDS = 15, 3600


class Holder(NamedTuple):
    """Who holds which lease."""

    lease: str
    identity: str
    seconds: int
    #: who writes it, by the name in its managedFields
    manager: str
    labels: dict[str, str]
    #: the source of the event that tells of a new leader; "" where the lease is none of a leader
    recorder: str = ""


def holders(world: World, controllers: bool, scheduler: bool) -> Iterator[Holder]:
    """The API server, and who else runs."""
    host = machine.host_name()
    digest = base64.b32encode(hashlib.sha256(host.encode()).digest()[:16]).decode().rstrip("=").lower()
    name = f"apiserver-{digest}"
    labels = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": host}
    yield Holder(name, f"{name}_{world.chance.uid()}", IDENTITY_SECONDS, "kube-apiserver", labels)
    for runs, part, recorder in (
        (controllers, "kube-controller-manager", "kube-controller-manager"),
        (scheduler, "kube-scheduler", "default-scheduler"),
    ):
        if runs:
            yield Holder(part, f"{host}_{world.chance.uid()}", LEADER_SECONDS, part, {}, recorder)


async def keep(client: Client, kept: Iterable[Holder]) -> None:
    """Write the leases, and again before they are over; runs until cancelled."""
    kept = list(kept)
    while True:
        for holder in kept:
            try:
                await renew(client.named(holder.manager), holder)
            except StatusError as error:
                log.warning("lease %s could not be renewed: %s", holder.lease, error)
            except Exception:  # a store that fails for a moment must not end the upkeep
                log.exception("lease %s could not be renewed", holder.lease)
        await asyncio.sleep(RENEW_SECONDS)


async def renew(client: Client, holder: Holder) -> None:
    """Make the lease ours, or say that it still is. Raises StatusError."""
    now = times.format_micro(client.world.clock.now())
    try:
        lease = await client.get(LEASES, holder.lease, NAMESPACE)
    except StatusError as error:
        if not is_not_found(error):
            raise
        lease = None
    old = (lease or {}).get("spec") or {}
    spec = {
        **old,
        "holderIdentity": holder.identity,
        "leaseDurationSeconds": holder.seconds,
        "renewTime": now,
    }
    leads = old.get("holderIdentity") != holder.identity
    if holder.recorder and leads:
        spec["acquireTime"] = now
        spec["leaseTransitions"] = old.get("leaseTransitions", -1) + 1
    if lease is None:
        lease = await client.create(_new(holder, spec), LEASES)
    else:
        lease = await client.update({**lease, "spec": spec}, LEASES)
    if holder.recorder and leads:
        events = EventRecorder(client, holder.recorder)
        events.event(lease, "Normal", "LeaderElection", f"{holder.identity} became leader")
        await events.flush()


def _new(holder: Holder, spec: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": holder.lease, "namespace": NAMESPACE}
    if holder.labels:
        metadata["labels"] = holder.labels
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
