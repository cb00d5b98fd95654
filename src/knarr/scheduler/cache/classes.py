"""Classes of pods that no plugin can tell apart: decided alike, counted together."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from knarr.api.core import podrequests
from knarr.api.resource.claimfacts import may_be_devices
from knarr.meta.labels import Selector
from knarr.scheduler import requests, terms
from knarr.scheduler.devices.claims import pod_claims

_encode = msgspec.json.Encoder(enc_hook=str).encode
#: volume sources that plugins look at
_VOLUMES = ("persistentVolumeClaim", "ephemeral", "gcePersistentDisk", "awsElasticBlockStore", "rbd", "iscsi")

_NOTHING: frozenset[str] = frozenset()
_RESTARTS_ALL = frozenset({"RestartAllContainersOnContainerExits"})

ClassKey = tuple[Any, ...]


def _containers(found: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        [
            (
                c.image,
                tuple(c.resources.requests.items()) if c.resources is not None else (),
                c.restartPolicy,
                _encode(c.restartPolicyRules) if c.restartPolicyRules else None,
                tuple([(p.hostIP, p.protocol, p.hostPort) for p in c.ports if p.hostPort]),
            )
            for c in found
        ]
    )


def volumes_that_matter(pod: Any) -> tuple[Any, ...]:
    """The volumes that can decide where a pod may run; most pods have none (projected tokens, config maps)."""
    return tuple(v for v in pod.spec.volumes if any(getattr(v, source) is not None for source in _VOLUMES))


def required_features(spec: Any) -> frozenset[str]:
    """What the node's kubelet must declare; for nearly all pods nothing."""
    if any(
        rule.action == "RestartAllContainers"
        for c in (*spec.initContainers, *spec.containers)
        for rule in c.restartPolicyRules
    ):
        return _RESTARTS_ALL
    return _NOTHING


def pinned_to(pod: Any) -> str | None:
    """The one node that the pod's affinity names by metadata.name, as the DaemonSet controller writes it."""
    affinity = pod.spec.affinity
    if affinity is None or affinity.nodeAffinity is None:
        return None
    required = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
    if required is None or len(required.nodeSelectorTerms) != 1:
        return None
    fields = required.nodeSelectorTerms[0].matchFields
    if len(fields) != 1 or fields[0].key != "metadata.name" or fields[0].operator != "In":
        return None
    return fields[0].values[0] if len(fields[0].values) == 1 else None


def unpinned(affinity: Any) -> Any:
    """The same affinity without the name of the node, so that all pods of a DaemonSet are of one class."""
    node = affinity.nodeAffinity
    required = node.requiredDuringSchedulingIgnoredDuringExecution
    term = required.nodeSelectorTerms[0]
    required = (
        replace(required, nodeSelectorTerms=(replace(term, matchFields=()),))
        if term.matchExpressions
        else None
    )
    return replace(
        affinity, nodeAffinity=replace(node, requiredDuringSchedulingIgnoredDuringExecution=required)
    )


def class_key(pod: Any, default_spread: Selector | None = None) -> ClassKey:
    """Everything any plugin reads of a pod; never its name, uid or owner.

    `default_spread`: the selector of the pod's services and owner, by which it is spread by default.
    """
    meta, spec = pod.metadata, pod.spec
    affinity = spec.affinity
    if affinity is not None:
        affinity = _encode(affinity if pinned_to(pod) is None else unpinned(affinity))
    volumes = volumes_that_matter(pod) if spec.volumes else ()
    return (
        meta.namespace,
        tuple(meta.labels.items()),
        meta.deletionTimestamp is not None,
        spec.priority,
        spec.schedulerName,
        _containers(spec.containers),
        _containers(spec.initContainers) if spec.initContainers else (),
        tuple(spec.overhead.items()),
        _encode(spec.resources) if spec.resources is not None else None,
        tuple(spec.nodeSelector.items()),
        affinity,
        spec.tolerations,
        # the claims may be its own: such a pod is a class of its own
        (meta.uid, pod_claims(pod)) if spec.resourceClaims else None,
        _encode(spec.topologySpreadConstraints) if spec.topologySpreadConstraints else None,
        # claims of its own: such a pod is a class of its own
        (_encode(volumes), meta.uid) if volumes else None,
        default_spread,
    )


class PodClass:
    """What plugins know of a pod, and how many such pods run where.

    Amounts are floats: they are added to and compared with float64 columns, exact below 2**53.
    """

    __slots__ = (
        "affinity",
        "anti_affinity",
        "asks",
        "best_effort",
        "counters",
        "default_spread",
        "epoch",
        "extended",
        "features",
        "host_ports",
        "id",
        "images",
        "key",
        "labels",
        "namespace",
        "node_affinity",
        "node_preferences",
        "node_selector",
        "plans",
        "pod",
        "preferred",
        "preferred_anti",
        "priority",
        "resource_claims",
        "rows",
        "scored_cpu",
        "scored_memory",
        "spread",
        "terminating",
        "terms_known",
        "tolerations",
        "volumes",
    )

    def __init__(
        self, number: int, key: ClassKey, pod: Any, default_spread: Selector | None, index_of: Any
    ) -> None:
        """`pod`: any pod of the class; `index_of(resource)`: the row of a resource in the columns."""
        meta, spec = pod.metadata, pod.spec
        self.id, self.key = number, key
        # Where the first pod that was seen runs says nothing of the others.
        self.pod = pod if not spec.nodeName else replace(pod, spec=replace(spec, nodeName=""))
        self.namespace: str = meta.namespace
        self.labels: dict[str, str] = dict(meta.labels)
        self.terminating = meta.deletionTimestamp is not None
        self.priority: int = spec.priority or 0
        self._amounts(spec, index_of)
        self.host_ports = podrequests.host_ports((*spec.containers, *spec.initContainers))
        self.images = tuple(c.image for c in (*spec.initContainers, *spec.containers) if c.image)
        self.tolerations = tuple((t.key, t.operator or "Equal", t.value, t.effect) for t in spec.tolerations)
        self._terms(pod, spec)
        self.default_spread = default_spread
        self.volumes = volumes_that_matter(pod) if spec.volumes else ()
        self.resource_claims = pod_claims(pod)
        self.features = required_features(spec)
        #: row -> how many pods of this class are there
        self.rows: dict[int, int] = {}
        #: the counters that count pods of this class
        self.counters: list[Any] = []
        #: moves when plans made for this class no longer hold
        self.epoch = 0
        #: its terms are in the cluster's index of terms
        self.terms_known = False
        #: what plugins worked out for the class, by plugin (see Cluster.plan)
        self.plans: dict[str, tuple[Any, Any]] = {}

    def _amounts(self, spec: Any, index_of: Any) -> None:
        asked = podrequests.pod_requests(spec)
        self.asks = tuple(
            (index_of(resource), float(value))
            for resource, value in ((podrequests.PODS, 1), *asked.items())
            if value
        )
        #: (row, name) of resources that may be devices
        self.extended = tuple((index_of(r), r) for r in asked if may_be_devices(r))
        self.best_effort = not asked.get(podrequests.CPU) and not asked.get(podrequests.MEMORY)
        scored = requests.scored_requests(spec)
        self.scored_cpu, self.scored_memory = float(scored[0]), float(scored[1])

    def _terms(self, pod: Any, spec: Any) -> None:
        namespace, pod_labels = self.namespace, self.labels
        affinity = spec.affinity
        if affinity is not None and pinned_to(pod) is not None:
            affinity = unpinned(affinity)
        node = affinity.nodeAffinity if affinity is not None else None
        required = node.requiredDuringSchedulingIgnoredDuringExecution if node is not None else None
        self.node_selector = tuple(spec.nodeSelector.items())
        self.node_affinity = None if required is None else terms.node_terms(required)
        self.node_preferences = tuple(
            (p.weight, terms.node_term(p.preference))
            for p in (node.preferredDuringSchedulingIgnoredDuringExecution if node is not None else ())
            if p.weight
        )
        together = affinity.podAffinity if affinity is not None else None
        apart = affinity.podAntiAffinity if affinity is not None else None
        self.affinity = terms.pod_terms(together, namespace, pod_labels)
        self.anti_affinity = terms.pod_terms(apart, namespace, pod_labels)
        self.preferred = terms.preferred_pod_terms(together, namespace, pod_labels)
        self.preferred_anti = terms.preferred_pod_terms(apart, namespace, pod_labels)
        self.spread = tuple(terms.spread(c, pod_labels) for c in spec.topologySpreadConstraints)

    @property
    def has_terms(self) -> bool:
        return bool(self.affinity or self.anti_affinity or self.preferred or self.preferred_anti)

    def selected_by(self, selector: Selector) -> bool:
        return selector.matches(self.labels)
