"""The options of `knarr up` that say how much the API server takes on, for how long, and what it records of it.

They are named as kube-apiserver's, stay with the cluster, and an empty value goes back to the default.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from knarr.apiserver.audit.options import AuditOptions

FILE, TEXT, INTEGER, NUMBER, SPAN, YES_NO = "FILE", "TEXT", "INTEGER", "NUMBER", "DURATION", "BOOLEAN"
#: `Limits` has a field for each
LIMITS = (
    (
        "max-requests-inflight",
        INTEGER,
        "Reads at once; with the next one the seats that are shared out. [400]",
    ),
    ("max-mutating-requests-inflight", INTEGER, "Writes at once. [200]"),
    ("enable-priority-and-fairness", YES_NO, "Share seats by FlowSchemas. [true]"),
    ("request-timeout", SPAN, "Requests that take longer are answered 504. [1m]"),
    ("min-request-timeout", INTEGER, "Seconds; watches last between this and twice this. [1800]"),
    ("goaway-chance", NUMBER, "How likely an answer closes its connection, at most 0.02. [0]"),
    ("shutdown-delay-duration", SPAN, "How long a server that is not ready any more goes on. [0s]"),
    ("shutdown-send-retry-after", YES_NO, "Then answer 429 until what is under way is done. [false]"),
    ("shutdown-watch-termination-grace-period", SPAN, "Over how long watches are ended. [0s]"),
    ("livez-grace-period", SPAN, "How long /livez takes what is not done for done. [0s]"),
    ("event-ttl", SPAN, "How long events are kept. [1h]"),
)
#: the field of a backend's options, by what follows `audit-log-` or `audit-webhook-`
BACKEND = (
    ("mode", "mode", TEXT, "batch, blocking or blocking-strict."),
    ("batch-buffer-size", "batching.buffer_size", INTEGER, "Events that wait in mode batch. [10000]"),
    ("batch-max-size", "batching.max_size", INTEGER, "Events of a batch."),
    ("batch-max-wait", "batching.max_wait_seconds", SPAN, "How long a batch is filled."),
    ("batch-throttle-enable", "batching.throttle", YES_NO, "Limit batches per second."),
    ("batch-throttle-qps", "batching.qps", NUMBER, "Batches per second."),
    ("batch-throttle-burst", "batching.burst", INTEGER, "Batches at once after a pause."),
    ("truncate-enabled", "truncating.enabled", YES_NO, "Cut large events, split large batches. [false]"),
    ("truncate-max-batch-size", "truncating.max_batch_bytes", INTEGER, "Bytes of a batch. [10485760]"),
    ("truncate-max-event-size", "truncating.max_event_bytes", INTEGER, "Bytes of an event. [102400]"),
    ("version", "version", TEXT, "Version of the events. [audit.k8s.io/v1]"),
)
LOG = (
    ("path", "path", TEXT, "The file for the audit log; - is standard output."),
    ("format", "format", TEXT, "json, or legacy for a line of text. [json]"),
    ("maxage", "max_age", INTEGER, "Days that old files are kept. [for ever]"),
    ("maxbackup", "max_backups", INTEGER, "Old files that are kept. [all]"),
    ("maxsize", "max_size", INTEGER, "Megabytes after which a new file is begun. [100]"),
    ("compress", "compress", YES_NO, "Compress old files with gzip. [false]"),
    *BACKEND,
)
WEBHOOK = (
    ("config-file", "config_file", FILE, "kubeconfig of a server that is sent the events."),
    ("initial-backoff", "initial_backoff_seconds", SPAN, "Until the first retry. [10s]"),
    *BACKEND,
)
AUDIT = (
    ("audit-policy-file", FILE, "Which requests are recorded, and how much of them."),
    *((f"audit-log-{option}", kind, words) for option, _, kind, words in LOG),
    *((f"audit-webhook-{option}", kind, words) for option, _, kind, words in WEBHOOK),
)


def _name(option: str) -> str:
    return option.replace("-", "_")


NAMES = tuple(_name(option) for option, _, _ in (*LIMITS, *AUDIT))
_KINDS = {_name(option): kind for option, kind, _ in (*LIMITS, *AUDIT)}
_TYPES = {INTEGER: click.INT, NUMBER: click.FLOAT, YES_NO: click.BOOL}


def _read(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """As it is kept: paths absolute, durations checked."""
    kind = _KINDS[str(parameter.name)]
    if value and (kind == FILE or (parameter.name == "audit_log_path" and value != "-")):
        return str(Path(value).expanduser().absolute())
    if value and kind == SPAN:
        _seconds(value)
    return value


def _seconds(text: str) -> float:
    from knarr.meta.durations import parse_go_duration

    try:
        return parse_go_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _option(option: str, kind: str, words: str) -> Callable[..., Any]:
    return click.option(f"--{option}", type=_TYPES.get(kind, str), metavar=kind, callback=_read, help=words)


OPTIONS = [_option(*row) for row in (*LIMITS, *AUDIT)]


def settings_of(kept: dict[str, Any]) -> dict[str, Any]:
    """The settings of a cluster, by the names that `Config` has for them."""
    from knarr.apiserver.limits import Limits

    given = {name: _value(name, kept.get(name)) for name in NAMES}
    limits = {_name(option): given[_name(option)] for option, _, _ in LIMITS}
    return {
        "limits": Limits(**{field: value for field, value in limits.items() if value is not None}),
        "audit": _audit(given),
    }


def _audit(given: dict[str, Any]) -> AuditOptions | None:
    """None where nobody asks for it: then nothing of it is imported."""
    from dataclasses import replace

    if not any(given[key] for key in ("audit_policy_file", "audit_log_path", "audit_webhook_config_file")):
        return None
    from knarr.apiserver.audit.options import AuditOptions

    audit = AuditOptions(policy_file=given["audit_policy_file"] or "")
    log = {field: given[_name(f"audit-log-{option}")] for option, field, _, _ in LOG}
    webhook = {field: given[_name(f"audit-webhook-{option}")] for option, field, _, _ in WEBHOOK}
    return replace(audit, log=_backend(audit.log, log), webhook=_backend(audit.webhook, webhook))


def _value(name: str, kept: Any) -> Any:
    if kept is None or kept == "":
        return None
    return _seconds(kept) if _KINDS[name] == SPAN else kept


def _backend(options: Any, values: dict[str, Any]) -> Any:
    """The options with the values that were given, some of them in parts of it (`batching.qps`)."""
    from dataclasses import replace

    own: dict[str, Any] = {}
    for field, value in values.items():
        part, dot, inner = field.partition(".")
        if value is None:
            continue
        if dot:
            own[part] = replace(own.get(part, getattr(options, part)), **{inner: value})
        else:
            own[field] = value
    return replace(options, **own)
