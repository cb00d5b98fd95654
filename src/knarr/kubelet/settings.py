"""Every setting of a kubelet, with the default of a real one unless it says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "v1.36.2"


@dataclass(frozen=True)
class Settings:
    """Shared by all nodes of a process."""

    #: nodeLeaseDurationSeconds, and how often the lease is renewed
    lease_seconds: int = 40
    lease_renew_seconds: float = 10.0
    #: nodeStatusReportFrequency: an unchanged status is written this often
    node_status_seconds: float = 300.0
    #: status writes under way at once
    status_writes_max: int = 32
    #: show pods as ContainerCreating before they run; False saves one write for each
    creating_shown: bool = True
    #: events per second and at once, of all nodes together; more are dropped (a kubelet's own limits: 50 and 100)
    events_per_second: float = 100.0
    events_burst: int = 500
    #: a waiting reason replaces a terminated state this much later, as two syncs of a kubelet would
    resync_seconds: float = 1.0
    #: how long stopping the whole process waits for containers
    shutdown_grace_seconds: float = 30.0
    version: str = VERSION
