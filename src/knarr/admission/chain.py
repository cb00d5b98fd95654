"""Plugins in order; a request pays only for those that concern it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from knarr.admission.attributes import Attributes, Target

Step = Callable[[Attributes], Awaitable[None] | None]


class Plugin:
    """One rule. Define `admit` (may change `a.obj`), `validate` (may not), or both.

    Either may be a coroutine function, or a plain function that returns an awaitable only when it has to wait.
    """

    name = ""
    #: set by the chain; a plugin calls it when it handles other targets than before
    forget: Callable[[], None] = staticmethod(lambda: None)

    def handles(self, target: Target) -> bool:
        """Whether requests for this target concern the plugin; asked once per target."""
        return True


class Chain:
    """All plugins' `admit`, later all plugins' `validate`, each in the order given."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = list(plugins)
        for plugin in self.plugins:
            plugin.forget = self.forget
        # one row per target that was ever requested; bounded by the number of resources that are served
        self._admitting: dict[Target, list[Step]] = {}
        self._validating: dict[Target, list[Step]] = {}

    async def admit(self, attributes: Attributes) -> None:
        target = attributes.target
        steps = self._admitting.get(target)
        if steps is None:
            steps = self._admitting[target] = self._choose("admit", target)
        for step in steps:
            waiting = step(attributes)
            if waiting is not None:
                await waiting
        reinvocation = attributes.reinvocation
        if reinvocation is not None and reinvocation.wanted:
            reinvocation.again = True
            for step in steps:
                waiting = step(attributes)
                if waiting is not None:
                    await waiting

    async def validate(self, attributes: Attributes) -> None:
        target = attributes.target
        steps = self._validating.get(target)
        if steps is None:
            steps = self._validating[target] = self._choose("validate", target)
        for step in steps:
            waiting = step(attributes)
            if waiting is not None:
                await waiting

    def forget(self) -> None:
        """Ask every plugin again which targets it handles (custom resources went, webhooks changed)."""
        self._admitting.clear()
        self._validating.clear()

    def _choose(self, phase: str, target: Target) -> list[Step]:
        found = [(getattr(p, phase, None), p) for p in self.plugins]
        return [step for step, plugin in found if step is not None and plugin.handles(target)]
