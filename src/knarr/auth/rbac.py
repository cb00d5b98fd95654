"""Role-based access control: roles and bindings, kept compiled and asked by subject.

A decision is remembered until a role or binding changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from knarr.auth.authorize import NO_OPINION, Decision, Rules
from knarr.auth.rules import Compiled, Rule, compile_rule
from knarr.auth.satokens import username
from knarr.meta.fielderrors import aggregate
from knarr.meta.gofmt import quote
from knarr.registry.context import Request, UserInfo
from knarr.registry.reader import Object, Reader

GROUP = "rbac.authorization.k8s.io"
#: decisions kept; the oldest goes first
CACHE_ENTRIES = 16384


class _Role(NamedTuple):
    rules: list[Rule]
    compiled: list[Compiled]


class _Binding(NamedTuple):
    """A binding; `subjects` maps a subject's key to the words for it, in the binding's order."""

    namespace: str
    name: str
    role_kind: str
    role_name: str
    subjects: dict[str, str]

    def reason(self, key: str) -> str:
        words = self.subjects[key]
        role = f"{self.role_kind} {quote(self.role_name)} to {words}"
        if self.namespace:
            return f"RBAC: allowed by RoleBinding {quote(f'{self.name}/{self.namespace}')} of {role}"
        return f"RBAC: allowed by ClusterRoleBinding {quote(self.name)} of {role}"


class RBAC:
    """The authorizer. Bindings are looked at in the order of their names, cluster-wide ones first."""

    def __init__(self, reader: Reader) -> None:
        self._cluster_roles: dict[str, _Role] = {}
        self._roles: dict[tuple[str, str], _Role] = {}
        self._bindings: dict[tuple[str, str], _Binding] = {}
        #: namespace ("" is the cluster) and subject key -> bindings by name
        self._by_subject: dict[tuple[str, str], dict[str, _Binding]] = {}
        self._decisions: dict[tuple[Any, ...], Decision | None] = {}
        reader.subscribe(GROUP, "clusterroles", self._cluster_role_changed)
        reader.subscribe(GROUP, "roles", self._role_changed)
        reader.subscribe(GROUP, "clusterrolebindings", self._binding_changed)
        reader.subscribe(GROUP, "rolebindings", self._binding_changed)

    def authorize(self, request: Request) -> Decision:
        user = request.user
        if request.resource:
            key: tuple[Any, ...] = (
                user.name,
                user.groups,
                request.verb,
                request.group,
                request.resource,
                request.subresource,
                request.namespace,
            )
        else:
            key = (user.name, user.groups, request.verb, request.path)
        try:
            decision = self._decisions[key]
        except KeyError:
            return self._decide(request, key)
        # None: a rule with resourceNames is in the way, so the object's name decides
        return decision if decision is not None else self._decide_by_name(request, key)

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[Rule], list[str]]:
        """All rules that hold for a user in a namespace ("" for the cluster), and why some could not be found."""
        rules: list[Rule] = []
        faults: list[str] = []
        for binding, _ in self._bindings_of(user, namespace):
            role = self._role_of(binding)
            if role is None:
                faults.append(_missing(binding))
            else:
                rules.extend(role.rules)
        return rules, faults

    def resolve(self, user: UserInfo, namespace: str) -> Rules:
        rules, faults = self.rules_for(user, namespace)
        return Rules(rules, False, faults)

    def role_rules(self, role_kind: str, role_name: str, namespace: str) -> list[Rule] | None:
        """The rules a roleRef leads to, None if there is no such role."""
        role = self._role_of(_Binding(namespace, "", role_kind, role_name, {}))
        return None if role is None else role.rules

    # -- deciding ----------------------------------------------------------------------------------------

    def _decide_by_name(self, request: Request, key: tuple[Any, ...]) -> Decision:
        key = (*key, request.name)
        decision = self._decisions.get(key)
        if decision is None:
            decision, _ = self._evaluate(request)
            self._remember(key, decision)
        return decision

    def _decide(self, request: Request, key: tuple[Any, ...]) -> Decision:
        decision, by_name = self._evaluate(request)
        if by_name:
            self._remember(key, None)
            self._remember((*key, request.name), decision)
        else:
            self._remember(key, decision)
        return decision

    def _evaluate(self, request: Request) -> tuple[Decision, bool]:
        """The decision, and whether it depends on the object's name."""
        faults: list[str] = []
        by_name = False
        for binding, subject in self._bindings_of(request.user, request.namespace):
            role = self._role_of(binding)
            if role is None:
                faults.append(_missing(binding))
                continue
            for rule in role.compiled:
                if rule.names and request.resource and rule.allows_some_name(request):
                    by_name = True
                if rule.allows(request):
                    return Decision(True, binding.reason(subject)), by_name
        if not faults:
            return NO_OPINION, by_name
        return Decision(False, f"RBAC: {aggregate(faults)}"), by_name

    def _remember(self, key: tuple[Any, ...], decision: Decision | None) -> None:
        while len(self._decisions) >= CACHE_ENTRIES:
            del self._decisions[next(iter(self._decisions))]
        self._decisions[key] = decision

    def _bindings_of(self, user: UserInfo, namespace: str) -> Iterator[tuple[_Binding, str]]:
        """Bindings that name the user or one of his groups, each with the key of the first subject that does."""
        keys = [f"User {user.name}", *(f"Group {g}" for g in user.groups)]
        for place in ("", namespace) if namespace else ("",):
            found: dict[str, _Binding] = {}
            for key in keys:
                found.update(self._by_subject.get((place, key), ()))
            for name in sorted(found):
                binding = found[name]
                yield binding, next(subject for subject in binding.subjects if subject in keys)

    def _role_of(self, binding: _Binding) -> _Role | None:
        if binding.role_kind == "ClusterRole":
            return self._cluster_roles.get(binding.role_name)
        if binding.role_kind == "Role":
            return self._roles.get((binding.namespace, binding.role_name))
        return None

    # -- following changes ---------------------------------------------------------------------------------

    def _cluster_role_changed(self, event: str, obj: Object) -> None:
        self._decisions.clear()
        _set(self._cluster_roles, obj["metadata"]["name"], event, obj)

    def _role_changed(self, event: str, obj: Object) -> None:
        self._decisions.clear()
        _set(self._roles, (obj["metadata"]["namespace"], obj["metadata"]["name"]), event, obj)

    def _binding_changed(self, event: str, obj: Object) -> None:
        self._decisions.clear()
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        old = self._bindings.pop((namespace, name), None)
        for subject in old.subjects if old else ():
            bound = self._by_subject[namespace, subject]
            del bound[name]
            if not bound:
                del self._by_subject[namespace, subject]
        if event == "DELETED":
            return
        reference = obj["roleRef"]
        subjects = _subjects(obj.get("subjects") or (), namespace)
        binding = _Binding(namespace, name, reference["kind"], reference["name"], subjects)
        self._bindings[namespace, name] = binding
        for subject in binding.subjects:
            self._by_subject.setdefault((namespace, subject), {})[name] = binding


def _set(roles: dict[Any, _Role], key: Any, event: str, obj: Object) -> None:
    if event == "DELETED":
        roles.pop(key, None)
        return
    rules = obj.get("rules") or []
    roles[key] = _Role(rules, [compile_rule(r) for r in rules])


def _subjects(subjects: Iterable[Object], namespace: str) -> dict[str, str]:
    """Subject keys (`User jane`, `Group g`) and how a decision's reason names them."""
    keys: dict[str, str] = {}
    for subject in subjects:
        kind, name = subject["kind"], subject["name"]
        if kind == "ServiceAccount":
            place = subject.get("namespace") or namespace
            if place:
                keys.setdefault(f"User {username(place, name)}", f"ServiceAccount {quote(f'{name}/{place}')}")
        elif kind in ("User", "Group"):
            keys.setdefault(f"{kind} {name}", f"{kind} {quote(name)}")
    return keys


def _missing(binding: _Binding) -> str:
    if binding.role_kind in ("Role", "ClusterRole"):
        return f"{binding.role_kind.lower()}.{GROUP} {quote(binding.role_name)} not found"
    return f"unsupported role reference kind: {quote(binding.role_kind)}"
