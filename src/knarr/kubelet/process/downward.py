"""The downward API: a pod's own fields and its containers' resources, as texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from knarr.meta.quantity import Quantity

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


class Unsupported(ValueError):
    """No such field; the message is the kubelet's."""


def quoted(text: str) -> str:
    """As Go's %q in a downward API file: what cannot be printed is escaped."""
    escaped = (
        text.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\t", "\\t")
        .replace("\r", "\\r")
    )
    return f'"{escaped}"'


def map_text(values: Mapping[str, str]) -> str:
    """Labels or annotations as a file holds them: sorted, one `key="value"` a line."""
    return "\n".join(f"{key}={quoted(values[key])}" for key in sorted(values))


def field_value(pod: Any, path: str, ips: tuple[str, ...], host_ips: tuple[str, ...]) -> str:
    """The value of a fieldPath. Raises Unsupported."""
    meta = pod.metadata
    if match := _SUBSCRIPT.match(path):
        return getattr(meta, match[1]).get(match[2], "")
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.nodeName,
        "spec.serviceAccountName": pod.spec.serviceAccountName,
        "status.hostIP": host_ips[0] if host_ips else "",
        "status.hostIPs": ",".join(host_ips),
        "status.podIP": ips[0] if ips else "",
        "status.podIPs": ",".join(ips),
    }
    if path in simple:
        return simple[path] or ""
    if path == "metadata.labels":
        return map_text(meta.labels)
    if path == "metadata.annotations":
        return map_text(meta.annotations)
    raise Unsupported(f"unsupported fieldPath: {path}")


def resource_value(pod: Any, container: Any, reference: Any, allocatable: Mapping[str, str]) -> str:
    """`limits.cpu` and its like in units of the divisor, rounded up; a missing limit is what the node has."""
    kind, _, name = reference.resource.partition(".")
    target = container
    if reference.containerName:
        every = (*pod.spec.initContainers, *pod.spec.containers)
        target = next((c for c in every if c.name == reference.containerName), None)
        if target is None:
            raise Unsupported(f'container "{reference.containerName}" not found')
    resources = target.resources if target is not None else None
    values = (getattr(resources, kind, None) if resources is not None else None) or {}
    text = values.get(name)
    if text is None and kind == "requests" and resources is not None:
        text = (resources.limits or {}).get(name)
    if text is None:
        text = allocatable.get(name, "0") if kind == "limits" else "0"
    divisor = Fraction(Quantity.parse(reference.divisor).exact) if reference.divisor else Fraction(0)
    divisor = divisor or Fraction(1)
    amount = Fraction(Quantity.parse(text).exact) / divisor
    return str(-(-amount.numerator // amount.denominator))
