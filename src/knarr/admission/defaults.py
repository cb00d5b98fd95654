"""The default plugins of v1.36 (and NodeRestriction, which kubeadm adds), in Kubernetes' order."""

from __future__ import annotations

from typing import Any

from knarr.admission.certificates import (
    Authorizer,
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from knarr.admission.chain import Plugin
from knarr.admission.defaulttolerationseconds import DefaultTolerationSeconds
from knarr.admission.ingressclass import DefaultIngressClass
from knarr.admission.limitranger import LimitRanger
from knarr.admission.namespacelifecycle import NamespaceLifecycle
from knarr.admission.noderestriction import NodeRestriction
from knarr.admission.nodetaints import TaintNodesByCondition
from knarr.admission.podresize import NodeDeclaredFeatureValidator, PodResizeValidator
from knarr.admission.podsecurity.plugin import PodSecurity
from knarr.admission.podtopologylabels import PodTopologyLabels
from knarr.admission.policies.plugins import MutatingAdmissionPolicy, ValidatingAdmissionPolicy
from knarr.admission.priority import Priority
from knarr.admission.quota.plugin import ResourceQuota
from knarr.admission.runtimeclass import RuntimeClass
from knarr.admission.serviceaccount import ServiceAccount
from knarr.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from knarr.admission.webhooks.calling import Caller, Post
from knarr.admission.webhooks.counts import Counts
from knarr.admission.webhooks.mutating import MutatingAdmissionWebhook
from knarr.admission.webhooks.validating import ValidatingAdmissionWebhook
from knarr.egress import EgressError
from knarr.registry.equivalents import Equivalents
from knarr.registry.registry import Registry
from knarr.world import World


async def _nobody(*_: Any, **__: Any) -> Any:
    raise EgressError("nothing is called from here")


def default_plugins(
    reader: Registry,
    world: World,
    authorizer: Authorizer,
    post: Post = _nobody,
    counts: Counts | None = None,
) -> list[Plugin]:
    """`Chain(default_plugins(...))` is the chain of a default API server.

    Policies and webhooks come after every plugin that sets defaults, before the quota counts what they made of the
    object. `post` reaches webhooks (`Egress.post`).
    """
    equivalents = Equivalents(reader)
    caller, counts = Caller(post, world.chance.uid), counts or Counts()
    return [
        NamespaceLifecycle(reader),
        LimitRanger(reader),
        ServiceAccount(reader, world.chance),
        NodeRestriction(reader, authorizer),
        TaintNodesByCondition(),
        PodSecurity(reader),
        Priority(reader),
        DefaultTolerationSeconds(),
        DefaultStorageClass(reader),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(reader),
        RuntimeClass(reader),
        CertificateApproval(authorizer),
        CertificateSigning(authorizer),
        CertificateSubjectRestriction(),
        DefaultIngressClass(reader),
        PodTopologyLabels(reader),
        NodeDeclaredFeatureValidator(reader),
        PodResizeValidator(reader),
        MutatingAdmissionPolicy(reader, equivalents, authorizer, world.clock),
        MutatingAdmissionWebhook(reader, caller, world.clock, authorizer, counts),
        ValidatingAdmissionPolicy(reader, equivalents, authorizer, world.clock),
        ValidatingAdmissionWebhook(reader, caller, world.clock, authorizer, counts),
        ResourceQuota(reader, world.clock),
    ]
