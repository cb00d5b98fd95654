"""pods/eviction: delete a pod if its disruption budgets allow it."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.conditions import put_condition
from knarr.api.policy.eviction import evicted_condition
from knarr.meta import errors, labels, times
from knarr.registry.context import Request
from knarr.registry.delete import check_preconditions, delete
from knarr.registry.operations import Operations, read_write_options
from knarr.registry.options import DeleteOptions, delete_options
from knarr.registry.result import Result, success_status
from knarr.registry.storage import Object, View
from knarr.registry.update import NO_RULES, Write, update

TOO_MANY_BUDGETS = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
)
WOULD_VIOLATE = "Cannot evict pod as it would violate the pod's disruption budget."
UNCONFIRMED = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
#: disrupted pods that may be remembered in a budget's status
DISRUPTED_PODS_MAX = 2000


def register(operations: Operations) -> None:
    async def evict(request: Request, view: View, body: bytes, content_type: str) -> Result:
        return await _evict(operations, request, view, body, content_type)

    operations.registry.handlers["", "pods", "eviction"] = evict


async def _evict(
    operations: Operations, request: Request, view: View, body: bytes, content_type: str
) -> Result:
    registry = operations.registry
    evictions = registry.open_request_view("policy", "v1", "Eviction", view)
    read_write_options(request, view)
    eviction = operations.sent(request, evictions, body, content_type)
    name = request.name
    if (eviction.get("metadata") or {}).get("name", "") != name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options = delete_options({}, eviction.get("deleteOptions"))
    options.dry_run = options.dry_run or request.dry_run
    request.dry_run = options.dry_run
    review = registry.admission.open(
        request, "CREATE", ("policy", "v1", "Eviction"), eviction, None, request.options
    )
    if review is not None:
        await review.admit()
        await review.validate()
    pod = registry.get("", "pods", request.namespace, name)
    if pod is None:
        raise errors.not_found("", "pods", name)
    if not ignores_budgets(pod):
        budgets = _budgets_of(operations, request, pod)
        if len(budgets) > 1:
            raise errors.StatusError(errors.failure(500, "", TOO_MANY_BUDGETS))
        if budgets:
            await _ask_budget(operations, request, pod, budgets[0])
    if not request.dry_run:
        version = await _mark(operations, request, view, options)
        if options.resource_version is not None:
            # what the client has seen was still so when the pod was marked
            options.resource_version = version
    await delete(view, request, options, _Admitted(), registry.hooks.get(("", "pods")))
    return Result(orjson.dumps(success_status(201)), 201)


async def _mark(operations: Operations, request: Request, view: View, options: DeleteOptions) -> str:
    """Say on the pod why it ends, before it does; gives its resourceVersion then. Raises 409 for preconditions."""
    change = Request("update", group="", version="v1", resource="pods", subresource="status")
    change.namespace, change.name = request.namespace, request.name
    now = times.format(operations.registry.world.clock.now())

    async def note(live: Object | None) -> Object:
        new: Object = orjson.loads(orjson.dumps(live))
        check_preconditions(view, request, options, new)
        put_condition(new.setdefault("status", {}), evicted_condition(now))
        return new

    result = await update(view, change, note, _Admitted(), Write(applied=True, rules=NO_RULES))
    version: str = orjson.loads(result.body)["metadata"]["resourceVersion"]
    return version


def ignores_budgets(pod: Object) -> bool:
    """Pods that never ran, or no longer do, disrupt nobody."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _budgets_of(operations: Operations, request: Request, pod: Object) -> list[Object]:
    pod_labels = pod["metadata"].get("labels") or {}
    return [
        budget
        for budget in operations.registry.list("policy", "poddisruptionbudgets", request.namespace)
        if labels.from_label_selector((budget.get("spec") or {}).get("selector")).matches(pod_labels)
    ]


async def _ask_budget(operations: Operations, request: Request, pod: Object, budget: Object) -> None:
    """Take one disruption from the pod's budget. Raises 429 when there is none left."""
    registry = operations.registry
    ready = _is_ready(pod)
    policy = (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy")
    status = budget.get("status") or {}
    if not ready:
        healthy = (
            status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0)
            and status.get("desiredHealthy", 0) > 0
        )
        if policy == "AlwaysAllow" or healthy:
            return
    pdbs = registry.view("policy", "v1", "poddisruptionbudgets")
    assert pdbs is not None
    change = Request(
        "update", group="policy", version="v1", resource="poddisruptionbudgets", subresource="status"
    )
    change.namespace, change.name, change.dry_run = (
        request.namespace,
        budget["metadata"]["name"],
        request.dry_run,
    )
    name, now = request.name, registry.world.clock.now()

    async def take(live: Object | None) -> Object:
        new = orjson.loads(orjson.dumps(live))
        spend(new, name, now)
        return new

    await update(pdbs, change, take, _Admitted(), Write(applied=True, rules=NO_RULES))


class _Admitted:
    def open(self, *_: Any) -> None:
        return None


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def spend(budget: Object, pod: str, now: float) -> None:
    """Count one disruption in the budget's status. Raises 429."""
    name, status = budget["metadata"]["name"], budget.setdefault("status", {})
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        error = errors.too_many_requests(WOULD_VIOLATE, 10)
        error.status["details"] = {
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": f"The disruption budget {name} is still being processed by the server.",
                }
            ],
            "retryAfterSeconds": 10,
        }
        raise error
    allowed = status.get("disruptionsAllowed", 0)
    if len(status.get("disruptedPods") or {}) > DISRUPTED_PODS_MAX:
        raise errors.forbidden("policy", "poddisruptionbudget", name, UNCONFIRMED)
    if allowed <= 0:
        error = errors.too_many_requests(WOULD_VIOLATE, 0)
        error.status["details"] = {"causes": [{"reason": "DisruptionBudget", "message": shortage(budget)}]}
        error.headers.pop("Retry-After", None)
        raise error
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        put_condition(status, exhausted(status.get("observedGeneration", 0), times.format(now)))
    status.setdefault("disruptedPods", {})[pod] = times.format(now)


def exhausted(generation: int, now: str) -> Object:
    """What a budget says when the last disruption is taken."""
    condition: Object = {
        "type": "DisruptionAllowed",
        "status": "False",
        "lastTransitionTime": now,
        "reason": "InsufficientPods",
        "message": "",
    }
    return condition | ({"observedGeneration": generation} if generation else {})


def shortage(budget: Object) -> str:
    status = budget["status"]
    return (
        f"The disruption budget {budget['metadata']['name']} needs {status.get('desiredHealthy', 0)} healthy pods and"
        f" has {status.get('currentHealthy', 0)} currently"
    )
