"""Who asks for what: the facts about one request that layers below HTTP need."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    query: dict[str, str] = field(default_factory=dict)
    #: CreateOptions, UpdateOptions ... as admission sees them
    options: dict[str, object] = field(default_factory=dict)
    #: the body that was decoded, where messages depend on what decoding drops (registry/decode.py)
    sent: bytes = b""
    #: where the body has empty lists that are stored as null (registry/decode.py)
    empty: list[tuple[str | int, ...]] = field(default_factory=list)
    #: texts for Warning headers, in order
    warnings: list[str] = field(default_factory=list)
    #: audit annotations
    annotations: dict[str, str] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        if text and text not in self.warnings:
            self.warnings.append(text)

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)
