"""What projected and downward API volumes are made of."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.env import validate_field_ref, validate_resource_field_ref
from knarr.api.core.podspec.paths import Errors, add, file_mode, local_non_reserved
from knarr.meta import names
from knarr.meta.fielderrors import forbidden, invalid, required
from knarr.meta.labels import validate_label_selector

Spec = dict[str, Any]
#: fields that a file can show
VOLUME_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.uid",
)
TOKEN_SECONDS_MIN = 10 * 60
TOKEN_SECONDS_MAX = 1 << 32
_CONFLICT = "conflicting duplicate paths"
_SOURCES = (
    "secret",
    "configMap",
    "downwardAPI",
    "serviceAccountToken",
    "clusterTrustBundle",
    "podCertificate",
)


def key_to_path(item: Spec, path: str, errors: Errors) -> None:
    if not item.get("key"):
        errors.append(required(f"{path}.key"))
    if not item.get("path"):
        errors.append(required(f"{path}.path"))
    local_non_reserved(f"{path}.path", item.get("path", ""), errors)
    file_mode(f"{path}.mode", item.get("mode"), errors)


def validate_downward_items(source: Spec, path: str, errors: Errors) -> None:
    # the items' paths lack an index in Kubernetes, too
    for item in source.get("items", ()):
        if not item.get("path"):
            errors.append(required(f"{path}.path"))
        local_non_reserved(f"{path}.path", item.get("path", ""), errors)
        if "fieldRef" in item:
            validate_field_ref(item["fieldRef"], VOLUME_FIELDS, f"{path}.fieldRef", errors)
            if "resourceFieldRef" in item:
                message = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(invalid(path, "resource", message))
        elif "resourceFieldRef" in item:
            ref = item["resourceFieldRef"]
            validate_resource_field_ref(ref, f"{path}.resourceFieldRef", errors, in_volume=True)
        else:
            errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
        file_mode(f"{path}.mode", item.get("mode"), errors)


def validate_projected(projection: Spec, path: str, errors: Errors) -> None:
    taken: set[str] = set()
    for index, source in enumerate(projection.get("sources") or ()):
        here = f"{path}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if kind in source:
                _validate_keys(source[kind], f"{here}.{kind}", path, taken, errors)
        if "downwardAPI" in source:
            validate_downward_items(source["downwardAPI"], f"{here}.downwardAPI", errors)
            for item in source["downwardAPI"].get("items", ()):
                _take(item.get("path", ""), item.get("path", ""), path, taken, errors)
        if "serviceAccountToken" in source:
            _validate_token(source["serviceAccountToken"], f"{here}.serviceAccountToken", path, errors)
        if "clusterTrustBundle" in source:
            bundle = source["clusterTrustBundle"]
            _validate_trust_bundle(bundle, f"{here}.clusterTrustBundle", errors)
            _take(bundle.get("path", ""), bundle.get("path", ""), path, taken, errors)
        if sum(kind in source for kind in _SOURCES) > 1:
            errors.append(forbidden(here, "may not specify more than 1 volume type per source"))


def _take(file: str, shown: str, path: str, taken: set[str], errors: Errors) -> None:
    if file in taken:
        errors.append(invalid(path, shown, _CONFLICT))
    elif file:
        taken.add(file)


def _validate_keys(source: Spec, here: str, path: str, taken: set[str], errors: Errors) -> None:
    if not source.get("name"):
        errors.append(required(f"{here}.name"))
    for index, item in enumerate(source.get("items", ())):
        key_to_path(item, f"{here}.items[{index}]", errors)
        _take(item.get("path", ""), source.get("name", ""), path, taken, errors)


def _validate_token(token: Spec, here: str, path: str, errors: Errors) -> None:
    seconds, file = token.get("expirationSeconds", 0), token.get("path", "")
    if seconds < TOKEN_SECONDS_MIN:
        message = "may not specify a duration less than 10 minutes"
        errors.append(invalid(f"{here}.expirationSeconds", seconds, message))
    if seconds > TOKEN_SECONDS_MAX:
        message = "may not specify a duration larger than 2^32 seconds"
        errors.append(invalid(f"{here}.expirationSeconds", seconds, message))
    if not file:
        errors.append(required(f"{path}.path"))
    else:
        local_non_reserved(f"{path}.path", file, errors)


def _validate_trust_bundle(bundle: Spec, path: str, errors: Errors) -> None:
    name, signer, file = bundle.get("name"), bundle.get("signerName"), bundle.get("path", "")
    if name is not None and signer is not None:
        errors.append(invalid(path, bundle, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(required(f"{path}.name", "must be a valid object name"))
        for message in names.path_segment_name(name):
            errors.append(invalid(f"{path}.name", name, f"not a valid clustertrustbundlename: {message}"))
        if "labelSelector" in bundle:
            message = "labelSelector must be unset if name is specified"
            errors.append(invalid(f"{path}.labelSelector", bundle["labelSelector"], message))
    elif signer is not None:
        if not signer:
            errors.append(required(f"{path}.signerName", "must be a valid signer name"))
        else:
            add(errors, f"{path}.signerName", signer, names.is_domain_prefixed_path(signer))
        errors += validate_label_selector(bundle.get("labelSelector"), f"{path}.labelSelector")
    else:
        errors.append(required(path, "either name or signerName must be specified"))
    if not file:
        errors.append(required(f"{path}.path"))
    local_non_reserved(f"{path}.path", file, errors)
