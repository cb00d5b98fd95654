"""Behind a Service: its ready endpoints, as whoever connects to services needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.registry.reader import Reader

Object = dict[str, Any]

SERVICE_NAME = "kubernetes.io/service-name"


def ready(reader: Reader, namespace: str, service: str, port_name: str) -> Iterator[tuple[Object, int]]:
    """(endpoint, port number) of every ready endpoint with a port of that name.

    From the service's EndpointSlices; where it has none (nobody mirrors), from the Endpoints of its name.
    """
    slices = [
        obj
        for obj in reader.list("discovery.k8s.io", "endpointslices", namespace)
        if (obj["metadata"].get("labels") or {}).get(SERVICE_NAME) == service
    ]
    for obj in slices:
        for port in obj.get("ports") or ():
            if (port.get("name") or "") != port_name or not port.get("port"):
                continue
            for endpoint in obj.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True) is not False:
                    yield endpoint, port["port"]
    if not slices:
        yield from _bare(reader, namespace, service, port_name)


def _bare(reader: Reader, namespace: str, service: str, port_name: str) -> Iterator[tuple[Object, int]]:
    obj = reader.get("", "endpoints", namespace, service) or {}
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            if (port.get("name") or "") != port_name:
                continue
            for address in subset.get("addresses") or ():
                endpoint = {"addresses": [address["ip"]]}
                if "targetRef" in address:
                    endpoint["targetRef"] = address["targetRef"]
                yield endpoint, port["port"]


def exist(reader: Reader, namespace: str, service: str) -> bool:
    """Whether anybody said where the service's endpoints are, ready or not."""
    if reader.get("", "endpoints", namespace, service) is not None:
        return True
    return any(
        (obj["metadata"].get("labels") or {}).get(SERVICE_NAME) == service
        for obj in reader.list("discovery.k8s.io", "endpointslices", namespace)
    )


def port_of(service: Object, number: int) -> Object | None:
    """The service's port of that number."""
    for port in (service.get("spec") or {}).get("ports") or ():
        if port["port"] == number:
            return port
    return None
