"""Plugins in order; a request pays only for those that concern it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

from knarr.admission.attributes import Attributes, Target
from knarr.meta.histogram import Histogram
from knarr.meta.metrics import Family, Histograms
from knarr.world.clock import Clock, RealClock

Step = Callable[[Attributes], Awaitable[None] | None]

PREFIX = "apiserver_admission_"
#: upper bounds of its histograms, in seconds
BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
#: the values of a histogram's label
FALSE, TRUE = "false", "true"


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

    def metrics(self) -> Iterable[Family]:
        """What it counts."""
        return ()


class Steps:
    """What one phase of admission does for one target, and how long each part takes."""

    __slots__ = ("names", "parts", "whole")

    def __init__(self, names: list[str], parts: list[tuple[Step, Histogram]], whole: Histogram) -> None:
        self.names, self.parts, self.whole = names, parts, whole


class Chain:
    """All plugins' `admit`, later all plugins' `validate`, each in the order given."""

    def __init__(self, plugins: Iterable[Plugin], clock: Clock = RealClock()) -> None:
        self.plugins = list(plugins)
        for plugin in self.plugins:
            plugin.forget = self.forget
        # one row per target that was ever requested; bounded by the number of resources that are served
        self._admitting: dict[Target, Steps] = {}
        self._validating: dict[Target, Steps] = {}
        self._clock = clock
        self._parts = Histograms(
            f"{PREFIX}controller_admission_duration_seconds",
            "How long admission controllers took, in seconds.",
            BOUNDS,
            *("name", "type", "operation", "rejected"),
        )
        self._wholes = Histograms(
            f"{PREFIX}step_admission_duration_seconds",
            "How long all of them took together, in seconds.",
            BOUNDS,
            *("type", "operation", "rejected"),
        )

    def metrics(self) -> Iterator[Family]:
        yield self._parts.family()
        yield self._wholes.family()
        for plugin in self.plugins:
            if isinstance(plugin, Plugin):  # or a guard of another package, which counts nothing
                yield from plugin.metrics()

    async def admit(self, attributes: Attributes) -> None:
        target = attributes.target
        steps = self._admitting.get(target)
        if steps is None:
            steps = self._admitting[target] = self._choose("admit", target)
        await self._run("admit", steps, attributes)
        reinvocation = attributes.reinvocation
        if reinvocation is not None and reinvocation.wanted:
            reinvocation.again = True
            await self._run("admit", steps, attributes)

    async def validate(self, attributes: Attributes) -> None:
        target = attributes.target
        steps = self._validating.get(target)
        if steps is None:
            steps = self._validating[target] = self._choose("validate", target)
        await self._run("validate", steps, attributes)

    async def _run(self, phase: str, steps: Steps, attributes: Attributes) -> None:
        monotonic = self._clock.monotonic
        began = at = monotonic()
        done = 0
        try:
            for step, took in steps.parts:
                waiting = step(attributes)
                if waiting is not None:
                    await waiting
                now = monotonic()
                took.observe(now - at)
                at = now
                done += 1
        except BaseException:
            self._refused(phase, steps.names[done], attributes.operation, began, at)
            raise
        steps.whole.observe(at - began)

    def _refused(self, phase: str, name: str, operation: str, began: float, at: float) -> None:
        now = self._clock.monotonic()
        self._parts.observe(now - at, name, phase, operation, TRUE)
        self._wholes.observe(now - began, phase, operation, TRUE)

    def forget(self) -> None:
        """Ask every plugin again which targets it handles (custom resources went, webhooks changed)."""
        self._admitting.clear()
        self._validating.clear()

    def _choose(self, phase: str, target: Target) -> Steps:
        found = [
            (plugin.name, step)
            for plugin in self.plugins
            if (step := getattr(plugin, phase, None)) is not None and plugin.handles(target)
        ]
        operation = target.operation
        parts = [(step, self._parts.row(name, phase, operation, FALSE)) for name, step in found]
        return Steps([name for name, _ in found], parts, self._wholes.row(phase, operation, FALSE))
