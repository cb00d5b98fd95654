"""How a simulated container lives: drawn by lot within the settings, steered by annotations of its pod.

Annotations (prefix `knarr.dev/`; for one container of the pod append `.` and its name, as in
`knarr.dev/duration.main`). Durations are written as Go writes them (`90s`, `1h30m`) or as bare seconds.

    start-delay   how long creating it takes, after its image is there
    image-pull    how long pulling takes, or `fail`: the image does not exist
    duration      it ends by itself after this
    exit-code     with which code it ends (0)
    fail-after    it ends with code 1 (or exit-code) after this
    crash-loop    `true`: it fails a second after each start
    never-ready   `true`: its readiness never comes
    ready-after   it becomes ready so long after its start
    stop-delay    how long it takes to end after TERM; beyond the grace it is killed
    log-lines     its output, before what is generated

Containers of pods with restartPolicy Never or OnFailure, and init containers, end by themselves after
`job_seconds` unless told otherwise; the others run until they are stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from knarr.kubelet.plan import is_sidecar
from knarr.meta.durations import parse_go_duration
from knarr.world import Chance

PREFIX = "knarr.dev/"
CRASH_SECONDS = 1.0
TERMINATED, KILLED = 143, 137


@dataclass(frozen=True)
class SimulatedSettings:
    """Plausible times, each a range in seconds from which a value is drawn."""

    pull_seconds: tuple[float, float] = (0.5, 2.0)
    start_seconds: tuple[float, float] = (0.1, 0.5)
    stop_seconds: tuple[float, float] = (0.05, 0.3)
    job_seconds: float = 5.0
    init_seconds: float = 1.0


@dataclass(frozen=True)
class Life:
    """One run that is to be. `runs_seconds` None: until it is stopped."""

    pull_seconds: float
    start_seconds: float
    runs_seconds: float | None
    exit_code: int
    pull_fails: bool = False


def annotation(pod: Any, container: str, name: str) -> str | None:
    """The container's own before the pod's."""
    annotations = pod.metadata.annotations
    if not annotations:
        return None
    own = annotations.get(f"{PREFIX}{name}.{container}")
    return own if own is not None else annotations.get(PREFIX + name)


def seconds_of(text: str | None, default: float) -> float:
    """A duration; the default for what is none."""
    if not text:
        return default
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parse_go_duration(text))
    except ValueError:
        return default


def code_of(text: str | None, default: int) -> int:
    try:
        return int(text) & 0xFF if text else default
    except ValueError:
        return default


def is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("true", "1", "yes")


def life_of(
    pod: Any, container: Any, init: bool, image_present: bool, settings: SimulatedSettings, chance: Chance
) -> Life:
    """The next run of a container."""

    def said(name: str) -> str | None:
        return annotation(pod, container.name, name)

    pull = said("image-pull")
    pull_seconds = 0.0
    if not image_present or container.imagePullPolicy == "Always" or pull is not None:
        pull_seconds = seconds_of(pull, chance.uniform(*settings.pull_seconds))
    start = seconds_of(said("start-delay"), chance.uniform(*settings.start_seconds))
    runs, code = _end(pod, container, init, settings, said)
    return Life(pull_seconds, start, runs, code, pull == "fail")


def _end(
    pod: Any, container: Any, init: bool, settings: SimulatedSettings, said: Any
) -> tuple[float | None, int]:
    """(seconds it runs, exit code)."""
    if is_true(said("crash-loop")):
        return CRASH_SECONDS, code_of(said("exit-code"), 1)
    if (after := said("fail-after")) is not None:
        return seconds_of(after, CRASH_SECONDS), code_of(said("exit-code"), 1)
    code = code_of(said("exit-code"), 0)
    if (duration := said("duration")) is not None:
        return seconds_of(duration, settings.job_seconds), code
    if init and not is_sidecar(container):
        return settings.init_seconds, code
    if not init and pod.spec.restartPolicy in ("Never", "OnFailure"):
        return settings.job_seconds, code
    if said("exit-code") is not None:
        return settings.job_seconds, code
    return None, code


def readiness(pod: Any, container: Any) -> tuple[float, float | None]:
    """Seconds after its start when it counts as started and as ready (None: never), by its probes' own times."""
    startup, ready = container.startupProbe, container.readinessProbe
    started_at = _passes_after(startup) if startup is not None else 0.0
    if is_true(annotation(pod, container.name, "never-ready")):
        return started_at, None
    ready_at = max(started_at, _passes_after(ready)) if ready is not None else started_at
    return started_at, seconds_of(annotation(pod, container.name, "ready-after"), ready_at)


def _passes_after(probe: Any) -> float:
    """A probe that succeeds each time."""
    again = max((probe.successThreshold or 1) - 1, 0)
    return float((probe.initialDelaySeconds or 0) + again * (probe.periodSeconds or 10))
