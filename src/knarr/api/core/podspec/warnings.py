"""Warnings that a pod's or a template's writer gets although it is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.api.core.nodelabels import DEPRECATED, deprecated_selector_warnings, term_warnings
from knarr.api.core.podspec import apparmor, internal
from knarr.api.core.podspec.annotations import SECCOMP_CONTAINER, SECCOMP_POD
from knarr.api.core.podspec.overlaps import overlap_warnings
from knarr.api.core.podspec.paths import containers_with_paths
from knarr.meta import addresses, names
from knarr.meta.gofmt import quote
from knarr.meta.quantity import Quantity

Spec = dict[str, Any]

_OLD_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_OLD_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SHOWN_AS = {"storageos": "storageOS"}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NULL_SELECTOR = "a null labelSelector results in matching no pod"
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_BYTES = ("memory", "ephemeral-storage")
_HOSTNAME = "which can result in surprising behavior; a DNS label is recommended"


def for_pod(pod: Spec) -> list[str]:
    """For a new pod."""
    found = _name_warnings(pod["metadata"].get("name", ""), "this is used in the Pod's hostname")
    return found + list(_walk(pod["spec"], pod["metadata"], "", is_template=False))


def for_pod_status(status: Spec) -> list[str]:
    """Addresses that are not written as they should be."""
    return [
        said
        for field in ("podIPs", "hostIPs")
        for index, entry in enumerate(status.get(field, ()))
        for said in addresses.ip_warning(f"status.{field}[{index}].ip", entry.get("ip", ""))
    ]


def for_template(template: Spec, path: str) -> list[str]:
    """`path` leads to the template: `spec.template`."""
    return list(_walk(template.get("spec", {}), template.get("metadata", {}), f"{path}.", is_template=True))


def for_owner_name(name: str) -> list[str]:
    """The name of an object whose pods are named after it."""
    return _name_warnings(name, "this is used in Pod names and hostnames")


def for_update(obj: Spec, old: Spec, template: Spec, path: str) -> list[str]:
    """For an owner's template: what an update that is no new generation leaves is not warned of again."""
    return for_template(template, path) if is_changed(obj, old) else []


def is_changed(obj: Spec, old: Spec) -> bool:
    """Whether the update is a new generation: what that counts as a change, warnings count as one, too."""
    return obj["metadata"].get("generation") != old["metadata"].get("generation")


def _name_warnings(name: str, use: str) -> list[str]:
    wrong = names.is_dns1123_label(name) if name else []
    return [f"metadata.name: {use}, {_HOSTNAME}: [{' '.join(wrong)}]"] if wrong else []


def _walk(spec: Spec, metadata: Spec, base: str, is_template: bool) -> Iterator[str]:
    path = f"{base}spec"
    annotations = metadata.get("annotations") or {}
    yield from _old_labels(spec, path)
    yield from _null_selectors(spec, path)
    for name, text in _OLD_ANNOTATIONS.items():
        if name in annotations:
            yield f"{base}metadata.annotations[{name}]: {text}"
    for index, volume in enumerate(spec.get("volumes", ())):
        for kind, text in _OLD_VOLUMES.items():
            if kind in volume:
                yield f"{path}.volumes[{index}].{_SHOWN_AS.get(kind, kind)}: {text}"
        yield from _claim_template(volume, f"{path}.volumes[{index}]")
    yield from overlap_warnings(spec.get("volumes", ()))
    yield from _repeated(spec, "hostAliases", "ip", path)
    yield from _repeated(spec, "imagePullSecrets", "name", path)
    for index, secret in enumerate(spec.get("imagePullSecrets", ())):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
    if "overhead" in spec:
        for name in _BYTES:
            yield from _fractional(spec["overhead"], name, f"{path}.overhead")
    if SECCOMP_POD in annotations and "seccompProfile" not in (spec.get("securityContext") or ()):
        yield f"{base}metadata.annotations[{SECCOMP_POD}]: {_SECCOMP}"
    containers = containers_with_paths(spec, path)
    for container, here in containers:
        yield from _container(container, here, annotations, spec, base, is_template)
    yield from _ports(containers)
    yield from _port_names(containers)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        yield (
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    yield from _null_affinities(spec, path)
    yield from _odd_addresses(spec, path)


def _claim_template(volume: Spec, path: str) -> Iterator[str]:
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if template:
        from knarr.api.core.persistentvolumeclaim import spec_warnings  # few pods have such volumes

        yield from spec_warnings(template.get("spec", {}), f"{path}.ephemeral.volumeClaimTemplate.spec")


def _old_labels(spec: Spec, path: str) -> Iterator[str]:
    yield from deprecated_selector_warnings(spec.get("nodeSelector", ()), f"{path}.nodeSelector")
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    here = f"{path}.affinity.nodeAffinity"
    for index, term in enumerate(affinity.get(_REQUIRED, {}).get("nodeSelectorTerms") or ()):
        yield from term_warnings(term, f"{here}.{_REQUIRED}.nodeSelectorTerms[{index}]")
    for index, weighted in enumerate(affinity.get(_PREFERRED, ())):
        where = f"{here}.{_PREFERRED}[{index}].preference"
        yield from term_warnings(weighted.get("preference", {}), where, check_values=True)


def _null_selectors(spec: Spec, path: str) -> Iterator[str]:
    for index, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        here, key = f"{path}.topologySpreadConstraints[{index}]", constraint.get("topologyKey", "")
        if key in DEPRECATED:
            since, new = DEPRECATED[key]
            yield f'{here}.topologyKey: {key} is deprecated since {since}; use "{new}" instead'
        if "labelSelector" not in constraint:
            yield f"{here}.labelSelector: {_NULL_SELECTOR}"


def _null_affinities(spec: Spec, path: str) -> Iterator[str]:
    for name in ("podAffinity", "podAntiAffinity"):
        part, here = spec.get("affinity", {}).get(name, {}), f"{path}.affinity.{name}"
        for index, term in enumerate(part.get(_REQUIRED, ())):
            if "labelSelector" not in term:
                yield f"{here}.{_REQUIRED}[{index}].labelSelector: {_NULL_SELECTOR}"
        for index, weighted in enumerate(part.get(_PREFERRED, ())):
            if "labelSelector" not in weighted.get("podAffinityTerm", {}):
                yield f"{here}.{_PREFERRED}[{index}].podAffinityTerm.labelSelector: {_NULL_SELECTOR}"


def _repeated(spec: Spec, field: str, name: str, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(spec.get(field, ())):
        value = item.get(name, "")
        if value in seen:
            yield f"{path}.{field}[{index}].{name}: duplicate {name} {quote(value)}"
        seen.add(value)


def _fractional(amounts: dict[str, str], name: str, path: str) -> Iterator[str]:
    text = amounts.get(name)
    # only an amount with this ending can have a fraction left
    if text is not None and (text[-1] == "m" or "e-" in text) and Quantity.parse(text).milli % 1000:
        yield f'{path}[{name}]: fractional byte value "{text}" is invalid, must be an integer'


def _container(
    container: Spec, path: str, annotations: dict[str, str], spec: Spec, base: str, is_template: bool
) -> Iterator[str]:
    name, context = container.get("name", ""), container.get("securityContext", {})
    if annotations:
        if SECCOMP_CONTAINER + name in annotations and "seccompProfile" not in context:
            yield f"{base}metadata.annotations[{SECCOMP_CONTAINER}{name}]: {_SECCOMP}"
        has_profile = "appArmorProfile" in context or "appArmorProfile" in (spec.get("securityContext") or ())
        if is_template and apparmor.PREFIX + name in annotations and not has_profile:
            yield base + apparmor.deprecated(name)
    resources = container.get("resources")
    if resources:
        for amount in _BYTES:
            for which in ("limits", "requests"):
                yield from _fractional(resources.get(which, {}), amount, f"{path}.resources.{which}")
    variables = container.get("env", ())
    if len(variables) > 1:
        yield from _hidden_variables(variables, path)


def _hidden_variables(variables: list[Spec], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name, value = variable.get("name", ""), variable.get("value", "")
        if name in seen:
            reference = f"$({name})"
            # building on the old value is fine, hiding it is not
            if "valueFrom" in variable or value == reference or reference not in value:
                text = f"hides previous definition of {quote(name)}, which may be dropped when using apply"
                yield f"{path}.env[{index}]: {text}"
        seen.add(name)


def _ports(containers: list[tuple[Spec, str]]) -> Iterator[str]:
    taken: dict[tuple[int, str], list[tuple[Spec, str]]] = {}
    for container, path in containers:
        for index, port in enumerate(container.get("ports", ())):
            here = f"{path}.ports[{index}]"
            host_ip, on_host = port.get("hostIP", ""), port.get("hostPort", 0)
            if host_ip and not on_host:
                yield f"{here}: hostIP set without hostPort: {_printed(port)}"
            same = taken.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
            for other, there in same:
                other_ip, other_port = other.get("hostIP", ""), other.get("hostPort", 0)
                if (host_ip, on_host) == (other_ip, other_port):
                    yield f"{here}: duplicate port definition with {there}"
                elif not on_host or not other_port:
                    yield f"{here}: overlapping port definition with {there}"
                elif on_host == other_port and (not host_ip or not other_ip):
                    yield f"{here}: dangerously ambiguous port definition with {there}"
            same.append((port, here))


def _port_names(containers: list[tuple[Spec, str]]) -> Iterator[str]:
    taken: dict[str, str] = {}
    for container, path in containers:
        for index, port in enumerate(container.get("ports", ())):
            name, here = port.get("name"), f"{path}.ports[{index}]"
            if name and (other := taken.setdefault(name, here)) != here:
                yield (
                    f"{here}: duplicate port name {quote(name)} with {other}, services and probes that select ports"
                    f" by name will use {other}"
                )


def _printed(port: Spec) -> str:
    """Go's %+v."""
    return "{" + " ".join(f"{name}:{value}" for name, value in internal.container_port(port).items()) + "}"


def _odd_addresses(spec: Spec, path: str) -> Iterator[str]:
    for index, server in enumerate(spec.get("dnsConfig", {}).get("nameservers", ())):
        yield from addresses.ip_warning(f"{path}.dnsConfig.nameservers[{index}]", server)
    for index, alias in enumerate(spec.get("hostAliases", ())):
        yield from addresses.ip_warning(f"{path}.hostAliases[{index}].ip", alias.get("ip", ""))
