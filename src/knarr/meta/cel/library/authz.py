"""Kubernetes' authorizer: checks against the cluster's authorization from inside an expression.

The values are whatever the environment's user puts there (`Authorizer` below says what they can do); costs are fixed.
"""

from __future__ import annotations

from knarr.meta.cel.functions import overload

AUTHORIZER = "kubernetes.authorization.Authorizer"
PATH, GROUP = "kubernetes.authorization.PathCheck", "kubernetes.authorization.GroupCheck"
RESOURCE, DECISION = "kubernetes.authorization.ResourceCheck", "kubernetes.authorization.Decision"

OVERLOADS = (
    overload(f"authorizer_path: {AUTHORIZER}::path(string) -> {PATH}", lambda a, path: a.path(path)),
    overload(f"authorizer_group: {AUTHORIZER}::group(string) -> {GROUP}", lambda a, group: a.group(group)),
    overload(
        f"authorizer_serviceaccount: {AUTHORIZER}::serviceAccount(string,string) -> {AUTHORIZER}",
        lambda a, namespace, name: a.service_account(namespace, name),
    ),
    overload(f"pathcheck_check: {PATH}::check(string) -> {DECISION}", lambda c, verb: c.check(verb)),
    overload(
        f"groupcheck_resource: {GROUP}::resource(string) -> {RESOURCE}", lambda g, name: g.resource(name)
    ),
    *(
        overload(
            f"resourcecheck_{name}: {RESOURCE}::{name}(string) -> {RESOURCE}",
            lambda c, value, name=name: c.narrowed(name, value),
        )
        for name in ("subresource", "namespace", "name", "fieldSelector", "labelSelector")
    ),
    overload(f"resourcecheck_check: {RESOURCE}::check(string) -> {DECISION}", lambda c, verb: c.check(verb)),
    overload(f"decision_allowed: {DECISION}::allowed() -> bool", lambda d: d.allowed),
    overload(f"decision_reason: {DECISION}::reason() -> string", lambda d: d.reason),
    overload(f"decision_error: {DECISION}::error() -> string", lambda d: d.error),
    overload(f"decision_errored: {DECISION}::errored() -> bool", lambda d: bool(d.error)),
)
