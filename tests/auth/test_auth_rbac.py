"""RBAC against a naive evaluator, the bootstrap roles, and what refusals say."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.auth import bootstrap
from knarr.auth.aggregation import reconcile
from knarr.auth.authorize import Authorizers, Decision
from knarr.auth.rbac import GROUP, RBAC
from knarr.registry.context import Request, UserInfo

from .memory_reader import MemoryReader, refusal, run

PARITY = Path(__file__).parents[3] / "shared/parity/docs/bootstrap"


def role(name, rules, namespace=""):
    kind, metadata = (
        ("Role", {"name": name, "namespace": namespace}) if namespace else ("ClusterRole", {"name": name})
    )
    return {"kind": kind, "metadata": metadata, "rules": rules}


def binding(name, role_name, *subjects, namespace="", kind=""):
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "metadata": metadata,
        "roleRef": {"kind": kind or ("Role" if namespace else "ClusterRole"), "name": role_name},
        "subjects": [dict(zip(("kind", "name", "namespace"), s.split(), strict=False)) for s in subjects],
    }


def put(reader, *objects):
    for obj in objects:
        kind = "rolebinding" if "roleRef" in obj else "role"
        prefix = "" if obj["metadata"].get("namespace") else "cluster"
        reader.put(GROUP, f"{prefix}{kind}s", obj)


def rule(verbs="", groups="", resources="", names="", urls=""):
    parts = {"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names}
    made = {k: v.split(",") for k, v in parts.items() if v}
    if resources:
        made["apiGroups"] = ["" if g == "core" else g for g in groups.split(",")]
    return made | ({"nonResourceURLs": urls.split(",")} if urls else {})


def ask(what, user="jane", groups=(), namespace="ns"):
    """`get configmaps/a`, `list deployments.apps`, `get pods:log/p`, or `get /path`."""
    verb, _, target = what.partition(" ")
    who = UserInfo(user, groups=tuple(groups))
    if target.startswith("/"):
        return Request(verb, path=target, user=who)
    target, _, name = target.partition("/")
    target, _, sub = target.partition(":")
    resource, _, group = target.partition(".")
    return Request(verb, "", group, "v1", resource, sub, namespace, name, who)


@pytest.fixture
def editor(reader):
    rules = [
        rule("get,list", "core", "configmaps,pods/log"),
        rule("*", "apps", "*"),
        rule("get", "*", "widgets", "a,b"),
        rule("patch", "core", "*/status"),
    ]
    put(
        reader,
        role("editor", rules, "ns"),
        binding(
            "editor",
            "editor",
            "User jane",
            "ServiceAccount default ns",
            "ServiceAccount here",
            namespace="ns",
        ),
        role("paths", [rule("get", urls="/metrics,/logs/*")]),
        binding("paths", "paths", "Group watchers"),
    )
    return RBAC(reader)


TO_JANE = 'RBAC: allowed by RoleBinding "editor/ns" of Role "editor" to User "jane"'


@pytest.mark.parametrize(
    ("what", "allowed"),
    [
        ("get configmaps/x", True),
        ("list configmaps", True),
        ("delete configmaps/x", False),
        ("get pods:log/p", True),
        ("get pods/p", False),
        ("get pods:exec/p", False),
        ("patch deployments.apps/d", True),
        ("update deployments:scale.apps/d", False),  # a subresource's group stands with the resource
        ("* deployments.apps", True),
        ("get widgets.x/a", True),
        ("get widgets.x/c", False),
        ("list widgets.x", False),
        ("patch nodes:status/n", True),
        ("patch nodes/n", False),
    ],
)
def test_decisions(editor, what, allowed):
    request = ask(what)
    expected = Decision(True, TO_JANE) if allowed else Decision(False)
    assert editor.authorize(request) == expected
    assert editor.authorize(request) == expected  # remembered
    assert not editor.authorize(ask(what, namespace="other")).allowed
    assert not editor.authorize(ask(what, user="joe")).allowed


def test_subresources_of_a_star(editor):
    request = Request("update", "", "apps", "v1", "deployments", "scale", "ns", "d", UserInfo("jane"))
    assert editor.authorize(request).allowed


@pytest.mark.parametrize(
    ("user", "groups", "what", "reason"),
    [
        ("system:serviceaccount:ns:default", (), "list configmaps", 'to ServiceAccount "default/ns"'),
        ("system:serviceaccount:ns:here", (), "list configmaps", 'to ServiceAccount "here/ns"'),
        ("system:serviceaccount:other:here", (), "list configmaps", None),
        (
            "x",
            ("watchers",),
            "get /metrics",
            'ClusterRoleBinding "paths" of ClusterRole "paths" to Group "watchers"',
        ),
        ("x", ("watchers",), "get /logs/a/b", '"paths"'),
        ("x", ("watchers",), "get /logs", None),
        ("x", ("watchers",), "get /metrics/", None),
        ("x", ("watchers",), "post /metrics", None),
        ("x", ("others",), "get /metrics", None),
    ],
)
def test_subjects_and_paths(editor, user, groups, what, reason):
    decision = editor.authorize(ask(what, user, groups))
    assert decision.allowed == (reason is not None)
    assert (reason or "") in decision.reason


def test_changes_take_effect_at_once(reader, editor):
    assert editor.authorize(ask("get configmaps/x")).allowed
    put(reader, role("editor", [rule("list", "core", "configmaps")], "ns"))
    assert not editor.authorize(ask("get configmaps/x")).allowed
    assert editor.authorize(ask("list configmaps")).allowed
    put(reader, binding("editor", "editor", "User joe", namespace="ns"))
    assert not editor.authorize(ask("list configmaps")).allowed
    assert editor.authorize(ask("list configmaps", user="joe")).allowed
    reader.drop(GROUP, "rolebindings", "ns", "editor")
    assert not editor.authorize(ask("list configmaps", user="joe")).allowed


@pytest.mark.parametrize(
    ("what", "namespace", "message"),
    [
        (
            "get configmaps/a",
            "ns",
            'configmaps "a" is forbidden: User "jane" cannot get resource "configmaps" in API group "" in the '
            'namespace "ns"',
        ),
        (
            "list nodes",
            "",
            'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (
            "get deployments:scale.apps/x",
            "ns",
            None,
        ),
        ("get /nope", "", 'forbidden: User "jane" cannot get path "/nope"'),
    ],
)
def test_refusals(reader, what, namespace, message):
    request = ask(what, namespace=namespace)
    if message is None:
        request = Request("get", "", "apps", "v1", "deployments", "scale", namespace, "x", UserInfo("jane"))
        message = (
            'deployments.apps "x" is forbidden: User "jane" cannot get resource "deployments/scale" in API group '
            '"apps" in the namespace "ns"'
        )
    assert refusal(Authorizers(RBAC(reader)).require, request) == (403, message)


def test_a_missing_role_is_named(reader):
    put(reader, binding("dangling", "no-such-role", "User jane", namespace="ns"))
    _, message = refusal(Authorizers(RBAC(reader)).require, ask("get configmaps/a"))
    assert message.endswith(
        'in the namespace "ns": RBAC: role.rbac.authorization.k8s.io "no-such-role" not found'
    )


def test_masters_may_do_everything_and_authorizers_are_asked_in_order(reader):
    class Denies:
        async def authorize(self, request):
            return Decision(False, "no", denied=True)

    class Mumbles:
        def authorize(self, request):
            return Decision(False, "hm", error="broken")

    class Allows:
        def authorize(self, request):
            return Decision(True, "yes")

    def decide(*members, groups=()):
        return run(Authorizers(*members).authorize(ask("get pods/p", groups=groups)))

    assert decide(Denies(), groups=("system:masters",)) == Decision(True)
    assert decide(Denies(), Allows()) == Decision(False, "no", True)
    assert decide(Mumbles(), Allows()) == Decision(True, "yes")
    assert decide(Mumbles(), Mumbles(), RBAC(reader)) == Decision(False, "hm\nhm", False, "broken")


# -- against a naive evaluator -----------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", ""])
WORDS = {
    "verbs": ["get", "list", "*"],
    "apiGroups": ["", "apps", "*"],
    "resources": ["pods", "pods/log", "*/log", "*"],
    "resourceNames": ["a", "b"],
}
RULES = st.lists(
    st.one_of(
        st.fixed_dictionaries({k: st.lists(st.sampled_from(v), max_size=2) for k, v in WORDS.items()}),
        st.fixed_dictionaries(
            {
                "verbs": st.lists(st.sampled_from(["get", "*"]), max_size=2),
                "nonResourceURLs": st.lists(st.sampled_from(["/x", "/x/*", "*", "/y"]), max_size=2),
            }
        ),
    ),
    max_size=3,
)
SUBJECTS = st.lists(
    st.sampled_from(["User u", "Group g", "ServiceAccount s n1", "ServiceAccount s", "User v"]), max_size=2
)
PLACES = st.sampled_from(["", "n1", "n2"])
USERS = st.sampled_from([("u", ()), ("v", ("g",)), ("system:serviceaccount:n1:s", ("g", "h")), ("w", ())])
REQUESTS = st.one_of(
    st.builds(
        lambda v, g, r, s, ns, n: Request(v, "", g, "v1", r, s, ns, n),
        st.sampled_from(["get", "list"]),
        st.sampled_from(["", "apps"]),
        st.sampled_from(["pods", "nodes"]),
        st.sampled_from(["", "log"]),
        PLACES,
        NAMES,
    ),
    st.builds(
        lambda v, p: Request(v, path=p),
        st.sampled_from(["get", "post"]),
        st.sampled_from(["/x", "/x/y", "/z"]),
    ),
)


def naive(roles, bindings, request):
    """The documented rules, one after another, without index or memory."""
    user = request.user
    for (place, role_kind, role_name), subjects in bindings:
        if place not in ("", request.namespace if request.resource else ""):
            continue
        names = {f"User {user.name}", *(f"Group {g}" for g in user.groups)}
        account = user.name.split(":") if user.name.startswith("system:serviceaccount:") else None
        if account:
            names.add(f"ServiceAccount {account[3]} {account[2]}")
            if place == account[2]:
                names.add(f"ServiceAccount {account[3]}")
        if not names & set(subjects):
            continue
        for r in roles.get(("" if role_kind == "ClusterRole" else place, role_name), ()):
            if naive_rule(r, request):
                return True
    return False


def naive_rule(r, request):
    if request.verb not in r["verbs"] and "*" not in r["verbs"]:
        return False
    if not request.resource:
        return any(
            u == request.path or (u.endswith("*") and request.path.startswith(u[:-1]))
            for u in r.get("nonResourceURLs", ())
        )
    if request.group not in r.get("apiGroups", ()) and "*" not in r.get("apiGroups", ()):
        return False
    whole = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    star = f"*/{request.subresource}" if request.subresource else "-"
    if not {whole, star, "*"} & set(r.get("resources", ())):
        return False
    return not r.get("resourceNames") or request.name in r["resourceNames"]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.tuples(PLACES, st.sampled_from(["r", "s"])), RULES, max_size=3),
    st.lists(
        st.tuples(
            st.tuples(PLACES, st.sampled_from(["Role", "ClusterRole"]), st.sampled_from(["r", "s"])), SUBJECTS
        ),
        max_size=4,
    ),
    st.lists(st.tuples(REQUESTS, USERS), min_size=1, max_size=6),
)
def test_equal_to_the_naive_evaluator(roles, bindings, requests):
    bindings = [b for b in bindings if b[0][0] or b[0][1] == "ClusterRole"]
    reader = MemoryReader()
    rbac = RBAC(reader)
    for number, ((place, kind, name), subjects) in enumerate(bindings):
        put(reader, binding(f"b{number}", name, *subjects, namespace=place, kind=kind))
    for (place, name), rules in roles.items():
        put(reader, role(name, rules, place))
    for request, (name, groups) in requests * 2:
        request.user = UserInfo(name, groups=groups)
        assert rbac.authorize(request).allowed == naive(roles, bindings, request), (request, roles, bindings)


# -- bootstrap ---------------------------------------------------------------------------------------------


@pytest.fixture
def bootstrapped(reader):
    for group, resource, obj in bootstrap.bootstrap_objects():
        reader.put(group, resource, obj)
    return RBAC(reader)


@pytest.mark.parametrize(
    ("user", "groups", "what", "allowed"),
    [
        ("x", ("system:authenticated",), "get /apis/apps", True),
        ("x", ("system:unauthenticated",), "get /healthz", True),
        ("x", ("system:unauthenticated",), "get /apis", False),
        ("x", ("system:authenticated",), "create selfsubjectaccessreviews.authorization.k8s.io", True),
        ("system:kube-scheduler", (), "list pods", True),
        ("system:kube-scheduler", (), "delete secrets", False),
        ("system:serviceaccount:kube-system:namespace-controller", (), "delete pods", True),
        ("x", ("system:serviceaccounts",), "get /openid/v1/jwks", True),
        ("system:node:n", ("system:nodes",), "get secrets/s", False),
    ],
)
def test_bootstrap_roles_at_work(bootstrapped, user, groups, what, allowed):
    namespace = "" if "/" in what.split(" ")[1][:1] else "ns"
    assert bootstrapped.authorize(ask(what, user, groups, namespace)).allowed == allowed


@pytest.mark.parametrize("resource", ["clusterroles", "roles", "clusterrolebindings", "rolebindings"])
def test_bootstrap_objects_are_kubernetes_own(resource):
    if not PARITY.exists():
        pytest.skip("the recorded objects are not on this machine")
    recorded = json.loads((PARITY / f"{resource}.json").read_text())
    ours = [o for _, r, o in bootstrap.bootstrap_objects() if r == resource]
    assert [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in ours] == recorded


def test_aggregated_roles_are_complete_and_follow():
    roles = [o for _, r, o in bootstrap.bootstrap_objects() if r == "clusterroles"]
    view = next(r for r in roles if r["metadata"]["name"] == "view")
    edit = next(r for r in roles if r["metadata"]["name"] == "edit")
    assert reconcile(view, roles) is None
    part = role("more", [rule("get", "x.io", "things")])
    part["metadata"]["labels"] = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    wider = reconcile(view, [*roles, part])
    assert wider["rules"] == part["rules"] + view["rules"]
    roles[roles.index(view)] = wider
    assert part["rules"][0] in reconcile(edit, roles)["rules"]
    assert reconcile(part, roles) is None
