"""Which pods stand behind which service, kept up to date event by event.

Endpoints and endpoint slices are both computed from a service and its pods. Looking through all pods of a namespace
for each service, or through all services for each pod, would cost a large namespace dearly: `Membership` looks only
at the services that share a label with the pod that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from knarr.client.informer import Informer
from knarr.client.objects import Key, key_of
from knarr.controllers.base import GATHER_SECONDS_MIN, SECONDS_PER_POD
from knarr.controllers.pods import FINISHED, is_ready

HEADLESS_LABEL = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"

Selector = tuple[tuple[str, str], ...]
V = TypeVar("V")


class Service(NamedTuple):
    """What membership knows of a service that selects pods."""

    selector: Selector
    pods: dict[Key, Any]


class Membership:
    """The pods of every service with a selector. `changed(key)` hears of services whose endpoints may differ."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self._changed = changed
        self._services: dict[Key, Service] = {}
        #: services by the first label they select, so that a pod finds them by its own labels
        self._by_label: dict[tuple[str, str, str], dict[Key, Service]] = {}
        self._pods: Informer | None = None

    def follow(self, services: Informer, pods: Informer) -> None:
        """Begin to listen."""
        self._pods = pods
        services.add_handler(self.service_added, self.service_updated, self.service_deleted)
        pods.add_handler(self.pod_added, self.pod_updated, self.pod_deleted)

    def pods(self, key: Key) -> dict[Key, Any]:
        """Of one service, in the order in which they came to match; not to be changed."""
        service = self._services.get(key)
        return service.pods if service is not None else {}

    def patience(self, key: Key) -> float:
        """Seconds for which further events of a service are awaited; 0 where a pass costs next to nothing."""
        seconds = len(self.pods(key)) * SECONDS_PER_POD
        return seconds if seconds >= GATHER_SECONDS_MIN else 0.0

    # -- services ----------------------------------------------------------------------------------------

    def service_added(self, service: Any) -> None:
        key = key_of(service)
        if service.spec.selector:
            self._enter(key, tuple(sorted(service.spec.selector.items())))
        self._changed(key)

    def service_updated(self, old: Any, new: Any) -> None:
        key = key_of(new)
        if old.spec.selector != new.spec.selector:
            self._leave(key)
            if new.spec.selector:
                self._enter(key, tuple(sorted(new.spec.selector.items())))
        self._changed(key)

    def service_deleted(self, service: Any) -> None:
        key = key_of(service)
        self._leave(key)
        self._changed(key)

    def _enter(self, key: Key, selector: Selector) -> None:
        assert self._pods is not None
        pods = {
            key_of(pod): pod
            for pod in self._pods.indexer.list(key.namespace)
            if matches(selector, pod.metadata.labels)
        }
        service = self._services[key] = Service(selector, pods)
        self._by_label.setdefault((key.namespace, *selector[0]), {})[key] = service

    def _leave(self, key: Key) -> None:
        service = self._services.pop(key, None)
        if service is None:
            return
        label = (key.namespace, *service.selector[0])
        bucket = self._by_label[label]
        del bucket[key]
        if not bucket:
            del self._by_label[label]

    # -- pods --------------------------------------------------------------------------------------------

    def pod_added(self, pod: Any) -> None:
        key = key_of(pod)
        for name, service in self._services_of(pod):
            service.pods[key] = pod
            self._changed(name)

    def pod_updated(self, old: Any, new: Any) -> None:
        key = key_of(new)
        relabelled = old.metadata.labels != new.metadata.labels
        differs = relabelled or facts(old) != facts(new)
        if relabelled:
            for name, service in self._services_of(old):
                del service.pods[key]
                self._changed(name)
        for name, service in self._services_of(new):
            service.pods[key] = new
            if differs:
                self._changed(name)

    def pod_deleted(self, pod: Any) -> None:
        key = key_of(pod)
        for name, service in self._services_of(pod):
            service.pods.pop(key, None)
            self._changed(name)

    def _services_of(self, pod: Any) -> Iterator[tuple[Key, Service]]:
        labels, namespace, by_label = pod.metadata.labels, pod.metadata.namespace, self._by_label
        for pair in labels.items():
            if (bucket := by_label.get((namespace, *pair))) is not None:
                for name, service in bucket.items():
                    if matches(service.selector, labels):
                        yield name, service


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector)


def facts(pod: Any) -> tuple[Any, ...]:
    """Everything of a pod that an endpoint is made of and that may change."""
    spec, status = pod.spec, pod.status
    return (
        spec.nodeName,
        status.podIPs,
        status.podIP,
        is_ready(pod),
        status.phase in FINISHED,
        pod.metadata.deletionTimestamp is None,
        pod.metadata.uid,
        spec.hostname,
        spec.subdomain,
    )


# -- what can be said of one pod -------------------------------------------------------------------------------


def may_serve(pod: Any, include_terminating: bool) -> bool:
    """It has an address and has not ended."""
    status = pod.status
    if status.phase in FINISHED or not (status.podIPs or status.podIP):
        return False
    return include_terminating or pod.metadata.deletionTimestamp is None


def addresses(pod: Any, family: str) -> list[str]:
    """Its addresses of a family, "IPv4" or "IPv6"."""
    known = [ip.ip for ip in pod.status.podIPs] or [pod.status.podIP]
    return [ip for ip in known if ip and (":" in ip) == (family == "IPv6")]


def host_name(pod: Any, service: Any) -> str | None:
    """The name under which the service's domain knows the pod."""
    spec = pod.spec
    return spec.hostname if spec.hostname and spec.subdomain == service.metadata.name else None


def port_number(pod: Any, port: Any) -> int | None:
    """Where a service port leads in this pod; None where it has no port of that name."""
    target = port.targetPort
    if type(target) is int:
        return target
    sidecars = [c for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    for container in (*pod.spec.containers, *sidecars):
        for offered in container.ports:
            if offered.name == target and offered.protocol == port.protocol:
                return offered.containerPort
    return None


def pod_reference(pod: Any) -> dict[str, str]:
    """The targetRef of an endpoint."""
    meta = pod.metadata
    return {"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid}


def is_headless(service: Any) -> bool:
    return service.spec.clusterIP == "None"


def has_cluster_ip(service: Any) -> bool:
    return service.spec.clusterIP not in (None, "", "None")


class PerPod(Generic[V]):
    """What `compute(service, pod)` said of the pods of a service, asked again only of those that changed since."""

    def __init__(self, compute: Callable[[Any, Any], V]) -> None:
        self._compute = compute
        self._known: dict[Key, tuple[Any, dict[Key, tuple[Any, V]]]] = {}

    def of(self, service: Any, pods: Mapping[Key, Any]) -> list[V]:
        """In the order of `pods`."""
        key, compute = key_of(service), self._compute
        last, known = self._known.get(key) or (None, {})
        if last is not service:
            known = {}
        now: dict[Key, tuple[Any, V]] = {}
        for name, pod in pods.items():
            entry = known.get(name)
            now[name] = entry if entry is not None and entry[0] is pod else (pod, compute(service, pod))
        self._known[key] = service, now
        return [value for _, value in now.values()]

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    def forget_all(self) -> None:
        """Something else that `compute` looks at has changed."""
        self._known.clear()


# -- when did it happen ----------------------------------------------------------------------------------------


class TriggerTimes:
    """Per service: when the change happened that a new state of its endpoints answers to.

    Times are RFC 3339 with seconds, which compare as text.
    """

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[str, dict[str, str]]] = {}

    def of(self, service: Any, pods: Iterable[Any]) -> str:
        """The earliest time that was not there when asked last; a new service's own; "" where nothing is new."""
        key, created = key_of(service), service.metadata.creationTimestamp or ""
        known = self._seen.get(key)
        now = {pod.metadata.name: since for pod in pods if (since := ready_since(pod))}
        self._seen[key] = created, now
        if known is None:
            return created
        before_created, before = known
        fresh = [since for name, since in now.items() if since > before.get(name, "")]
        if created > before_created:
            fresh.append(created)
        return min(fresh, default="")

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)


def ready_since(pod: Any) -> str | None:
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return condition.lastTransitionTime
    return None


def with_trigger_time(annotations: Mapping[str, str], trigger: str) -> dict[str, str]:
    """The annotations of endpoints that answer to a change at `trigger`."""
    rest = {key: value for key, value in annotations.items() if key != TRIGGER_TIME}
    return {**rest, TRIGGER_TIME: trigger} if trigger else rest
