"""KubeSchedulerConfiguration's profiles: which plugins decide for the pods of a scheduler name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.scheduler.framework import Framework
from knarr.scheduler.handle import Handle
from knarr.scheduler.plugins.registry import DEFAULT, Factory

DEFAULT_SCHEDULER = "default-scheduler"


@dataclass(frozen=True)
class Profile:
    """The default plugins, without those `disabled` ("*": all) and with those `enabled` besides, in their order.

    `weights` replaces the weight of a score; 0 turns it off. `percentage_of_nodes_to_score`: stop looking for
    more feasible nodes after that share; 0 and 100 look at all, which here is the quickest.
    """

    scheduler_name: str = DEFAULT_SCHEDULER
    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    percentage_of_nodes_to_score: int = 0


def framework(
    profile: Profile, handle: Handle, out_of_tree: Mapping[str, Factory] | None = None
) -> Framework:
    """The profile's plugins, made. Raises ValueError for a plugin that nobody knows."""
    known = {**DEFAULT, **(out_of_tree or {})}
    names = [n for n in DEFAULT if n not in profile.disabled and "*" not in profile.disabled]
    names += [n for n in profile.enabled if n not in names]
    for name in (*names, *profile.disabled, *profile.weights):
        if name not in known and name != "*":
            raise ValueError(f"profile {profile.scheduler_name}: {name} does not exist")
    # sorting and binding are not optional: without them no pod ever leaves the queue
    for needed, point in (("PrioritySort", "sort_key"), ("DefaultBinder", "bind")):
        if not any(hasattr(known[name](handle), point) for name in names):
            names.append(needed)
    return Framework(
        profile.scheduler_name,
        [known[name](handle) for name in names],
        dict(profile.weights),
        profile.percentage_of_nodes_to_score,
    )
