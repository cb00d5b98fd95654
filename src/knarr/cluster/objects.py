"""The registry of a cluster, and what writes of some kinds do besides storing."""

from __future__ import annotations

from knarr.cluster.config import Config
from knarr.registry import devices
from knarr.registry.certificates import CertificateHook
from knarr.registry.registry import Registry
from knarr.registry.services import ServiceHook
from knarr.store.base import Store
from knarr.world import World


def open_registry(config: Config, world: World, store: Store) -> tuple[Registry, ServiceHook]:
    """The hook that allots addresses and ports comes along: it is told when to read what is taken."""
    registry = Registry(store, world)
    registry.event_ttl_seconds = int(config.limits.event_ttl)
    services = ServiceHook(registry, config.service_cidrs, config.node_ports)
    registry.hooks["", "services"] = services
    registry.hooks["certificates.k8s.io", "certificatesigningrequests"] = CertificateHook(world.clock)
    devices.register(registry)
    return registry, services
