"""A mutating policy, compiled: what each of its mutations makes of an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.admission.cel.evaluation import BUDGET, Activation, Inputs, OutOfBudget
from knarr.admission.cel.expressions import Compiled, Variables
from knarr.admission.cel.matchconditions import Match, MatchConditions
from knarr.api.admissionregistration.expressions import (
    MUTATION,
    MUTATION_TYPE,
    PATCH_TYPE,
    environment,
    list_of,
)
from knarr.meta import errors
from knarr.meta.cel.library.times import show_duration, show_timestamp
from knarr.meta.cel.values import Duration, Struct, Timestamp
from knarr.meta.patch import json_patch
from knarr.registry.decode import Decoder
from knarr.registry.storage import View

Object = dict[str, Any]


class MutationError(Exception):
    """A mutation that cannot be made; failurePolicy says what then."""


class Mutators:
    """The expressions of one policy."""

    def __init__(self, spec: Object) -> None:
        params = spec.get("paramKind") is not None
        self._variables = Variables(spec.get("variables") or (), params)
        ignores = spec.get("failurePolicy") == "Ignore"
        self._conditions = MatchConditions(spec.get("matchConditions"), ignores, self._variables, params)
        env = environment(params, variables=self._variables.types, patches=True)
        self._mutations: list[tuple[Any, Compiled]] = []
        for mutation in spec.get("mutations") or ():
            if mutation.get("patchType") == "JSONPatch":
                text = (mutation.get("jsonPatch") or {}).get("expression", "")
                self._mutations.append((_patch, Compiled(env, text, (list_of(PATCH_TYPE),))))
            else:
                text = (mutation.get("applyConfiguration") or {}).get("expression", "")
                self._mutations.append((_apply, Compiled(env, text, (MUTATION_TYPE,))))

    def __len__(self) -> int:
        return len(self._mutations)

    def match(self, inputs: Inputs) -> Match:
        return self._conditions.match(inputs)

    def mutate(self, index: int, inputs: Inputs, view: View | None) -> Object:
        """The object with the mutation made, decoded and defaulted again; not without `view`.

        Raises MutationError, Unanswered (cel/authorizer.py), and StatusError 500 for a patch whose result is no object
        of the kind.
        """
        make, compiled = self._mutations[index]
        if compiled.expression is None:
            raise MutationError(compiled.error)
        try:
            result = Activation(inputs, BUDGET, self._variables).evaluate(compiled)
        except OutOfBudget as error:
            raise MutationError(str(error)) from None
        if result.error:
            raise MutationError(result.error)
        assert inputs.object is not None
        return make(inputs.object, result.value, view)


def _apply(obj: Object, value: Struct, view: View | None) -> Object:
    """ApplyConfiguration: merged as server-side apply does it, owned by nobody."""
    _check_names(value, MUTATION)
    if view is None:
        group, _, version = obj["apiVersion"].rpartition("/")
        type_ = f"{group}/{version}, Kind={obj['kind']}"
        why = f"failed to convert patch object to typed object: no corresponding type for {type_}"
        raise MutationError(f"error applying patch: {why}")
    try:
        config = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **plain(value)}
        merged = view.fields.merged(obj, config)
        return Decoder().patched(view, None, merged)[0]  # type: ignore[arg-type]
    except ValueError as error:
        raise MutationError(f"error applying patch: {error}") from None


def _patch(obj: Object, value: list[Struct], view: View | None) -> Object:
    """JSONPatch. A `test` that fails means that there is nothing to do."""
    operations = [_operation(item) for item in value]
    try:
        new = json_patch.patched(obj, operations)
    except json_patch.TestFailed:
        return obj
    except json_patch.Refused as error:
        raise MutationError(f"JSON Patch: {error}") from None
    if view is None:
        return new
    try:
        decoded, findings = Decoder().patched(view, None, new)  # type: ignore[arg-type]
    except ValueError as error:
        raise errors.internal(str(error)) from None
    if findings and not view.custom:
        raise errors.internal(f"strict decoding error: {', '.join(findings)}")
    return decoded


def _operation(item: Struct) -> Object:
    found = {"op": item.get("op", ""), "path": item.get("path", "")}
    if item.get("from"):
        found["from"] = item["from"]
    if "value" in item:
        value = item["value"]
        if value.__class__ is Struct:
            _check_names(value, value.name)
        try:
            found["value"] = plain(value)
        except ValueError as error:
            why = f"JSONPath valueExpression evaluated to a type that could not marshal to JSON: {error}"
            raise MutationError(why) from None
    return found


# -- values ------------------------------------------------------------------------------------------------


def _check_names(value: Any, name: str) -> None:
    """Object{} types are named after the way to their field, and must stand there."""
    if wrong := list(_misnamed(value, name)):
        raise MutationError("type mismatch: " + "\n".join(wrong))


def _misnamed(value: Any, name: str) -> Iterator[str]:
    if value.__class__ is Struct:
        if value.name != name:
            yield (
                f'unexpected type name "{value.name}", expected "{name}", which matches field name path from root'
                " Object type"
            )
        for field, item in value.items():
            yield from _misnamed(item, f"{name}.{field}")
    elif isinstance(value, dict):
        for item in value.values():
            yield from _misnamed(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _misnamed(item, name)


def plain(value: Any) -> Any:
    """A CEL value as JSON. Raises ValueError for what JSON has no form for."""
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f'map key "{key}" is of type {_go_type(key)}, not string')
            found[key] = plain(item)
        return found
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    if isinstance(value, Timestamp):
        return show_timestamp(value)
    if isinstance(value, Duration):
        return show_duration(value)
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value)
    raise ValueError(f"unsupported conversion from {type(value).__name__.lower()} to JSON")


def _go_type(value: Any) -> str:
    return {int: "types.Int", bool: "types.Bool"}.get(value.__class__, "types.Uint")
