"""Nobody grants what he does not hold; the messages are recorded ones."""

import pytest

from knarr.admission.attributes import Attributes, Target
from knarr.auth import bootstrap
from knarr.auth.authorize import Authorizers
from knarr.auth.escalation import EscalationGuard
from knarr.auth.rbac import GROUP, RBAC
from knarr.registry.context import Request, UserInfo

from .memory_reader import refusal, run
from .test_auth_rbac import binding, put, role, rule

JANE = UserInfo("jane", groups=("system:authenticated",))
START = 'user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'


@pytest.fixture
def guard(reader):
    for group, resource, obj in bootstrap.bootstrap_objects():
        reader.put(group, resource, obj)
    held = [
        rule("get,create,update,patch,delete", GROUP, "roles,rolebindings"),
        rule("get,list", "core", "configmaps"),
    ]
    put(reader, role("manager", held, "ns"), binding("manager", "manager", "User jane", namespace="ns"))
    rbac = RBAC(reader)
    return EscalationGuard(rbac, Authorizers(rbac))


def write(guard, obj, old=None, user=JANE, kind=""):
    resource = kind or ("rolebindings" if "roleRef" in obj else "roles")
    place = obj["metadata"].get("namespace", "")
    request = Request("create", "", GROUP, "v1", resource, "", place, "", user)
    return guard.admit(Attributes(request, "UPDATE" if old else "CREATE", (GROUP, "v1", ""), obj, old))


@pytest.mark.parametrize(
    "rules",
    [
        [rule("get", "core", "configmaps")],
        [rule("get", "core", "configmaps", "x")],
        [],
    ],
)
def test_within_rights(guard, rules):
    run(write(guard, role("r", rules, "ns")))


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ([rule("get", "core", "secrets")], ['{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}']),
        (
            [rule("get,delete", "core", "configmaps,secrets"), rule("*", "apps", "deployments")],
            [
                '{APIGroups:[""], Resources:["configmaps"], Verbs:["delete"]}',
                '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}',
                '{APIGroups:["apps"], Resources:["deployments"], Verbs:["*"]}',
            ],
        ),
        ([rule("*", "*", "*")], ['{APIGroups:["*"], Resources:["*"], Verbs:["*"]}']),
        (
            [rule("get", "core", "pods", "a,b")],
            [
                '{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}',
                '{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}',
            ],
        ),
        ([rule("get", urls="/metrics")], ['{NonResourceURLs:["/metrics"], Verbs:["get"]}']),
    ],
)
def test_beyond_rights(guard, rules, missing):
    message = f'roles.{GROUP} "no" is forbidden: {START}' + "\n".join(missing)
    assert refusal(write, guard, role("no", rules, "ns")) == (403, message)


def test_masters_grant_anything_and_metadata_may_change(guard):
    wide = role("r", [rule("*", "*", "*")], "ns")
    run(write(guard, wide, user=UserInfo("root", groups=("system:masters",))))
    kept = wide | {"metadata": wide["metadata"] | {"finalizers": ["x.io/y"]}}
    run(write(guard, kept, wide))
    labelled = wide | {"metadata": wide["metadata"] | {"labels": {"a": "b"}}}
    assert refusal(write, guard, labelled, wide)[0] == 403


def test_binding_needs_the_rights_of_the_role(guard):
    put_ok = binding("self", "manager", "User bob", namespace="ns")
    run(write(guard, put_ok))
    admin = binding("adm", "cluster-admin", "User bob", namespace="ns", kind="ClusterRole")
    assert refusal(write, guard, admin) == (
        403,
        f'rolebindings.{GROUP} "adm" is forbidden: {START}'
        '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
    )
    view = binding("v", "view", "User bob", namespace="ns", kind="ClusterRole")
    lines = refusal(write, guard, view)[1].splitlines()
    assert lines[1] == '{APIGroups:[""], Resources:["bindings"], Verbs:["get" "list" "watch"]}'
    assert lines[2] == '{APIGroups:[""], Resources:["configmaps"], Verbs:["watch"]}'
    assert len(lines) == 61
    missing = binding("m", "no-such", "User bob", namespace="ns")
    assert refusal(write, guard, missing) == (404, f'rolebindings.{GROUP} "no-such" not found')


def test_escalate_and_bind_verbs(reader, guard):
    more = [rule("escalate,bind", GROUP, "roles"), rule("bind", GROUP, "clusterroles", "view")]
    put(reader, role("more", more, "ns"), binding("more", "more", "User jane", namespace="ns"))
    run(write(guard, role("yes", [rule("get", "core", "secrets")], "ns")))
    run(write(guard, binding("viewer", "view", "User bob", namespace="ns", kind="ClusterRole")))
    edit = binding("editor", "edit", "User bob", namespace="ns", kind="ClusterRole")
    assert refusal(write, guard, edit)[0] == 403


def test_aggregation_needs_everything(reader, guard):
    put(
        reader,
        role("cluster-roles", [rule("create", GROUP, "clusterroles")]),
        binding("cluster-roles", "cluster-roles", "User jane"),
    )
    aggregated = role("agg", []) | {"aggregationRule": {"clusterRoleSelectors": [{}]}}
    assert refusal(lambda: write(guard, aggregated, kind="clusterroles")) == (
        403,
        f'clusterroles.{GROUP} "agg" is forbidden: must have cluster-admin privileges to use the aggregationRule',
    )


def test_what_it_looks_at(guard):
    assert guard.handles(Target(GROUP, "roles", "", "CREATE"))
    assert guard.handles(Target(GROUP, "clusterrolebindings", "", "UPDATE"))
    assert not guard.handles(Target(GROUP, "roles", "", "DELETE"))
    assert not guard.handles(Target("", "pods", "", "CREATE"))
