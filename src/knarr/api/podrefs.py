"""Which secrets, config maps and claims a pod or a persistent volume leads to.

Used by whoever decides what a node or a service account may see.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

#: volume sources that name a secret beside the pod: source -> field that holds {"name": ...}
SECRET_REFERENCES = {
    "cephfs": "secretRef",
    "cinder": "secretRef",
    "flexVolume": "secretRef",
    "rbd": "secretRef",
    "scaleIO": "secretRef",
    "iscsi": "secretRef",
    "storageos": "secretRef",
    "csi": "nodePublishSecretRef",
}
#: the references of a persistent volume's csi source that a kubelet follows
NODE_CSI_SECRETS = ("nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")


def containers(spec: Object) -> Iterator[Object]:
    """All containers: init, ordinary, ephemeral."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key) or ()


def secrets(pod: Object) -> Iterator[str]:
    """Names of the secrets in the pod's namespace; a name may come more than once."""
    spec = pod["spec"]
    for reference in spec.get("imagePullSecrets") or ():
        yield reference.get("name", "")
    yield from _environment(spec, "secretRef", "secretKeyRef")
    for volume in spec.get("volumes") or ():
        if "secret" in volume:
            yield volume["secret"].get("secretName", "")
        if "azureFile" in volume:
            yield volume["azureFile"].get("secretName", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "secret" in source:
                yield source["secret"].get("name", "")
        for kind, field in SECRET_REFERENCES.items():
            reference = (volume.get(kind) or {}).get(field)
            if reference:
                yield reference.get("name", "")


def config_maps(pod: Object) -> Iterator[str]:
    """Names of the config maps in the pod's namespace; a name may come more than once."""
    spec = pod["spec"]
    yield from _environment(spec, "configMapRef", "configMapKeyRef")
    for volume in spec.get("volumes") or ():
        if "configMap" in volume:
            yield volume["configMap"].get("name", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "configMap" in source:
                yield source["configMap"].get("name", "")


def claims(pod: Object) -> Iterator[str]:
    """Names of the persistent volume claims, those of ephemeral volumes included."""
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"].get("claimName", "")
        elif "ephemeral" in volume:
            yield f"{pod['metadata'].get('name', '')}-{volume['name']}"


def resource_claims(pod: Object) -> Iterator[str]:
    """Names of the resource claims: those named in the spec, and those made from a template."""
    made = {s["name"]: s for s in (pod.get("status") or {}).get("resourceClaimStatuses") or ()}
    for claim in pod["spec"].get("resourceClaims") or ():
        name = claim.get("resourceClaimName") or made.get(claim["name"], {}).get("resourceClaimName")
        if name:
            yield name
    extended = (pod.get("status") or {}).get("extendedResourceClaimStatus")
    if extended:
        yield extended["resourceClaimName"]


def volume_secrets(volume: Object) -> Iterator[tuple[str, str]]:
    """(namespace, name) of the secrets a kubelet needs to mount a persistent volume."""
    spec = volume["spec"]
    claim_namespace = (spec.get("claimRef") or {}).get("namespace", "")
    azure = spec.get("azureFile")
    if azure:
        yield azure.get("secretNamespace") or claim_namespace, azure.get("secretName", "")
    for kind, field in SECRET_REFERENCES.items():
        source = spec.get(kind) or {}
        for reference in (source.get(f) for f in (NODE_CSI_SECRETS if kind == "csi" else (field,))):
            if reference:
                yield reference.get("namespace") or claim_namespace, reference.get("name", "")


def _environment(spec: Object, whole: str, key: str) -> Iterator[str]:
    for container in containers(spec):
        for source in container.get("envFrom") or ():
            if whole in source:
                yield source[whole].get("name", "")
        for variable in container.get("env") or ():
            reference = (variable.get("valueFrom") or {}).get(key)
            if reference:
                yield reference.get("name", "")
