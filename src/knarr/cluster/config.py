"""What a cluster is made of: every setting of `knarr up` and of the test fixture, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knarr.apiserver.limits import Limits
from knarr.auth.configuration.settings import AuthenticationSettings, AuthorizationSettings

if TYPE_CHECKING:
    from knarr.apiserver.audit.options import AuditOptions

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"
#: where 256 nodes with a /24 each are not enough
LARGE_POD_CIDR = "10.128.0.0/9"


@dataclass(frozen=True)
class Config:
    """`data_dir` None keeps everything in memory; `port` 0 lets the system choose; `secure_port` False serves nobody
    outside this process."""

    name: str = "knarr"
    data_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    serve: bool = True
    nodes: int = 1
    runtime: str = "simulated"  # simulated, process
    service_cidrs: tuple[str, ...] = (SERVICE_CIDR,)
    pod_cidr: str = POD_CIDR
    node_ports: tuple[int, int] = (30000, 32767)
    #: a token of system:masters besides the client certificate; drawn when empty
    admin_token: str = ""
    #: who may come in, and what they may do
    authentication: AuthenticationSettings = AuthenticationSettings()
    authorization: AuthorizationSettings = AuthorizationSettings()
    controllers: bool = True
    scheduler: bool = True
    #: etcd's: "periodic" (seconds) or "revision" (how many), "" is off
    compaction_mode: str = "periodic"
    compaction_retention: float = 300.0
    quota_bytes: int = 8 << 30
    #: the API server's load, times and end
    limits: Limits = Limits()
    #: what is recorded of requests, and where
    audit: AuditOptions | None = None
    #: certificates (PEM) that kube-root-ca.crt and token secrets hold; None is the cluster's own authority
    root_ca: str | None = None
    #: seeds every draw of the cluster; None is the operating system's chance
    seed: int | None = None

    @property
    def pod_network(self) -> str:
        """The network that nodes get their /24 from."""
        return LARGE_POD_CIDR if self.pod_cidr == POD_CIDR and self.nodes > 250 else self.pod_cidr
