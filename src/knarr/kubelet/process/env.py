"""A container's environment: service links, envFrom, env, in the kubelet's order. Pure: objects come in a lookup."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from knarr.kubelet.process.downward import Unsupported, field_value, resource_value
from knarr.kubelet.process.expand import expand
from knarr.meta import names


class ConfigError(Exception):
    """A container cannot be made; the message is the kubelet's (waiting reason CreateContainerConfigError)."""


#: (kind, name) -> object or None; kind is "configmap" or "secret"
Lookup = Callable[[str, str], Any | None]


class Place:
    """Where the pod runs, as its environment tells of it."""

    def __init__(
        self,
        ips: tuple[str, ...],
        host_ips: tuple[str, ...],
        allocatable: Mapping[str, str],
        api_host: str,
        api_port: int,
    ) -> None:
        self.ips, self.host_ips, self.allocatable = ips, host_ips, allocatable
        self.api_host, self.api_port = api_host, api_port


def data_of(kind: str, obj: Any) -> dict[str, str]:
    """A ConfigMap's or Secret's texts."""
    if kind == "configmap":
        return dict(obj.data)
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in obj.data.items()}


def environment(
    pod: Any,
    container: Any,
    place: Place,
    services: Iterable[Any],
    lookup: Lookup,
    skipped: Callable[[str], None] = lambda message: None,
) -> dict[str, str]:
    """Raises ConfigError. `skipped` hears of keys that cannot be names of variables."""
    known = service_links(pod, services, place)
    env: dict[str, str] = {}
    for source in container.envFrom:
        _from_source(env, pod, source, lookup, skipped)
    for variable in container.env:
        value = variable.value
        if variable.valueFrom is not None:
            found = _value_from(pod, container, variable.valueFrom, place, lookup)
            if found is None:
                continue
            value = found
        elif value:
            value = expand(value, {**known, **env})
        env[variable.name] = value or ""
    return {**known, **env}


def _from_source(
    env: dict[str, str], pod: Any, source: Any, lookup: Lookup, skipped: Callable[[str], None]
) -> None:
    reference, kind = source.configMapRef, "configmap"
    if reference is None:
        reference, kind = source.secretRef, "secret"
    if reference is None:
        return
    obj = lookup(kind, reference.name)
    if obj is None:
        if reference.optional:
            return
        raise ConfigError(f'{kind} "{reference.name}" not found')
    invalid = []
    for key, value in data_of(kind, obj).items():
        name = (source.prefix or "") + key
        if names.is_env_var_name(name):
            invalid.append(name)
        else:
            env[name] = value
    if invalid:
        title = "configMap" if kind == "configmap" else "secret"
        listed = ", ".join(sorted(invalid))
        skipped(
            f"Keys [{listed}] from the EnvFrom {title} {pod.metadata.namespace}/{reference.name} were skipped since"
            " they are considered invalid environment variable names."
        )


def _value_from(pod: Any, container: Any, source: Any, place: Place, lookup: Lookup) -> str | None:
    """None: leave the variable out."""
    try:
        if source.fieldRef is not None:
            return field_value(pod, source.fieldRef.fieldPath, place.ips, place.host_ips)
        if source.resourceFieldRef is not None:
            return resource_value(pod, container, source.resourceFieldRef, place.allocatable)
    except Unsupported as error:
        raise ConfigError(str(error)) from None
    for kind, title, reference in (
        ("configmap", "ConfigMap", source.configMapKeyRef),
        ("secret", "Secret", source.secretKeyRef),
    ):
        if reference is None:
            continue
        obj = lookup(kind, reference.name)
        if obj is None:
            if reference.optional:
                return None
            raise ConfigError(f'{kind} "{reference.name}" not found')
        values = data_of(kind, obj)
        if reference.key not in values:
            if reference.optional:
                return None
            place_of = f"{pod.metadata.namespace}/{reference.name}"
            raise ConfigError(f"couldn't find key {reference.key} in {title} {place_of}")
        return values[reference.key]
    raise ConfigError("env var source is not supported here")


def service_links(pod: Any, services: Iterable[Any], place: Place) -> dict[str, str]:
    """Docker-style variables of the namespace's services; `kubernetes` is always there, at the API server itself."""
    env: dict[str, str] = {}
    if pod.spec.enableServiceLinks is not False:
        for service in services:
            if service.metadata.namespace == pod.metadata.namespace and service.metadata.name != "kubernetes":
                env.update(_link(service))
    host, port = place.api_host, str(place.api_port)
    url = f"tcp://{host}:{port}"
    env.update(
        {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "KUBERNETES_SERVICE_PORT_HTTPS": port,
            "KUBERNETES_PORT": url,
            f"KUBERNETES_PORT_{port}_TCP": url,
            f"KUBERNETES_PORT_{port}_TCP_PROTO": "tcp",
            f"KUBERNETES_PORT_{port}_TCP_PORT": port,
            f"KUBERNETES_PORT_{port}_TCP_ADDR": host,
        }
    )
    return env


def _link(service: Any) -> dict[str, str]:
    spec = service.spec
    ip = spec.clusterIP
    if not ip or ip == "None" or not spec.ports:
        return {}
    prefix = service.metadata.name.upper().replace("-", "_")
    first = spec.ports[0]
    env = {f"{prefix}_SERVICE_HOST": ip, f"{prefix}_SERVICE_PORT": str(first.port)}
    for port in spec.ports:
        if port.name:
            env[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    for index, port in enumerate(spec.ports):
        protocol = (port.protocol or "TCP").upper()
        url = f"{protocol.lower()}://{ip}:{port.port}"
        if index == 0:
            env[f"{prefix}_PORT"] = url
        name = f"{prefix}_PORT_{port.port}_{protocol}"
        env[name] = url
        env[f"{name}_PROTO"], env[f"{name}_PORT"], env[f"{name}_ADDR"] = protocol.lower(), str(port.port), ip
    return env
