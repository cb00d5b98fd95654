"""The autoscaler: looks at every target now and then, decides with its siblings, scales, and says what it did."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from knarr.api.scheme import evolve, scheme
from knarr.api.types import autoscaling_v2, core_v1
from knarr.client.client import Client
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.podautoscaler import proposals, scales
from knarr.controllers.podautoscaler.behavior import Limits, Memory, limit, tolerances_of
from knarr.controllers.podautoscaler.metrics import CUSTOM_API, MetricsClient, resource_name, versions_of
from knarr.controllers.podautoscaler.proposals import Answer, Custom, Failed
from knarr.controllers.podautoscaler.replicas import Target
from knarr.controllers.podautoscaler.scales import Scale
from knarr.controllers.podautoscaler.words import Uncomputable
from knarr.controllers.served import API_SERVICE, CRD
from knarr.meta import labels, times
from knarr.meta.errors import StatusError
from knarr.meta.labels import Selector
from knarr.world import World

log = logging.getLogger(__name__)

#: between two looks at an autoscaler, and before the first
SYNC_SECONDS = 15.0


@dataclass
class Pass:
    """One look at an autoscaler. `spec` and `status` are in wire form; the status grows as the pass goes on."""

    hpa: Any
    spec: dict[str, Any]
    status: dict[str, Any]
    now: float
    metrics: list[dict[str, Any]] = field(default_factory=list)

    @property
    def least(self) -> int:
        return int(self.spec.get("minReplicas", 1))

    @property
    def most(self) -> int:
        return int(self.spec["maxReplicas"])

    def set(self, type_: str, status: bool, reason: str, message: str) -> None:
        """A condition; its time changes with its status only."""
        new = {"type": type_, "status": str(status), "reason": reason, "message": message}
        conditions = self.status.setdefault("conditions", [])
        for i, known in enumerate(conditions):
            if known["type"] == type_:
                since = known["lastTransitionTime"] if known["status"] == new["status"] else self.stamp
                conditions[i] = {**new, "lastTransitionTime": since}
                return
        conditions.append({**new, "lastTransitionTime": self.stamp})

    @property
    def stamp(self) -> str:
        return times.format(self.now)

    def count(self, current: int, desired: int, rescaled: bool = False) -> None:
        """The numbers of the status; what else there was of them is gone, but for conditions and the last time."""
        kept = {key: value for key, value in self.status.items() if key in ("lastScaleTime", "conditions")}
        kept |= {"currentReplicas": current, "desiredReplicas": desired, "currentMetrics": self.metrics}
        self.status = kept
        if rescaled:
            self.status["lastScaleTime"] = self.stamp


class HorizontalPodAutoscalerController(KubeController):
    """Owns nothing; writes the scale of what others own."""

    name = "horizontal-pod-autoscaler-controller"
    service_account = "horizontal-pod-autoscaler"
    component = "horizontal-pod-autoscaler"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.metrics = MetricsClient(client.transport)
        self.memories: dict[Key, Memory] = {}
        #: what each autoscaler's target selects, as of its last look
        self.selectors: dict[Key, Selector] = {}
        self.autoscalers = self.watch(
            autoscaling_v2.HorizontalPodAutoscaler, self._seen, lambda _, new: self._seen(new), self.enqueue
        )
        self.pods = self.watch(core_v1.Pod)
        self.crds = self.watch(CRD)
        self.api_services = self.watch(API_SERVICE)

    def _seen(self, hpa: Any) -> None:
        """Changes make nothing happen sooner: metrics change more slowly than objects."""
        self.selectors.setdefault(key_of(hpa), labels.nothing())
        self.enqueue_after(hpa, SYNC_SECONDS)

    async def reconcile(self, key: Key) -> Requeue | None:
        hpa = self.autoscalers.indexer.get(key)
        if hpa is None:
            self.memories.pop(key, None)
            self.selectors.pop(key, None)
            return None
        wire = scheme().to_dict(hpa)
        look = Pass(hpa, wire["spec"], dict(wire.get("status") or {}), self.clock.now())
        look.status["conditions"] = list(look.status.get("conditions") or ())
        try:
            await self.autoscale(look)
        except Uncomputable as error:
            log.debug("%s: %s: %s", self.name, key, error)
        await self.report(look)
        return Requeue(SYNC_SECONDS)

    async def report(self, look: Pass) -> None:
        changed = evolve(look.hpa, status=look.status)
        if changed.status == look.hpa.status:
            return
        try:
            await self.client.update_status(changed)
        except StatusError as error:
            self.events.event(look.hpa, "Warning", "FailedUpdateStatus", error.message)

    # -- one autoscaler ----------------------------------------------------------------------------------------

    async def autoscale(self, look: Pass) -> None:
        """Raises Uncomputable where nothing can be done; the status says why."""
        scale = await self.read_scale(look)
        current = scale.replicas
        memory = self.memories.setdefault(key_of(look.hpa), Memory())
        if not memory.asked:
            memory.ask(current, look.now, SYNC_SECONDS)
        desired, why = current, ""
        if current == 0 and look.least != 0:
            message = "scaling is disabled since the replica count of the target is zero"
            look.set("ScalingActive", False, "ScalingDisabled", message)
        elif current > look.most:
            desired, why = look.most, "Current number of replicas above Spec.MaxReplicas"
        elif current < look.least:
            desired, why = look.least, "Current number of replicas below Spec.MinReplicas"
        else:
            desired, why = await self.decide(look, scale, memory)
        if desired != current:
            await self.rescale(look, scale, desired, why)
            if (behavior := look.spec.get("behavior")) is not None:
                memory.scaled(behavior, current, desired, look.now)
        look.count(current, desired, rescaled=desired != current)

    async def read_scale(self, look: Pass) -> Scale:
        ref, namespace = look.spec["scaleTargetRef"], look.hpa.metadata.namespace
        try:
            row = scales.row_of(ref.get("apiVersion", ""), ref["kind"], self.crds.indexer.list())
            scale = await scales.read(self.client, row, ref["name"], namespace)
        except Uncomputable as error:
            self.events.event(look.hpa, "Warning", "FailedGetScale", str(error))
            message = f"the HPA controller was unable to get the target's current scale: {error}"
            look.set("AbleToScale", False, "FailedGetScale", message)
            raise
        message = "the HPA controller was able to get the target's current scale"
        look.set("AbleToScale", True, "SucceededGetScale", message)
        return scale

    async def decide(self, look: Pass, scale: Scale, memory: Memory) -> tuple[int, str]:
        """(the new size, why) by the metrics."""
        current = scale.replicas
        try:
            answer = await self.ask_all(look, scale)
        except Uncomputable as error:
            look.count(current, look.status.get("desiredReplicas", 0))
            self.events.event(look.hpa, "Warning", "FailedComputeMetricsReplicas", str(error))
            raise
        asked, why = answer.replicas, ""
        if asked > current:
            why = f"{answer.about} above target"
        elif asked < current:
            why = "All metrics below target"
        behavior, limits = look.spec.get("behavior"), Limits(look.least, look.most)
        limited = limit(behavior, memory, current, asked, limits, look.now)
        look.set("AbleToScale", True, *limited.able)
        look.set("ScalingLimited", limited.is_limited, *limited.limited)
        return limited.replicas, why

    async def rescale(self, look: Pass, scale: Scale, desired: int, why: str) -> None:
        try:
            await scales.write(self.client, scale, desired)
        except Uncomputable as error:
            message = f"New size: {desired}; reason: {why}; error: {error}"
            self.events.event(look.hpa, "Warning", "FailedRescale", message)
            message = f"the HPA controller was unable to update the target scale: {error}"
            look.set("AbleToScale", False, "FailedUpdateScale", message)
            look.count(scale.replicas, look.status.get("desiredReplicas", 0))
            raise
        message = f"the HPA controller was able to update the target scale to {desired}"
        look.set("AbleToScale", True, "SucceededRescale", message)
        self.events.event(look.hpa, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}")

    # -- metrics -----------------------------------------------------------------------------------------------

    async def ask_all(self, look: Pass, scale: Scale) -> Answer:
        """The answer that wants the most. Where a metric fails, the others may only make the target grow."""
        target = self.target(look, scale)
        custom = Custom(versions_of(CUSTOM_API, self.api_services.indexer.list()), self.resource_of)
        best: Answer | None = None
        failures: list[Failed] = []
        for metric in look.spec.get("metrics") or ():
            try:
                answer = await proposals.ask(self.metrics, custom, target, metric)
            except Failed as failed:
                self.events.event(look.hpa, "Warning", failed.reason, failed.why)
                failures.append(failed)
                look.metrics.append({"type": ""})
                continue
            look.metrics.append(answer.status)
            if best is None or not best.replicas or answer.replicas > best.replicas:
                best = answer
        if failures and (best is None or best.replicas < scale.replicas):
            first = failures[0]
            message = f"the HPA was unable to compute the replica count: {first.why}"
            look.set("ScalingActive", False, first.reason, message)
            counts = f"{len(failures)} invalid out of {len(look.metrics)}"
            raise Uncomputable(f"invalid metrics ({counts}), first error is: {first}")
        assert best is not None  # a spec without metrics is given one
        message = f"the HPA was able to successfully calculate a replica count from {best.about}"
        look.set("ScalingActive", True, "ValidMetricFound", message)
        return best

    def target(self, look: Pass, scale: Scale) -> Target:
        """Raises Uncomputable where the target's pods cannot be told, or are another's, too."""
        namespace = look.hpa.metadata.namespace
        if not scale.selector:
            self.events.event(look.hpa, "Warning", "SelectorRequired", "selector is required")
            message = "the HPA target's scale is missing a selector"
            look.set("ScalingActive", False, "InvalidSelector", message)
            raise Uncomputable("selector is required")
        try:
            selector = labels.parse(scale.selector)
        except ValueError as error:
            why = f"couldn't convert selector into a corresponding internal selector object: {error}"
            raise self._unusable(look, "InvalidSelector", why) from None
        self.selectors[key_of(look.hpa)] = selector
        pods = [pod for pod in self.pods.indexer.list(namespace) if selector.matches(pod.metadata.labels)]
        rivals = self.who_selects(namespace, pods)
        if len(rivals) > 1:
            named = " ".join(f"{{{key.name} {key.namespace}}}" for key in rivals)
            why = f"pods by selector {scale.selector} are controlled by multiple HPAs: [{named}]"
            raise self._unusable(look, "AmbiguousSelector", why)
        tolerances = tolerances_of(look.spec.get("behavior"))
        return Target(namespace, scale.replicas, scale.status_replicas, selector, pods, tolerances, look.now)

    def _unusable(self, look: Pass, reason: str, why: str) -> Uncomputable:
        self.events.event(look.hpa, "Warning", reason, why)
        look.set("ScalingActive", False, reason, why)
        return Uncomputable(why)

    def who_selects(self, namespace: str, pods: list[Any]) -> list[Key]:
        """The autoscalers whose targets select any of the pods."""
        near = [(key, selector) for key, selector in self.selectors.items() if key.namespace == namespace]
        if len(near) < 2:
            return []
        return sorted(
            key for key, selector in near if any(selector.matches(pod.metadata.labels) for pod in pods)
        )

    def resource_of(self, api_version: str, kind: str) -> str:
        return resource_name(scales.row_of(api_version, kind, self.crds.indexer.list()))
