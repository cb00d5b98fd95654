"""Ingress: HTTP hosts and paths, and the Services behind them."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.core.service import load_balancer_points
from knarr.api.core.servicevalidation import load_balancer_ingress_errors
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import NONE
from knarr.meta import addresses, names
from knarr.meta.fielderrors import FieldError, invalid, not_supported, required

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
BAD_ENDINGS = ("/..", "/.")
HOSTS_MAX = 3


class Ingress(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Class",
            "string",
            "",
            "The name of the IngressClass resource that should be used for additional configuration",
        ),
        Column(
            "Hosts",
            "string",
            "",
            "Hosts that incoming requests are matched against before the ingress rule",
        ),
        Column("Address", "string", "", "Address is a list containing ingress points for the load-balancer"),
        Column("Ports", "string", "", "Ports of TLS configurations that open"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        for backend in _backends(obj.setdefault("spec", {})):
            if "resource" in backend:
                backend["resource"].setdefault("apiGroup", None)
            if "service" in backend:
                backend["service"].setdefault("port", {})
        obj.setdefault("status", {}).setdefault("loadBalancer", {})

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"loadBalancer": {}}

    def validate(self, obj: Object) -> list[FieldError]:
        errors = _spec_errors(obj["spec"], None)
        annotation = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
        name = obj["spec"].get("ingressClassName")
        if annotation is not None and name is not None and annotation != name:
            message = "must match `ingressClassName` when both are specified"
            errors.append(invalid(f"annotations.{CLASS_ANNOTATION}", annotation, message))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"], old["spec"])

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        before = old.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
        ingress = obj["status"].get("loadBalancer", {}).get("ingress") or ()
        return load_balancer_ingress_errors(ingress, [point.get("ip") for point in before])

    def warnings_on_create(self, obj: Object) -> list[str]:
        annotated = CLASS_ANNOTATION in (obj["metadata"].get("annotations") or ())
        if not annotated or "ingressClassName" in obj["spec"]:
            return []
        return [
            f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"
        ]

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return []

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        return [
            obj["metadata"]["name"],
            spec.get("ingressClassName", NONE),
            _hosts(spec.get("rules") or ()),
            ",".join(load_balancer_points(obj)),
            "80, 443" if spec.get("tls") else "80",
            printing.age(obj, now),
        ]


def _paths(spec: Object) -> list[Object]:
    return [path for rule in spec.get("rules") or () for path in (rule.get("http") or {}).get("paths") or ()]


def _backends(spec: Object) -> list[Object]:
    found = [spec["defaultBackend"]] if "defaultBackend" in spec else []
    return found + [path.setdefault("backend", {}) for path in _paths(spec)]


def _hosts(rules: Any) -> str:
    hosts = [rule["host"] for rule in rules[:HOSTS_MAX] if rule.get("host")]
    if not hosts:
        return "*"
    text = ",".join(hosts)
    return f"{text} + {len(rules) - HOSTS_MAX} more..." if len(rules) > HOSTS_MAX else text


# validation; `before` is the old spec, whose faults are forgiven


def _spec_errors(spec: Object, before: Object | None) -> list[FieldError]:
    rules = spec.get("rules")
    errors: list[FieldError] = []
    if not rules and "defaultBackend" not in spec:
        errors.append(invalid("spec", None, "either `defaultBackend` or `rules` must be specified"))
    if "defaultBackend" in spec:
        errors += backend_errors(spec["defaultBackend"], "spec.defaultBackend")
    forgiven = before is not None and any(
        "*" in rule.get("host", "") and _rule_errors(rule, "") for rule in before.get("rules") or ()
    )
    for i, rule in enumerate(rules or ()):
        host = rule.get("host", "")
        errors += _host_errors(host, f"spec.rules[{i}].host")
        if "*" not in host or not forgiven:
            errors += _rule_errors(rule, f"spec.rules[{i}]")
    errors += _tls_errors(spec.get("tls") or (), (before or {}).get("tls") or ())
    if "ingressClassName" in spec:
        errors += checks.dns_subdomain("spec.ingressClassName", spec["ingressClassName"])
    return errors


def _host_errors(host: str, path: str) -> list[FieldError]:
    if not host:
        return []
    errors = []
    if addresses.parse_ip(host):
        errors.append(invalid(path, host, "must be a DNS name, not an IP address"))
    return errors + checks.invalids(path, host, _host_problems(host))


def _host_problems(host: str) -> list[str]:
    return names.is_wildcard_dns1123_subdomain(host) if "*" in host else names.is_dns1123_subdomain(host)


def _rule_errors(rule: Object, path: str) -> list[FieldError]:
    if "http" not in rule:
        return []
    paths = rule["http"].get("paths")
    errors = [] if paths else [required(f"{path}.http.paths")]
    for i, entry in enumerate(paths or ()):
        errors += _path_errors(entry, f"{path}.http.paths[{i}]")
    return errors


def _path_errors(entry: Object, path: str) -> list[FieldError]:
    kind, value = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    errors: list[FieldError] = []
    where = f"{path}.path"
    if kind not in PATH_TYPES:
        errors.append(not_supported(f"{path}.pathType", kind, PATH_TYPES))
    elif not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        errors.append(invalid(where, value, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        errors += [
            invalid(where, value, f"must not contain '{bad}'") for bad in BAD_SEQUENCES if bad in value
        ]
        errors += [
            invalid(where, value, f"cannot end with '{bad}'") for bad in BAD_ENDINGS if value.endswith(bad)
        ]
    return errors + backend_errors(entry.get("backend") or {}, f"{path}.backend")


def backend_errors(backend: Object, path: str) -> list[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return reference_errors(resource, f"{path}.resource")
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    name = service.get("name")
    where = f"{path}.service.name"
    errors = checks.dns_label(where, name) if name else [required(where)]
    port = service.get("port") or {}
    port_name, number = port.get("name"), port.get("number")
    if port_name and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif port_name:
        errors += checks.invalids(f"{path}.service.port.name", port_name, names.is_port_name(port_name))
    elif number:
        errors += checks.port_number(f"{path}.service.port.number", number)
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def reference_errors(reference: Object, path: str) -> list[FieldError]:
    """A typed reference; IngressClass parameters too."""
    errors: list[FieldError] = []
    if reference.get("apiGroup") is not None:
        errors += checks.dns_subdomain(f"{path}.apiGroup", reference["apiGroup"])
    for key in ("kind", "name"):
        value = reference.get(key, "")
        where = f"{path}.{key}"
        errors += (
            checks.invalids(where, value, names.path_segment_name(value)) if value else [required(where)]
        )
    return errors


def _tls_errors(tls: Any, before: Any) -> list[FieldError]:
    forgiven = any(_secret_problems(entry.get("secretName", "")) for entry in before)
    errors: list[FieldError] = []
    for i, entry in enumerate(tls):
        for j, host in enumerate(entry.get("hosts") or ()):
            errors += checks.invalids(f"spec.tls[{i}].hosts[{j}]", host, _host_problems(host))
        if not forgiven:
            secret = entry.get("secretName", "")
            errors += checks.invalids(f"spec.tls[{i}].secretName", secret, _secret_problems(secret))
    return errors


def _secret_problems(name: str) -> list[str]:
    return names.is_dns1123_subdomain(name) if name else []
