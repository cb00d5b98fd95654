"""The settings of auditing: kube-apiserver's `--audit-*` flags with its defaults."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from knarr.apiserver.limits import InvalidSetting

log = logging.getLogger("knarr.audit")

MODES = ("batch", "blocking", "blocking-strict")
FORMATS = ("legacy", "json")
VERSION = "audit.k8s.io/v1"
#: as Go prints the list of versions that can be written
VERSIONS_SHOWN = '["audit.k8s.io/v1"]'


class AuditError(InvalidSetting):
    """A setting or a policy file that cannot be used; one sentence, in kube-apiserver's words."""


@dataclass(frozen=True)
class Batching:
    """How a backend in mode `batch` collects events. `qps` batches a second are sent, `burst` at once after a pause."""

    buffer_size: int = 10_000
    max_size: int = 400
    max_wait_seconds: float = 30.0
    throttle: bool = True
    qps: float = 10.0
    burst: int = 15


@dataclass(frozen=True)
class Truncating:
    """Events of more than `max_event_bytes` lose their objects; batches are split at `max_batch_bytes`."""

    enabled: bool = False
    max_batch_bytes: int = 10 * 1024 * 1024
    max_event_bytes: int = 100 * 1024


@dataclass(frozen=True)
class LogOptions:
    """Where events are written: `path` "-" is standard output, "" nowhere. `max_size` in megabytes, `max_age` in days;
    0 keeps lumberjack's meaning: 100 megabytes, any age, any number of old files."""

    path: str = ""
    format: str = "json"
    version: str = VERSION
    max_age: int = 0
    max_backups: int = 0
    max_size: int = 0
    compress: bool = False
    mode: str = "blocking"
    # One event at a time: there is nothing to win by writing a file in batches.
    batching: Batching = Batching(max_size=1, max_wait_seconds=0.0, throttle=False, qps=0.0, burst=0)
    truncating: Truncating = Truncating()


@dataclass(frozen=True)
class WebhookOptions:
    """Where events are sent: `config_file` is a kubeconfig."""

    config_file: str = ""
    version: str = VERSION
    initial_backoff_seconds: float = 10.0
    mode: str = "batch"
    batching: Batching = Batching()
    truncating: Truncating = Truncating()


@dataclass(frozen=True)
class AuditOptions:
    """Everything; nothing is recorded without a `policy_file`."""

    policy_file: str = ""
    log: LogOptions = field(default_factory=LogOptions)
    webhook: WebhookOptions = field(default_factory=WebhookOptions)

    @property
    def enabled(self) -> bool:
        """Whether there is a policy and somewhere to send what it asks for."""
        return bool(self.policy_file and (self.log.path or self.webhook.config_file))

    def check(self) -> None:
        """Raises AuditError with everything that is wrong with backends that are used."""
        found = [*_log_errors(self.log), *_webhook_errors(self.webhook)]
        if found:
            raise AuditError(found[0] if len(found) == 1 else "[" + ", ".join(found) + "]")
        if not self.policy_file and (self.log.path or self.webhook.config_file):
            log.warning("No audit policy file provided, no events will be recorded")


def _log_errors(log: LogOptions) -> Iterator[str]:
    if not log.path:
        return
    yield from _batch_errors("log", log.mode, log.batching)
    yield from _truncate_errors("log", log.truncating)
    yield from _version_errors(log.version)
    if log.format not in FORMATS:
        yield f'invalid audit log format {log.format}, allowed formats are "{",".join(FORMATS)}"'
    for flag, value in (("maxage", log.max_age), ("maxbackup", log.max_backups), ("maxsize", log.max_size)):
        if value < 0:
            yield f"--audit-log-{flag} {value} can't be a negative number"


def _webhook_errors(webhook: WebhookOptions) -> Iterator[str]:
    if webhook.config_file:
        yield from _batch_errors("webhook", webhook.mode, webhook.batching)
        yield from _truncate_errors("webhook", webhook.truncating)
        yield from _version_errors(webhook.version)


def _batch_errors(plugin: str, mode: str, batching: Batching) -> Iterator[str]:
    """The first thing that is wrong, as kube-apiserver says no more."""
    if mode not in MODES:
        yield f'invalid audit {plugin} mode {mode}, allowed modes are "{",".join(MODES)}"'
        return
    if mode != "batch":
        return
    wrong = f"invalid audit batch {plugin}"
    if batching.buffer_size <= 0:
        yield f"{wrong} buffer size {batching.buffer_size}, must be a positive number"
    elif batching.max_size <= 0:
        yield f"{wrong} max batch size {batching.max_size}, must be a positive number"
    elif batching.throttle and batching.qps <= 0:
        yield f"{wrong} throttle QPS {batching.qps:g}, must be a positive number"
    elif batching.throttle and batching.burst <= 0:
        yield f"{wrong} throttle burst {batching.burst}, must be a positive number"


def _truncate_errors(plugin: str, truncating: Truncating) -> Iterator[str]:
    event, batch = truncating.max_event_bytes, truncating.max_batch_bytes
    wrong = f"invalid audit truncate {plugin}"
    if event <= 0:
        yield f"{wrong} max event size {event}, must be a positive number"
    elif batch < event:
        yield f"{wrong} max batch size {batch}, must be greater than max event size ({event})"


def _version_errors(version: str) -> Iterator[str]:
    if version != VERSION:
        yield f"invalid group version, allowed versions are {VERSIONS_SHOWN}"
