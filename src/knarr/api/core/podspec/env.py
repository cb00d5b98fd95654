"""Environment variables of containers, and the fields of a pod that may be shown inside it."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, add, containers_with_paths, no_backsteps
from knarr.meta import names
from knarr.meta.fielderrors import invalid, not_found, not_supported, required

Spec = dict[str, Any]

#: fields that an environment variable can show
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
#: fields that the downward API knows at all
_KNOWN_FIELDS = frozenset(
    (
        *ENV_FIELDS,
        "metadata.annotations",
        "metadata.labels",
        "spec.restartPolicy",
        "spec.schedulerName",
        "status.phase",
    )
)
#: old clients' names
_RENAMED_FIELDS = {"spec.host": "spec.nodeName"}
RESOURCE_FIELDS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_ONE_SOURCE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
)


def validate_env(container: Spec, base: str, errors: Errors) -> None:
    for index, variable in enumerate(container.get("env", ())):
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{base}.env[{index}].name"))
        elif wrong := names.is_env_var_name(name):
            add(errors, f"{base}.env[{index}].name", name, wrong)
        if "valueFrom" in variable:
            _validate_source(variable, f"{base}.env[{index}].valueFrom", errors)


def _validate_source(variable: Spec, path: str, errors: Errors) -> None:
    source = variable["valueFrom"]
    if "fieldRef" in source:
        validate_field_ref(source["fieldRef"], ENV_FIELDS, f"{path}.fieldRef", errors)
    if "resourceFieldRef" in source:
        validate_resource_field_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", errors)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            _validate_key_ref(source[kind], f"{path}.{kind}", errors)
    if "fileKeyRef" in source:
        _validate_file_key_ref(source["fileKeyRef"], f"{path}.fileKeyRef", errors)
    count = sum(kind in source for kind in _SOURCES)
    if count == 0:
        errors.append(invalid(path, "", _ONE_SOURCE))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))


def split_subscript(path: str) -> tuple[str, str] | None:
    """`metadata.labels['app']` as its two parts; None for a path without a subscript."""
    if not path.endswith("']"):
        return None
    field, found, key = path[:-2].partition("['")
    return (field, key) if found and field else None


def validate_field_ref(ref: Spec, allowed: tuple[str, ...], path: str, errors: Errors) -> None:
    field, version = ref.get("fieldPath", ""), ref.get("apiVersion", "")
    if field in allowed and version == "v1":
        return
    if not version:
        errors.append(required(f"{path}.apiVersion"))
    elif not field:
        errors.append(required(f"{path}.fieldPath"))
    elif problem := _conversion_problem(version, field):
        errors.append(invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {problem}"))
    elif subscripted := split_subscript(field):
        key = subscripted[1].lower() if subscripted[0] == "metadata.annotations" else subscripted[1]
        add(errors, path, key, names.is_qualified_name(key))
    elif (field := _RENAMED_FIELDS.get(field, field)) not in allowed:
        errors.append(not_supported(f"{path}.fieldPath", field, sorted(allowed)))


def _conversion_problem(version: str, field: str) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    subscripted = split_subscript(field)
    if subscripted is not None:
        if subscripted[0] in ("metadata.annotations", "metadata.labels"):
            return ""
        return f"field label does not support subscript: {field}"
    if field in _KNOWN_FIELDS or field in _RENAMED_FIELDS:
        return ""
    return f"field label not supported: {field}"


def validate_resource_field_ref(ref: Spec, path: str, errors: Errors, in_volume: bool = False) -> None:
    resource = ref.get("resource", "")
    if in_volume and not ref.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not resource:
        errors.append(required(f"{path}.resource"))
    elif resource not in RESOURCE_FIELDS and not resource.startswith(_HUGE_PAGES):
        errors.append(not_supported(f"{path}.resource", resource, RESOURCE_FIELDS))
    divisor = ref.get("divisor", "0")
    if divisor != "0":
        _validate_divisor(resource, divisor, f"{path}.divisor", errors)


def _validate_divisor(resource: str, divisor: str, path: str, errors: Errors) -> None:
    kind = resource.partition(".")[2]
    if kind == "cpu":
        if divisor not in ("1m", "1"):
            errors.append(
                invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource")
            )
        return
    words = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind)
    if words is None and resource.startswith(_HUGE_PAGES):
        words = "hugepages"
    if words is not None and divisor not in _BYTE_DIVISORS:
        listed = ", ".join(_BYTE_DIVISORS)
        errors.append(
            invalid(path, resource, f"only divisor's values {listed} are supported with the {words} resource")
        )


def _validate_key_ref(ref: Spec, path: str, errors: Errors) -> None:
    name, key = ref.get("name", ""), ref.get("key", "")
    if wrong := names.is_dns1123_subdomain(name):
        add(errors, f"{path}.name", name, wrong)
    if not key:
        errors.append(required(f"{path}.key"))
    elif wrong := names.is_config_map_key(key):
        add(errors, f"{path}.key", key, wrong)


def _validate_file_key_ref(ref: Spec, path: str, errors: Errors) -> None:
    key, volume, file = ref.get("key", ""), ref.get("volumeName", ""), ref.get("path", "")
    if not key:
        errors.append(required(f"{path}.key"))
    else:
        add(errors, f"{path}.key", key, names.is_env_var_name(key))
    if not volume:
        errors.append(required(f"{path}.volumeName"))
    else:
        add(errors, f"{path}.volumeName", volume, names.is_dns1123_label(volume))
    if not file:
        errors.append(required(f"{path}.path"))
    else:
        no_backsteps(f"{path}.path", file, errors)


def validate_env_files(spec: Spec, base: str, errors: Errors) -> None:
    """Files with variables lie in emptyDir volumes of the pod, where an init container has left them."""
    for container, path in containers_with_paths(spec, base):
        for index, variable in enumerate(container.get("env", ())):
            source = variable.get("valueFrom")
            if source and "fileKeyRef" in source:
                here = f"{path}.env[{index}].valueFrom.fileKeyRef.volumeName"
                _validate_env_file(source["fileKeyRef"].get("volumeName", ""), spec, here, errors)


def _validate_env_file(volume: str, spec: Spec, path: str, errors: Errors) -> None:
    found = next((v for v in spec.get("volumes", ()) if v.get("name") == volume), None)
    if found is None:
        errors.append(not_found(path, volume))
    elif "emptyDir" not in found:
        errors.append(invalid(path, volume, "referenced volume must be of type emptyDir"))


def validate_env_from(container: Spec, base: str, errors: Errors) -> None:
    for index, source in enumerate(container.get("envFrom", ())):
        path = f"{base}.envFrom[{index}]"
        prefix = source.get("prefix")
        if prefix:
            add(errors, f"{path}.prefix", prefix, names.is_env_var_name(prefix))
        count = 0
        for kind in ("configMapRef", "secretRef"):
            if kind in source:
                count += 1
                name = source[kind].get("name", "")
                if not name:
                    errors.append(required(f"{path}.{kind}.name"))
                else:
                    # the name is checked as if it were a prefix
                    add(errors, f"{path}.{kind}.name", name, names.name_is_dns_subdomain(name, prefix=True))
        if count == 0:
            errors.append(
                invalid(f"{base}.envFrom", "", "must specify one of: `configMapRef` or `secretRef`")
            )
        elif count > 1:
            errors.append(
                invalid(f"{base}.envFrom", "", "may not have more than one field specified at a time")
            )
