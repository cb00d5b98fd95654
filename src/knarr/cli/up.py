"""`knarr up`: options become settings, settings that were not given are those of last time."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from knarr.cli import accessflags, home, loadflags, say
from knarr.cli.options import name_option

#: options whose value stays with the cluster: a second `knarr up` without them goes on as before
KEPT = (
    "nodes",
    "runtime",
    "data_dir",
    "memory",
    "host",
    "port",
    "token",
    "seed",
    "service_cidr",
    "pod_cidr",
    "compaction",
    "quota",
    "controllers",
    "scheduler",
    "root_ca_file",
    *accessflags.NAMES,
    *loadflags.NAMES,
)
DEFAULTS: dict[str, Any] = {
    "nodes": 1,
    "runtime": "simulated",
    "data_dir": "",
    "memory": False,
    "host": "127.0.0.1",
    "port": 0,
    "token": "",
    "seed": None,
    "service_cidr": "10.96.0.0/16",
    "pod_cidr": "10.244.0.0/16",
    "compaction": "5m",
    "quota": "8Gi",
    "controllers": True,
    "scheduler": True,
    "root_ca_file": "",
    **dict.fromkeys(accessflags.NAMES),
    **dict.fromkeys(loadflags.NAMES),
}
#: an address block that stays with the data: objects hold addresses of it
FIXED = ("service_cidr", "pod_cidr")


def _cidr(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    for part in (value or "").split(","):
        try:
            if part:
                ipaddress.ip_network(part)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def _compaction(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            compaction_of(value)
        except ValueError:
            raise click.BadParameter(
                f'"{value}" is neither a duration like 5m, nor a number of revisions, nor off'
            ) from None
    return value


def _quota(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            quota_of(value)
        except ValueError:
            raise click.BadParameter(f'"{value}" is not a size like 512Mi or 8Gi') from None
    return value


def compaction_of(text: str) -> tuple[str, float]:
    """(mode, retention) of the store. Raises ValueError."""
    if text in ("off", "0"):
        return "", 0.0
    if text.isdigit():
        return "revision", float(text)
    from knarr.meta.durations import parse_go_duration

    seconds = parse_go_duration(text)
    if seconds <= 0:
        raise ValueError(text)
    return "periodic", seconds


def quota_of(text: str) -> int:
    """Bytes. Raises ValueError."""
    from knarr.meta.quantity import Quantity

    size = Quantity.parse(text).value
    if size < 1 << 20:
        raise ValueError(text)
    return size


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        [
            click.option("--nodes", type=click.IntRange(0, 100_000), help="How many nodes. [1]"),
            click.option(
                "--runtime",
                type=click.Choice(["simulated", "process"]),
                help="simulated: pods that only seem to run. process: containers are processes of this machine."
                " [simulated]",
            ),
            click.option(
                "--data-dir",
                type=click.Path(file_okay=False),
                help="Where the data is kept. [~/.knarr/clusters/NAME]",
            ),
            click.option("--memory/--no-memory", default=None, help="Keep nothing on disk."),
            click.option(
                "--host",
                help="Address to listen on; 0.0.0.0 or :: for all, with a certificate for each. [127.0.0.1]",
            ),
            click.option(
                "--port",
                type=click.IntRange(0, 65535),
                help="Port to listen on. [the same as last time, 6443 if it is free, else any]",
            ),
            click.option(
                "--kubeconfig",
                type=click.Path(dir_okay=False),
                help="The file to put the cluster into. [as kubectl: $KUBECONFIG or ~/.kube/config]",
            ),
            click.option(
                "--switch-context/--no-switch-context",
                default=True,
                help="Make the cluster kubectl's current context. [yes]",
            ),
            click.option(
                "--detach", "-d", is_flag=True, help="Return when the cluster is ready; it goes on."
            ),
            click.option("--token", help="A bearer token for the administrator. [drawn at random]"),
            click.option("--seed", type=int, help="Draw the same names, uids and ties in every run."),
            click.option("--service-cidr", callback=_cidr, help="Addresses of services. [10.96.0.0/16]"),
            click.option("--pod-cidr", callback=_cidr, help="Addresses of pods. [10.244.0.0/16]"),
            click.option(
                "--compaction",
                callback=_compaction,
                help="How much history to keep: a duration, a number of revisions, or off. [5m]",
            ),
            click.option("--quota", callback=_quota, help="How large the data may grow. [8Gi]"),
            click.option("--controllers/--no-controllers", default=None, help="Run the controllers. [yes]"),
            click.option("--scheduler/--no-scheduler", default=None, help="Run the scheduler. [yes]"),
            click.option(
                "--root-ca-file",
                type=click.Path(exists=True, dir_okay=False, resolve_path=True),
                help="What kube-root-ca.crt and token secrets tell pods to trust. [the cluster's own authority]",
            ),
            *accessflags.OPTIONS,
            *loadflags.OPTIONS,
            click.option("-v", "--verbose", count=True, help="Log more to stderr; -vv everything."),
        ]
    ):
        function = option(function)
    return function


@click.command()
@name_option
@_options
def up(
    name: str | None,
    kubeconfig: str | None,
    switch_context: bool,
    detach: bool,
    verbose: int,
    **given: Any,
) -> int:
    """Start a cluster, or go on with one that was stopped, and write its kubeconfig.

    Ctrl-C stops it. The data stays: the next `knarr up` goes on where it was.
    """
    from knarr.cli.serve import Order, serve

    name = name or home.DEFAULT_NAME
    home.check_name(name)
    place = home.Place(name)
    settings = merged(place, given)
    order = Order(place, settings, kubeconfig, switch_context, verbose, port_given=given["port"] is not None)
    if detach:
        from knarr.cli.detach import start_detached

        return start_detached(order)
    return serve(order)


def merged(place: home.Place, given: dict[str, Any]) -> dict[str, Any]:
    """What was asked for now, then what the cluster was started with before, then the defaults."""
    if given["data_dir"] and given["memory"]:
        raise click.UsageError("--memory keeps nothing on disk, so it cannot go with --data-dir")
    if given["data_dir"]:
        given = {**given, "data_dir": str(Path(given["data_dir"]).expanduser().absolute()), "memory": False}
    elif given["memory"]:
        given = {**given, "data_dir": ""}
    before = place.read().get("settings") or {}
    kept_data = not before.get("memory") and before.get("data_dir", "") == (
        given["data_dir"] or before.get("data_dir", "")
    )
    for key in FIXED:
        if kept_data and before and given[key] not in (None, before.get(key)) and not given["memory"]:
            raise say.Failure(
                f'the data of cluster "{place.name}" was made with --{key.replace("_", "-")} {before.get(key)}, which'
                f" cannot be changed; leave the option out, or start afresh after"
                f" `{home.command('down', place.name)} --delete`"
            )
    return {key: _first(given.get(key), before.get(key), DEFAULTS[key]) for key in KEPT}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
