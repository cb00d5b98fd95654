"""The controllers of kube-controller-manager, by the names it gives them.

One line of `CONTROLLERS` plugs one in: its module is imported only when it is started. A controller is a class
derived from `client.controller.Controller` (most from `base.KubeController`) with a class attribute `name` and a
constructor `(client, informers, world)`; `client` acts as the controller's own service account. What else it is told
of the cluster it names in its class attribute `settings` and takes as keywords of these names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from knarr.client.client import Client
from knarr.client.controller import Controller
from knarr.client.informer import SharedInformers
from knarr.world import World

__all__ = ["CONTROLLERS", "MANAGER", "ControllerManager", "start_all"]

#: the user agent, and so the field manager, of every controller
MANAGER = "kube-controller-manager"
USER = "system:kube-controller-manager"
SERVICE_ACCOUNT_GROUPS = (
    "system:serviceaccounts",
    "system:serviceaccounts:kube-system",
    "system:authenticated",
)

#: what a namespace needs before anything can be put into it; name -> "module:class"
FIRST: dict[str, str] = {
    "serviceaccount-controller": "knarr.controllers.serviceaccount:ServiceAccountController",
    "root-ca-certificate-publisher-controller": "knarr.controllers.rootca:RootCAPublisher",
    "namespace-controller": "knarr.controllers.namespace:NamespaceController",
}
CONTROLLERS: dict[str, str] = {
    **FIRST,
    # the others by name
    "bootstrap-signer-controller": "knarr.controllers.bootstrapsigner:BootstrapSigner",
    "certificatesigningrequest-approving-controller": "knarr.controllers.certificates:CSRApprovingController",
    "certificatesigningrequest-cleaner-controller": "knarr.controllers.certificates:CSRCleanerController",
    "certificatesigningrequest-signing-controller": "knarr.controllers.certificates:CSRSigningController",
    "clusterrole-aggregation-controller": "knarr.controllers.clusterroleaggregation:ClusterRoleAggregationController",
    "cronjob-controller": "knarr.controllers.cronjob:CronJobController",
    "daemonset-controller": "knarr.controllers.daemonset:DaemonSetController",
    "deployment-controller": "knarr.controllers.deployment:DeploymentController",
    "device-taint-eviction-controller": (
        "knarr.controllers.devicetainteviction:DeviceTaintEvictionController"
    ),
    "disruption-controller": "knarr.controllers.disruption:DisruptionController",
    "endpoints-controller": "knarr.controllers.endpoints:EndpointsController",
    "endpointslice-controller": "knarr.controllers.endpointslice:EndpointSliceController",
    "endpointslice-mirroring-controller": "knarr.controllers.endpointslicemirroring:EndpointSliceMirroringController",
    "ephemeral-volume-controller": "knarr.controllers.ephemeralvolume:EphemeralVolumeController",
    "garbage-collector-controller": "knarr.controllers.garbagecollector:GarbageCollector",
    "horizontal-pod-autoscaler-controller": "knarr.controllers.podautoscaler:HorizontalPodAutoscalerController",
    "job-controller": "knarr.controllers.job:JobController",
    "legacy-serviceaccount-token-cleaner-controller": "knarr.controllers.legacytokencleaner:LegacyTokenCleaner",
    "node-ipam-controller": "knarr.controllers.nodeipam:NodeIPAMController",
    "node-lifecycle-controller": "knarr.controllers.nodelifecycle:NodeLifecycleController",
    "persistentvolume-binder-controller": "knarr.controllers.persistentvolume:PersistentVolumeController",
    "persistentvolume-expander-controller": "knarr.controllers.volumeexpand:VolumeExpandController",
    "persistentvolume-protection-controller": "knarr.controllers.pvprotection:PVProtectionController",
    "persistentvolumeclaim-protection-controller": "knarr.controllers.pvcprotection:PVCProtectionController",
    "pod-garbage-collector-controller": "knarr.controllers.podgc:PodGarbageCollector",
    "replicaset-controller": "knarr.controllers.replicaset:ReplicaSetController",
    "replicationcontroller-controller": "knarr.controllers.replicationcontroller:ReplicationControllerController",
    "resourceclaim-controller": "knarr.controllers.resourceclaim:ResourceClaimController",
    "resourcequota-controller": "knarr.controllers.resourcequota:ResourceQuotaController",
    "service-cidr-controller": "knarr.controllers.servicecidrs:ServiceCIDRController",
    "serviceaccount-token-controller": "knarr.controllers.serviceaccounttoken:ServiceAccountTokenController",
    "statefulset-controller": "knarr.controllers.statefulset:StatefulSetController",
    "taint-eviction-controller": "knarr.controllers.tainteviction:TaintEvictionController",
    "token-cleaner-controller": "knarr.controllers.tokencleaner:TokenCleanerController",
    "ttl-after-finished-controller": "knarr.controllers.ttlafterfinished:TTLAfterFinishedController",
    "ttl-controller": "knarr.controllers.ttl:TTLController",
    "validatingadmissionpolicy-status-controller": (
        "knarr.controllers.validatingadmissionpolicystatus:ValidatingAdmissionPolicyStatusController"
    ),
    "volumeattributesclass-protection-controller": "knarr.controllers.vacprotection:VACProtectionController",
}

#: controllers that act as the manager itself, not as an account of their own
WITHOUT_ACCOUNT = frozenset(
    {
        "bootstrap-signer-controller",
        "serviceaccount-token-controller",
        "taint-eviction-controller",
        "token-cleaner-controller",
    }
)
#: accounts of controllers that have nothing to do here; who looks for them finds them
MORE_ACCOUNTS = ("attachdetach-controller",)

#: makes a client that acts as (user, groups) and signs its writes as a manager
ClientFactory = Callable[[str, tuple[str, ...], str], Client]


class ControllerManager:
    """Running controllers and the informers they share."""

    def __init__(self, informers: SharedInformers) -> None:
        self.informers = informers
        self.controllers: dict[str, Controller] = {}

    @property
    def accounts(self) -> list[str]:
        """The service accounts, in kube-system, that the controllers act as."""
        own = {
            getattr(controller, "service_account", "") or name
            for name, controller in self.controllers.items()
            if name not in WITHOUT_ACCOUNT
        }
        return sorted(own.union(MORE_ACCOUNTS))

    async def start(self, controllers: Mapping[str, Controller]) -> None:
        """Returns once all that these read has synced and their workers run."""
        self.controllers |= controllers
        await asyncio.gather(*(controller.start() for controller in controllers.values()))

    async def stop(self) -> None:
        """Cancel what is under way; nothing is written afterwards."""
        await asyncio.gather(*(controller.stop() for controller in self.controllers.values()))
        await self.informers.stop()


async def start_all(
    client_factory: ClientFactory,
    world: World,
    *,
    only: Iterable[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ControllerManager:
    """Start every controller of the table, or those named. Raises KeyError for a name that is not in it.

    `settings`: what the controllers are told of the cluster, by the names that they list (`root_ca`, `pod_cidrs` ...).
    """
    informers = SharedInformers(_client(client_factory, world, USER, ("system:authenticated",)))

    def make(name: str) -> Controller:
        controller_class = _load(CONTROLLERS[name])
        account = getattr(controller_class, "service_account", "") or name
        user = f"system:serviceaccount:kube-system:{account}"
        client = _client(client_factory, world, user, SERVICE_ACCOUNT_GROUPS)
        told = {
            key: settings[key] for key in getattr(controller_class, "settings", ()) if key in (settings or {})
        }
        return controller_class(client, informers, world, **told)  # type: ignore[no-any-return]

    manager = ControllerManager(informers)
    wanted = list(CONTROLLERS if only is None else only)
    await manager.start({name: make(name) for name in wanted if name in FIRST})
    others = {}
    for name in wanted:
        if name not in FIRST:
            others[name] = make(name)
            await asyncio.sleep(0)  # the first ones write meanwhile: pods wait for accounts
    await manager.start(others)
    return manager


def _client(factory: ClientFactory, world: World, user: str, groups: tuple[str, ...]) -> Client:
    """What the factory makes, on this world's clock."""
    made = factory(user, groups, MANAGER)
    return Client(made.transport, MANAGER, world=world)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
