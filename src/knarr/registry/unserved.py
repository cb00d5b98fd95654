"""Kinds that no path serves, but that the API server can read: of versions that are gone or have to be asked for, and
those that are no resources.

What is sent as one of them is not unknown: it is told which version the path stands for, or that it is something else.
"""

from __future__ import annotations

from functools import cache

from knarr.api.resources import RESOURCES

_RBAC = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
_DEVICES = ("DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice")
_FLOWS = ("FlowSchema", "PriorityLevelConfiguration")
_VALIDATING = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
_MUTATING = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_REVIEWS = (
    "LocalSubjectAccessReview",
    "SelfSubjectAccessReview",
    "SelfSubjectRulesReview",
    "SubjectAccessReview",
)
_STORAGE = (
    "CSIDriver",
    "CSINode",
    "CSIStorageCapacity",
    "StorageClass",
    "VolumeAttachment",
    "VolumeAttributesClass",
)
_APPS = ("ControllerRevision", "Deployment", "Scale", "StatefulSet")

_KINDS: dict[str, tuple[str, ...]] = {
    "admissionregistration.k8s.io/v1alpha1": (*_VALIDATING, *_MUTATING),
    "admissionregistration.k8s.io/v1beta1": (*_VALIDATING, *_MUTATING, *_WEBHOOKS),
    "apiextensions.k8s.io/v1beta1": ("CustomResourceDefinition",),
    "apiregistration.k8s.io/v1beta1": ("APIService",),
    "apps/v1beta1": _APPS,
    "apps/v1beta2": (*_APPS, "DaemonSet", "ReplicaSet"),
    "authentication.k8s.io/v1beta1": ("SelfSubjectReview", "TokenReview"),
    "authorization.k8s.io/v1beta1": _REVIEWS,
    "autoscaling/v2beta1": ("HorizontalPodAutoscaler",),
    "autoscaling/v2beta2": ("HorizontalPodAutoscaler",),
    "batch/v1beta1": ("CronJob",),
    "certificates.k8s.io/v1beta1": ("CertificateSigningRequest",),
    "coordination.k8s.io/v1beta1": ("Lease",),
    "discovery.k8s.io/v1beta1": ("EndpointSlice",),
    "events.k8s.io/v1beta1": ("Event",),
    "extensions/v1beta1": ("DaemonSet", "Deployment", "Ingress", "NetworkPolicy", "ReplicaSet", "Scale"),
    "flowcontrol.apiserver.k8s.io/v1beta1": _FLOWS,
    "flowcontrol.apiserver.k8s.io/v1beta2": _FLOWS,
    "flowcontrol.apiserver.k8s.io/v1beta3": _FLOWS,
    "networking.k8s.io/v1beta1": ("IPAddress", "Ingress", "IngressClass", "ServiceCIDR"),
    "node.k8s.io/v1alpha1": ("RuntimeClass",),
    "node.k8s.io/v1beta1": ("RuntimeClass",),
    "policy/v1beta1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1alpha1": _RBAC,
    "rbac.authorization.k8s.io/v1beta1": _RBAC,
    "resource.k8s.io/v1beta1": _DEVICES,
    "resource.k8s.io/v1beta2": _DEVICES,
    "scheduling.k8s.io/v1alpha1": ("PriorityClass",),
    "scheduling.k8s.io/v1beta1": ("PriorityClass",),
    "storage.k8s.io/v1alpha1": ("CSIStorageCapacity", "VolumeAttachment", "VolumeAttributesClass"),
    "storage.k8s.io/v1beta1": _STORAGE,
}
#: groups whose kinds live in several groups of today
_MOVED = frozenset({"extensions"})
#: kinds of several groups with one type behind them
_SHARED = frozenset({"Event", "Scale"})
#: what the core has besides resources
_CORE = frozenset(
    {
        *("List", "Status", "PodStatusResult", "RangeAllocation", "SerializedReference"),
        *("NodeProxyOptions", "ServiceProxyOptions", "PodAttachOptions", "PodExecOptions", "PodLogOptions"),
        *("PodPortForwardOptions", "PodProxyOptions"),
    }
)
#: what every version has
_COMMON = frozenset(
    {
        *("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions"),
        "WatchEvent",
    }
)


@cache
def _served() -> frozenset[str]:
    return frozenset(row.api_version for row in RESOURCES)


def is_known(api_version: str, kind: str) -> bool:
    """Whether the version has the kind, though no path serves it."""
    if kind in _COMMON:
        return api_version in _served() or api_version in _KINDS
    return kind in _KINDS.get(api_version, ()) or (api_version == "v1" and kind in _CORE)


def is_same_type(group: str, kind: str, ours: tuple[str, str]) -> bool:
    """Whether a kind in a group is, in another version, the one of `ours` (group, kind)."""
    return kind == ours[1] and (group == ours[0] or group in _MOVED or kind in _SHARED)
