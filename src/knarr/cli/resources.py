"""What kubectl's users write (`po`, `deploy/web`, `pods,svc`) and what the API calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from knarr.cli.api import Server
from knarr.cli.say import Failure

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True)
class Type:
    """One resource of one version."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def qualified(self) -> str:
        """deployments.apps"""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def shown(self) -> str:
        """deployment.apps, as before the slash of a name"""
        return f"{self.singular}.{self.group}" if self.group else self.singular

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


@dataclass(frozen=True)
class Target:
    """One object, or (without a name) all of a type."""

    type: Type
    name: str = ""
    #: of a manifest that names its own
    namespace: str = ""


class Types:
    """Discovery, asked for once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._all: list[Type] = []

    def all(self) -> list[Type]:
        if not self._all:
            for path in ("/api", "/apis"):
                self._all += _types(self._server.get(path, accept=AGGREGATED))
        return self._all

    def forget(self) -> None:
        """Ask again: something new was defined."""
        self._all = []

    def find(self, text: str) -> Type:
        """By plural, singular, short name or kind, with or without `.group` or `.version.group`."""
        name, _, rest = text.lower().partition(".")
        for wanted in self.all():
            if name in _names(wanted) and _group_matches(wanted, rest):
                return wanted
        raise Failure(f'the server doesn\'t have a resource type "{text}"')

    def of_kind(self, api_version: str, kind: str) -> Type | None:
        """The type of an object in a manifest."""
        group, _, version = api_version.rpartition("/")
        return next(
            (one for one in self.all() if (one.kind, one.group, one.version) == (kind, group, version)), None
        )

    def expand(self, text: str) -> list[Type]:
        """`all` and other categories, and lists with commas."""
        found: list[Type] = []
        for part in text.split(","):
            members = [one for one in self.all() if part in one.categories]
            found += members or [self.find(part)]
        return list(dict.fromkeys(found))

    def targets(self, arguments: Sequence[str]) -> list[Target]:
        """TYPE, TYPE NAME ..., TYPE/NAME ..., TYPE,TYPE [NAME ...]."""
        if not arguments:
            raise Failure("you must specify the type of resource, for instance `knarr get pods`", 2)
        if any("/" in argument for argument in arguments):
            return [self._pair(argument) for argument in arguments]
        types = self.expand(arguments[0])
        names = arguments[1:]
        if not names:
            return [Target(one) for one in types]
        return [Target(one, name) for one in types for name in names]

    def _pair(self, text: str) -> Target:
        kind, slash, name = text.partition("/")
        if not slash:
            raise Failure(
                f'"{text}": there is a resource without a name among resources with one (TYPE/NAME)', 2
            )
        if not kind or not name or "/" in name:
            raise Failure(f'"{text}" is not of the form TYPE/NAME', 2)
        return Target(self.find(kind), name)


def several_types(arguments: Sequence[str], targets: Sequence[Target]) -> bool:
    """Names are then shown with their type before them."""
    return len({target.type for target in targets}) > 1 or bool(arguments and "," in arguments[0])


def _names(wanted: Type) -> tuple[str, ...]:
    return (wanted.plural, wanted.singular, *wanted.short_names, wanted.kind.lower())


def _group_matches(wanted: Type, rest: str) -> bool:
    if not rest or rest == wanted.group or f"{wanted.group}.".startswith(f"{rest}."):
        return True
    version, _, group = rest.partition(".")
    return (version, group) == (wanted.version, wanted.group)


def _types(document: dict[str, Any]) -> Iterator[Type]:
    for group in document.get("items", ()):
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions", ()):
            for row in version.get("resources", ()):
                yield Type(
                    group=name,
                    version=version["version"],
                    plural=row["resource"],
                    singular=row.get("singularResource") or row["resource"],
                    kind=row["responseKind"]["kind"],
                    namespaced=row["scope"] == "Namespaced",
                    verbs=tuple(row.get("verbs", ())),
                    short_names=tuple(row.get("shortNames", ())),
                    categories=tuple(row.get("categories", ())),
                )
