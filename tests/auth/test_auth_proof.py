"""The proof of RBAC: nobody can do anything that was not granted, and each grant opens exactly one door.

Every resource and subresource that discovery names, with every verb: without a grant each request is refused in
Kubernetes' words; with a role for one of them that one passes (it may fail later, for other reasons) and all its
neighbours stay shut.
"""

import asyncio
import re
from typing import NamedTuple

import pytest

from .servers import with_server

NAMESPACE = "proof"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
WHOLE = ("list", "watch", "create", "deletecollection")
REFUSED = re.compile(r'User "[^"]+" cannot (\S+) (resource|path) "([^"]+)"')
#: what everybody who is known may do in a new cluster
GIVEN = ("system:basic-user", "system:discovery", "system:public-info-viewer")
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


class Door(NamedTuple):
    """One verb on one resource or subresource."""

    group: str
    version: str
    resource: str
    namespaced: bool
    verb: str

    @property
    def path(self):
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{NAMESPACE}" if self.namespaced else ""
        resource, _, subresource = self.resource.partition("/")
        whole = f"{root}{place}/{resource}"
        if subresource:
            return f"{whole}/x/{subresource}"
        return whole if self.verb in WHOLE else f"{whole}/x"

    @property
    def query(self):
        # nothing is really to be done: the cluster must outlive the test
        return {"watch": {"watch": "1"}, "deletecollection": {"dryRun": "All"}}.get(self.verb, {})

    @property
    def rule(self):
        return {"verbs": [self.verb], "apiGroups": [self.group], "resources": [self.resource]}

    @property
    def words(self):
        place = f'in the namespace "{NAMESPACE}"' if self.namespaced else "at the cluster scope"
        if self.resource.startswith("namespaces") and not self.path.endswith("/namespaces"):
            place = 'in the namespace "x"'  # a namespace is in itself
        return (
            f'User "nobody" cannot {self.verb} resource "{self.resource}" in API group "{self.group}" {place}'
        )


class Walker:
    """Tries doors as the holder of a token."""

    def __init__(self, server, token="nobody"):
        self.server = server
        self.token = token

    async def refusal(self, door):
        """The message that the authorizer refuses with, "" where it lets pass."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if door.verb == "patch":
            headers["Content-Type"] = "application/merge-patch+json"
        body = "{}" if door.verb in ("create", "update", "patch") else None
        url = self.server.plane.url + door.path
        method = METHODS[door.verb]
        async with self.server.session.request(
            method, url, params=door.query, data=body, headers=headers
        ) as answer:
            if answer.status != 403:
                answer.close()  # a watch would go on
                return ""
            message = (await answer.json())["message"]
        return message if REFUSED.search(message) else ""

    async def grant(self, *rules):
        role = {
            "kind": "ClusterRole",
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "metadata": {"name": "one-door"},
            "rules": list(rules),
        }
        status, found = await self.server.call("PUT", f"{ROLES}/one-door", "T", role)
        assert status == 200, found

    async def doors(self):
        """All of discovery."""
        found = []
        for group, version in await self._versions():
            root = f"/apis/{group}/{version}" if group else f"/api/{version}"
            _, listed = await self.server.call("GET", root, "T")
            for row in listed["resources"]:
                found += [
                    Door(group, version, row["name"], row["namespaced"], v)
                    for v in VERBS
                    if v in row["verbs"]
                ]
        return found

    async def _versions(self):
        _, listed = await self.server.call("GET", "/apis", "T")
        own = [(g["name"], v["version"]) for g in listed["groups"] for v in g["versions"]]
        return [("", "v1"), *own]


async def prepare(server):
    """A namespace, a role without rules that is bound to nobody, and no gifts."""
    _, made = await server.call(
        "POST", "/api/v1/namespaces", "T", {"kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "one-door"}}
    await server.call("POST", ROLES, "T", {**head, "kind": "ClusterRole", "rules": []})
    binding = {
        **head,
        "kind": "ClusterRoleBinding",
        "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "one-door", "apiGroup": "rbac.authorization.k8s.io"},
    }
    assert (await server.call("POST", BINDINGS, "T", binding))[0] == 201
    for name in GIVEN:
        assert (await server.call("DELETE", f"{BINDINGS}/{name}", "T"))[0] == 200
    return Walker(server)


@pytest.fixture
def nobody(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text("nobody,nobody,1\nsomebody,somebody,2\nnode,system:node:n1,3,system:nodes\n")
    return {"token_auth_file": str(path)}


def test_without_a_grant_every_door_is_shut(nobody):
    async def test(server):
        walker = await prepare(server)
        doors = await walker.doors()
        assert len(doors) > 500
        for door in doors:
            message = await walker.refusal(door)
            assert message.endswith(door.words), door

    with_server(test, nobody)


def test_a_grant_opens_its_door_and_no_other(nobody):
    async def test(server):
        walker = await prepare(server)
        doors = await walker.doors()
        kin = {}
        for door in doors:
            kin.setdefault((door.group, door.version, door.resource.partition("/")[0]), []).append(door)
        for door in doors:
            await walker.grant(door.rule)
            assert not await walker.refusal(door), door
        # and none of its family
        for family in kin.values():
            for door in family:
                await walker.grant(door.rule)
                for other in family:
                    assert bool(await walker.refusal(other)) is (other != door), (door, other)

    with_server(test, nobody)


@pytest.mark.parametrize(
    "rule,opened",
    [
        (
            {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["*/scale"]},
            {"deployments/scale get", "statefulsets/scale get", "replicasets/scale get"},
        ),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/*"]}, set()),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["deployments"]}, set()),
        ({"verbs": [""], "apiGroups": ["apps"], "resources": ["deployments"]}, set()),
        (
            {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments/status"]},
            {f"deployments/status {v}" for v in ("get", "patch", "update")},
        ),
        (
            {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["y"]},
            set(),
        ),
        (
            {
                "verbs": ["get", "delete", "list"],
                "apiGroups": ["apps"],
                "resources": ["deployments"],
                "resourceNames": ["x"],
            },
            {"deployments get", "deployments delete"},
        ),
    ],
)
def test_rules_that_say_more_or_less(nobody, rule, opened):
    async def test(server):
        walker = await prepare(server)
        await walker.grant(rule)
        doors = [d for d in await walker.doors() if d.group == "apps"]
        return {f"{d.resource} {d.verb}" for d in doors if not await walker.refusal(d)}

    assert with_server(test, nobody) == opened


def test_a_role_of_a_namespace_opens_only_there(nobody):
    async def test(server):
        await prepare(server)
        head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "here"}}
        rules = [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]
        root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
        assert (
            await server.call("POST", f"{root}/roles", "T", {**head, "kind": "Role", "rules": rules[:1]})
        )[0] == 201
        binding = {
            **head,
            "kind": "RoleBinding",
            "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "Role", "name": "here", "apiGroup": "rbac.authorization.k8s.io"},
        }
        assert (await server.call("POST", f"{root}/rolebindings", "T", binding))[0] == 201
        reached = {}
        for path in (
            f"/api/v1/namespaces/{NAMESPACE}/pods",
            f"/api/v1/namespaces/{NAMESPACE}",
            f"/api/v1/namespaces/{NAMESPACE}/nodes",
            f"/api/v1/namespaces/{NAMESPACE}/clusterroles",
            "/api/v1/namespaces/default/pods",
            "/api/v1/pods",
            "/api/v1/nodes",
            "/api/v1/namespaces",
            "/api/v1/watch/pods",
            "/version",
            f"/api/v1/namespaces/{NAMESPACE}/../default/pods",
            f"/api/v1/namespaces/{NAMESPACE}%2f..%2fdefault/pods",
            f"/api/v1/namespaces/default/pods?namespace={NAMESPACE}",
        ):
            reached[path] = await raw(server, path)
        return list(reached.values())

    # a way out of the namespace is a resource in it that is not there, escaped or not
    assert with_server(test, nobody) == [200, 200, 404, 404, *([403] * 6), 404, 404, 403]


async def raw(server, path, method="GET", **headers):
    """The status, the path sent as it is."""
    import ssl

    context = ssl._create_unverified_context()
    port = server.plane.server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Authorization: Bearer nobody"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


NON_RESOURCE = (
    "/",
    "/api",
    "/api/v1",
    "/api/",
    "/apis",
    "/apis/apps",
    "/apis/apps/v1",
    "/healthz",
    "/livez",
    "/livez/ping",
    "/readyz",
    "/metrics",
    "/metrics/slis",
    "/version",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/apis/apps/v1",
    "/.well-known/openid-configuration",
    "/openid/v1/jwks",
    "/flagz",
    "/statusz",
    "/configz",
    "/debug/pprof",
    "/logs",
    "/no/such/page",
)


def test_paths_that_are_no_resource(nobody):
    async def test(server):
        walker = await prepare(server)
        for path in NON_RESOURCE:
            status, found = await server.call("GET", path, "nobody")
            assert status == 403 and f'User "nobody" cannot get path "{path}"' in found["message"], path
        for path in NON_RESOURCE:
            await walker.grant({"verbs": ["get"], "nonResourceURLs": [path]})
            assert (await server.call("GET", path, "nobody"))[0] != 403, path
            assert (await server.call("POST", path, "nobody"))[0] == 403, path
            others = [p for p in NON_RESOURCE if p != path]
            assert {(await server.call("GET", p, "nobody"))[0] for p in others} == {403}, path
        await walker.grant({"verbs": ["get"], "nonResourceURLs": ["/livez*", "/apis/*"]})
        opened = [p for p in NON_RESOURCE if (await server.call("GET", p, "nobody"))[0] != 403]
        assert opened == ["/apis/apps", "/apis/apps/v1", "/livez", "/livez/ping"]

    with_server(test, nobody)


CONFIG_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}}
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


async def apply(server, path, body, token="nobody"):
    return await server.call(
        "PATCH",
        f"{path}?fieldManager=m",
        token,
        body,
        **{"Content-Type": "application/apply-patch+yaml"},
    )


def test_a_patch_that_creates_needs_both_rights(nobody):
    async def test(server):
        walker = await prepare(server)
        await walker.grant({"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]})
        status, found = await apply(server, f"{MAPS}/x", CONFIG_MAP)
        assert (status, found["message"]) == (
            403,
            'configmaps "x" is forbidden: User "nobody" cannot create resource "configmaps" in API group "" '
            f'in the namespace "{NAMESPACE}"',
        )
        await walker.grant({"verbs": ["create"], "apiGroups": [""], "resources": ["configmaps"]})
        status, found = await apply(server, f"{MAPS}/x", CONFIG_MAP)
        assert status == 403 and "cannot patch resource" in found["message"]
        await walker.grant({"verbs": ["create", "patch"], "apiGroups": [""], "resources": ["configmaps"]})
        assert (await apply(server, f"{MAPS}/x", CONFIG_MAP))[0] == 201
        await walker.grant({"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]})
        assert (await apply(server, f"{MAPS}/x", {**CONFIG_MAP, "data": {"a": "b"}}))[0] == 200

    with_server(test, nobody)


def test_a_put_that_creates_needs_both_rights(nobody):
    lease = {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": "x", "namespace": NAMESPACE},
        "spec": {"holderIdentity": "me"},
    }

    async def test(server):
        walker = await prepare(server)
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/x"
        rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
        await walker.grant({"verbs": ["update"], **rule})
        status, found = await server.call("PUT", path, "nobody", lease)
        assert status == 403 and "cannot create resource" in found["message"], found
        await walker.grant({"verbs": ["update", "create"], **rule})
        status, made = await server.call("PUT", path, "nobody", lease)
        assert status == 201
        await walker.grant({"verbs": ["update"], **rule})
        assert (await server.call("PUT", path, "nobody", made))[0] == 200

    with_server(test, nobody)


def test_selecting_one_name_is_as_good_as_naming_it(nobody):
    async def test(server):
        walker = await prepare(server)
        rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["x"]}
        await walker.grant({"verbs": ["list", "watch", "deletecollection"], **rule})
        found = {}
        for selector in ("metadata.name=x", "metadata.name==x", "metadata.name=y", "metadata.name!=x", ""):
            found[selector] = (await server.call("GET", f"{MAPS}?fieldSelector={selector}", "nobody"))[0]
        assert list(found.values()) == [200, 200, 403, 403, 403]
        assert (await server.call("DELETE", f"{MAPS}?fieldSelector=metadata.name=x", "nobody"))[0] == 200
        assert (await server.call("DELETE", MAPS, "nobody"))[0] == 403

    with_server(test, nobody)


IMPERSONATION = [
    ({"Impersonate-User": "somebody"}, "users", "somebody", ""),
    ({"Impersonate-User": "somebody", "Impersonate-Group": "dev"}, "groups", "dev", ""),
    ({"Impersonate-User": "somebody", "Impersonate-Group": "system:masters"}, "groups", "system:masters", ""),
    ({"Impersonate-User": "somebody", "Impersonate-Uid": "7"}, "uids", "7", "authentication.k8s.io"),
    (
        {"Impersonate-User": "somebody", "Impersonate-Extra-Scopes": "all"},
        "userextras/scopes",
        "all",
        "authentication.k8s.io",
    ),
    ({"Impersonate-User": "system:serviceaccount:default:robot"}, "serviceaccounts", "robot", ""),
]


@pytest.mark.parametrize("headers,resource,name,group", IMPERSONATION)
def test_every_header_of_impersonation_needs_its_right(nobody, headers, resource, name, group):
    async def test(server):
        walker = await prepare(server)
        assert (await server.call("GET", "/version", "nobody", **headers))[0] == 403
        user = {
            "verbs": ["impersonate"],
            "apiGroups": [""],
            "resources": ["users"],
            "resourceNames": ["somebody"],
        }
        version = {"verbs": ["get"], "nonResourceURLs": ["/version"]}
        await walker.grant(*([user, version] if resource != "users" else [version]))
        status, found = await server.call("GET", "/version", "nobody", **headers)
        assert status == 403 and 'User "nobody" cannot impersonate' in found["message"], found
        right = {
            "verbs": ["impersonate"],
            "apiGroups": [group],
            "resources": [resource],
            "resourceNames": [name],
        }
        await walker.grant(user, right)
        status, found = await server.call("GET", "/version", "nobody", **headers)
        if "system:masters" in headers.values():
            assert status == 200
        else:
            # now the question is what the other one may do
            assert (
                status == 403 and f'User "{headers["Impersonate-User"]}" cannot get path' in found["message"]
            )
        wrong = {**right, "resourceNames": ["another"]}
        await walker.grant(*([user, wrong] if resource != "users" else [wrong]))
        assert (await server.call("GET", "/version", "nobody", **headers))[0] == 403

    with_server(test, nobody)


def test_streams_over_web_sockets_need_to_create(nobody):
    """A web socket's GET is as good as a POST."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
    }

    async def test(server):
        walker = await prepare(server)
        for subresource in ("exec", "attach", "portforward"):
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/x/{subresource}?command=a&ports=1"
            rule = {"apiGroups": [""], "resources": [f"pods/{subresource}"]}
            for verbs, expected in (
                (["list"], 403),
                (["get"], 403),
                (["create"], 403),
                (["get", "create"], 404),
            ):
                await walker.grant({"verbs": verbs, **rule})
                assert await raw(server, path, **upgrade) == expected, (subresource, verbs)

    with_server(test, nobody)


def test_a_proxy_needs_the_verb_of_its_method(nobody):
    async def test(server):
        walker = await prepare(server)
        verbs = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        for resource, place in (
            ("nodes", ""),
            ("pods", f"/namespaces/{NAMESPACE}"),
            ("services", f"/namespaces/{NAMESPACE}"),
        ):
            for tail in ("", "/", "/metrics", "/a/b"):
                path = f"/api/v1{place}/{resource}/x/proxy{tail}"
                for method, verb in verbs.items():
                    await walker.grant(
                        {"verbs": [verb], "apiGroups": [""], "resources": [f"{resource}/proxy"]}
                    )
                    opened = {m for m in verbs if (await server.call(m, path, "nobody"))[0] != 403}
                    assert opened == {method}, (path, verb)

    with_server(test, nobody)


def test_custom_resources_too(nobody):
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"},
        },
    }
    definition = {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "boats.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
            "versions": [version],
        },
    }

    async def test(server):
        walker = await prepare(server)
        await server.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "T", definition)
        for _ in range(200):
            if (await server.call("GET", "/apis/example.org/v1", "T"))[0] == 200:
                break
            await asyncio.sleep(0.02)
        doors = [d for d in await walker.doors() if d.group == "example.org"]
        assert len(doors) == 14
        for door in doors:
            await walker.grant()
            assert (await walker.refusal(door)).endswith(door.words), door
            await walker.grant(door.rule)
            for other in doors:
                assert bool(await walker.refusal(other)) is (other != door), (door, other)

    with_server(test, nobody)


def test_what_everybody_may_do(nobody):
    """The gifts of a new cluster to somebody who is known, and to anonymous ones."""

    async def test(server):
        doors = await Walker(server).doors()
        walker = Walker(server)
        opened = {f"{d.group}/{d.resource} {d.verb}" for d in doors if not await walker.refusal(d)}
        assert opened == {
            "authentication.k8s.io/selfsubjectreviews create",
            "authorization.k8s.io/selfsubjectaccessreviews create",
            "authorization.k8s.io/selfsubjectrulesreviews create",
        }
        known = [p for p in NON_RESOURCE if (await server.call("GET", p, "nobody"))[0] != 403]
        anonymous = [p for p in NON_RESOURCE if (await server.call("GET", p))[0] != 403]
        return known, anonymous

    known, anonymous = with_server(test, nobody)
    assert anonymous == ["/healthz", "/livez", "/readyz", "/version"]
    assert known == [
        "/api",
        "/api/v1",
        "/api/",
        "/apis",
        "/apis/apps",
        "/apis/apps/v1",
        "/healthz",
        "/livez",
        "/readyz",
        "/version",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/apps/v1",
    ]


def test_the_old_way_to_watch_is_watching_whatever_the_method(nobody):
    async def test(server):
        walker = await prepare(server)
        path = f"/api/v1/watch/namespaces/{NAMESPACE}/configmaps"
        rule = {"apiGroups": [""], "resources": ["configmaps"]}
        for verbs in (["create", "deletecollection", "delete", "list", "get"], ["watch"]):
            await walker.grant({"verbs": verbs, **rule})
            found = {}
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                found[method] = (await server.call(method, path, "nobody", CONFIG_MAP))[0]
            assert set(found.values()) == {405 if verbs == ["watch"] else 403}, found
        _, listed = await server.call("GET", MAPS, "T")
        assert listed["items"] == []

    with_server(test, nobody)


#: doors of a kubelet without pods; what it creates or writes admission (NodeRestriction) looks at further
OF_A_NODE = {
    "/endpoints": "get",
    "/events": "create update patch",
    "/nodes": "create update patch",
    "/nodes/status": "update patch",
    "/pods": "create delete",
    "/pods/eviction": "create",
    "/pods/status": "update patch",
    "/services": "get list watch",
    "authentication.k8s.io/tokenreviews": "create",
    "authorization.k8s.io/localsubjectaccessreviews": "create",
    "authorization.k8s.io/subjectaccessreviews": "create",
    "certificates.k8s.io/certificatesigningrequests": "get list watch create",
    "events.k8s.io/events": "create update patch",
    "node.k8s.io/runtimeclasses": "get list watch",
    "resource.k8s.io/resourceslices": "create",
    "storage.k8s.io/csidrivers": "get list watch",
    "storage.k8s.io/csinodes": "create",
}


def test_what_a_node_without_pods_may_do(nobody):
    async def test(server):
        await prepare(server)
        walker, found = Walker(server, "node"), {}
        for door in await walker.doors():
            if not await walker.refusal(door):
                found.setdefault(f"{door.group}/{door.resource}", []).append(door.verb)
        return {name: " ".join(verbs) for name, verbs in found.items()}

    assert with_server(test, nobody) == OF_A_NODE


def test_a_node_sees_what_its_pods_refer_to(nobody):
    """And only while they are there; nothing of other nodes' pods."""

    def pod(name, node):
        volumes = [
            {"name": kind.lower(), kind: {field: f"{kind.lower()}-{name}"}}
            for kind, field in (
                ("secret", "secretName"),
                ("configMap", "name"),
                ("persistentVolumeClaim", "claimName"),
            )
        ]
        container = {"name": "c", "image": "i"}
        spec = {
            "nodeName": node,
            "containers": [container],
            "volumes": volumes,
            "serviceAccountName": "default",
        }
        return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}

    root = f"/api/v1/namespaces/{NAMESPACE}"

    async def test(server):
        await prepare(server)
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
        await server.call("POST", f"{root}/serviceaccounts", "T", account)

        async def reached(name):
            paths = (
                f"pods/{name}",
                f"secrets/secret-{name}",
                f"secrets?fieldSelector=metadata.name=secret-{name}",
                f"configmaps/configmap-{name}",
                f"persistentvolumeclaims/persistentvolumeclaim-{name}",
            )
            return [(await server.call("GET", f"{root}/{path}", "node"))[0] != 403 for path in paths]

        async def token(name, uid):
            bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
            body = {
                "kind": "TokenRequest",
                "apiVersion": "authentication.k8s.io/v1",
                "spec": {"boundObjectRef": bound},
            }
            return (await server.call("POST", f"{root}/serviceaccounts/default/token", "node", body))[0]

        assert await reached("mine") == [False] * 5
        uids = {}
        for name, node in (("mine", "n1"), ("other", "n2")):
            status, made = await server.call("POST", f"{root}/pods", "T", pod(name, node))
            assert status == 201, made
            uids[name] = made["metadata"]["uid"]
        assert await reached("mine") == [True] * 5
        assert await reached("other") == [False] * 5
        assert [await token(name, uids[name]) for name in ("mine", "other")] == [201, 403]
        listing = "/api/v1/pods?fieldSelector=spec.nodeName="
        assert (await server.call("GET", f"{listing}n1", "node"))[0] == 200
        assert (await server.call("GET", f"{listing}n2", "node"))[0] == 403
        for secret, status in (("secret-mine", 200), ("secret-other", 403)):
            path = f"{root}/secrets?fieldSelector=metadata.name={secret}"
            assert (await server.call("GET", path, "node"))[0] == status
        assert (await server.call("GET", f"{root}/secrets", "node"))[0] == 403
        await server.call("DELETE", f"{root}/pods/mine?gracePeriodSeconds=0", "T")
        assert await reached("mine") == [False] * 5
        assert await token("mine", uids["mine"]) == 403

    with_server(test, nobody)
