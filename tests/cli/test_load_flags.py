"""The options of load and audit, from the command line to the settings of a cluster."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from knarr.apiserver.limits import Limits
from knarr.cli import loadflags
from knarr.cli.detach import VALUED


def parsed(*arguments: str) -> dict:
    """What a command with these options is given."""

    @click.command()
    def command(**given):
        command.given = given

    for option in loadflags.OPTIONS:
        option(command)
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return command.given


def test_without_options_everything_is_kube_apiservers():
    assert loadflags.settings_of(parsed()) == {"limits": Limits(), "audit": None}
    assert set(loadflags.NAMES) <= VALUED


def test_options_reach_their_settings(tmp_path):
    found = loadflags.settings_of(
        parsed(
            *("--request-timeout", "1m30s", "--goaway-chance", "0.01", "--max-requests-inflight", "7"),
            *(
                "--shutdown-send-retry-after",
                "true",
                "--enable-priority-and-fairness",
                "false",
                "--event-ttl",
                "2h",
            ),
            *(
                "--audit-policy-file",
                str(tmp_path / "p"),
                "--audit-log-path",
                "-",
                "--audit-log-format",
                "legacy",
            ),
            *("--audit-log-maxsize", "5", "--audit-log-compress", "true", "--audit-log-mode", "batch"),
            *("--audit-log-batch-max-wait", "2s", "--audit-log-batch-buffer-size", "9"),
            *("--audit-webhook-config-file", str(tmp_path / "w"), "--audit-webhook-initial-backoff", "3s"),
            *("--audit-webhook-truncate-enabled", "true", "--audit-webhook-truncate-max-event-size", "1000"),
            *("--audit-webhook-batch-throttle-qps", "2.5"),
        )
    )
    limits, audit = found["limits"], found["audit"]
    assert (limits.request_timeout, limits.goaway_chance, limits.max_requests_inflight) == (90.0, 0.01, 7)
    assert (limits.shutdown_send_retry_after, limits.enable_priority_and_fairness) == (True, False)
    assert limits.event_ttl == 7200.0
    assert audit.policy_file == str(tmp_path / "p")
    log, webhook = audit.log, audit.webhook
    assert (log.path, log.format, log.max_size, log.compress, log.mode) == ("-", "legacy", 5, True, "batch")
    assert (log.batching.max_wait_seconds, log.batching.buffer_size, log.batching.max_size) == (2.0, 9, 1)
    assert (webhook.config_file, webhook.initial_backoff_seconds) == (str(tmp_path / "w"), 3.0)
    assert (webhook.truncating.enabled, webhook.truncating.max_event_bytes) == (True, 1000)
    assert webhook.batching.qps == 2.5


def test_paths_are_where_the_command_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = parsed("--audit-log-path", "audit.log", "--audit-policy-file", "policy.yaml")
    assert given["audit_log_path"] == str(tmp_path / "audit.log")
    assert given["audit_policy_file"] == str(tmp_path / "policy.yaml")


@pytest.mark.parametrize("value", ["soon", "5", "1x"])
def test_durations_are_gos(value):
    with pytest.raises(click.BadParameter, match="time: "):
        parsed("--request-timeout", value)


def test_an_empty_value_is_the_default_again():
    kept = {"audit_log_path": "", "request_timeout": ""}
    assert loadflags.settings_of(kept) == {"limits": Limits(), "audit": None}
