"""Claims of devices: made for pods from templates, freed when no pod needs them any more.

The scheduler allocates and reserves. A claim whose last consumer is gone is deallocated at once, so that the next one
may run elsewhere; one that was made for a pod is deleted as soon as that pod has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from knarr.api.resource.claimfacts import (
    FINALIZER,
    allocation_of,
    has_room,
    is_reserved_for,
    reserved_for,
)
from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1, resource_v1
from knarr.client.client import Client, is_not_found
from knarr.client.indexer import BY_CONTROLLER, controller_index
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controlled_by, controller_of, controller_ref, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.pods import is_finished
from knarr.meta.errors import StatusError, not_found
from knarr.world import World

POD_CLAIM_NAME = "resource.kubernetes.io/pod-claim-name"
#: signs the claims' names in a pod's status
MANAGER = "ResourceClaimController"
#: index of pods, by the claims they use
BY_CLAIM = "resourceClaim"
#: of a generated name, before the hyphen and five characters of chance
GENERATED_LENGTH_MAX = 57


class Task(NamedTuple):
    """`pod` or `claim`."""

    what: str
    namespace: str
    name: str


class ResourceClaimController(KubeController):
    """Keys are `Task`s."""

    name = "resourceclaim-controller"
    service_account = "resource-claim-controller"
    component = "resource_claim"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.pods = self.watch(
            core_v1.Pod, self._pod_seen, lambda _, new: self._pod_seen(new), self._pod_gone
        )
        self.pods.indexer.add_index(BY_CLAIM, claims_index)
        self.claims = self.watch(
            resource_v1.ResourceClaim,
            self._claim_seen,
            lambda _, new: self._claim_seen(new),
            self._claim_gone,
        )
        self.claims.indexer.add_index(BY_CONTROLLER, controller_index)
        self.templates = self.watch(resource_v1.ResourceClaimTemplate)

    # -- events ------------------------------------------------------------------------------------------

    def _pod_seen(self, pod: Any) -> None:
        if not uses_claims(pod):
            return
        if is_done(pod):
            self._look_at_claims_of(pod)
        elif pod.metadata.deletionTimestamp is None:
            self.queue.add(Task("pod", *key_of(pod)))

    def _pod_gone(self, pod: Any) -> None:
        if uses_claims(pod):
            self._look_at_claims_of(pod)

    def _look_at_claims_of(self, pod: Any) -> None:
        for name in claim_names(pod):
            self.queue.add(Task("claim", pod.metadata.namespace, name))

    def _claim_seen(self, claim: Any) -> None:
        self.queue.add(Task("claim", *key_of(claim)))
        self._claim_gone(claim)

    def _claim_gone(self, claim: Any) -> None:
        for pod in self.pods.indexer.by_index(BY_CLAIM, str(key_of(claim))):
            self._pod_seen(pod)

    async def reconcile(self, key: Any) -> None:
        task: Task = key
        if task.what == "pod":
            pod = self.pods.indexer.get((task.namespace, task.name))
            if pod is not None and pod.metadata.deletionTimestamp is None and not is_done(pod):
                await self.sync_pod(pod)
        else:
            claim = self.claims.indexer.get((task.namespace, task.name))
            if claim is not None:
                await self.sync_claim(claim)

    # -- pods --------------------------------------------------------------------------------------------

    async def sync_pod(self, pod: Any) -> None:
        made: dict[str, str] = {}
        for wanted in pod.spec.resourceClaims:
            try:
                if (name := await self._provide(pod, wanted)) is not None:
                    made[wanted.name] = name
            except StatusError as error:
                message = f"PodResourceClaim {wanted.name}: {error}"
                self.events.event(pod, "Warning", "FailedResourceClaimCreation", message)
                raise
        if made:
            await self._tell(pod, made)
        if pod.spec.nodeName:
            await self._reserve_all(pod)

    async def _provide(self, pod: Any, wanted: Any) -> str | None:
        """The name of the claim that the pod's status does not know yet."""
        if wanted.resourceClaimTemplateName is None:
            return None
        known = next((s for s in pod.status.resourceClaimStatuses if s.name == wanted.name), None)
        if known is not None:
            if not known.resourceClaimName:
                return None  # it was decided that none is needed
            claim = self.claims.indexer.get((pod.metadata.namespace, known.resourceClaimName))
            if claim is not None and controlled_by(claim, pod):
                return None
        for claim in self.claims.indexer.by_index(BY_CONTROLLER, pod.metadata.uid):
            if claim.metadata.annotations.get(POD_CLAIM_NAME) == wanted.name:
                return str(claim.metadata.name)
        template = self.templates.indexer.get((pod.metadata.namespace, wanted.resourceClaimTemplateName))
        if template is None:
            missing = not_found("resource.k8s.io", "resourceclaimtemplate", wanted.resourceClaimTemplateName)
            message = f'resource claim template "{wanted.resourceClaimTemplateName}": {missing}'
            raise StatusError({**missing.status, "message": message})
        return (await self._create(pod, wanted, template)).metadata.name  # type: ignore[no-any-return]

    async def _create(self, pod: Any, wanted: Any, template: Any) -> Any:
        try:
            made = await self.client.create(
                scheme().from_dict(resource_v1.ResourceClaim, claim_for(pod, wanted, template))
            )
        except StatusError as error:
            raise StatusError({**error.status, "message": f"create ResourceClaim : {error}"}) from error
        # the next look at the pod may come before the informer's news: it must not make another
        self.claims.indexer.put((made.metadata.namespace, made.metadata.name), made)
        return made

    async def _tell(self, pod: Any, made: dict[str, str]) -> None:
        statuses = [{"name": name, "resourceClaimName": claim} for name, claim in made.items()]
        meta = {"name": pod.metadata.name, "namespace": pod.metadata.namespace}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "status": {"resourceClaimStatuses": statuses},
        }
        await self.client.apply(body, MANAGER, force=True, subresource="status")

    async def _reserve_all(self, pod: Any) -> None:
        """For a pod that was put on its node by somebody who does not know of claims."""
        for name in claim_names(pod):
            claim = self.claims.indexer.get((pod.metadata.namespace, name))
            if claim is None or allocation_of(claim) is None:
                continue
            if has_room(claim) and not is_reserved_for(claim, pod):
                who = {"resource": "pods", "name": pod.metadata.name, "uid": pod.metadata.uid}
                both = [*(scheme().to_dict(r) for r in reserved_for(claim)), who]
                await self.client.update_status(evolve(claim, status={"reservedFor": both}))

    # -- claims ------------------------------------------------------------------------------------------

    async def sync_claim(self, claim: Any) -> None:
        reserved = reserved_for(claim)
        still = [who for who in reserved if await self._needs(claim, who)]
        if len(still) < len(reserved):
            changes: dict[str, Any] = {"reservedFor": [scheme().to_dict(who) for who in still]}
            if not still and FINALIZER in claim.metadata.finalizers:
                changes["allocation"] = None
            claim = await self.client.update_status(evolve(claim, status=changes))
            if not still:
                claim = await self._let_go(claim)
        elif not still and claim.metadata.deletionTimestamp is not None:
            if allocation_of(claim) is not None:
                claim = await self.client.update_status(evolve(claim, status={"allocation": None}))
            claim = await self._let_go(claim)
        if not still:
            await self._delete_unneeded(claim)

    async def _let_go(self, claim: Any) -> Any:
        if FINALIZER not in claim.metadata.finalizers:
            return claim
        finalizers = [f for f in claim.metadata.finalizers if f != FINALIZER]
        return await self.client.update(evolve(claim, metadata={"finalizers": finalizers}))

    async def _needs(self, claim: Any, who: Any) -> bool:
        if who.apiGroup or who.resource != "pods":
            raise StatusError({"message": f"unsupported ReservedFor entry: {scheme().to_dict(who)}"})
        namespace = claim.metadata.namespace
        pod = self.pods.indexer.get((namespace, who.name))
        if pod is None:
            # perhaps it is too new to be known here
            try:
                pod = await self.client.get(core_v1.Pod, who.name, namespace)
            except StatusError as error:
                if not is_not_found(error):
                    raise
                return False
        return pod.metadata.uid == who.uid and not is_done(pod)

    async def _delete_unneeded(self, claim: Any) -> None:
        """One that was made for a pod that will never run again; if the pod is gone, the garbage collector does it."""
        owner = controller_of(claim)
        if owner is None or (owner.apiVersion, owner.kind) != ("v1", "Pod"):
            return
        pod = self.pods.indexer.get((claim.metadata.namespace, owner.name))
        if pod is not None and (pod.metadata.uid != owner.uid or is_done(pod)):
            try:
                await self.client.delete(resource_v1.ResourceClaim, *reversed(key_of(claim)))
            except StatusError as error:
                if not is_not_found(error):
                    raise


def is_done(pod: Any) -> bool:
    """None of its containers runs, nor ever will."""
    return is_finished(pod) or (pod.metadata.deletionTimestamp is not None and not pod.spec.nodeName)


def uses_claims(pod: Any) -> bool:
    return bool(pod.spec.resourceClaims) or pod.status.extendedResourceClaimStatus is not None


def claim_names(pod: Any) -> Iterator[str]:
    """The claims that the pod uses, as far as they have names."""
    if (own := pod.status.extendedResourceClaimStatus) is not None:
        yield own.resourceClaimName
    made = {status.name: status.resourceClaimName for status in pod.status.resourceClaimStatuses}
    for wanted in pod.spec.resourceClaims:
        if name := wanted.resourceClaimName or made.get(wanted.name):
            yield name


def claims_index(pod: Any) -> tuple[str, ...]:
    if not uses_claims(pod):
        return ()
    return tuple(str(Key(pod.metadata.namespace, name)) for name in claim_names(pod))


def claim_for(pod: Any, wanted: Any, template: Any) -> dict[str, Any]:
    """In wire form."""
    spec = scheme().to_dict(template.spec)
    given = spec.get("metadata") or {}
    metadata: dict[str, Any] = {
        "generateName": generate_name(pod.metadata.name, wanted.name),
        "namespace": pod.metadata.namespace,
        "annotations": {**(given.get("annotations") or {}), POD_CLAIM_NAME: wanted.name},
        "ownerReferences": [controller_ref(pod)],
    }
    if given.get("labels"):
        metadata["labels"] = given["labels"]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": metadata,
        "spec": spec["spec"],
    }


def generate_name(pod: str, claim: str) -> str:
    """Both names show, however long they are."""
    whole = f"{pod}-{claim}-"
    if len(whole) <= GENERATED_LENGTH_MAX:
        return whole
    share = GENERATED_LENGTH_MAX / len(whole)
    return f"{pod[: int(len(pod) * share)]}-{claim[: int(len(claim) * share)]}"
