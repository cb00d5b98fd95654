"""What the scheduler hands to plugins that need more than the pod and the nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from knarr.client.client import Client
from knarr.client.events import SeriesRecorder
from knarr.client.informer import SharedInformers
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.pods import PodCache
from knarr.scheduler.metrics import SchedulerMetrics
from knarr.scheduler.queue.nominator import Nominator
from knarr.world import World


@dataclass
class Handle:
    """The scheduler's parts and its ways to the API."""

    client: Client
    informers: SharedInformers
    world: World
    cluster: Cluster
    pods: PodCache
    #: one per scheduler name
    recorders: dict[str, SeriesRecorder] = field(default_factory=dict)
    nominator: Nominator = field(default_factory=Nominator)
    metrics: SchedulerMetrics = field(default_factory=SchedulerMetrics)
    #: draws preemption's first candidate
    seed: int = 0
