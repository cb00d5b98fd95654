"""Who asks for what: the facts about one request that layers below HTTP need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class UserInfo:
    """An authenticated user, as in authentication.k8s.io."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = UserInfo("system:anonymous", groups=("system:unauthenticated",))
#: in-process parts of the control plane that need no identity of their own
LOOPBACK = UserInfo("system:apiserver", groups=("system:authenticated", "system:masters"))


class Audit(Protocol):
    """What the layers below HTTP tell the audit log of a request (apiserver/audit)."""

    def object_sent(self, obj: Mapping[str, Any], kind: str = "", api_version: str = "") -> None:
        """The decoded body."""

    def patch_sent(self, patch: bytes) -> None:
        """The body of a patch, as it came."""

    def took(self, part: str, seconds: float, at_once: bool = False) -> None:
        """How long a part of the work took; of those that are done `at_once` the longest counts."""


@dataclass(slots=True)
class Request:
    """One request after it was parsed and its user is known.

    For a resource request `resource` is set; otherwise `path` says it all. `verb` is Kubernetes' (get, list, watch,
    create, update, patch, delete, deletecollection, or the lower-case method for a non-resource path).
    """

    verb: str
    path: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    user: UserInfo = LOOPBACK
    user_agent: str = ""
    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"  # Ignore, Warn, Strict
    force: bool = False
    #: who asks looks at metadata only and changes nothing else: no webhook need convert the rest
    metadata_only: bool = False
    query: dict[str, str] = field(default_factory=dict)
    #: CreateOptions, UpdateOptions ... as admission sees them
    options: dict[str, object] = field(default_factory=dict)
    #: the body that was decoded, where messages depend on what decoding drops (registry/decode.py)
    sent: bytes = b""
    #: where the body has empty lists that are stored as null (registry/decode.py)
    empty: list[tuple[str | int, ...]] = field(default_factory=list)
    #: of a client of this process: nobody reads warnings
    quiet: bool = False
    #: texts for Warning headers, in order
    warnings: list[str] = field(default_factory=list)
    #: audit annotations
    annotations: dict[str, str] = field(default_factory=dict)
    #: who records what is sent, where the audit policy wants that
    audit: Audit | None = None

    #: asked before a patch or an update creates what is not there: raises 403 unless the user may
    may_create: Callable[[Request], Awaitable[None]] | None = None

    def warn(self, text: str) -> None:
        if text and text not in self.warnings:
            self.warnings.append(text)

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)
