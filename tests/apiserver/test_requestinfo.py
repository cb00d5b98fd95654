"""What a method and a path ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver.requestinfo import parse, selected_name

N = "/api/v1/namespaces"
TABLE = [
    # method, path, query, (verb, group, version, namespace, resource, name, subresource)
    ("GET", "/api/v1/nodes", {}, ("list", "", "v1", "", "nodes", "", "")),
    ("GET", "/api/v1/nodes/", {}, ("list", "", "v1", "", "nodes", "", "")),
    ("GET", "/api/v1/nodes/n", {}, ("get", "", "v1", "", "nodes", "n", "")),
    ("HEAD", "/api/v1/nodes/n", {}, ("get", "", "v1", "", "nodes", "n", "")),
    ("OPTIONS", "/api/v1/nodes/n", {}, ("", "", "v1", "", "nodes", "n", "")),
    ("GET", "/api/v1/nodes/n/status", {}, ("get", "", "v1", "", "nodes", "n", "status")),
    ("GET", "/api/v1/pods", {}, ("list", "", "v1", "", "pods", "", "")),
    ("GET", f"{N}", {}, ("list", "", "v1", "", "namespaces", "", "")),
    ("GET", f"{N}/a", {}, ("get", "", "v1", "a", "namespaces", "a", "")),
    ("DELETE", f"{N}/a", {}, ("delete", "", "v1", "a", "namespaces", "a", "")),
    ("PUT", f"{N}/a/finalize", {}, ("update", "", "v1", "a", "namespaces", "a", "finalize")),
    ("PUT", f"{N}/a/status", {}, ("update", "", "v1", "a", "namespaces", "a", "status")),
    ("GET", f"{N}/a/pods", {}, ("list", "", "v1", "a", "pods", "", "")),
    ("GET", f"{N}/a/pods", {"watch": "true"}, ("watch", "", "v1", "a", "pods", "", "")),
    ("GET", f"{N}/a/pods", {"watch": "1"}, ("watch", "", "v1", "a", "pods", "", "")),
    ("GET", f"{N}/a/pods", {"watch": ""}, ("watch", "", "v1", "a", "pods", "", "")),
    ("GET", f"{N}/a/pods", {"watch": "false"}, ("list", "", "v1", "a", "pods", "", "")),
    ("GET", f"{N}/a/pods", {"watch": "0"}, ("list", "", "v1", "a", "pods", "", "")),
    ("GET", f"{N}/a/pods/p", {"watch": "true"}, ("get", "", "v1", "a", "pods", "p", "")),
    ("GET", "/api/v1/watch/pods", {}, ("watch", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/watch/namespaces/a/pods", {}, ("watch", "", "v1", "a", "pods", "", "")),
    ("GET", "/api/v1/watch/namespaces/a/pods/p", {}, ("watch", "", "v1", "a", "pods", "p", "")),
    ("POST", f"{N}/a/pods", {}, ("create", "", "v1", "a", "pods", "", "")),
    ("PATCH", f"{N}/a/pods/p", {}, ("patch", "", "v1", "a", "pods", "p", "")),
    ("DELETE", f"{N}/a/pods", {}, ("deletecollection", "", "v1", "a", "pods", "", "")),
    ("POST", f"{N}/a/pods/p/exec", {}, ("create", "", "v1", "a", "pods", "p", "exec")),
    ("GET", f"{N}/a/pods/p/proxy/x/y", {}, ("get", "", "v1", "a", "pods", "p", "proxy")),
    ("GET", f"{N}/a/pods/p/proxy//x//y", {}, ("get", "", "v1", "a", "pods", "p", "proxy")),
    ("GET", f"{N}/a/services/https:s:1/proxy", {}, ("get", "", "v1", "a", "services", "https:s:1", "proxy")),
    ("GET", "/apis/apps/v1/deployments", {}, ("list", "apps", "v1", "", "deployments", "", "")),
    (
        "PUT",
        "/apis/apps/v1/namespaces/a/deployments/d/scale",
        {},
        ("update", "apps", "v1", "a", "deployments", "d", "scale"),
    ),
    (
        "GET",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:admin",
        {},
        ("get", "rbac.authorization.k8s.io", "v1", "", "clusterroles", "system:admin", ""),
    ),
]


def facts(request) -> tuple[str, ...]:
    return (
        request.verb,
        request.group,
        request.version,
        request.namespace,
        request.resource,
        request.name,
        request.subresource,
    )


@pytest.mark.parametrize(("method", "path", "query", "wanted"), TABLE)
def test_resources(method, path, query, wanted):
    assert facts(parse(method, path, dict(query))) == wanted


NO_RESOURCES = [
    *("/", "/api", "/api/", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1", "/api/v1/", "/healthz"),
    *(
        "/healthz/ping",
        "/openapi/v3/apis/apps/v1",
        "//api/v1/pods",
        "/api//v1/pods",
        "/apis/apps//deployments",
    ),
    *("/api/v1/namespaces//pods", "/API/v1/pods", "/version", ""),
]


@pytest.mark.parametrize("path", NO_RESOURCES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_paths_that_are_no_resources(method, path):
    request = parse(method, path, {})
    assert not request.is_resource and request.verb == method.lower()
    assert (request.group, request.resource, request.namespace, request.name) == ("", "", "", "")


@pytest.mark.parametrize(
    ("method", "path", "selector", "name"),
    [
        ("GET", f"{N}/a/pods", "metadata.name=p", "p"),
        ("GET", f"{N}/a/pods", "metadata.name==p", "p"),
        ("GET", f"{N}/a/pods", "spec.nodeName=n,metadata.name=p", "p"),
        ("DELETE", f"{N}/a/pods", "metadata.name=p", "p"),
        ("GET", f"{N}/a/pods", "metadata.name!=p", ""),
        ("GET", f"{N}/a/pods", "spec.nodeName=n", ""),
        ("GET", f"{N}/a/pods/q", "metadata.name=p", ""),
        ("POST", f"{N}/a/pods", "metadata.name=p", ""),
    ],
)
def test_the_one_name_a_selector_leaves(method, path, selector, name):
    assert selected_name(parse(method, path, {"fieldSelector": selector})) == name


SEGMENT = st.text(min_size=1, max_size=12).filter(lambda s: s not in (".", "..") and "/" not in s)
PLAIN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=12)


@given(PLAIN, PLAIN, SEGMENT, PLAIN, SEGMENT, st.sampled_from(["GET", "PUT", "PATCH", "DELETE"]))
def test_what_is_put_into_a_path_comes_out(group, version, namespace, resource, name, method):
    path = f"/apis/{group}/{version}/namespaces/{namespace}/{resource}/{name}"
    request = parse(method, path, {})
    if resource in ("status", "finalize"):
        return
    verb = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
    assert facts(request) == (verb, group, version, namespace, resource, name, "")


@given(st.text(max_size=60), st.sampled_from(["GET", "POST", "FROB", "HEAD", ""]))
def test_no_path_is_too_strange(path, method):
    request = parse(method, path, {})
    assert request.is_resource == bool(request.resource)
    assert not request.is_resource or request.version
