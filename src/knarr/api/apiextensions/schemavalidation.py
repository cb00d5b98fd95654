"""What one version's openAPIV3Schema must look like, its CEL rules and their cost included."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from knarr.api.apiextensions import defaultvalues, fieldpath, internal, structural
from knarr.api.apiextensions.costs import Costs, Place
from knarr.meta import fielderrors, strformats
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required

Schema = dict[str, Any]
TYPES = ("array", "boolean", "integer", "number", "object", "string")
META_FIELDS = ("metadata", "kind", "apiVersion")
REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
#: what a root may hold when status is a subresource, by wire name
WITH_STATUS = (
    *("Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum"),
    *(
        "MaxLength",
        "MinLength",
        "Pattern",
        "MaxItems",
        "MinItems",
        "UniqueItems",
        "MultipleOf",
        "Required",
        "Items",
    ),
    *("Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"),
)
UNIQUE = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
LIST_TYPE, LIST_KEYS, MAP_TYPE = (
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)
KEY_NEEDED = (
    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
)
KEY_NULLABLE = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
NO_TYPE = (
    "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert"
    " structural schema to CEL declarations"
)
_NEWLINES = re.compile(r"[\n\r]+")


@dataclass(frozen=True)
class Options:
    """How strictly to look: an update does not have to mend what was accepted before."""

    stored_rules: frozenset[str] = frozenset()
    unchanged_versions: frozenset[str] = frozenset()
    allow_invalid_bundle: bool = True
    #: costs of single rules are not looked at
    any_cost: bool = False

    def of_version(self, name: str) -> Options:
        return replace(self, any_cost=True) if name in self.unchanged_versions else self


@dataclass(frozen=True)
class _Where:
    """What the places above mean for a place below."""

    defaults: bool = True
    no_defaults_reason: str = ""
    in_metadata: bool = False
    #: the first place above whose parts cannot be told apart between old and new
    uncorrelatable: str = ""

    def without_defaults(self, reason: str) -> _Where:
        return replace(self, defaults=False, no_defaults_reason=reason)

    def cut(self, path: str) -> _Where:
        return self if self.uncorrelatable else replace(self, uncorrelatable=path)


@dataclass
class _Found:
    schema: list[FieldError] = field(default_factory=list)
    rules: list[FieldError] = field(default_factory=list)

    def add(self, other: _Found) -> None:
        self.schema += other.schema
        self.rules += other.rules


def expressions(spec: dict[str, Any]) -> frozenset[str]:
    """All rules and message expressions of a definition."""
    found: set[str] = set()
    for version in spec.get("versions") or ():
        for schema in _everywhere((version.get("schema") or {}).get("openAPIV3Schema") or {}):
            for rule in schema.get("x-kubernetes-validations") or ():
                found.update((rule.get("rule", ""), rule.get("messageExpression", "")))
    return frozenset(found)


def has_defaults(spec: dict[str, Any]) -> bool:
    """Whether any schema of a definition has a default."""
    roots = [(v.get("schema") or {}).get("openAPIV3Schema") or {} for v in spec.get("versions") or ()]
    return any(s.get("default") is not None for root in roots for s in _everywhere(root))


def _everywhere(schema: Schema) -> list[Schema]:
    found = [schema]
    for sub in _parts(schema):
        found += _everywhere(sub)
    return found


def _parts(schema: Schema) -> list[Schema]:
    items = schema.get("items")
    parts = items if isinstance(items, list) else [items]
    for key in ("allOf", "anyOf", "oneOf"):
        parts = [*parts, *(schema.get(key) or ())]
    properties = [sub for _, sub in sorted((schema.get("properties") or {}).items())]
    parts = [*parts, schema.get("not"), *properties, schema.get("additionalProperties")]
    return [part for part in parts if isinstance(part, dict)]


def unknown_formats(spec: dict[str, Any]) -> list[str]:
    """The formats of texts in all schemas of a definition that have no meaning, each once."""
    found: dict[str, None] = {}
    for version in spec.get("versions") or ():
        for schema in _everywhere((version.get("schema") or {}).get("openAPIV3Schema") or {}):
            format_ = schema.get("format", "")
            if format_ and schema.get("type") == "string" and not strformats.is_known(format_):
                found[format_] = None
    return list(found)


def errors(schema: Schema | None, status: bool, options: Options, path: str) -> list[FieldError]:
    """`status`: the status subresource is on. `path` is that of the validation around the schema."""
    if schema is None:
        return []
    where = f"{path}.openAPIV3Schema"
    found = _root_errors(schema, status, where)
    costs: Costs | None = None
    unsupported = structural.unsupported(schema)
    if not unsupported:
        wrong = structural.errors(schema, where) or defaultvalues.errors(schema, where)
        found += wrong
        if not wrong:
            costs = Costs(schema)
    inside = _walk(schema, where, _Where(), True, options, costs.root if costs else None)
    found += inside.schema + inside.rules
    if unsupported and not found:
        found.append(invalid(where, "", unsupported))
    if costs is not None:
        found += costs.errors(where)
    return found


def _root_errors(schema: Schema, status: bool, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if status:
        for wire, go, zero in internal.PROPS:
            value = schema.get(wire)
            if value is None or value == zero:
                continue
            if go == "Type":
                if value != "object":
                    detail = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
                    found.append(invalid(f"{path}.type", value, detail))
                    break
            elif go not in WITH_STATUS:
                detail = (
                    f"only [{' '.join(WITH_STATUS)}] fields are allowed at the root of the schema"
                    " if the status subresource is enabled"
                )
                found.append(invalid(path, internal.props(schema), detail))
                break
    if schema.get("nullable"):
        found.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    return found


def _walk(s: Schema, path: str, where: _Where, root: bool, options: Options, place: Place | None) -> _Found:
    found = _Found()
    found.schema += _standard(s, path, where)
    if s.get("uniqueItems"):
        found.schema.append(forbidden(f"{path}.uniqueItems", UNIQUE))
    additional, properties = s.get("additionalProperties"), s.get("properties") or {}
    if additional is not None:
        if properties and additional is not True:
            detail = "additionalProperties and properties are mutual exclusive"
            found.schema.append(forbidden(f"{path}.additionalProperties", detail))
        if isinstance(additional, dict):
            below = where
            if where.in_metadata:
                below = where.without_defaults("inside additionalProperties applying to object metadata")
            child = place.below(additional) if place else None
            found.add(_walk(additional, f"{path}.additionalProperties", below, False, options, child))
    for key, sub in sorted(properties.items()):
        below = where
        if (root or s.get("x-kubernetes-embedded-resource")) and key in META_FIELDS:
            below = replace(below, in_metadata=True)
            if root:
                below = below.without_defaults(f"in top-level {key}")
        child = place.below(sub) if place else None
        found.add(_walk(sub, f"{path}.properties[{key}]", below, False, options, child))
    if s.get("not") is not None:
        found.add(_walk(s["not"], f"{path}.not", where, False, options, None))
    for key in ("allOf", "oneOf", "anyOf"):
        for i, sub in enumerate(s.get(key) or ()):
            found.add(_walk(sub, f"{path}.{key}[{i}]", where, False, options, None))
    for key, sub in sorted((s.get("definitions") or {}).items()):
        found.add(_walk(sub, f"{path}.definitions[{key}]", where, False, options, None))
    items = s.get("items")
    below = where if s.get(LIST_TYPE) == "map" else where.cut(path)
    if isinstance(items, dict):
        child = place.below(items) if place else None
        found.add(_walk(items, f"{path}.items", below, False, options, child))
    elif items:
        for i, sub in enumerate(items):
            found.add(_walk(sub, f"{path}.items[{i}]", below, False, options, None))
    for key, sub in sorted((s.get("dependencies") or {}).items()):
        if isinstance(sub, dict):
            found.add(_walk(sub, f"{path}.dependencies[{key}]", where, False, options, None))
    found.schema += _extensions(s, path)
    if s.get("x-kubernetes-validations"):
        for i, rule in enumerate(s["x-kubernetes-validations"]):
            found.schema += _rule_errors(s, rule, f"{path}.x-kubernetes-validations[{i}]")
        if not found.schema and place is not None:
            found.rules += _compiled(s, path, where, options, place)
    return found


def _standard(s: Schema, path: str, where: _Where) -> list[FieldError]:
    found: list[FieldError] = []
    kind = s.get("type", "")
    if kind and kind not in TYPES:
        found.append(not_supported(f"{path}.type", kind, TYPES))
    if s.get("default") is not None and not where.defaults:
        reason = f" {where.no_defaults_reason}" if where.no_defaults_reason else ""
        found.append(forbidden(f"{path}.default", f"must not be set{reason}"))
    for key in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        if s.get(key) or (key in ("additionalItems", "dependencies", "$ref") and s.get(key) is not None):
            found.append(forbidden(f"{path}.{key}", f"{key} is not supported"))
    if kind == "null":
        found.append(forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    if isinstance(s.get("items"), list):
        found.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if where.in_metadata and s.get("x-kubernetes-embedded-resource"):
        detail = "must not be used inside of resource meta"
        found.append(forbidden(f"{path}.x-kubernetes-embedded-resource", detail))
    return found


# -- list and map types ------------------------------------------------------------------------------------


def _extensions(s: Schema, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if s.get("x-kubernetes-preserve-unknown-fields") is False:
        where = f"{path}.x-kubernetes-preserve-unknown-fields"
        found.append(invalid(where, False, "must be true or undefined"))
    found += _type_of_extension(s, MAP_TYPE, "object", path)
    map_type, list_type, keys = s.get(MAP_TYPE), s.get(LIST_TYPE), s.get(LIST_KEYS) or []
    if map_type is not None and map_type not in ("atomic", "granular"):
        found.append(not_supported(f"{path}.{MAP_TYPE}", map_type, ("atomic", "granular")))
    wrong = _type_of_extension(s, LIST_TYPE, "array", path)
    items = s.get("items") if isinstance(s.get("items"), dict) else None
    found += wrong
    if not wrong and list_type == "set" and items is not None:
        found += _set_items(items, path)
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        found.append(not_supported(f"{path}.{LIST_TYPE}", list_type, ("atomic", "set", "map")))
    if keys:
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        if list_type is None:
            found.append(required(f"{path}.{LIST_TYPE}", detail))
        elif list_type != "map":
            found.append(invalid(f"{path}.{LIST_TYPE}", list_type, detail))
    if list_type == "map":
        found += _map_list(s, items, keys, path)
    if items is not None and list_type in ("set", "map"):
        found += _keys_present(items, list_type, keys, path)
    return found


def _type_of_extension(s: Schema, extension: str, wanted: str, path: str) -> list[FieldError]:
    if s.get(extension) is None or s.get("type", "") == wanted:
        return []
    detail = f"must be {wanted} if {extension} is specified"
    kind = s.get("type", "")
    return [invalid(f"{path}.type", kind, detail) if kind else required(f"{path}.type", detail)]


def _set_items(items: Schema, path: str) -> list[FieldError]:
    detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
    list_type = items.get(LIST_TYPE)
    if items.get("type") == "array" and list_type not in (None, "atomic"):
        return [invalid(f"{path}.items.{LIST_TYPE}", list_type, detail)]
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        return [invalid(f"{path}.items.{MAP_TYPE}", list_type, detail)]
    return []


def _map_list(s: Schema, items: Schema | None, keys: list[str], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if not keys:
        detail = "must not be empty if x-kubernetes-list-type is map"
        found.append(required(f"{path}.{LIST_KEYS}", detail))
    if s.get("items") is None:
        found.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
    if items is None:
        return found
    kind = items.get("type", "")
    if kind != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        return [*found, invalid(f"{path}.items.type", kind, detail)]
    seen: set[str] = set()
    properties = items.get("properties") or {}
    for key in keys:
        sub = properties.get(key)
        if sub is None:
            detail = "entries must all be names of item properties"
            found.append(invalid(f"{path}.{LIST_KEYS}", keys, detail))
        elif sub.get("type") in ("array", "object"):
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.append(invalid(f"{path}.items.properties[{key}].type", kind, detail))
        if key in seen:
            found.append(invalid(f"{path}.{LIST_KEYS}", keys, "must not contain duplicate entries"))
        seen.add(key)
    return found


def _keys_present(items: Schema, list_type: str, keys: list[str], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if items.get("nullable"):
        detail = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
        found.append(forbidden(f"{path}.items.nullable", detail))
    if list_type != "map":
        return found
    needed, properties = items.get("required") or (), items.get("properties") or {}
    for key in keys:
        sub = properties.get(key)
        if sub is None:
            continue
        where = f"{path}.items.properties[{key}]"
        if key not in needed and sub.get("default") is None:
            found.append(required(f"{where}.default", KEY_NEEDED))
        if sub.get("nullable"):
            found.append(forbidden(f"{where}.nullable", KEY_NULLABLE))
    return found


# -- rules -------------------------------------------------------------------------------------------------


def _rule_errors(s: Schema, rule: dict[str, Any], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    text, message = rule.get("rule", ""), rule.get("message", "")
    expression, field_path = rule.get("messageExpression", ""), rule.get("fieldPath", "")
    if not text.strip():
        found.append(required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        found.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif _NEWLINES.search(message.strip()):
        found.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    elif _NEWLINES.search(text.strip()) and not message.strip():
        detail = "message must be specified if rule contains line breaks"
        found.append(required(f"{path}.message", detail))
    if expression and not expression.strip():
        detail = "messageExpression must be non-empty if specified"
        found.append(required(f"{path}.messageExpression", detail))
    if rule.get("reason") is not None and rule["reason"] not in REASONS:
        found.append(not_supported(f"{path}.reason", rule["reason"], REASONS))
    if field_path and not field_path.strip():
        found.append(invalid(f"{path}.fieldPath", field_path, "must be non-empty if specified"))
    if _NEWLINES.search(field_path):
        found.append(invalid(f"{path}.fieldPath", field_path, "must not contain line breaks"))
    if field_path and not structural.unsupported(s):
        try:
            fieldpath.resolve(field_path, s)
        except ValueError:
            found.append(invalid(f"{path}.fieldPath", field_path, "must be a valid path"))
    return found


def _compiled(s: Schema, path: str, where: _Where, options: Options, place: Place) -> list[FieldError]:
    found: list[FieldError] = []
    compiled = place.compile()
    if compiled is None:
        return [fielderrors.internal(f"{path}.x-kubernetes-validations", NO_TYPE)]
    for i, (rule, result) in enumerate(zip(s["x-kubernetes-validations"], compiled, strict=True)):
        here = f"{path}.x-kubernetes-validations[{i}]"
        found += place.observe(f"{here}.rule", "rule", result.cost_of_rule(place), options.any_cost)
        if result.error:
            found.append(invalid(f"{here}.rule", internal.rule(rule), result.error))
        if result.message_error:
            found.append(invalid(f"{here}.messageExpression", internal.rule(rule), result.message_error))
        elif result.has_message:
            found += place.observe(
                f"{here}.messageExpression", "messageExpression", result.message_cost, options.any_cost
            )
        if result.uses_old_self:
            if where.uncorrelatable:
                detail = (
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within"
                    f" {where.uncorrelatable}"
                )
                found.append(invalid(f"{here}.rule", rule["rule"], detail))
        elif rule.get("optionalOldSelf") is not None:
            detail = "may not be set if oldSelf is not used in rule"
            found.append(invalid(f"{here}.optionalOldSelf", rule["optionalOldSelf"], detail))
    return found
