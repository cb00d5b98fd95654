"""What a cluster cannot do without is made again where somebody deletes it: its namespaces and its own service.

`kubectl delete services --all` in namespace default is a common thing to do.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Iterable

from knarr.cluster import bootstrap
from knarr.meta.errors import StatusError
from knarr.registry.registry import Registry
from knarr.registry.storage import Object

log = logging.getLogger(__name__)

#: how often Kubernetes looks, by resource
SECONDS = {
    ("", "namespaces"): 60.0,
    ("", "services"): 10.0,
    ("", "endpoints"): 10.0,
    ("discovery.k8s.io", "endpointslices"): 10.0,
    ("networking.k8s.io", "servicecidrs"): 10.0,
}


async def keep(
    registry: Registry,
    wanted: Iterable[tuple[str, str, Object]],
    settle: Callable[[], Awaitable[None]],
) -> None:
    """Write those of `wanted` that are missing, and `settle` them, now and then; runs until cancelled.

    `wanted`: (group, resource, object) of the resources in `SECONDS`.
    """
    by_period: dict[float, list[tuple[str, str, Object]]] = {}
    for item in wanted:
        by_period.setdefault(SECONDS[item[:2]], []).append(item)
    async with asyncio.TaskGroup() as group:
        for seconds, mine in by_period.items():
            group.create_task(_keep(registry, mine, seconds, settle))


async def _keep(
    registry: Registry,
    wanted: list[tuple[str, str, Object]],
    seconds: float,
    settle: Callable[[], Awaitable[None]],
) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            # what is written is filled in, and may be wanted again
            await bootstrap.write(registry, copy.deepcopy(wanted))
            await settle()
        except StatusError as error:
            log.warning("what a cluster begins with could not be made again: %s", error)
        except Exception:  # a store that fails for a moment must not end the upkeep
            log.exception("what a cluster begins with could not be kept up")
