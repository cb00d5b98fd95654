"""Do a policy's expressions fit the kinds it is for? What does not is a warning in status.typeChecking.

At work `object` has no type: any field may be there. Here the expressions are compiled again, once for each kind that
the rules name, with the kind's schema as the type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from knarr.api import catalog, schema
from knarr.api.admissionregistration.expressions import (
    authorizer_functions,
    namespace_type,
    request_type,
    variable_type,
)
from knarr.api.apiextensions.rules.celtypes import declare
from knarr.meta.cel.environment import CompileError, Environment
from knarr.meta.cel.types import DYN, ObjectType, Type

Object = dict[str, Any]
Triple = tuple[str, str, str]
#: kinds that one policy is checked against
KINDS_MAX = 10
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
#: written as a text or a number: of neither type, so their fields cannot be seen
WITHOUT_TYPE = frozenset(
    (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    )
)
INT_OR_STRING = {"x-kubernetes-int-or-string": True}
TEXT = {"type": "string"}


class TypeChecker:
    """`definitions` gives the CustomResourceDefinitions of now; it is called when something not built in is named."""

    def __init__(self, definitions: Iterable[Object]) -> None:
        self._versions: dict[Triple, tuple[str, Object]] = {}
        for crd in definitions:
            spec = crd["spec"]
            for version in spec.get("versions") or ():
                if version.get("served"):
                    key = spec["group"], version["name"], spec["names"]["plural"]
                    self._versions[key] = spec["names"]["kind"], version

    def check(self, spec: Object) -> list[Object]:
        """ExpressionWarnings of a ValidatingAdmissionPolicy's spec."""
        checks = [self._environment(kind, spec) for kind in self.kinds(spec)]
        warnings = []
        for index, validation in enumerate(spec.get("validations") or ()):
            for field in ("expression", "messageExpression"):
                text = validation.get(field)
                if text and (found := [w for w in (check(text) for check in checks) if w]):
                    where = f"spec.validations[{index}].{field}"
                    warnings.append({"fieldRef": where, "warning": "\n".join(found)})
        return warnings

    # -- kinds -------------------------------------------------------------------------------------------

    def kinds(self, spec: Object) -> list[Triple]:
        """The kinds that rules name without wildcards and that have a schema, sorted, a few at most."""
        found: set[Triple] = set()
        for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
            count = 0
            for resource in _named(rule):
                for kind in self._kinds_of(resource):
                    found.add(kind)
                    count += 1
                    if count == KINDS_MAX:
                        return self._known(found)
        return self._known(found)

    def _known(self, kinds: set[Triple]) -> list[Triple]:
        return [kind for kind in sorted(kinds) if self._schema(kind) is not None]

    def _kinds_of(self, resource: Triple) -> list[Triple]:
        """A resource without a group may be of any: so the API machinery looks names up."""
        group, version, name = resource
        built_in = [(r.group, r.version, r.kind) for gvr, r in catalog.BY_GVR.items() if _fits(gvr, resource)]
        custom = [(gvr[0], gvr[1], kind) for gvr, (kind, _) in self._versions.items() if _fits(gvr, resource)]
        return built_in + custom

    def _schema(self, kind: Triple) -> Object | None:
        if kind in catalog.BY_GVK:
            return Resolver(schema.definitions()).definition(schema.definition_of(*kind))
        for (group, version, _), (name, facts) in self._versions.items():
            if (group, version, name) == kind:
                return _of_custom(facts)
        return None

    def _declared(self, kind: Triple) -> Type | None:
        """None for a kind without schema."""
        found = self._schema(kind)
        declared = declare(found, False) if found is not None else None
        if declared is None:
            return None
        _name(declared.type, kind[2])
        return declared.type

    # -- expressions -------------------------------------------------------------------------------------

    def _environment(self, kind: Triple, spec: Object) -> Callable[[str], str]:
        """A function from an expression to the warning about it, "" for none."""
        object_type = self._declared(kind) or DYN
        known: dict[str, Type] = {
            "object": object_type,
            "oldObject": object_type,
            "request": request_type(),
            "namespaceObject": namespace_type(),
            "authorizer": ("opaque", "kubernetes.authorization.Authorizer"),
        }
        params = self._declared(_param_kind(spec))
        if params is not None:
            known["params"] = params
        variables: dict[str, Type] = {}
        for variable in spec.get("variables") or ():
            try:
                type_ = _environment(known, variables).compile(variable.get("expression", "")).type
            except CompileError:
                type_ = DYN
            variables[variable.get("name", "")] = variable_type(type_)
        env = _environment(known, variables)
        shown = f"{kind[0]}/{kind[1]}, Kind={kind[2]}"

        def check(text: str) -> str:
            try:
                env.compile(text)
            except CompileError as error:
                return f"{shown}: {error}\n"
            return ""

        return check


def _environment(known: dict[str, Type], variables: dict[str, Type]) -> Environment:
    composed = ("object", ObjectType("kubernetes.variables", variables))
    return Environment({**known, "variables": composed}, authorizer_functions())


def _named(rule: Object) -> list[Triple]:
    """The resources that a rule spells out; subresources have kinds of their own and are not looked at."""
    groups, versions = sorted(rule.get("apiGroups") or ()), sorted(rule.get("apiVersions") or ())
    if any("*" in text for text in (*groups, *versions)):
        return []
    names = sorted(name for name in rule.get("resources") or () if not set(name) & {"*", "/"})
    return [(group, version, name) for group in groups for version in versions for name in names]


def _fits(gvr: Triple, wanted: Triple) -> bool:
    return gvr[1:] == wanted[1:] and wanted[0] in ("", gvr[0])


def _param_kind(spec: Object) -> Triple:
    kind = spec.get("paramKind") or {}
    group, _, version = kind.get("apiVersion", "").rpartition("/")
    return group, version, kind.get("kind", "")


def _name(type_: Type, name: str) -> None:
    """Types of objects are called after the way to them."""
    if type_[0] == "object":
        type_[1].name = name
        for field, inner in type_[1].fields.items():
            _name(inner, f"{name}.{field}")
    elif type_[0] == "list":
        _name(type_[1], f"{name}.@idx")
    elif type_[0] == "map":
        _name(type_[2], f"{name}.@elem")


# -- schemas -----------------------------------------------------------------------------------------------


class Resolver:
    """Schemas with what they refer to put in place."""

    def __init__(self, definitions: Any) -> None:
        self._definitions = definitions
        self._above: list[str] = []

    def definition(self, name: str) -> Object:
        if name in WITHOUT_TYPE:
            return {}
        if name in self._above:
            # A type inside itself: nothing is known of it.
            return {"type": "object"}
        self._above.append(name)
        try:
            return self._resolved(self._definitions[name])
        finally:
            self._above.pop()

    def _resolved(self, facts: Object) -> Object:
        if facts.get("format") == "int-or-string":
            return INT_OR_STRING
        reference = facts.get("$ref") or next((part.get("$ref") for part in facts.get("allOf") or ()), None)
        if reference:
            return self.definition(reference.rpartition("/")[2])
        found: Object = {key: facts[key] for key in ("type", "format") if key in facts}
        if isinstance(facts.get("items"), dict):
            found["items"] = self._resolved(facts["items"])
        if isinstance(facts.get("additionalProperties"), dict):
            found["additionalProperties"] = self._resolved(facts["additionalProperties"])
        if properties := facts.get("properties"):
            found["properties"] = {name: self._resolved(part) for name, part in properties.items()}
        return found


def _of_custom(version: Object) -> Object:
    """The schema of a custom resource as it is published: with the metadata that all objects have."""
    own = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    metadata = Resolver(schema.definitions()).definition(META)
    common = {"apiVersion": TEXT, "kind": TEXT, "metadata": metadata}
    return {**own, "type": "object", "properties": {**(own.get("properties") or {}), **common}}
