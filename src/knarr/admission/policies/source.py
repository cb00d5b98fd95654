"""The policies and bindings of a cluster as they are now."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

from knarr.admission.attributes import Target
from knarr.admission.policies.constraints import Constraints
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
#: requests that are questions: nothing is stored, and policies on them could lock everybody out
REVIEWS = frozenset(
    (
        *(("authentication.k8s.io", name) for name in ("tokenreviews", "selfsubjectreviews")),
        *(
            ("authorization.k8s.io", name)
            for name in (
                "localsubjectaccessreviews",
                "selfsubjectaccessreviews",
                "selfsubjectrulesreviews",
                "subjectaccessreviews",
            )
        ),
    )
)
E_ = TypeVar("E_")


class Policy(Generic[E_]):
    """One policy; it and its expressions are compiled when the first request meets them."""

    def __init__(self, obj: Object, compiler: Callable[[Object], E_]) -> None:
        self._compiler = compiler
        self.name: str = obj["metadata"]["name"]
        self.spec: Object = obj["spec"]
        self.fails = self.spec.get("failurePolicy") != "Ignore"

    @cached_property
    def constraints(self) -> Constraints:
        return Constraints(self.spec.get("matchConstraints"))

    @cached_property
    def evaluator(self) -> E_:
        return self._compiler(self.spec)


class Binding:
    """One binding of a policy."""

    def __init__(self, obj: Object) -> None:
        self.name: str = obj["metadata"]["name"]
        self.spec: Object = obj["spec"]
        self.policy: str = self.spec.get("policyName", "")

    @cached_property
    def constraints(self) -> Constraints:
        return Constraints(self.spec.get("matchResources"))


Hook = tuple[Policy[E_], list[Binding]]


class Source(Generic[E_]):
    """Policies with their bindings, sorted by name; those without bindings do nothing and are left out.

    `changed` is called when others may be concerned than before.
    """

    def __init__(
        self,
        reader: Reader,
        equivalents: Equivalents,
        policies: str,
        bindings: str,
        compiler: Callable[[Object], E_],
        changed: Callable[[], None],
    ) -> None:
        self._equivalents, self._compiler, self._changed = equivalents, compiler, changed
        self._policies: dict[str, Policy[E_]] = {}
        self._bindings: dict[str, Binding] = {}
        self._hooks: list[Hook[E_]] = []
        self._by_target: dict[Target, list[Hook[E_]]] = {}
        reader.subscribe(GROUP, policies, self._policy_event)
        reader.subscribe(GROUP, bindings, self._binding_event)

    def hooks(self, target: Target) -> list[Hook[E_]]:
        """Those that may be for requests of this target."""
        found = self._by_target.get(target)
        if found is None:
            found = [] if _is_exempt(target) else [h for h in self._hooks if self._concerns(h, target)]
            self._by_target[target] = found
        return found

    def _concerns(self, hook: Hook[E_], target: Target) -> bool:
        policy, bindings = hook
        if not policy.constraints.handles(target, self._equivalents):
            return False
        return any(binding.constraints.handles(target, self._equivalents) for binding in bindings)

    def _policy_event(self, type_: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if type_ == "DELETED":
            self._policies.pop(name, None)
        else:
            known = self._policies.get(name)
            if known is not None and known.spec == obj["spec"]:
                # A change of status or labels: what is compiled stays good.
                return
            self._policies[name] = Policy(obj, self._compiler)
        self._rebuild()

    def _binding_event(self, type_: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if type_ == "DELETED":
            self._bindings.pop(name, None)
        else:
            self._bindings[name] = Binding(obj)
        self._rebuild()

    def _rebuild(self) -> None:
        bound: dict[str, list[Binding]] = {}
        for name in sorted(self._bindings):
            binding = self._bindings[name]
            bound.setdefault(binding.policy, []).append(binding)
        self._hooks = [
            (self._policies[name], bound[name]) for name in sorted(bound) if name in self._policies
        ]
        self._by_target.clear()
        self._changed()


def _is_exempt(target: Target) -> bool:
    if target.group == GROUP:
        return "admissionpolic" in target.resource
    return (target.group, target.resource) in REVIEWS
