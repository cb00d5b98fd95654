"""What a CustomResourceDefinition must look like, in Kubernetes' order and words.

Paths are those of the internal type, into which equal per-version fields are lifted (internal.py).
"""

from __future__ import annotations

from typing import Any

from knarr.api import checks
from knarr.api.admissionregistration import webhookclient
from knarr.api.apiextensions import conversion, fieldpath, internal, schemavalidation
from knarr.api.apiextensions.schemavalidation import Options
from knarr.api.kind import Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required, too_many
from knarr.meta.gofmt import quote

SCOPES = ("Cluster", "Namespaced")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SELECTABLE_FIELDS_MAX = 8
SELECTABLE_TYPES = ("string", "boolean", "integer")
DEPRECATION_WARNING_MAX = 256
APPROVED = "api-approved.kubernetes.io"
APPROVAL_HELP = (
    f'protected groups must have approval annotation "{APPROVED}",'
    " see https://github.com/kubernetes/enhancements/pull/1111"
)
APPROVAL_INVALID = (
    f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason starting with'
    ' "unapproved", see https://github.com/kubernetes/enhancements/pull/1111'
)
PROTECTED = ("k8s.io", "kubernetes.io")
STORED_MISSING = (
    "missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a"
    " storage migration ensures no data remains persisted in {0} and removes {0} from status.storedVersions"
)
DEFAULTS_WHILE_PRESERVING = "must be false in order to use defaults in the schema"
CONVERSION_WHILE_PRESERVING = "must be None if spec.preserveUnknownFields is true"
PRESERVE = (
    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
)


def validate(crd: Object) -> list[FieldError]:
    name, spec = crd["metadata"].get("name", ""), crd["spec"]
    found: list[FieldError] = []
    if name != f"{spec['names'].get('plural', '')}.{spec.get('group', '')}":
        found.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    found += _spec_errors(spec, Options())
    found += _status_errors(crd)
    found += _approval_errors(crd, None)
    if spec.get("preserveUnknownFields"):
        found.append(invalid("spec.preserveUnknownFields", True, PRESERVE))
    return found


def validate_update(crd: Object, old: Object) -> list[FieldError]:
    spec, before = crd["spec"], old["spec"]
    established = _is_established(old)
    options = Options(
        stored_rules=schemavalidation.expressions(before),
        unchanged_versions=frozenset(_unchanged(spec, before)),
        allow_invalid_bundle=not established or _has_invalid_bundle(before),
    )
    found = _spec_errors(spec, options)
    if established:
        found += checks.unchanged("spec.scope", spec.get("scope", ""), before.get("scope", ""))
        found += checks.unchanged("spec.names.kind", spec["names"]["kind"], before["names"]["kind"])
    found += checks.unchanged("spec.group", spec.get("group", ""), before.get("group", ""))
    found += checks.unchanged("spec.names.plural", spec["names"]["plural"], before["names"]["plural"])
    found += _status_errors(crd)
    found += _approval_errors(crd, old)
    if spec.get("preserveUnknownFields") and not before.get("preserveUnknownFields"):
        found.append(invalid("spec.preserveUnknownFields", True, PRESERVE))
    return found


def _is_established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def _has_invalid_bundle(spec: Object) -> bool:
    client = ((spec.get("conversion") or {}).get("webhook") or {}).get("clientConfig") or {}
    return bool(client.get("caBundle")) and bool(webhookclient.bundle_errors("caBundle", client["caBundle"]))


def _unchanged(spec: Object, before: Object) -> list[str]:
    """The versions whose schema is what it was: costs of their rules are not looked at again."""
    schemas = {v.get("name"): v.get("schema") for v in before.get("versions") or ()}
    return [v["name"] for v in spec.get("versions") or () if schemas.get(v["name"], v) == v.get("schema")]


def _status_errors(crd: Object) -> list[FieldError]:
    status = crd.get("status") or {}
    found = names_errors(status.get("acceptedNames") or {}, "status.acceptedNames")
    return found + _stored_version_errors(status.get("storedVersions"), crd["spec"].get("versions") or ())


def _stored_version_errors(stored: list[str] | None, versions: Any) -> list[FieldError]:
    path = "status.storedVersions"
    if not stored:
        return [invalid(path, stored, "must have at least one stored version")]
    found: list[FieldError] = []
    left = {name: index for index, name in enumerate(stored)}
    for version in versions:
        name = version.get("name", "")
        if version.get("storage") and name not in left:
            found.append(invalid(path, stored, f"must have the storage version {name}"))
        left.pop(name, None)
    found += [invalid(f"{path}[{i}]", name, STORED_MISSING.format(name)) for name, i in left.items()]
    return found


def _approval_errors(crd: Object, old: Object | None) -> list[FieldError]:
    """Groups of Kubernetes itself need somebody's approval, or a word that they have none."""
    group = crd["spec"].get("group", "")
    if not is_protected(group):
        return []
    approval = approval_of(crd)
    state = approval_state(approval)
    if old is not None and state == approval_state(approval_of(old)):
        return []
    path = f"metadata.annotations[{APPROVED}]"
    if state == "missing":
        return [required(path, APPROVAL_HELP)]
    return [invalid(path, approval, APPROVAL_INVALID)] if state == "invalid" else []


def approval_of(crd: Object) -> str:
    return (crd["metadata"].get("annotations") or {}).get(APPROVED) or ""


def approval_state(approval: str) -> str:
    """What somebody said about an API of a protected group: missing, bypassed, approved or invalid."""
    if not approval:
        return "missing"
    if approval.startswith("unapproved"):
        return "bypassed"
    return "approved" if approved_by_url(approval) else "invalid"


def is_protected(group: str) -> bool:
    return any(group == suffix or group.endswith(f".{suffix}") for suffix in PROTECTED)


def approved_by_url(approval: str) -> bool:
    scheme, _, rest = approval.partition("://")
    return bool(scheme and rest.partition("/")[0])


# -- spec ------------------------------------------------------------------------------------------------


def _spec_errors(spec: Object, options: Options) -> list[FieldError]:
    inner = internal.lifted(spec)
    found = _group_errors(inner.get("group", "")) + _scope_errors(inner.get("scope", ""))
    versions = inner.get("versions") or []
    if _schema_of(inner.get("validation")) is None:
        found += [
            required(f"spec.versions[{i}].schema.openAPIV3Schema")
            for i, v in enumerate(versions)
            if _schema_of(v.get("schema")) is None
        ]
    if spec.get("preserveUnknownFields") and schemavalidation.has_defaults(spec):
        found.append(invalid("spec.preserveUnknownFields", True, DEFAULTS_WHILE_PRESERVING))
    for i, version in enumerate(versions):
        path = f"spec.versions[{i}]"
        found += _label_errors(f"{path}.name", version.get("name", ""))
        status = _has_status(version.get("subresources") or inner.get("subresources"))
        found += _version_errors(version, path, status, options)
    found += _version_list_errors(inner, spec)
    found += _required_names(inner["names"])
    found += names_errors(inner["names"], "spec.names")
    found += _top_level_errors(inner, options)
    strategy = (inner.get("conversion") or {}).get("strategy", "None")
    if spec.get("preserveUnknownFields") and strategy != "None":
        found.append(invalid("spec.conversion.strategy", strategy, CONVERSION_WHILE_PRESERVING))
    found += conversion.errors(inner.get("conversion"), "spec.conversion", options.allow_invalid_bundle)
    return found


def _group_errors(group: str) -> list[FieldError]:
    if not group:
        return [required("spec.group")]
    if messages := names.is_dns1123_subdomain(group):
        return [invalid("spec.group", group, ",".join(messages))]
    if "." not in group:
        return [invalid("spec.group", group, "should be a domain with at least one dot")]
    return []


def _scope_errors(scope: str) -> list[FieldError]:
    return checks.one_of("spec.scope", scope, SCOPES) if scope else [required("spec.scope")]


def _schema_of(validation: Object | None) -> Object | None:
    return (validation or {}).get("openAPIV3Schema")


def _has_status(subresources: Object | None) -> bool:
    return (subresources or {}).get("status") is not None


def _label_errors(path: str, value: str, prefix: str = "") -> list[FieldError]:
    """DNS-1035 labels; several messages become one."""
    messages = names.is_dns1035_label(value.lower() if prefix else value)
    return [invalid(path, value, prefix + ",".join(messages))] if messages else []


def _version_errors(version: Object, path: str, status: bool, options: Options) -> list[FieldError]:
    found = [
        invalid(f"{path}.deprecationWarning", version["deprecationWarning"], why)
        for why in _deprecation_errors(bool(version.get("deprecated")), version.get("deprecationWarning"))
    ]
    if version.get("schema") is not None:
        own = options.of_version(version.get("name", ""))
        found += schemavalidation.errors(_schema_of(version["schema"]), status, own, f"{path}.schema")
    found += _subresource_errors(version.get("subresources"), f"{path}.subresources")
    for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
        found += _column_errors(column, f"{path}.additionalPrinterColumns[{i}]")
    if version.get("selectableFields"):
        schema = _schema_of(version.get("schema"))
        where = f"{path}.selectableFields"
        if schema is None:
            detail = "selectableFields may only be set when version.schema.openAPIV3Schema is not included"
            found.append(invalid(where, "", detail))
        else:
            found += _selectable_errors(version["selectableFields"], schema, where)
    return found


def _deprecation_errors(deprecated: bool, warning: str | None) -> list[str]:
    if warning is None:
        return []
    if not deprecated:
        return ["can only be set for deprecated versions"]
    found = []
    if names.byte_length(warning) > DEPRECATION_WARNING_MAX:
        found.append(f"must be <= {DEPRECATION_WARNING_MAX} characters long")
    if not warning:
        found.append("must not be an empty string")
    position = 0
    for letter in warning:
        if not letter.isprintable():
            found.append(
                f"must only contain printable UTF-8 characters; non-printable character found at index {position}"
            )
            break
        position += names.byte_length(letter)
    return found


def _version_list_errors(inner: Object, spec: Object) -> list[FieldError]:
    versions = inner.get("versions")
    listed = [v.get("name", "") for v in versions or ()]
    found: list[FieldError] = []

    def shown() -> Any:
        return internal.versions({**spec, "versions": versions})

    if len(set(listed)) != len(listed):
        found.append(invalid("spec.versions", shown(), "must contain unique version names"))
    if sum(bool(v.get("storage")) for v in versions or ()) != 1:
        detail = "must have exactly one version marked as storage version"
        found.append(invalid("spec.versions", shown(), detail))
    if inner.get("version"):
        found += _label_errors("spec.version", inner["version"])
    return found


def _required_names(wanted: Object) -> list[FieldError]:
    fields = ("plural", "singular", "kind", "listKind")
    return [required(f"spec.names.{field}") for field in fields if not wanted.get(field)]


def names_errors(wanted: Object, path: str) -> list[FieldError]:
    mixed = "may have mixed case, but should otherwise match: "
    found: list[FieldError] = []
    for field, prefix in (("plural", ""), ("singular", ""), ("kind", mixed), ("listKind", mixed)):
        if wanted.get(field):
            found += _label_errors(f"{path}.{field}", wanted[field], prefix)
    for i, name in enumerate(wanted.get("shortNames") or ()):
        found += _label_errors(f"{path}.shortNames[{i}]", name)
    if wanted.get("kind") and wanted["kind"] == wanted.get("listKind"):
        found.append(invalid(f"{path}.listKind", wanted["listKind"], "kind and listKind may not be the same"))
    for i, name in enumerate(wanted.get("categories") or ()):
        found += _label_errors(f"{path}.categories[{i}]", name)
    return found


def _top_level_errors(inner: Object, options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    validation = inner.get("validation")
    if validation is not None:
        versions = inner.get("versions") or ()
        status = _has_status(inner.get("subresources")) or any(
            _has_status(v.get("subresources")) for v in versions
        )
        own = options.of_version(inner.get("version", ""))
        found += schemavalidation.errors(_schema_of(validation), status, own, "spec.validation")
    found += _subresource_errors(inner.get("subresources"), "spec.subresources")
    for i, column in enumerate(inner.get("additionalPrinterColumns") or ()):
        found += _column_errors(column, f"spec.additionalPrinterColumns[{i}]")
    if inner.get("selectableFields"):
        schema = _schema_of(validation)
        if schema is None:
            detail = "selectableFields may only be set when validations.schema is included"
            found.append(invalid("spec.selectableFields", "", detail))
        else:
            found += _selectable_errors(inner["selectableFields"], schema, "spec.selectableFields")
    return found


def _column_errors(column: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    kind, format_, where = column.get("type", ""), column.get("format", ""), column.get("jsonPath", "")
    if not column.get("name"):
        found.append(required(f"{path}.name"))
    one_of = f"must be one of {','.join(COLUMN_TYPES)}"
    if not kind:
        found.append(required(f"{path}.type", one_of))
    elif kind not in COLUMN_TYPES:
        found.append(invalid(f"{path}.type", kind, one_of))
    if format_ and format_ not in COLUMN_FORMATS:
        found.append(invalid(f"{path}.format", format_, f"must be one of {','.join(COLUMN_FORMATS)}"))
    if not where:
        found.append(required(f"{path}.JSONPath"))
    else:
        found += _simple_path_errors(where, f"{path}.JSONPath")
    return found


def _simple_path_errors(value: str, path: str) -> list[FieldError]:
    if not value.startswith("."):
        return [invalid(path, value, "must be a simple json path starting with .")]
    return []


def _subresource_errors(subresources: Object | None, path: str) -> list[FieldError]:
    scale = (subresources or {}).get("scale")
    if scale is None:
        return []
    found: list[FieldError] = []
    for field, under in (("specReplicasPath", (".spec.",)), ("statusReplicasPath", (".status.",))):
        where, value = f"{path}.scale.{field}", scale.get(field, "")
        if not value:
            found.append(required(where))
        else:
            detail = f"should be a json path under {under[0][:-1]}"
            found += _path_under(value, under, where, detail)
    selector = scale.get("labelSelectorPath")
    if selector:
        detail = "should be a json path under either .spec or .status"
        found += _path_under(selector, (".spec.", ".status."), f"{path}.scale.labelSelectorPath", detail)
    return found


def _path_under(value: str, under: tuple[str, ...], path: str, detail: str) -> list[FieldError]:
    if found := _simple_path_errors(value, path):
        return found
    return [] if value.startswith(under) else [invalid(path, value, detail)]


def _selectable_errors(fields: Any, schema: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: dict[str, None] = {}
    for i, field in enumerate(fields):
        where, given = f"{path}[{i}].jsonPath", field.get("jsonPath", "")
        if not given:
            found.append(required(where))
            continue
        try:
            shown, place = fieldpath.resolve(given, schema, arrays=False)
        except ValueError as error:
            found.append(invalid(where, given, f"is an invalid path: {error}"))
            continue
        if shown.partition(".")[0] == "metadata":
            found.append(invalid(where, given, "must not point to fields in metadata"))
        if place.get("type", "") not in SELECTABLE_TYPES:
            detail = (
                "must point to a field of type string, boolean or integer."
                " Enum string fields and strings with formats are allowed."
            )
            found.append(invalid(where, given, detail))
        if shown in seen:
            found.append(duplicate(where, given))
        seen[shown] = None
    if len(seen) > SELECTABLE_FIELDS_MAX:
        found.append(too_many(path, len(seen), SELECTABLE_FIELDS_MAX))
    return found


def warnings(crd: Object, old: Object | None) -> list[str]:
    """Formats that nobody knows are not looked at; whoever brings one in is told."""
    known = schemavalidation.unknown_formats(old["spec"]) if old is not None else ()
    new = schemavalidation.unknown_formats(crd["spec"])
    return [f"unrecognized format {quote(name)}" for name in new if name not in known]
