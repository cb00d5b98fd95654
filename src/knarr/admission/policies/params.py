"""Parameters: the objects of a policy's paramKind that a binding's paramRef names or selects."""

from __future__ import annotations

from typing import Any

from knarr.admission.attributes import Attributes
from knarr.admission.matching import place_of
from knarr.admission.policies.constraints import ConfigurationError
from knarr.api.resources import Resource
from knarr.meta import labels
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader

Object = dict[str, Any]
NO_PARAMS: list[Object | None] = [None]
NOT_FOUND = "no params found for policy binding with `Deny` parameterNotFoundAction"


def resource_of(kind: Object | None, equivalents: Equivalents) -> Resource | None:
    """The resource behind a paramKind; None for no paramKind. Raises ConfigurationError for one nobody serves."""
    if kind is None:
        return None
    group, _, version = kind.get("apiVersion", "").rpartition("/")
    found = equivalents.resource_of((group, version, kind.get("kind", "")))
    if found is None:
        shown = f"{group}/{version}, Kind={kind.get('kind', '')}"
        raise ConfigurationError(f"failed to find resource referenced by paramKind: '{shown}'")
    return found


async def collect(
    resource: Resource | None, ref: Object | None, a: Attributes, equivalents: Equivalents, reader: Reader
) -> list[Object | None]:
    """One evaluation for each; [None] where the policy or the binding uses no parameters, [] where there are none.

    Raises ConfigurationError.
    """
    if resource is None or ref is None:
        return NO_PARAMS
    namespace = _namespace(resource, ref, a)
    objects = _objects(resource, ref, namespace, reader)
    if not objects and ref.get("parameterNotFoundAction") == "Deny":
        raise ConfigurationError(NOT_FOUND)
    shown = resource.group, resource.version, resource.name
    return [await equivalents.shown(obj, shown) for obj in objects]


def _namespace(resource: Resource, ref: Object, a: Attributes) -> str:
    own = ref.get("namespace", "")
    if not resource.namespaced:
        if own:
            raise ConfigurationError(
                "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
            )
        return ""
    namespace = own or place_of(a)
    if not namespace:
        raise ConfigurationError(
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        )
    return namespace


def _objects(resource: Resource, ref: Object, namespace: str, reader: Reader) -> list[Object]:
    name = ref.get("name")
    if name:
        found = reader.get(resource.group, resource.name, namespace, name)
        return [] if found is None else [found]
    selector = labels.from_label_selector(ref.get("selector"))
    return [
        obj
        for obj in reader.list(resource.group, resource.name, namespace)
        if selector.matches(obj["metadata"].get("labels") or {})
    ]
