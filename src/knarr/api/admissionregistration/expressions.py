"""The CEL of admission: what expressions may refer to, and how errors in them are told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from knarr.meta.cel.environment import CompileError, Environment, Expression
from knarr.meta.cel.functions import Functions, table
from knarr.meta.cel.types import (
    BOOL,
    DYN,
    INT,
    NULL,
    SIMPLE,
    STRING,
    TIMESTAMP,
    ObjectType,
    Type,
    list_of,
    map_of,
    show,
)
from knarr.meta.fielderrors import FieldError, invalid

MUTATION, PATCH = "Object", "JSONPatch"


class AnyField(dict[str, Type]):
    """The fields of a type of which nothing is known: there is any, of any type. False, so that nothing is checked."""

    def get(self, name: str, default: Any = None) -> Type:
        return DYN


PATCH_TYPE: Type = ("object", ObjectType(PATCH, {"op": STRING, "path": STRING, "from": STRING, "value": DYN}))
#: Object and everything below it: fields are not known, so everything goes
MUTATION_TYPE: Type = ("object", ObjectType(MUTATION, AnyField()))


def _object(name: str, /, **fields: Type) -> Type:
    return ("object", ObjectType(name, fields))


@cache
def request_type() -> Type:
    """The `request` variable."""
    # one type each, so that they can be compared
    kind = _object("kubernetes.GroupVersionKind", group=STRING, version=STRING, kind=STRING)
    resource = _object("kubernetes.GroupVersionResource", group=STRING, version=STRING, resource=STRING)
    user = _object(
        "kubernetes.UserInfo",
        username=STRING,
        uid=STRING,
        groups=list_of(STRING),
        extra=map_of(STRING, list_of(STRING)),
    )
    return _object(
        "kubernetes.AdmissionRequest",
        kind=kind,
        resource=resource,
        subResource=STRING,
        requestKind=kind,
        requestResource=resource,
        requestSubResource=STRING,
        name=STRING,
        namespace=STRING,
        operation=STRING,
        userInfo=user,
        dryRun=BOOL,
        options=DYN,
    )


@cache
def namespace_type() -> Type:
    """The `namespaceObject` variable."""
    texts = map_of(STRING, STRING)
    metadata = _object(
        "kubernetes.NamespaceMetadata",
        name=STRING,
        generateName=STRING,
        namespace=STRING,
        labels=texts,
        annotations=texts,
        UID=STRING,
        creationTimestamp=TIMESTAMP,
        deletionGracePeriodSeconds=INT,
        deletionTimestamp=TIMESTAMP,
        generation=INT,
        resourceVersion=STRING,
        finalizers=list_of(STRING),
    )
    condition = _object(
        "kubernetes.NamespaceCondition",
        status=STRING,
        type=STRING,
        lastTransitionTime=TIMESTAMP,
        message=STRING,
        reason=STRING,
    )
    return _object(
        "kubernetes.Namespace",
        metadata=metadata,
        spec=_object("kubernetes.NamespaceSpec", finalizers=list_of(STRING)),
        status=_object("kubernetes.NamespaceStatus", conditions=list_of(condition), phase=STRING),
    )


@cache
def authorizer_functions() -> Functions:
    from knarr.meta.cel.library import authz, functions

    more = table(authz.OVERLOADS)
    known = functions()
    return {name: [*known.get(name, ()), *overloads] for name, overloads in more.items()}


def environment(
    params: bool = False,
    authorizer: bool = True,
    variables: dict[str, Type] | None = None,
    patches: bool = False,
    object_type: Type = DYN,
) -> Environment:
    """`variables` are those composed before, `patches` allows Object{} and JSONPatch{}; `object_type` is known only to
    type checking."""
    known: dict[str, Type] = {
        "object": object_type,
        "oldObject": object_type,
        "request": request_type(),
        "namespaceObject": namespace_type(),
    }
    if params:
        known["params"] = DYN
    if authorizer:
        known["authorizer"] = ("opaque", "kubernetes.authorization.Authorizer")
        known["authorizer.requestResource"] = ("opaque", "kubernetes.authorization.ResourceCheck")
    if variables is not None:
        known["variables"] = ("object", ObjectType("kubernetes.variables", variables))
    structs = _mutation_types if patches else lambda name: None
    return Environment(known, authorizer_functions() if authorizer else None, structs)


def variable_type(found: Type) -> Type:
    """The type of a composed variable whose expression has a type: of objects nothing is remembered."""
    if found[0] in ("list", "map"):
        return (found[0], *map(variable_type, found[1:]))
    return found if found[0] in SIMPLE else DYN


@cache
def _mutation_types(name: str) -> Type | None:
    """Types are equal when they are the same one, hence the cache."""
    if name == PATCH:
        return PATCH_TYPE
    if name == MUTATION:
        return MUTATION_TYPE
    return ("object", ObjectType(name, AnyField())) if name.startswith(f"{MUTATION}.") else None


def compile_to(
    env: Environment, text: str, wanted: Sequence[Type] | None, shown: str = ""
) -> tuple[Expression | None, str]:
    """(the expression, "") if its type is one of `wanted`, where None is any; else (None, what is wrong).

    `shown` is how the message names what is wanted.
    """
    try:
        expression = env.compile(text)
    except CompileError as error:
        return None, f"compilation failed: {error}"
    if wanted is not None and not any(_matches(expression.type, type_) for type_ in wanted):
        names = [_name(type_) for type_ in wanted]
        needed = shown or (names[0] if len(names) == 1 else f"one of [{' '.join(names)}]")
        return None, f"must evaluate to {needed} but got {_name(expression.type)}"
    return expression, ""


def compile_as(
    env: Environment, text: str, path: str, wanted: Sequence[Type], shown: str = ""
) -> tuple[Expression | None, list[FieldError]]:
    """As `compile_to`, with the field's error."""
    expression, error = compile_to(env, text, wanted, shown)
    return expression, [invalid(path, text, error)] if error else []


def _matches(found: Type, wanted: Type) -> bool:
    if found[0] == "list" and wanted[0] == "list":
        return _matches(found[1], wanted[1]) or found[1] == DYN
    return found == wanted


def _name(type_: Type) -> str:
    return "null_type" if type_ == NULL else show(type_)


def is_identifier(text: str) -> bool:
    """Whether a text can name a variable."""
    from knarr.api.apiextensions.rules.celtypes import RESERVED

    return text.isascii() and text.isidentifier() and text not in RESERVED
