"""An API server over a store: registry, admission, identities and, where wanted, the secure port."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

from knarr.api.nodeapi import NodeConnections
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import VERSION
from knarr.apiserver.inflight import InFlight
from knarr.apiserver.server import Server
from knarr.auth.pki import PKI
from knarr.auth.reviews import Reviews
from knarr.auth.satokens import PREFIX
from knarr.client.client import Client
from knarr.client.inprocess import InProcess
from knarr.cluster import addresses, bootstrap, leases, subresources, upkeep
from knarr.cluster.addresses import bracketed
from knarr.cluster.admintoken import kept_token
from knarr.cluster.admission import AdmissionGate
from knarr.cluster.authenticationtrust import AuthenticationTrust
from knarr.cluster.config import Config
from knarr.cluster.identities import Identities
from knarr.cluster.objects import open_registry
from knarr.cluster.plugins import Plugins
from knarr.cluster.services import ServiceResolver
from knarr.cluster.servingtls import ServingTLS
from knarr.cluster.surface import Surface
from knarr.egress import Egress
from knarr.flowcontrol.controller import FlowController
from knarr.registry.local import LocalAPI
from knarr.registry.operations import Operations
from knarr.store.base import Store
from knarr.world import World

if TYPE_CHECKING:
    from knarr.apiserver.audit.auditor import Auditor

#: the port of the kubernetes service where nobody outside this process is served
PORT = 6443


class ControlPlane:
    """The API server of one cluster. `start` returns when it answers."""

    def __init__(self, config: Config, world: World, store: Store) -> None:
        config.limits.check()
        self.config, self.world, self.store = config, world, store
        self.server: Server | None = None
        self._tls: ServingTLS | None = None
        self.ready = False

        self.registry, self.services = open_registry(config, world, store)
        self.operations = Operations(self.registry)

        directory = config.data_dir / "pki" if config.data_dir is not None else None
        self.pki = PKI(directory, world.clock, world.chance, (self.services.first_address, config.host))
        self.token = config.admin_token or kept_token(directory, world.chance)
        self.identities = Identities(config, self.registry, world, self.pki, self.token)
        identities = self.identities
        self.trust = AuthenticationTrust(self.registry, self.pki, identities.client_authorities)
        identities.on_authorities.append(lambda: self.trust.change(identities.client_authorities))

        #: the kubelets that answer for their nodes
        self.nodes = NodeConnections()
        self.service_resolver = ServiceResolver(self.registry, self.nodes, world.chance, self._listening)
        #: calls to webhooks
        self.egress = Egress(self.service_resolver, world.clock)
        self.plugins = Plugins(self.registry, world, self.identities, self.egress)
        self.registry.admission = AdmissionGate(self.plugins.chain)

        self.flow = self._flow()
        self._upkeep: list[asyncio.Task[None]] = []
        auditor = self._auditor()
        self.handler = APIHandler(
            self.operations,
            self.identities.authenticator,
            self.identities.authorizers,
            world,
            impersonate=self.identities.impersonation.by_headers,
            flow=self.flow,
            in_flight=self._in_flight(),
            auditor=auditor,
            limits=config.limits,
        )
        reviews = Reviews(self.identities.authenticator, self.identities.authorizers, world.clock)
        subresources.register(self, reviews)
        self.surface = Surface(self)
        #: what clients of this process meet
        self.local: Any = LocalAPI(self.operations, self.surface.aggregation)
        if auditor is not None:
            from knarr.apiserver.audit.inprocess import AuditedAPI

            self.local = AuditedAPI(self.local, auditor, world)

    def _flow(self) -> FlowController | None:
        limits = self.config.limits
        if not (self.config.serve and limits.enable_priority_and_fairness):
            return None
        return FlowController(self.registry, self.world.clock, limits.seats, self.registry)

    def _in_flight(self) -> InFlight | None:
        """What bounds requests without priority and fairness."""
        limits = self.config.limits
        if self.flow is not None or not self.config.serve:
            return None
        return InFlight(limits.max_requests_inflight, limits.max_mutating_requests_inflight)

    def _auditor(self) -> Auditor | None:
        """Who records requests, those of this process's own clients among them. Raises AuditError."""
        if self.config.audit is None:
            return None
        from knarr.apiserver.audit.auditor import open_auditor

        return open_auditor(self.config.audit, self.world)

    def _listening(self) -> tuple[str, int] | None:
        """Where this API server is reached on this machine."""
        if self.server is None:
            return None
        return addresses.on_this_machine(self.config.host), self.server.port

    async def start(self) -> None:
        """Write what a new cluster holds, listen, be ready. Raises PortInUse."""
        config = self.config
        self.services.load()
        self.surface.start()
        port = PORT
        if config.serve:
            self._tls = ServingTLS(self.pki, self.identities)
            self._tls.start()
            self.server = Server(self.handler, self._tls.context)
            await self.server.start(config.host, config.port)
            port = self.server.port
        self.surface.listening(port)
        wanted = list(
            bootstrap.objects(
                addresses.advertised(config.host),
                port,
                config.service_cidrs,
                self.services.first_address,
                self.world.clock.now(),
            )
        )
        kept = copy.deepcopy([item for item in wanted if item[:2] in upkeep.SECONDS])
        await bootstrap.write(self.registry, wanted)
        await self._settle()
        if self.flow is not None:
            self._upkeep.append(asyncio.create_task(self.flow.run()))
        if config.serve:
            self._upkeep.append(asyncio.create_task(upkeep.keep(self.registry, kept, self._settle)))
            holders = leases.holders(self.world, config.controllers, config.scheduler)
            self._upkeep.append(asyncio.create_task(leases.keep(self.client(), holders)))
        self.identities.start()
        self.trust.start()
        self.ready = self.registry.started = True

    async def _settle(self) -> None:
        client = self.client(manager="kube-apiserver")
        await bootstrap.settle_service_cidr(client, self.config.service_cidrs, self.world.clock.now())

    async def linger(self) -> None:
        """About to stop: not ready any more, but serving until those who look at that have noticed."""
        self.handler.ending = True
        if self.server is not None and (seconds := self.config.limits.shutdown_delay_duration):
            await asyncio.sleep(seconds)

    async def stop(self) -> None:
        """End watches, stop listening."""
        self.handler.ending = True
        for task in self._upkeep:
            task.cancel()
        await asyncio.gather(*self._upkeep, return_exceptions=True)
        self.surface.close()
        self.trust.close()
        if self._tls is not None:
            await self._tls.stop()
        if self.server is not None:
            await self.server.stop()
        await self.identities.stop()
        await self.egress.close()
        if self.handler.auditor is not None:
            await self.handler.auditor.close()
        self.registry.cache.close_all()

    @property
    def url(self) -> str:
        return f"https://{bracketed(self.config.host)}:{self.server.port if self.server else 0}"

    def client(self, user: str = "", groups: tuple[str, ...] = (), manager: str = "knarr") -> Client:
        """A client in this process, acting as `user` (the API server itself where empty)."""
        agent = user_agent(manager, user)
        return Client(InProcess(self.local, user, groups, agent), manager=manager, world=self.world)


def user_agent(manager: str, user: str) -> str:
    """What the audit log knows a part of Kubernetes by: client-go's words, and which controller it is."""
    if not manager.startswith("kube"):
        return manager
    version = VERSION["gitVersion"].partition("+")[0]
    agent = f"{manager}/{version} ({VERSION['platform']}) kubernetes/unknown"
    return f"{agent}/{user}" if user.startswith(PREFIX) else agent
