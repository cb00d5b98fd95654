"""What a request is about, and what is said of paths and methods that nothing is served by."""

from __future__ import annotations

import re

from knarr.api import catalog
from knarr.api.resources import Resource
from knarr.meta import errors, names
from knarr.meta.gofmt import quote
from knarr.registry.context import Request
from knarr.registry.registry import Registry
from knarr.registry.storage import View

#: verbs that are about one object by name
NAMED_VERBS = frozenset({"get", "update", "patch", "delete"})
#: where a version's warning says when it goes
GONE_IN = re.compile(r"unavailable in v(\d+\.\d+)\+").search


def find(registry: Registry, request: Request) -> View:
    """The view a request is about. Raises 404 for what is not served and 405 for verbs it does not know."""
    view = registry.view(request.group, request.version, request.resource)
    if (
        view is None
        or view.row.namespaced is False
        and request.namespace
        # a namespace itself is in its own
        and (request.resource != "namespaces" or request.name != request.namespace)
    ):
        raise nothing_there(request.group)
    if request.verb not in _verbs(view, request):
        raise _wrong_verb(view, request)
    if view.row.namespaced and not request.namespace:
        _check_all_namespaces(view, request)
    if not request.subresource:
        if view.custom:
            _settle_name(request)
        if bool(request.name) != (request.verb in NAMED_VERBS):
            if not (request.name and request.verb in ("list", "watch")):
                raise method_not_allowed()
    if why := names.path_segment_name(request.name):
        raise errors.bad_request(f"Name parameter invalid: {quote(request.name)}: {';'.join(why)}")
    if view.kind.deprecation:
        _warn_of_deprecation(request, view.kind.deprecation)
    return view


def nothing_there(group: str) -> errors.StatusError:
    """404 for a resource that is not served: a Status in built-in groups, bare text in groups nobody serves."""
    return errors.page_not_found() if catalog.is_built_in(group) else errors.PathNotFound()


def method_not_allowed() -> errors.StatusError:
    """405 in the router's words."""
    message = "the server does not allow this method on the requested resource"
    return errors.StatusError(errors.failure(405, "MethodNotAllowed", message, {}))


def _verbs(view: View, request: Request) -> tuple[str, ...]:
    row = view.row
    if not request.subresource:
        return row.verbs
    sub = row.subresources.get(request.subresource)
    if sub is not None:
        return sub[2]
    if view.custom:
        raise errors.not_found(row.group, row.name, request.name)
    raise errors.page_not_found()


def _wrong_verb(view: View, request: Request) -> errors.StatusError:
    row = view.row
    if view.custom:
        return errors.method_not_allowed(row.group, row.name, request.verb)
    if not _has_path(row, request):
        return errors.page_not_found()
    return _not_watched(request, row) if request.verb == "watch" else method_not_allowed()


def _check_all_namespaces(view: View, request: Request) -> None:
    """Of a request for a namespaced resource that names no namespace."""
    if view.custom and request.verb not in ("list", "watch"):
        raise errors.PathNotFound()
    if request.name or not _has_path(view.row, request):
        raise errors.page_not_found()
    if request.verb in ("create", "deletecollection"):
        raise method_not_allowed()


def _has_path(row: Resource, request: Request) -> bool:
    """Whether anything is served where the request goes: what can only be created has no objects and no lists."""
    if row.namespaced and not request.namespace:
        return not request.name and "list" in row.verbs
    return bool(request.subresource) or not request.name or not NAMED_VERBS.isdisjoint(row.verbs)


def _not_watched(request: Request, row: Resource) -> errors.StatusError:
    """404 on the old path of a watch, which only what can be watched has; 405 for a list that shall be one."""
    if "/watch/" in request.path:
        return errors.page_not_found()
    if "list" in row.verbs:
        return errors.method_not_allowed(row.group, row.name, "watch")
    return method_not_allowed()


def _settle_name(request: Request) -> None:
    """Custom resources have no routes by method: a POST to a name creates what its body says, and who changes nothing
    in particular is told so."""
    if request.verb == "create":
        request.name = ""
    elif request.verb in ("update", "patch") and not request.name:
        raise errors.bad_request("name must be provided")


def _warn_of_deprecation(request: Request, warning: str) -> None:
    """Say so to the client and to the audit log."""
    request.warn(warning)
    request.annotations["k8s.io/deprecated"] = "true"
    if found := GONE_IN(warning):
        request.annotations["k8s.io/removed-release"] = found[1]
