"""For whom a kubelet may ask tokens of a pod's service account: those that the pod's volumes are for."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.admission.attributes import Object
from knarr.registry.reader import Reader


def wanted_by(reader: Reader, pod: Object, audience: str) -> bool:
    """Whether a projected token of the pod, or the driver of one of its volumes, wants this audience ("" the API's)."""
    volumes = pod["spec"].get("volumes") or ()
    if any(audience == found for volume in volumes for found in _projected(volume)):
        return True
    drivers = {_driver(reader, pod, volume) for volume in volumes} - {""}
    return any(audience in _requested(reader, driver) for driver in drivers)


def _projected(volume: Object) -> Iterator[str]:
    for source in (volume.get("projected") or {}).get("sources") or ():
        token = source.get("serviceAccountToken")
        if token is not None:
            yield token.get("audience") or ""


def _driver(reader: Reader, pod: Object, volume: Object) -> str:
    """The CSI driver behind a volume; "" where there is none (yet)."""
    namespace = pod["metadata"]["namespace"]
    if volume.get("csi"):
        return volume["csi"].get("driver", "")
    if volume.get("ephemeral"):
        return _driver_of_claim(reader, namespace, f"{pod['metadata']['name']}-{volume['name']}")
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    return _driver_of_claim(reader, namespace, claim) if claim else ""


def _driver_of_claim(reader: Reader, namespace: str, name: str) -> str:
    claim = reader.get("", "persistentvolumeclaims", namespace, name)
    bound = claim["spec"].get("volumeName") if claim is not None else None
    volume = reader.get("", "persistentvolumes", "", bound) if bound else None
    return ((volume or {}).get("spec", {}).get("csi") or {}).get("driver", "")


def _requested(reader: Reader, driver: str) -> set[str]:
    found = reader.get("storage.k8s.io", "csidrivers", "", driver)
    requests = (found or {}).get("spec", {}).get("tokenRequests") or ()
    return {request.get("audience") or "" for request in requests}
