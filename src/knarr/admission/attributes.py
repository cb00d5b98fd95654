"""One write (or connect) as admission plugins see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from knarr.admission.reinvocation import Reinvocation
from knarr.meta import errors
from knarr.registry.context import Request, UserInfo

Object = dict[str, Any]

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


class Target(NamedTuple):
    """What a plugin chooses its requests by; a chain is worked out once per target."""

    group: str
    resource: str
    subresource: str
    operation: str


@dataclass(slots=True, eq=False)
class Attributes:
    """`obj` is the object to be stored (None for DELETE), `old` the stored one (None for CREATE and CONNECT).

    Objects are dicts in wire form. Mutating plugins change `obj` in place; `old` is shared and never changed.
    `kind` is (group, version, kind) of `obj`; a subresource's own kind where it has one (Binding, Scale, ...).
    `options` is the CreateOptions, UpdateOptions, DeleteOptions, or the connect options.
    """

    request: Request
    operation: str
    kind: tuple[str, str, str]
    # `| Any`: plugins know by their operation whether there is one
    obj: Object | Any = None
    old: Object | Any = None
    options: Object = field(default_factory=dict)
    #: set by the first policy or webhook that changes the object
    reinvocation: Reinvocation | None = None

    @property
    def target(self) -> Target:
        request = self.request
        return Target(request.group, request.resource, request.subresource, self.operation)

    @property
    def namespace(self) -> str:
        return self.request.namespace

    @property
    def user(self) -> UserInfo:
        return self.request.user

    @property
    def dry_run(self) -> bool:
        return self.request.dry_run

    @property
    def name(self) -> str:
        """The object's name; empty while a generateName has not been resolved."""
        return self.request.name or ((self.obj or {}).get("metadata") or {}).get("name", "")

    @property
    def described_name(self) -> str:
        """The name for messages: before a name is generated, its prefix."""
        if self.name:
            return self.name
        if self.obj is None:
            return "Unknown"
        return (self.obj.get("metadata") or {}).get("generateName") or "Unknown"

    def forbidden(self, why: str) -> errors.StatusError:
        """403 in the words of an admission plugin."""
        request = self.request
        return errors.forbidden(request.group, request.resource, self.described_name, why)
