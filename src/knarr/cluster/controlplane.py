"""An API server over a store: registry, admission, identities and, where wanted, the secure port."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knarr.admission.chain import Chain
from knarr.admission.defaults import default_plugins
from knarr.admission.policies.access import ParameterAccess
from knarr.admission.policies.plugins import MutatingAdmissionPolicy, ValidatingAdmissionPolicy
from knarr.admission.webhooks.counts import Counts
from knarr.api.nodeapi import NodeConnections
from knarr.apiserver import streaming
from knarr.apiserver.aggregation.aggregation import Aggregation
from knarr.apiserver.discovery import Discovery
from knarr.apiserver.flowdebug import FlowDebug
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import Health
from knarr.apiserver.inflight import InFlight
from knarr.apiserver.metrics import Family, Metrics
from knarr.apiserver.openapi.serve import OpenAPI
from knarr.apiserver.paths import Pages
from knarr.apiserver.server import Server
from knarr.apiserver.watch import Watches
from knarr.auth.claimstatus import ClaimStatusGuard
from knarr.auth.discovery import KEYS_PATH
from knarr.auth.escalation import EscalationGuard
from knarr.auth.impersonation import Impersonated, Impersonation, wanted_user
from knarr.auth.pki import PKI
from knarr.auth.requestheader import RequestHeaders
from knarr.auth.reviews import Reviews
from knarr.client.client import Client
from knarr.client.inprocess import InProcess
from knarr.cluster import bootstrap, subresources
from knarr.cluster.admission import AdmissionGate
from knarr.cluster.authenticationtrust import AuthenticationTrust
from knarr.cluster.config import Config
from knarr.cluster.identities import Identities
from knarr.cluster.openid import OpenIDDocuments
from knarr.cluster.services import ServiceResolver
from knarr.egress import Egress
from knarr.flowcontrol.controller import FlowController
from knarr.meta import times
from knarr.registry import devices
from knarr.registry.certificates import CertificateHook
from knarr.registry.context import Request
from knarr.registry.custom.establish import CustomResources
from knarr.registry.equivalents import Equivalents
from knarr.registry.local import LocalAPI
from knarr.registry.operations import Operations
from knarr.registry.registry import Registry
from knarr.registry.services import ServiceHook
from knarr.store.base import Store
from knarr.world import World
from knarr.world.network import advertise_address

if TYPE_CHECKING:
    from knarr.apiserver.audit.options import AuditOptions

#: addresses that others cannot reach this machine by
NOWHERE = ("localhost", "0.0.0.0", "::", "::1")


class ControlPlane:
    """The API server of one cluster. `start` returns when it answers."""

    def __init__(self, config: Config, world: World, store: Store) -> None:
        self.config, self.world, self.store = config, world, store
        directory = config.data_dir / "pki" if config.data_dir is not None else None
        self.registry = Registry(store, world)
        self.operations = Operations(self.registry)
        self.services = ServiceHook(self.registry, config.service_cidrs, config.node_ports)
        self.registry.hooks["", "services"] = self.services
        self.registry.hooks["certificates.k8s.io", "certificatesigningrequests"] = CertificateHook(
            world.clock
        )
        devices.register(self.registry)
        self.pki = PKI(directory, world.clock, world.chance, (self.services.first_address, config.host))
        self.token = config.admin_token or self._kept_token(directory)
        local = LocalAPI(self.operations)
        self.local: Any = local
        #: the kubelets that answer for their nodes
        self.nodes = NodeConnections()
        resolver = ServiceResolver(self.registry, self.nodes, world.chance, self._listening)
        #: calls to webhooks
        self.egress = Egress(resolver, world.clock)
        self.server: Server | None = None
        self.ready = False

        self.identities = Identities(config, self.registry, world, self.pki, self.token)
        self.authorizers = self.identities.authorizers
        self.authenticator = self.identities.authenticator
        self.issuer = self.identities.issuer
        self._acting_as = Impersonation(self.authorizers)
        if self.pki.has_front_proxy:
            proxy = self.pki.front_proxy_ca.read.subject
            self.authenticator.front_proxy = RequestHeaders(proxy, world.clock)
        config.limits.check()
        self.registry.event_ttl_seconds = int(config.limits.event_ttl)
        fair = config.serve and config.limits.enable_priority_and_fairness
        self.flow: FlowController | None = None
        if fair:
            self.flow = FlowController(self.registry, world.clock, config.limits.seats, self.registry)
        self._upkeep: asyncio.Task[None] | None = None
        self.handler = APIHandler(
            self.operations,
            self.authenticator,
            self.authorizers,
            world,
            impersonate=self._impersonate,
            flow=self.flow,
            limits=config.limits,
        )
        if config.serve and not fair:
            limits = config.limits
            self.handler.in_flight = InFlight(
                limits.max_requests_inflight, limits.max_mutating_requests_inflight
            )
        if self.flow is not None:
            FlowDebug(self.handler, self.flow)
        if config.audit is not None:
            self._audit(config.audit)
        self.reviews = Reviews(self.authenticator, self.authorizers, world.clock)
        webhook_counts = Counts()
        plugins = default_plugins(self.registry, world, self.authorizers, self.egress.post, webhook_counts)
        access = ParameterAccess(self.registry, Equivalents(self.registry), self.authorizers)
        guards = [EscalationGuard(self.identities.rbac, self.authorizers), ClaimStatusGuard(self.authorizers)]
        self.registry.admission = AdmissionGate(Chain([*plugins, *guards, access]))
        subresources.register(self)
        Watches(self.registry, self.handler, world)
        streaming.register(self.handler, self.registry, self.nodes)
        self.openapi = OpenAPI(self.registry, self.handler)
        #: other API servers, and the APIServices of custom groups
        self.aggregation = Aggregation(
            self.registry,
            self.handler,
            resolver,
            self.pki.front_proxy_client,
            self.openapi.forget,
            lambda api: setattr(local, "elsewhere", api),
        )
        self.openapi.elsewhere = self.aggregation
        self.trust = AuthenticationTrust(self.registry, self.pki, self.identities.client_authorities)
        self.custom_resources = CustomResources(self.operations, self._publish_custom, self.egress.post)
        health = Health(self.handler, self._store_check, lambda: None if self.ready else "not finished")
        self.metrics = Metrics(
            self.registry, self.handler, health, lambda: getattr(self.store, "bytes_in_use", 0)
        )
        self.metrics.sources.append(lambda: map(Family._make, webhook_counts.families()))
        self.metrics.sources.append(self.aggregation.metrics)
        for policies in (
            p for p in plugins if isinstance(p, ValidatingAdmissionPolicy | MutatingAdmissionPolicy)
        ):
            counts = policies.counts
            self.metrics.sources.append(lambda counts=counts: map(Family._make, counts.families()))
        pages = Pages(self.registry, self.handler, health, self._flags)
        pages.elsewhere = lambda: self.aggregation.remote

    def _audit(self, options: AuditOptions) -> None:
        """Record requests, those of this process's own clients among them. Raises AuditError."""
        from knarr.apiserver.audit.auditor import open_auditor
        from knarr.apiserver.audit.inprocess import AuditedAPI

        auditor = open_auditor(options, self.world)
        if auditor is not None:
            self.handler.auditor = auditor
            self.local = AuditedAPI(self.local, auditor, self.world)

    def _store_check(self) -> str | None:
        failure = getattr(self.store, "failure", None)
        return None if failure is None else f"the store cannot write: {failure}"

    def _flags(self) -> dict[str, str]:
        """The settings of this cluster by the names of kube-apiserver's flags, as far as it has them."""
        config = self.config
        audit = config.audit
        low, high = config.node_ports
        return {
            "bind-address": config.host,
            "event-ttl": times.format_go_duration(config.limits.event_ttl),
            "audit-log-path": audit.log.path if audit else "",
            "audit-policy-file": audit.policy_file if audit else "",
            "audit-webhook-config-file": audit.webhook.config_file if audit else "",
            "enable-priority-and-fairness": str(config.limits.enable_priority_and_fairness).lower(),
            "goaway-chance": f"{config.limits.goaway_chance:g}",
            "livez-grace-period": times.format_go_duration(config.limits.livez_grace_period),
            "max-mutating-requests-inflight": str(config.limits.max_mutating_requests_inflight),
            "max-requests-inflight": str(config.limits.max_requests_inflight),
            "min-request-timeout": f"{config.limits.min_request_timeout:g}",
            "request-timeout": times.format_go_duration(config.limits.request_timeout),
            "shutdown-delay-duration": times.format_go_duration(config.limits.shutdown_delay_duration),
            "shutdown-send-retry-after": str(config.limits.shutdown_send_retry_after).lower(),
            "secure-port": str(self.server.port if self.server else config.port),
            "service-cluster-ip-range": ",".join(config.service_cidrs),
            "service-node-port-range": f"{low}-{high}",
            **self.identities.flags(),
        }

    def _publish_custom(self) -> None:
        from knarr.apiserver.openapi import custom

        custom.publish(self.openapi, self.custom_resources.definitions.values())

    def _kept_token(self, directory: Path | None) -> str:
        """The admin token: drawn once, kept beside the certificates."""
        if directory is None:
            return self.world.chance.token(16)
        path = directory / "admin.token"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text().strip()
        token = self.world.chance.token(16)
        path.touch(mode=0o600)
        path.write_text(token + "\n")
        return token

    async def _impersonate(self, request: Request, headers: list[tuple[str, str]]) -> Impersonated:
        wanted = wanted_user(headers)
        if wanted is None:
            return Impersonated(request.user)
        return await self._acting_as(request, wanted)

    def _advertised(self) -> str:
        """The address in the kubernetes service's endpoints."""
        host = self.config.host
        return advertise_address() if host.startswith("127.") or host in NOWHERE else host

    def _listening(self) -> tuple[str, int] | None:
        """Where this API server is reached on this machine."""
        if self.server is None:
            return None
        host = self.config.host
        return ("127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host, self.server.port)

    async def start(self) -> None:
        """Write what a new cluster holds, listen, be ready. Raises PortInUse."""
        config = self.config
        self.services.load()
        self.custom_resources.start()
        self.aggregation.start()
        port = 6443
        if config.serve:
            self.server = Server(self.handler, self.pki.server_context(self.identities.client_authorities))
            await self.server.start(config.host, config.port)
            port = self.server.port
        OpenIDDocuments(
            self.handler,
            self.issuer.issuer_url,
            config.authentication.service_account_jwks_uri
            or f"https://{bracketed(config.host)}:{port}{KEYS_PATH}",
            self.identities.verifiers,
        )
        discovery = Discovery(self.registry, self.handler, f"{bracketed(config.host)}:{port}")
        discovery.aggregation = self.aggregation
        wanted = bootstrap.objects(
            self._advertised(),
            port,
            config.service_cidrs,
            self.services.first_address,
            self.world.clock.now(),
        )
        await bootstrap.write(self.registry, wanted)
        if self.flow is not None:
            self._upkeep = asyncio.create_task(self.flow.run())
        self.identities.start()
        self.trust.start()
        self.ready = self.registry.started = True

    async def linger(self) -> None:
        """About to stop: not ready any more, but serving until those who look at that have noticed."""
        self.handler.ending = True
        if self.server is not None and (seconds := self.config.limits.shutdown_delay_duration):
            await asyncio.sleep(seconds)

    async def stop(self) -> None:
        """End watches, stop listening."""
        self.handler.ending = True
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        self.aggregation.close()
        self.trust.close()
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
        return Client(InProcess(self.local, user, groups, manager), manager=manager, world=self.world)


def bracketed(host: str) -> str:
    """An address as it stands before a port."""
    return f"[{host}]" if ":" in host else host
