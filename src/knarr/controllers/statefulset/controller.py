"""The stateful set controller: reads, plans with its siblings, acts."""

from __future__ import annotations

from typing import Any

from knarr.api.scheme import evolve, scheme
from knarr.api.types import apps_v1, core_v1
from knarr.client.batches import slow_start
from knarr.client.claim import claim
from knarr.client.client import Client, is_already_exists, is_not_found
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers import history
from knarr.controllers.base import PodOwner
from knarr.controllers.podcontrol import is_gone
from knarr.controllers.pods import seconds_to_available
from knarr.controllers.statefulset import identity, retention
from knarr.controllers.statefulset.planning import Plan, Revisions, plan, revision_for, status_of
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.meta.fielderrors import aggregate
from knarr.world import World

HASH = "controller.kubernetes.io/hash"
#: claims are not watched one by one: how soon to look whether one has gone
STALE_SECONDS = 1.0


class StatefulSetController(PodOwner):
    """Owns pods and controller revisions; makes claims that nobody owns, unless the retention policy says so."""

    name = "statefulset-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.watch_pods(apps_v1.StatefulSet)
        self.claims = self.watch(core_v1.PersistentVolumeClaim)
        self.history = history.History(self.client, self.watch(apps_v1.ControllerRevision))

    async def reconcile(self, key: Key) -> Requeue | None:
        ss = self.owners.indexer.get(key)
        if ss is None:
            return None
        selector = self.selector_of(ss)
        pods = await claim(
            self.client,
            ss,
            self.candidates(ss),
            selector,
            lambda pod: identity.ordinal_of(ss, pod.metadata.name) is not None,
        )
        revisions = await self.history.of(ss, selector)
        current, update, collisions = await self.revisions(ss, revisions)
        names = Revisions(current.metadata.name, update.metadata.name)

        now = self.clock.now()
        by_ordinal = {identity.ordinal_of(ss, pod.metadata.name): pod for pod in pods}
        members = {ordinal: pod for ordinal, pod in by_ordinal.items() if ordinal is not None}
        todo = plan(ss, members, names, now, lambda ordinal: self.claim_is_stale(ss, ordinal))
        failure: StatusError | None = None
        try:
            # first, so that the claim of a pod that is scaled away has an owner which then goes
            await self.keep_claims(ss, members)
            await self.carry_out(ss, todo, names, {r.metadata.name: r for r in (current, update)})
        except StatusError as error:
            failure = error
        status = status_of(ss, pods, names, collisions, now)
        if status != ss.status:
            await self.client.update_status(evolve(ss, status=status))
        await self.forget_old(ss, revisions, pods, names)
        if failure is not None:
            raise failure
        return self.next_look(ss, members, now)

    def next_look(self, ss: Any, members: dict[int, Any], now: float) -> Requeue | None:
        """When the next ready pod becomes available; soon where an old claim has to go first."""
        if any(
            self.claim_is_stale(ss, ordinal) for ordinal in identity.ordinals(ss) if ordinal not in members
        ):
            return Requeue(STALE_SECONDS)
        waits = [seconds_to_available(pod, ss.spec.minReadySeconds, now) for pod in members.values()]
        wait = min((wait for wait in waits if wait), default=None)
        return Requeue(wait) if wait is not None else None

    # -- revisions ---------------------------------------------------------------------------------------

    async def revisions(self, ss: Any, known: list[Any]) -> tuple[Any, Any, int]:
        """(current, update, collisions): the newest is the one of the present template, made if need be."""
        collisions = ss.status.collisionCount or 0
        data = history.template_patch(ss.spec.template)
        same = [revision for revision in known if revision.data == data]
        if not same:
            update, collisions = await self.history.create(
                ss,
                {
                    "apiVersion": "apps/v1",
                    "kind": "ControllerRevision",
                    "metadata": {
                        "labels": {**ss.spec.template.metadata.labels, HASH: "<hash>"},
                        "annotations": dict(ss.metadata.annotations),
                    },
                    "data": data,
                    "revision": history.next_number(known),
                },
                lambda count: history.data_hash(data, count),
                collisions,
            )
        elif same[-1] is known[-1]:
            update = known[-1]
        else:
            update = await self.history.renumber(same[-1], history.next_number(known))
        current = next((r for r in known if r.metadata.name == ss.status.currentRevision), update)
        return current, update, collisions

    async def forget_old(self, ss: Any, known: list[Any], pods: list[Any], names: Revisions) -> None:
        live = {*names, *(identity.revision_of(pod) for pod in pods)}
        limit = ss.spec.revisionHistoryLimit
        if limit is not None:
            await self.history.delete(history.surplus(known, live, limit))

    # -- pods --------------------------------------------------------------------------------------------

    async def carry_out(self, ss: Any, todo: Plan, names: Revisions, revisions: dict[str, Any]) -> None:
        async def create(ordinal: int) -> None:
            name = revision_for(ss, ordinal, names)
            template = history.template_of(revisions[name])
            await self.create(ss, ordinal, identity.new_pod(ss, template, name, ordinal))

        async def mend(pod: Any) -> None:
            ordinal = identity.ordinal_of(ss, pod.metadata.name) or 0
            await self.mend(ss, pod, ordinal)

        async def make_claims(pod: Any) -> None:
            await self.create_claims(ss, identity.ordinal_of(ss, pod.metadata.name) or 0)

        await slow_start(make_claims, todo.claims)
        await slow_start(create, todo.create)
        await slow_start(mend, todo.mend)
        await slow_start(lambda pod: self.delete(ss, pod), todo.delete)

    async def create(self, ss: Any, ordinal: int, pod: dict[str, Any]) -> None:
        """The claims first; without them no pod."""
        what = f"Pod {pod['metadata']['name']} in StatefulSet {ss.metadata.name}"
        try:
            await self.create_claims(ss, ordinal)
            await self.client.create(pod)
        except StatusError as error:
            if not is_already_exists(error):  # the cache is behind, or it is another's: look again
                self.tell(ss, "create", what, error)
            raise
        self.tell(ss, "create", what, None)

    async def delete(self, ss: Any, pod: Any) -> None:
        what = f"Pod {pod.metadata.name} in StatefulSet {ss.metadata.name}"
        try:
            await self.client.delete(pod)
        except StatusError as error:
            if is_gone(error):
                return
            self.tell(ss, "delete", what, error)
            raise
        self.tell(ss, "delete", what, None)

    async def mend(self, ss: Any, pod: Any, ordinal: int) -> None:
        body = {
            "metadata": {"uid": pod.metadata.uid, "labels": identity.identity_labels(ss, ordinal)},
        }
        what = f"Pod {pod.metadata.name} in StatefulSet {ss.metadata.name}"
        try:
            await self.client.patch(core_v1.Pod, pod.metadata.name, pod.metadata.namespace, body)
        except StatusError as error:
            self.tell(ss, "update", what, error)
            raise
        self.tell(ss, "update", what, None)

    def tell(
        self, ss: Any, verb: str, what: str, error: StatusError | None, done: str = "successful"
    ) -> None:
        if error is None:
            self.events.event(ss, "Normal", f"Successful{verb.title()}", f"{verb} {what} {done}")
        else:
            message = f"{verb} {what} failed error: {error.message}"
            self.events.event(ss, "Warning", f"Failed{verb.title()}", message)

    # -- claims ------------------------------------------------------------------------------------------

    async def create_claims(self, ss: Any, ordinal: int) -> None:
        """Those that do not exist; one that is being deleted has to go first. Raises StatusError for all together."""
        problems: list[str] = []
        refused: StatusError | None = None
        for wanted in identity.new_claims(ss, ordinal):
            name = wanted["metadata"]["name"]
            there = self.claims.indexer.get((ss.metadata.namespace, name))
            if there is None:
                try:
                    await self.create_claim(ss, ordinal, wanted)
                except StatusError as error:
                    refused = refused or error
                    problems.append(f"failed to create PVC {name}: {error.message}")
            elif there.metadata.deletionTimestamp is not None:
                problems.append(f"pvc {name} is being deleted")
        if problems:
            status = refused.status if refused is not None else errors.failure(409, "Conflict", "")
            raise StatusError({**status, "message": aggregate(problems)})

    async def create_claim(self, ss: Any, ordinal: int, wanted: dict[str, Any]) -> None:
        owner = retention.owner_wanted(ss, None, scaled_away=False)
        if owner is not None:
            wanted["metadata"]["ownerReferences"] = [owner]
        name, pod = wanted["metadata"]["name"], identity.pod_name(ss, ordinal)
        try:
            await self.client.create(wanted)
        except StatusError as error:
            if is_already_exists(error):
                return
            self.tell(ss, "create", f"Claim {name} for Pod {pod} in StatefulSet {ss.metadata.name}", error)
            raise
        what = f"Claim {name} Pod {pod} in StatefulSet {ss.metadata.name}"
        self.tell(ss, "create", what, None, "success")

    def claims_of(self, ss: Any, ordinal: int) -> list[Any]:
        names = identity.claim_names(ss, ordinal).values()
        found = (self.claims.indexer.get((ss.metadata.namespace, name)) for name in names)
        return [known for known in found if known is not None]

    def claim_is_stale(self, ss: Any, ordinal: int) -> bool:
        """Claims that outlive their pods are for the next one."""
        pod = identity.pod_name(ss, ordinal)
        return retention.policy(ss)[1] == "Delete" and any(
            retention.is_stale(known, pod) for known in self.claims_of(ss, ordinal)
        )

    async def keep_claims(self, ss: Any, members: dict[int, Any]) -> None:
        """Claims of existing pods belong to whom the retention policy says."""
        if ss.metadata.deletionTimestamp:
            return
        wanted = identity.ordinals(ss)
        for ordinal, pod in members.items():
            for known in self.claims_of(ss, ordinal):
                name = pod.metadata.name
                refs = retention.references(ss, known, pod, name, scaled_away=ordinal not in wanted)
                if refs is None:
                    continue
                try:
                    await self.client.update(evolve(known, metadata={"ownerReferences": wire(refs)}))
                except StatusError as error:
                    if not is_not_found(error):
                        raise


def wire(refs: list[Any]) -> list[dict[str, Any]]:
    """References as dicts, whatever they are."""
    return [ref if type(ref) is dict else scheme().to_dict(ref) for ref in refs]
