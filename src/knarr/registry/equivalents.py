"""Resources that hold the same objects: the served versions of a resource, and events in both of their groups.

Admission rules name resources by group and version. With matchPolicy Equivalent a rule also covers requests through
another version, and whoever it calls sees the object in the version that the rule names.
"""

from __future__ import annotations

from knarr.api import catalog
from knarr.api.resources import Resource
from knarr.registry import versions
from knarr.registry.registry import Registry
from knarr.registry.storage import Object, View

#: (group, version, resource) or (group, version, kind)
Triple = tuple[str, str, str]


class Equivalents:
    """What a registry serves under several names."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def of(self, group: str, resource: str, subresource: str = "") -> list[Triple]:
        """All names of a resource (those that have the subresource), its own among them."""
        rows = self._rows(group, resource)
        return [
            (r.group, r.version, r.name) for r in rows if not subresource or subresource in r.subresources
        ]

    def _rows(self, group: str, resource: str):
        if catalog.is_built_in(group):
            stored = _stored(group, resource)
            return [row for gvr, row in catalog.BY_GVR.items() if _stored_as(gvr) == stored]
        custom = self._registry.custom
        return [view.row for (g, _, name), view in custom.items() if (g, name) == (group, resource)]

    def kind(self, resource: Triple, subresource: str = "") -> Triple | None:
        """What requests to a resource or subresource hold; None for what is not served."""
        view = self._registry.view(*resource)
        if view is None:
            return None
        row = view.row
        if not subresource:
            return row.group, row.version, row.kind
        found = row.subresources.get(subresource)
        if found is None:
            return None
        kind, api_version, _ = found
        group, _, version = (api_version or row.api_version).rpartition("/")
        return group, version, kind

    def resource_of(self, kind: Triple) -> Resource | None:
        """The resource that objects of a kind are served as."""
        found = catalog.BY_GVK.get(kind)
        if found is not None:
            return found
        group, version, name = kind
        for view in self._registry.custom.values():
            if (view.row.group, view.row.version, view.row.kind) == (group, version, name):
                return view.row
        return None

    def view(self, resource: Triple, kind: Triple | None = None) -> View:
        """Decoding, defaults and schema of what requests to `resource` hold; see `shown` for `kind`."""
        view = self._registry.view(*resource)
        assert view is not None
        return view if kind is None or kind == view.gvk else self._registry.open_request_view(*kind, view)

    async def shown(self, obj: Object, resource: Triple, kind: Triple | None = None) -> Object:
        """An object as the registry holds it on its way to the store, in the version of `resource`.

        `kind` is given for what subresources have kinds of their own for (Scale, Binding): these have one version.
        With kind and apiVersion first. Shares with `obj` what does not differ: not to be changed. Raises StatusError
        where a conversion webhook fails.
        """
        view = self._registry.view(*resource)
        assert view is not None
        if kind is not None and kind != view.gvk:
            group, version, name = kind
            return _typed(obj, name, f"{group}/{version}" if group else version)
        if view.conversion is not None:
            obj = await view.conversion.between(obj, view.row.api_version)
        elif view.to_served is not None and not view.custom:
            obj = view.to_served(obj)
        return _typed(obj, view.row.kind, view.row.api_version)

    async def held(self, obj: Object, resource: Triple, kind: Triple, like: Object) -> Object:
        """The way back: `like` is the object that `shown` was given."""
        view = self._registry.view(*resource)
        assert view is not None
        if kind == view.gvk:
            if view.conversion is not None:
                obj = await view.conversion.between(obj, like["apiVersion"])
            elif view.to_stored is not None:
                obj = view.to_stored(obj)
        type_ = {key: like[key] for key in ("kind", "apiVersion") if key in like}
        return {**type_, **{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}}


def _typed(obj: Object, kind: str, api_version: str) -> Object:
    type_ = {"kind": kind, "apiVersion": api_version}
    return {**type_, **{key: value for key, value in obj.items() if key not in type_}}


def _stored_as(gvr: Triple) -> tuple[str, str]:
    group, _, resource = versions.STORED_AS.get(gvr, gvr)
    return group, resource


def _stored(group: str, resource: str) -> tuple[str, str]:
    for gvr in catalog.BY_GVR:
        if (gvr[0], gvr[2]) == (group, resource):
            return _stored_as(gvr)
    return group, resource
