"""What every object's metadata must look like, and what the server fills in or keeps (ObjectMeta).

Objects are plain dicts. The checks give Kubernetes' findings in its order (apimachinery's api/validation); the
preparations are those of the generic registry's BeforeCreate and BeforeUpdate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from knarr.meta import fielderrors, names, times
from knarr.meta.fielderrors import FieldError
from knarr.meta.gofmt import quote_list
from knarr.meta.labels import validate_labels

if TYPE_CHECKING:
    from knarr.world.chance import Chance

Metadata = dict[str, Any]
NameCheck = Callable[..., list[str]]

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
#: finalizers that need no domain
STANDARD_FINALIZERS = frozenset({"kubernetes", ORPHAN, FOREGROUND})
ANNOTATIONS_BYTES_MAX = 256 * 1024
FIELD_MANAGER_BYTES_MAX = 128
SUBRESOURCE_BYTES_MAX = 256
NAME_BYTES_MAX = 63
SUFFIX_LENGTH = 5
#: a generateName is cut so that the whole name stays a DNS label
GENERATED_BASE_MAX = NAME_BYTES_MAX - SUFFIX_LENGTH

_OWNER_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
_UNCHANGING = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
#: how Go prints an unchanging field that is missing
_MISSING = {"creationTimestamp": None, "deletionTimestamp": None, "deletionGracePeriodSeconds": None}


# -- validation ------------------------------------------------------------------------------------------


def validate(
    meta: Mapping[str, Any],
    namespaced: bool,
    validate_name: NameCheck,
    path: str = "metadata",
    *,
    kube_finalizers: bool = True,
) -> list[FieldError]:
    """A new object's metadata, after `prepare_create`.

    `validate_name(name)` or `validate_name(name, prefix)` gives messages. `kube_finalizers` is False for custom
    resources, whose finalizers may go without a domain.
    """
    errors = _validate_names(meta, validate_name, path)
    errors += _validate_namespace(meta.get("namespace") or "", namespaced, path)
    errors += validate_non_negative(meta.get("generation") or 0, f"{path}.generation")
    errors += validate_labels(meta.get("labels"), f"{path}.labels")
    errors += validate_annotations(meta.get("annotations"), f"{path}.annotations")
    errors += validate_owner_references(meta.get("ownerReferences") or (), f"{path}.ownerReferences")
    errors += validate_finalizers(meta.get("finalizers") or (), f"{path}.finalizers")
    errors += validate_managed_fields(meta.get("managedFields") or (), f"{path}.managedFields")
    if kube_finalizers:
        errors += _validate_kube_finalizers(meta.get("finalizers") or (), f"{path}.finalizers")
    return errors


def validate_update(
    meta: Mapping[str, Any], old: Mapping[str, Any], path: str = "metadata", *, kube_finalizers: bool = True
) -> list[FieldError]:
    """A changed object's metadata, after `prepare_update`.

    Each finding stands twice, as on the wire: the registry and the kind's own validation both look.
    """
    errors = _validate_change(meta, old, path)
    again = list(errors)
    if kube_finalizers:
        again += _validate_kube_finalizers(meta.get("finalizers") or (), f"{path}.finalizers")
    return errors + again


def _validate_change(meta: Mapping[str, Any], old: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        errors += _validate_no_new_finalizers(meta, old, f"{path}.finalizers")
    if not meta.get("resourceVersion"):
        errors.append(fielderrors.invalid(f"{path}.resourceVersion", "", "must be specified for an update"))
    generation = meta.get("generation") or 0
    if generation < (old.get("generation") or 0):
        errors.append(fielderrors.invalid(f"{path}.generation", generation, "must not be decremented"))
    for field in _UNCHANGING:
        if (meta.get(field) or None) != (old.get(field) or None):
            value = meta.get(field) or _MISSING.get(field, "")
            errors.append(fielderrors.invalid(f"{path}.{field}", value, "field is immutable"))
    for field, validate in _VALIDATED:
        # what was valid when it was stored is not looked at again
        if (value := meta.get(field) or None) is not None and value != old.get(field):
            errors += validate(value, f"{path}.{field}")
    return errors


@lru_cache(maxsize=256)
def _knows_prefixes(check: NameCheck) -> bool:
    import inspect  # slow to load, and only a generateName needs it

    return len(inspect.signature(check).parameters) > 1


def _check_prefix(check: NameCheck, generate_name: str) -> list[str]:
    """Judges a generateName: a check that takes one argument sees the final dash as a letter."""
    if _knows_prefixes(check):
        return check(generate_name, True)
    return check(names.mask_trailing_dash(generate_name))


def _validate_names(meta: Mapping[str, Any], validate_name: NameCheck, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if generate_name := meta.get("generateName"):
        for message in _check_prefix(validate_name, generate_name):
            errors.append(fielderrors.invalid(f"{path}.generateName", generate_name, message))
    name = meta.get("name")
    if not name:
        errors.append(fielderrors.required(f"{path}.name", "name or generateName is required"))
    else:
        errors += [fielderrors.invalid(f"{path}.name", name, message) for message in validate_name(name)]
    return errors


def _validate_namespace(namespace: str, namespaced: bool, path: str) -> list[FieldError]:
    if not namespaced:
        return [fielderrors.forbidden(f"{path}.namespace", "not allowed on this type")] if namespace else []
    if not namespace:
        return [fielderrors.required(f"{path}.namespace")]
    return [
        fielderrors.invalid(f"{path}.namespace", namespace, message)
        for message in names.is_dns1123_label(namespace)
    ]


def validate_non_negative(value: int, path: str) -> list[FieldError]:
    if value >= 0:
        return []
    return [fielderrors.invalid(path, value, "must be greater than or equal to 0")]


def validate_annotations(annotations: Mapping[str, str] | None, path: str) -> list[FieldError]:
    """Keys are label keys whose case does not matter; keys and values together have a limit."""
    errors: list[FieldError] = []
    size = 0
    for key, value in (annotations or {}).items():
        errors += [
            fielderrors.invalid(path, key, message) for message in names.is_qualified_name(key.lower())
        ]
        size += names.byte_length(key) + names.byte_length(value)
    if size > ANNOTATIONS_BYTES_MAX:
        errors.append(fielderrors.too_long(path, ANNOTATIONS_BYTES_MAX))
    return errors


def validate_finalizers(finalizers: Sequence[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for finalizer in finalizers:
        errors += [
            fielderrors.invalid(path, finalizer, message) for message in names.is_qualified_name(finalizer)
        ]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        detail = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(fielderrors.invalid(path, list(finalizers), detail))
    return errors


def validate_kube_finalizer(finalizer: str, path: str) -> list[FieldError]:
    """A finalizer needs a domain unless Kubernetes itself defines it."""
    if "/" in finalizer or finalizer in STANDARD_FINALIZERS:
        return []
    detail = "name is neither a standard finalizer name nor is it fully qualified"
    return [fielderrors.invalid(path, finalizer, detail)]


def _validate_kube_finalizers(finalizers: Sequence[str], path: str) -> list[FieldError]:
    return [e for i, f in enumerate(finalizers) for e in validate_kube_finalizer(f, f"{path}[{i}]")]


def _validate_no_new_finalizers(
    meta: Mapping[str, Any], old: Mapping[str, Any], path: str
) -> list[FieldError]:
    before = set(old.get("finalizers") or ())
    extra = sorted({f for f in meta.get("finalizers") or () if f not in before})
    if not extra:
        return []
    detail = (
        "no new finalizers can be added if the object is being deleted, "
        f"found new finalizers {quote_list(extra)}"
    )
    return [fielderrors.forbidden(path, detail)]


def validate_owner_references(references: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controller = ""
    for reference in references:
        errors += _validate_owner_reference(reference, path)
        if not reference.get("controller"):
            continue
        this = f"{reference.get('kind', '')}/{reference.get('name', '')}"
        if controller:
            detail = (
                'Only one reference can have Controller set to true. Found "true" in references for '
                f"{controller} and {this}"
            )
            errors.append(fielderrors.invalid(path, [_shown(r) for r in references], detail))
        else:
            controller = this
    return errors


def _shown(reference: Mapping[str, Any]) -> dict[str, Any]:
    """A reference as its Go struct prints."""
    shown: dict[str, Any] = {}
    for field in _OWNER_FIELDS:
        value = reference.get(field)
        if value is not None:
            shown[field] = value
        elif field not in ("controller", "blockOwnerDeletion"):
            shown[field] = ""
    return shown


def _validate_owner_reference(reference: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    api_version, kind = reference.get("apiVersion") or "", reference.get("kind") or ""
    group, version = split_api_version(api_version)
    if not version:
        errors.append(fielderrors.invalid(f"{path}.apiVersion", api_version, "version must not be empty"))
    for field in ("kind", "name", "uid"):
        if not reference.get(field):
            errors.append(fielderrors.invalid(f"{path}.{field}", "", "must not be empty"))
    if (group, version, kind) == ("", "v1", "Event"):
        detail = f"{group}/{version}, Kind={kind} is disallowed from being an owner"
        errors.append(fielderrors.invalid(path, _shown(reference), detail))
    return errors


def split_api_version(api_version: str) -> tuple[str, str]:
    """(group, version); both empty for what is neither."""
    group, slash, version = api_version.partition("/")
    if not slash:
        return "", group
    return ("", "") if "/" in version else (group, version)


def validate_managed_fields(entries: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, entry in enumerate(entries):
        at = f"{path}[{index}]"
        operation, fields_type = entry.get("operation") or "", entry.get("fieldsType") or ""
        if operation not in ("Apply", "Update"):
            errors.append(fielderrors.invalid(f"{at}.operation", operation, "must be `Apply` or `Update`"))
        if fields_type and fields_type != "FieldsV1":
            errors.append(fielderrors.invalid(f"{at}.fieldsType", fields_type, "must be `FieldsV1`"))
        errors += validate_field_manager(entry.get("manager") or "", f"{at}.manager")
        if names.byte_length(entry.get("subresource") or "") > SUBRESOURCE_BYTES_MAX:
            errors.append(fielderrors.too_long(f"{at}.subresource", SUBRESOURCE_BYTES_MAX))
    return errors


_VALIDATED: tuple[tuple[str, Callable[..., list[FieldError]]], ...] = (
    ("labels", validate_labels),
    ("annotations", validate_annotations),
    ("ownerReferences", validate_owner_references),
    ("managedFields", validate_managed_fields),
)


def validate_field_manager(manager: str, path: str = "fieldManager") -> list[FieldError]:
    """The name that a writer gives itself; also the query parameter."""
    errors: list[FieldError] = []
    if names.byte_length(manager) > FIELD_MANAGER_BYTES_MAX:
        errors.append(fielderrors.too_long(path, FIELD_MANAGER_BYTES_MAX))
    if not manager.isprintable():
        position = 0
        for letter in manager:
            if not letter.isprintable():
                detail = f"invalid character U+{ord(letter):04X} (at position {position})"
                errors.append(fielderrors.invalid(path, manager, detail))
            position += names.byte_length(letter)
    return errors


# -- what the server sets --------------------------------------------------------------------------------


def generate_name(base: str, chance: Chance) -> str:
    """`base` cut to 58 characters with five drawn ones behind it."""
    return base[:GENERATED_BASE_MAX] + chance.suffix(SUFFIX_LENGTH)


def ensure_name(meta: Metadata, chance: Chance) -> bool:
    """Draws a name when there is only a generateName. Was one drawn?"""
    base = meta.get("generateName")
    if not base or meta.get("name"):
        return False
    meta["name"] = generate_name(base, chance)
    return True


def wipe_system_fields(meta: Metadata) -> None:
    """Drops what only the server may say, when a client sends a new object."""
    for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        meta.pop(field, None)


def prepare_create(meta: Metadata, chance: Chance, now: float) -> None:
    """Fills in uid, creationTimestamp and the name, after dropping what a client said of them."""
    wipe_system_fields(meta)
    ensure_name(meta, chance)
    meta["uid"] = chance.uid()
    meta["creationTimestamp"] = times.format(now)
    dedupe_owner_references(meta)


def prepare_update(meta: Metadata, old: Mapping[str, Any]) -> None:
    """Takes over from the stored object what an update does not change."""
    meta.pop("selfLink", None)
    _carry(meta, old, "generation")
    _carry(meta, old, "creationTimestamp")
    if not meta.get("uid") and old.get("uid"):
        meta["uid"] = old["uid"]
    if old.get("deletionTimestamp"):
        meta["deletionTimestamp"] = old["deletionTimestamp"]
    if old.get("deletionGracePeriodSeconds") is not None and meta.get("deletionGracePeriodSeconds") is None:
        meta["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]
    dedupe_owner_references(meta)


#: what a write to a status may not touch, where a kind says so
KEPT_FOR_STATUS = (
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def keep_for_status(meta: Metadata, old: Mapping[str, Any]) -> None:
    """Puts back what is not a status writer's to change; managedFields tell of this very write and stay."""
    for field in KEPT_FOR_STATUS:
        if field in old:
            meta[field] = old[field]
        else:
            meta.pop(field, None)


def _carry(meta: Metadata, old: Mapping[str, Any], field: str) -> None:
    if old.get(field):
        meta[field] = old[field]
    else:
        meta.pop(field, None)


def place_in_namespace(meta: Metadata, namespace: str, namespaced: bool) -> bool:
    """Puts the object into the request's namespace; a cluster-scoped object loses what it says.

    False when the object names another namespace: the request is then a bad one.
    """
    if not namespaced:
        meta.pop("namespace", None)
        return True
    given = meta.get("namespace")
    if given and given != namespace:
        return False
    if namespace:
        meta["namespace"] = namespace
    return True


# -- owner references ------------------------------------------------------------------------------------


def duplicate_owner_uids(references: Sequence[Mapping[str, Any]]) -> list[str]:
    """The uids of references that equal an earlier one in everything."""
    seen: set[frozenset[tuple[str, Any]]] = set()
    found = []
    for reference in references:
        said = frozenset(reference.items())
        if said in seen:
            found.append(reference.get("uid") or "")
        seen.add(said)
    return found


def owner_reference_warning(references: Sequence[Mapping[str, Any]], after_mutation: bool = False) -> str:
    """The warning a request with duplicate owners gets; empty when there are none."""
    if len(references) < 2:
        return ""
    twice = duplicate_owner_uids(references)
    if not twice:
        return ""
    when = " after mutating admission happens" if after_mutation else ""
    return (
        f".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, "
        "and may reject such requests as early as 1.24; please fix your requests; "
        f"duplicate UID(s) observed: {', '.join(twice)}"
    )


def dedupe_owner_references(meta: Metadata) -> None:
    """Equal references become one; references that differ in anything stay, as in the API server."""
    references = meta.get("ownerReferences")
    if not references or len(references) < 2:
        return
    kept: list[Any] = []
    for reference in references:
        if reference not in kept:
            kept.append(reference)
    if len(kept) < len(references):
        meta["ownerReferences"] = kept


def controller_of(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """The one owner that manages the object."""
    for reference in meta.get("ownerReferences") or ():
        if reference.get("controller"):
            return reference
    return None
