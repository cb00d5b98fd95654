"""The webhooks of a cluster: configurations by name, webhooks in the order they stand there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.admission.matching import EXEMPT_GROUP, Rules, Selectors
from knarr.registry.reader import Reader

Object = dict[str, Any]


class Hook:
    """One webhook, prepared for many requests.

    `identity` tells it from all others, also from one of the same name in its configuration. `conditions` is None
    for a webhook without matchConditions.
    """

    def __init__(self, configuration: str, ordinal: int, webhook: Object) -> None:
        self.name: str = webhook["name"]
        self.configuration = configuration
        self.identity = f"{configuration}/{self.name}/{ordinal}"
        self.client: Object = webhook.get("clientConfig") or {}
        self.rules = Rules(webhook.get("rules"), webhook.get("matchPolicy") == "Equivalent")
        self.selectors = Selectors(webhook)
        self.ignores_failure = webhook.get("failurePolicy") == "Ignore"
        self.reinvoked = webhook.get("reinvocationPolicy") == "IfNeeded"
        self.dry_runs = webhook.get("sideEffects") in ("None", "NoneOnDryRun")
        self.timeout_seconds: int = webhook.get("timeoutSeconds") or 10
        self.review_versions: list[str] = webhook.get("admissionReviewVersions") or []
        self.conditions: Any = None
        if webhook.get("matchConditions"):
            # CEL is imported where somebody uses it
            from knarr.admission.cel.matchconditions import MatchConditions

            self.conditions = MatchConditions(webhook["matchConditions"], self.ignores_failure)


def prepare(configuration: Object) -> list[Hook]:
    name = configuration["metadata"]["name"]
    seen: dict[str, int] = {}
    hooks = []
    for webhook in configuration.get("webhooks") or ():
        ordinal = seen[webhook["name"]] = seen.get(webhook["name"], -1) + 1
        hooks.append(Hook(name, ordinal, webhook))
    return hooks


class Hooks:
    """Follows one kind of configuration, from the first time that somebody asks."""

    def __init__(self, reader: Reader, resource: str, changed: Callable[[], None]) -> None:
        self._reader, self._resource, self._changed = reader, resource, changed
        self._configurations: dict[str, list[Hook]] = {}
        self._all: list[Hook] | None = None
        self._following = False

    def all(self) -> list[Hook]:
        if not self._following:
            self._following = True
            self._reader.subscribe(EXEMPT_GROUP, self._resource, self._take)
        if self._all is None:
            by_name = sorted(self._configurations.items())
            self._all = [hook for _, hooks in by_name for hook in hooks]
        return self._all

    def _take(self, type_: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if type_ == "DELETED":
            self._configurations.pop(name, None)
        else:
            self._configurations[name] = prepare(obj)
        self._all = None
        self._changed()
