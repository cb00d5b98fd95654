"""What is wrong with the spec of a MutatingAdmissionPolicy."""

from __future__ import annotations

from knarr.api import checks
from knarr.api.admissionregistration import policies, rules
from knarr.api.admissionregistration.expressions import (
    MUTATION_TYPE,
    PATCH_TYPE,
    compile_as,
    environment,
    list_of,
)
from knarr.api.kind import Object
from knarr.meta.cel.environment import Environment
from knarr.meta.fielderrors import FieldError, invalid, required

PATCH_TYPES = ("ApplyConfiguration", "JSONPatch")
FIELDS = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def spec_errors(spec: Object) -> list[FieldError]:
    params = spec.get("paramKind") is not None
    found = policies.common_errors(spec, "spec", mutating=True)
    wrong, variables = policies.variable_errors(spec.get("variables"), "spec.variables", params)
    found += wrong
    mutations = spec.get("mutations") or ()
    if not mutations:
        found.append(required("spec.mutations", "mutations must contain at least one item"))
    env = environment(params, variables=variables, patches=True)
    for i, mutation in enumerate(mutations):
        found += _mutation_errors(mutation, f"spec.mutations[{i}]", env)
    policy = spec.get("reinvocationPolicy", "")
    if not policy:
        found.append(required("spec.reinvocationPolicy"))
    else:
        found += checks.one_of("spec.reinvocationPolicy", policy, rules.REINVOCATION_POLICIES)
    return found


def _mutation_errors(mutation: Object, path: str, env: Environment) -> list[FieldError]:
    kind = mutation.get("patchType", "")
    if not kind:
        return [required(f"{path}.patchType")]
    if kind not in PATCH_TYPES:
        return checks.one_of(f"{path}.patchType", kind, PATCH_TYPES)
    field = FIELDS[kind]
    found: list[FieldError] = []
    given = mutation.get(field)
    if given is None:
        found.append(required(f"{path}.{field}", f"must be specified when patchType is {kind}"))
    else:
        found += _expression_errors(given.get("expression", ""), f"{path}.{field}.expression", kind, env)
    for other in FIELDS.values():
        if other != field and mutation.get(other) is not None:
            detail = f"must not be specified when patchType is {kind}"
            found.append(invalid(f"{path}.{other}", f"{{{other}}}", detail))
    return found


def _expression_errors(text: str, path: str, kind: str, env: Environment) -> list[FieldError]:
    text = text.strip()
    if not text:
        return [required(path)]
    wanted = MUTATION_TYPE if kind == "ApplyConfiguration" else list_of(PATCH_TYPE)
    return compile_as(env, text, path, (wanted,))[1]
