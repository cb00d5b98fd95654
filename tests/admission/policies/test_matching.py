"""Which requests rules and selectors cover."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.admission.attributes import Attributes
from knarr.admission.matching import Rules, Selectors
from knarr.registry.context import Request

from .conftest import rules, valid

WORLD = {
    ("", "pods"): ("v1",),
    ("", "nodes"): ("v1",),
    ("", "namespaces"): ("v1",),
    ("apps", "deployments"): ("v1", "v2"),
}


class Served:
    """What `Equivalents` says of a small world in which deployments have two versions."""

    def of(self, group, resource, subresource=""):
        return [(group, version, resource) for version in WORLD[group, resource]]

    def kind(self, resource, subresource=""):
        return (*resource[:2], resource[2].title())


def write(group="", version="v1", resource="pods", sub="", operation="CREATE", namespace="ns", name="x"):
    request = Request("create", "", group, version, resource, sub, namespace, name)
    return Attributes(request, operation, (group, version, resource.title()), {"metadata": {"name": name}})


def rule(groups="*", versions="*", resources="*", operations="*", **more):
    return {
        "apiGroups": groups.split(","),
        "apiVersions": versions.split(","),
        "resources": resources.split(","),
        "operations": operations.split(","),
        **more,
    }


@pytest.mark.parametrize(
    ("rule", "a", "covered"),
    [
        (rule(), write(), True),
        (rule(), write(sub="status"), False),
        (rule(resources="*/*"), write(sub="status"), True),
        (rule(resources="*/*"), write(), True),
        (rule(resources="pods/*"), write(sub="log"), True),
        (rule(resources="pods/*"), write(), True),
        (rule(resources="*/status"), write(sub="status"), True),
        (rule(resources="*/status"), write(sub="scale"), False),
        (rule(resources="pods"), write(sub="log"), False),
        (rule(operations="UPDATE,DELETE"), write(), False),
        (rule(operations="UPDATE,DELETE"), write(operation="DELETE"), True),
        (rule(groups="apps"), write(), False),
        (rule(versions="v2"), write(), False),
        (rule(scope="Namespaced"), write(), True),
        (rule(scope="Cluster"), write(), False),
        (rule(scope="Cluster"), write(resource="nodes", namespace=""), True),
        (rule(scope="Namespaced"), write(resource="nodes", namespace=""), False),
        (rule(scope="Cluster"), write(resource="namespaces", namespace="x"), True),
        (rule(scope="Namespaced"), write(resource="namespaces", namespace="x"), False),
        (rule(resourceNames=["x"]), write(), True),
        (rule(resourceNames=["y"]), write(), False),
    ],
)
def test_rules(rule, a, covered):
    for equivalent in (False, True):
        assert (Rules([rule], equivalent).match(a, Served()) is not None) == covered


def test_equivalents_are_matched_in_the_version_of_the_rule():
    a = write("apps", "v1", "deployments")
    only_v2 = [rule("apps", "v2", "deployments")]
    assert Rules(only_v2, False).match(a, Served()) is None
    matched = Rules(only_v2, True).match(a, Served())
    assert (matched.resource, matched.kind) == (("apps", "v2", "deployments"), ("apps", "v2", "Deployments"))
    both = Rules([*only_v2, rule("apps", "*", "deployments")], True).match(a, Served())
    assert both.resource[1] == "v1"


words = {
    "apiGroups": ("", "apps", "*"),
    "apiVersions": ("v1", "v2", "*"),
    "resources": ("pods", "deployments", "pods/log", "pods/*", "*/log", "*", "*/*", "nodes", "namespaces"),
    "operations": ("CREATE", "UPDATE", "DELETE", "CONNECT", "*"),
}
some_rules = st.lists(
    st.fixed_dictionaries(
        {key: st.lists(st.sampled_from(values), min_size=1, max_size=3) for key, values in words.items()},
        optional={
            "scope": st.sampled_from(["*", "Namespaced", "Cluster"]),
            "resourceNames": st.lists(st.sampled_from("xy")),
        },
    ),
    max_size=3,
)
writes = st.builds(
    lambda place, version, *rest: write(place[0], version, place[1], *rest),
    st.sampled_from(sorted(WORLD)),
    st.sampled_from(["v1", "v2"]),
    st.sampled_from(["", "log"]),
    st.sampled_from(["CREATE", "UPDATE", "DELETE", "CONNECT"]),
    st.sampled_from(["", "ns"]),
    st.sampled_from("xyz"),
)


@given(some_rules, writes, st.booleans())
def test_who_is_not_handled_is_never_matched(rules, a, equivalent):
    """The look at the target leaves nobody out that the look at the request would find."""
    made = Rules(rules, equivalent)
    if made.match(a, Served()) is not None:
        assert made.handles(a.target, Served())


@given(some_rules, writes)
def test_equivalent_finds_at_least_what_exact_finds(rules, a):
    exact = Rules(rules, False).match(a, Served())
    if exact is not None:
        assert Rules(rules, True).match(a, Served()) == exact


READER = SimpleNamespace(
    get=lambda group, resource, namespace, name: (
        {"metadata": {"labels": {"env": "prod"}}} if name == "ns" else None
    )
)
PROD = {"namespaceSelector": {"matchLabels": {"env": "prod"}}}


@pytest.mark.parametrize(
    ("owner", "a", "matches"),
    [
        ({}, write(), True),
        (PROD, write(), True),
        ({"namespaceSelector": {"matchLabels": {"env": "dev"}}}, write(), False),
        ({"namespaceSelector": {"matchLabels": {"env": "dev"}}}, write(resource="nodes", namespace=""), True),
        # a new namespace counts by the labels it comes with
        (PROD, write(resource="namespaces", namespace=""), False),
        (PROD, write(resource="namespaces", namespace="ns", name="ns", operation="DELETE"), True),
    ],
)
def test_namespace_selectors(owner, a, matches):
    assert Selectors(owner).match_namespace(a, READER) == matches


def test_object_selectors_look_at_the_old_object_too():
    owner = {"objectSelector": {"matchLabels": {"a": "b"}}}
    a = write()
    assert not Selectors(owner).match_object(a)
    a.old = {"metadata": {"labels": {"a": "b"}}}
    assert Selectors(owner).match_object(a)


def test_constraints_of_policy_and_binding_both_hold(api, run):
    async def main():
        await api.namespace("ns", env="prod")
        await api.namespace("dev", env="dev")
        everything = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["*"]}
        excluded = [
            {**everything, "resources": ["configmaps"], "operations": ["*"], "resourceNames": ["free"]}
        ]
        await api.policy(
            matchConstraints=rules(everything, excludeResourceRules=excluded, **PROD),
            binding={"matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}}},
            validations=valid("false"),
        )
        labels = {"metadata": {"labels": {"a": "b"}}}
        assert await api.refusal() == ""
        assert await api.refusal(**labels) == "failed expression: false"
        assert await api.refusal("free", **labels) == ""
        assert await api.refusal(namespace="dev", **labels) == ""

    run(main())


EVENT = {
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "ns"},
    "reason": "R",
    "message": "m",
    "type": "Normal",
}


def test_events_are_one_resource_in_two_groups(api, run):
    async def main():
        await api.namespace()
        new = {"apiGroups": ["events.k8s.io"], "apiVersions": ["v1"], "resources": ["events"]}
        await api.policy(
            matchConstraints=rules(new),
            validations=valid(
                "object.note != 'm' && request.requestKind.group == '' && object.regarding.name == 'p'"
            ),
        )
        error = await api.refused(
            "POST", "/api/v1/namespaces/ns/events", {"metadata": {"name": "e"}, **EVENT}
        )
        assert "failed expression" in error.message

    run(main())


def test_exact_policies_mean_the_version_they_name(api, run):
    async def main():
        await api.namespace()
        new = {"apiGroups": ["events.k8s.io"], "apiVersions": ["v1"], "resources": ["events"]}
        await api.policy(matchConstraints=rules(new, matchPolicy="Exact"), validations=valid("false"))
        await api("POST", "/api/v1/namespaces/ns/events", {"metadata": {"name": "e"}, **EVENT})

    run(main())
