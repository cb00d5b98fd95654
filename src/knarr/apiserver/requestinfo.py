"""What a URL asks for: `/apis/apps/v1/namespaces/x/deployments/y/scale?dryRun=All` as a `Request`."""

from __future__ import annotations

from knarr.registry.context import Request

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
#: subresources of a namespace itself; anything else below it is a resource in it
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
#: subresources whose name is followed by a path of the thing behind it
PROXIED = frozenset({"proxy"})
WATCH_VALUES = frozenset({"false", "0"})


def parse(method: str, path: str, query: dict[str, str]) -> Request:
    """A path that is no resource gives a Request without `resource`."""
    request = Request(VERBS.get(method, ""), path, query=query)
    parts = path.split("/")
    # "", "api", "v1", ... or "", "apis", group, version, ...
    if len(parts) < 4 or not _locate(request, parts):
        request.verb = method.lower()
        return request
    rest = parts[3 if not request.group else 4 :]
    if rest and rest[-1] == "":
        rest.pop()
    if not rest or "" in _routed(rest):
        _forget(request, method)
        return request
    # the old way to ask for a watch, which also one object can be asked for
    prefixed = rest[0] == "watch" and len(rest) > 1
    if prefixed:
        rest = rest[1:]
        query["watch"] = "true"
    _fill(request, rest)
    if prefixed:
        request.verb = "watch"
    elif method in ("GET", "HEAD") and not request.name:
        request.verb = "list"
        if "watch" in query and query["watch"].lower() not in WATCH_VALUES:
            request.verb = "watch"
    elif method == "DELETE" and not request.name:
        request.verb = "deletecollection"
    return request


def selected_name(request: Request) -> str:
    """The one name that a list, watch or deletecollection selects; authorization goes by it (`resourceNames`)."""
    if request.verb in ("list", "watch", "deletecollection") and not request.name:
        for part in request.query.get("fieldSelector", "").split(","):
            field, equals, value = part.partition("=")
            if field == "metadata.name" and equals:
                return value.lstrip("=")
    return ""


def _routed(rest: list[str]) -> list[str]:
    """The parts that the route is found by: not the path of what is behind a proxy."""
    at = 4 if rest[0] == "namespaces" else 2
    return rest[: at + 1] if rest[at : at + 1] and rest[at] in PROXIED else rest


def _locate(request: Request, parts: list[str]) -> bool:
    if parts[0]:
        return False
    if parts[1] == "api" and parts[2] and parts[3]:
        request.version = parts[2]
        return True
    if parts[1] == "apis" and len(parts) > 4 and parts[2] and parts[3] and parts[4]:
        request.group, request.version = parts[2], parts[3]
        return True
    return False


def _forget(request: Request, method: str) -> None:
    request.group = request.version = request.resource = request.namespace = request.name = ""
    request.verb = method.lower()


def _fill(request: Request, rest: list[str]) -> None:
    if rest[0] == "namespaces" and len(rest) > 1:
        request.namespace = rest[1]
        if len(rest) == 2:
            request.resource, request.name = "namespaces", rest[1]
            return
        if rest[2] in NAMESPACE_SUBRESOURCES and len(rest) == 3:
            request.resource, request.name, request.subresource = "namespaces", rest[1], rest[2]
            return
        rest = rest[2:]
    request.resource = rest[0]
    request.name = rest[1] if len(rest) > 1 else ""
    request.subresource = rest[2] if len(rest) > 2 else ""
    if len(rest) > 3:
        if request.subresource in PROXIED:
            request.query = {**request.query}
            request.path = "/".join(rest[3:])
        else:
            # deeper than any resource: no row of discovery has such a subresource
            request.subresource = "/".join(rest[2:])
