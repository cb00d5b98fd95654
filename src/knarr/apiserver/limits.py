"""How much, how long and how the end: kube-apiserver's settings of load and shutdown, with its defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

GOAWAY_CHANCE_MAX = 0.02


class InvalidSetting(ValueError):
    """A setting that cannot be; one sentence, in kube-apiserver's words."""


@dataclass(frozen=True)
class Limits:
    """Each field is the flag of its name; spans of time are seconds."""

    #: with priority and fairness the two together are the server's seats; without it each is a limit of its own
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    enable_priority_and_fairness: bool = True
    #: of requests that end; `?timeout=` may ask for less
    request_timeout: float = 60.0
    #: a watch that does not say how long it lasts ends after this to twice this
    min_request_timeout: float = 1800.0
    #: how likely an answer closes its connection, so that clients spread over servers
    goaway_chance: float = 0.0
    #: a stopping server goes on so long, not ready, until balancers have noticed
    shutdown_delay_duration: float = 0.0
    #: then new requests are told to come back later while those under way finish; else nobody listens any more
    shutdown_send_retry_after: bool = False
    #: how long watches are ended one by one rather than all at once
    shutdown_watch_termination_grace_period: float = 0.0
    #: how long /livez takes hooks that are not done yet for done
    livez_grace_period: float = 0.0
    #: how long events are kept
    event_ttl: float = 3600.0

    @property
    def seats(self) -> int:
        return self.max_requests_inflight + self.max_mutating_requests_inflight

    def check(self) -> None:
        """Raises InvalidSetting with everything that is wrong."""
        found = list(self._errors())
        if found:
            raise InvalidSetting(found[0] if len(found) == 1 else "[" + ", ".join(found) + "]")

    def _errors(self) -> Iterator[str]:
        if self.livez_grace_period < 0:
            yield "--livez-grace-period can not be a negative value"
        if self.max_requests_inflight < 0:
            yield "--max-requests-inflight can not be negative value"
        if self.max_mutating_requests_inflight < 0:
            yield "--max-mutating-requests-inflight can not be negative value"
        if self.enable_priority_and_fairness and self.seats <= 0:
            yield "--max-requests-inflight and --max-mutating-requests-inflight must be > 0 in sum"
        if self.request_timeout < 0:
            yield "--request-timeout can not be negative value"
        if not 0 <= self.goaway_chance <= GOAWAY_CHANCE_MAX:
            yield "--goaway-chance can not be less than 0 or greater than 0.02"
        if self.min_request_timeout < 0:
            yield "--min-request-timeout can not be negative value"
        if self.shutdown_delay_duration < 0:
            yield "--shutdown-delay-duration can not be negative value"
        if self.shutdown_watch_termination_grace_period < 0:
            yield "--shutdown-watch-termination-grace-period shutdown grace period can not be a negative value"
        if self.event_ttl <= 0:
            yield "--event-ttl must be positive"
