"""The selectors of an access review: as a request would have said them, as far as one can.

What cannot be said or read is left out: a selector only narrows what is asked for, so what somebody may do with less
of it he may do with all of it.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def field_selector(attributes: Object) -> str:
    """A field selector knows `is` and `is not`, each of one value."""
    from knarr.meta import fields

    if raw := attributes.get("rawSelector"):
        try:
            fields.parse(raw)
        except ValueError:
            return ""
        return raw
    signs = {"In": "=", "NotIn": "!="}
    return ",".join(
        f"{r['key']}{signs[r['operator']]}{fields.escape(r['values'][0])}"
        for r in attributes.get("requirements") or ()
        if r.get("operator") in signs and len(r.get("values") or ()) == 1
    )


def label_selector(attributes: Object) -> str:
    from knarr.meta import labels

    if raw := attributes.get("rawSelector"):
        try:
            labels.parse(raw)
        except ValueError:
            return ""
        return raw
    return ",".join(text for r in attributes.get("requirements") or () if (text := _label_requirement(r)))


def _label_requirement(requirement: Object) -> str:
    """ "" for one that is none."""
    from knarr.meta import labels

    operators = {
        "In": labels.IN,
        "NotIn": labels.NOT_IN,
        "Exists": labels.EXISTS,
        "DoesNotExist": labels.NOT_EXISTS,
    }
    operator = operators.get(requirement.get("operator", ""))
    if operator is None:
        return ""
    try:
        return str(labels.requirement(requirement.get("key", ""), operator, requirement.get("values") or ()))
    except ValueError:
        return ""


def selector_faults(spec: Object) -> list[str]:
    """What an answer says about selectors that were not wholly understood."""
    resource = spec.get("resourceAttributes") or {}
    found = []
    for key, text_of in (("fieldSelector", field_selector), ("labelSelector", label_selector)):
        attributes = resource.get(key)
        if not attributes:
            continue
        requirements = attributes.get("requirements") or ()
        text = text_of(attributes)
        whole = bool(text) if attributes.get("rawSelector") else _count(key, text) == len(requirements)
        if not whole:
            how = "partially ignored" if text else "ignored"
            found.append(f"spec.resourceAttributes.{key} {how} due to parse error")
    return found


def _count(key: str, text: str) -> int:
    from knarr.meta import fields, labels

    if not text:
        return 0
    parse = fields.parse if key == "fieldSelector" else labels.parse
    return len(parse(text).requirements or ())
