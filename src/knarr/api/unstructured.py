"""Go's words for an object of the wrong shape that never was JSON text: the result of a strategic merge patch.

Such an object goes from generic maps to the type directly (`DefaultUnstructuredConverter`), whose complaints differ
from the JSON decoder's. Only failing patches come here.
"""

from __future__ import annotations

from typing import Any

from knarr.api import schema
from knarr.api.decoding import OPAQUE, SELF_DECODING, go_type
from knarr.api.schema import Definition, Type

KINDS = {dict: "map", list: "slice", str: "string", bool: "bool", int: "int64", float: "float64"}
GO_NAMES = {
    **KINDS,
    dict: "map[string]interface {}",
    list: "[]interface {}",
}
FITS = {
    "string": (str,),
    "bool": (bool,),
    "int32": (int, float),
    "int64": (int, float),
    "double": (int, float),
}


def fault(definition: str, value: Any) -> str:
    """The first complaint in the order of the struct's fields; "" when the converter has none."""
    return _struct(schema.load()[definition], value)


def _struct(definition: Definition, value: Any) -> str:
    if not isinstance(value, dict):
        return f"cannot restore struct from: {KINDS[type(value)]}"
    for field in definition.fields.values():
        item = value.get(field.name)
        if item is not None and (found := _value(field.type, item)):
            return found
    return ""


def _value(type_: Type, value: Any) -> str:
    if value is None or type_.kind == "any":
        return ""
    if type_.kind == "list":
        return _each(type_, value, list, "slice", value if isinstance(value, list) else ())
    if type_.kind == "map":
        return _each(type_, value, dict, "map", value.values() if isinstance(value, dict) else ())
    if type_.kind == "scalar":
        return _scalar(type_, value)
    # Types that decode themselves complain as they do in JSON.
    if type_.name in OPAQUE or type_.name in SELF_DECODING:
        return ""
    return _struct(schema.load()[type_.name], value)


def _each(type_: Type, value: Any, wanted: type, word: str, items: Any) -> str:
    if not isinstance(value, wanted):
        return f"cannot restore {word} from {KINDS[type(value)]}"
    assert type_.item is not None
    return next((found for item in items if (found := _value(type_.item, item))), "")


def _scalar(type_: Type, value: Any) -> str:
    if type_.name == "byte":
        return "" if isinstance(value, str) else f"cannot restore slice from {KINDS[type(value)]}"
    fits = FITS[type_.name]
    if type(value) in fits and not (type_.name != "double" and type(value) is float and value % 1):
        return ""
    return f"cannot convert {GO_NAMES[type(value)]} to {go_type(type_)}"
