"""A request as the spec of a SubjectAccessReview: what webhooks and their match conditions are asked about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.registry.context import Request, UserInfo

Object = dict[str, Any]

#: the verbs whose selectors narrow what is asked for
SELECTING = frozenset({"list", "watch", "deletecollection"})
WORDS = ("namespace", "verb", "group", "version", "resource", "subresource", "name")


def spec_of(request: Request) -> Object:
    """Empty fields are left out, as on the wire."""
    spec: Object = {}
    if request.resource:
        spec["resourceAttributes"] = _resource(request)
    else:
        pair = (("path", request.path), ("verb", request.verb))
        spec["nonResourceAttributes"] = {key: value for key, value in pair if value}
    return spec | _subject(request.user)


def _subject(user: UserInfo) -> Object:
    found: Object = {}
    if user.name:
        found["user"] = user.name
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    if user.uid:
        found["uid"] = user.uid
    return found


def _resource(request: Request) -> Object:
    found: Object = {word: value for word in WORDS if (value := getattr(request, word))}
    if request.verb not in SELECTING:
        return found
    for key, requirements in (("fieldSelector", field_requirements), ("labelSelector", label_requirements)):
        parts = requirements(request.query.get(key, ""))
        if parts:
            found[key] = {"requirements": parts}
    return found


def field_requirements(text: str) -> list[Object]:
    """The requirements of a field selector; none for a text that is no selector."""
    if not text:
        return []
    from knarr.meta import fields

    try:
        selector = fields.parse(text)
    except ValueError:
        return []
    return [
        {"key": r.field, "operator": "NotIn" if r.operator == "!=" else "In", "values": [r.value]}
        for r in selector.requirements
    ]


def label_requirements(text: str) -> list[Object]:
    """The requirements of a label selector that a SubjectAccessReview can say (not those of greater and less)."""
    if not text:
        return []
    from knarr.meta import labels

    try:
        selector = labels.parse(text)
    except ValueError:
        return []
    return list(_label_parts(selector.requirements or ()))


def _label_parts(requirements: Iterable[Any]) -> Iterable[Object]:
    operators = {
        "in": "In",
        "=": "In",
        "==": "In",
        "notin": "NotIn",
        "!=": "NotIn",
        "exists": "Exists",
        "!": "DoesNotExist",
    }
    for r in requirements:
        operator = operators.get(r.operator)
        if operator is None:
            continue
        part: Object = {"key": r.key, "operator": operator}
        if r.values:
            part["values"] = sorted(r.values)
        yield part


def full_spec(spec: Object) -> Object:
    """The spec as expressions see it: every text is there, be it empty."""
    found: Object = {
        "user": spec.get("user", ""),
        "groups": spec.get("groups", []),
        "uid": spec.get("uid", ""),
        "extra": spec.get("extra", {}),
    }
    if "resourceAttributes" in spec:
        given = spec["resourceAttributes"]
        attributes: Object = {word: given.get(word, "") for word in WORDS}
        for key in ("fieldSelector", "labelSelector"):
            if key in given:
                parts = [{"values": [], **part} for part in given[key].get("requirements", ())]
                attributes[key] = {"requirements": parts}
        found["resourceAttributes"] = attributes
    if "nonResourceAttributes" in spec:
        given = spec["nonResourceAttributes"]
        found["nonResourceAttributes"] = {"path": given.get("path", ""), "verb": given.get("verb", "")}
    return found
