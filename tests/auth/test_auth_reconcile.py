"""Default roles and bindings get what they lack, and lose nothing."""

import asyncio

import pytest

from knarr.auth.aggregation import aggregated_rules
from knarr.auth.reconcile import AUTOUPDATE, leads_elsewhere, reconcile
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.store.memory import MemoryStore
from knarr.world import World
from knarr.world.chance import chance

GET = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
LIST = {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}
BOTH = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
JANE, JOE = ({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": n} for n in ("jane", "joe"))


def obj(labels=None, annotations=None, **parts):
    metadata = {"name": "x", "labels": labels or {}, "annotations": annotations or {}}
    return {"metadata": {key: value for key, value in metadata.items() if value}, **parts}


SELECTORS = [{"matchLabels": {"a": "b"}}, {"matchLabels": {"c": "d"}}]
ROWS = [
    ("clusterroles", obj(rules=[BOTH]), obj(rules=[GET, LIST]), None),
    ("clusterroles", obj(rules=[GET]), obj(rules=[BOTH]), obj(rules=[GET, LIST])),
    ("clusterroles", obj(), obj(rules=[GET]), obj(rules=[GET])),
    ("clusterroles", obj(annotations={AUTOUPDATE: "false"}), obj(rules=[GET]), None),
    ("clusterroles", obj({"own": "1"}), obj({"l": "2"}), obj({"l": "2", "own": "1"})),
    ("clusterroles", obj({"l": "own"}), obj({"l": "2"}), None),
    ("clusterrolebindings", obj(subjects=[JOE]), obj(subjects=[JANE]), obj(subjects=[JOE, JANE])),
    ("clusterrolebindings", obj(subjects=[JOE, JANE]), obj(subjects=[JANE]), None),
    (
        "clusterroles",
        obj(aggregationRule={"clusterRoleSelectors": SELECTORS[:1]}, rules=[GET]),
        obj(aggregationRule={"clusterRoleSelectors": SELECTORS[1:]}, rules=[LIST]),
        obj(aggregationRule={"clusterRoleSelectors": SELECTORS}, rules=[GET]),
    ),
]


@pytest.mark.parametrize("resource,found,wanted,expected", ROWS)
def test_what_is_added(resource, found, wanted, expected):
    assert reconcile(resource, found, wanted) == expected
    if expected is not None:
        assert reconcile(resource, expected, wanted) is None


def test_a_binding_to_another_role_is_made_anew():
    found, wanted = obj(roleRef={"name": "a"}), obj(roleRef={"name": "b"})
    assert leads_elsewhere("rolebindings", found, wanted)
    assert not leads_elsewhere("rolebindings", found, found)
    kept = obj(annotations={AUTOUPDATE: "false"}, roleRef={"name": "a"})
    assert not leads_elsewhere("rolebindings", kept, wanted)


def test_a_second_start_mends_what_the_first_left():
    async def run():
        world = World(chance=chance(5))
        store = MemoryStore(world)
        config = Config(serve=False, admin_token="T")

        async def start():
            plane = ControlPlane(config, world, store)
            await plane.start()
            return plane

        group = "rbac.authorization.k8s.io"
        plane = await start()
        registry = plane.registry
        role = registry.get(group, "clusterroles", "", "system:discovery")
        whole = role["rules"]
        await registry.update(group, "clusterroles", {**role, "rules": []})
        await registry.delete(group, "clusterrolebindings", "", "system:basic-user")
        bound = registry.get(group, "clusterrolebindings", "", "system:discovery")
        await registry.delete(group, "clusterrolebindings", "", "system:discovery")
        other = {**bound["roleRef"], "name": "view"}
        metadata = {key: bound["metadata"][key] for key in ("name", "labels", "annotations")}
        await registry.create(group, "clusterrolebindings", {**bound, "metadata": metadata, "roleRef": other})
        await plane.stop()
        plane = await start()
        registry = plane.registry
        versions = [registry.get(group, "clusterroles", "", "system:discovery")]
        rules = versions[0]["rules"]
        assert sorted(u for r in rules for u in r["nonResourceURLs"]) == sorted(whole[0]["nonResourceURLs"])
        assert registry.get(group, "clusterrolebindings", "", "system:basic-user") is not None
        mended = registry.get(group, "clusterrolebindings", "", "system:discovery")
        assert mended["roleRef"] == bound["roleRef"]
        await plane.stop()
        plane = await start()
        again = plane.registry.get(group, "clusterroles", "", "system:discovery")
        assert again["metadata"]["resourceVersion"] == versions[0]["metadata"]["resourceVersion"]
        await plane.stop()

    asyncio.run(run())


def test_aggregated_rules_come_selector_by_selector():
    def role(name, label, *verbs):
        rules = [{**GET, "verbs": [v]} for v in verbs]
        return {"metadata": {"name": name, "labels": {label: "yes"}}, "rules": rules}

    gathering = {
        "metadata": {"name": "all", "labels": {"first": "yes"}},
        "aggregationRule": {
            "clusterRoleSelectors": [{"matchLabels": {k: "yes"}} for k in ("second", "first")]
        },
        "rules": [LIST],
    }
    roles = [role("b", "second", "b"), role("a", "first", "a", "b"), role("c", "second", "c"), gathering]
    assert [r["verbs"] for r in aggregated_rules(gathering, roles)] == [["b"], ["c"], ["a"]]
