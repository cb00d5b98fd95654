"""`knarr delete`: by file, by name, by label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from knarr.cli import home, say
from knarr.cli import output as outputs
from knarr.cli.api import Server, connect
from knarr.cli.options import (
    all_namespaces_option,
    connection_options,
    field_selector_option,
    files_option,
    recursive_option,
    selector_option,
)
from knarr.cli.resources import Target, Types
from knarr.meta.errors import StatusError
from knarr.world.clock import RealClock

PROPAGATION = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}
LOOK_SECONDS = 0.1


@click.command()
@click.argument("resources", nargs=-1)
@files_option
@recursive_option
@all_namespaces_option
@selector_option
@field_selector_option
@click.option("--all", "everything", is_flag=True, help="All of the type.")
@click.option(
    "--cascade", type=click.Choice(list(PROPAGATION)), default="background", help="What of the owned."
)
@click.option("--wait/--no-wait", default=True, help="Return when the objects are gone. [yes]")
@click.option("--timeout", default="0s", help="How long to wait, as in 30s; 0s is for ever.")
@click.option("--grace-period", type=int, default=-1, help="Seconds a pod has to end.")
@click.option("--now", is_flag=True, help="A grace period of one second.")
@click.option("--force", is_flag=True, help="With --grace-period=0: do not wait for the node.")
@click.option("--ignore-not-found", is_flag=True, help="What is not there is no error.")
@click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", help="server: check only.")
@click.option("-o", "--output", type=click.Choice(["", "name"]), default="", help="name: only names.")
@connection_options
def delete(
    resources: tuple[str, ...],
    files: tuple[str, ...],
    recursive: bool,
    all_namespaces: bool,
    selector: str,
    field_selector: str,
    everything: bool,
    cascade: str,
    wait: bool,
    timeout: str,
    grace_period: int,
    now: bool,
    force: bool,
    ignore_not_found: bool,
    dry_run: str,
    output: str,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Delete, for instance `knarr delete pod web`, `delete -f app.yaml`, `delete pods -l app=web`."""
    server = connect(cluster, kubeconfig, context, namespace)
    types = Types(server)
    seconds = _seconds(timeout)
    if files:
        from knarr.cli.manifests import read, targets_of

        targets = targets_of(read(files, recursive), types)
    else:
        chosen = types.targets(resources)
        query = {"labelSelector": selector, "fieldSelector": field_selector}
        query = {key: value for key, value in query.items() if value}
        if any(not target.name for target in chosen) and not (query or everything):
            raise say.Failure(
                "resource(s) were provided, but no name, label selector, or --all flag specified", 2
            )
        targets = _listed(server, chosen, query, all_namespaces)
        if not targets:
            say.out("No resources found")
            return 0
    if force and grace_period < 0:
        grace_period = 0
    if now:
        grace_period = 1
    if grace_period == 0 and force:
        say.warning(
            "Immediate deletion does not wait for confirmation that the running resource has been terminated."
        )
    options: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": PROPAGATION[cascade],
    }
    if grace_period >= 0:
        options["gracePeriodSeconds"] = grace_period
    if dry_run == "server":
        options["dryRun"] = ["All"]
    errors: list[Exception] = []
    going: list[tuple[str, str, str]] = []
    for target in targets:
        where = target.namespace or server.namespace
        path = target.type.path(where, target.name)
        try:
            answer = server.call("DELETE", path, (), options)
        except StatusError as error:
            if not (ignore_not_found and error.reason == "NotFound"):
                errors.append(error)
            continue
        if output == "name":
            say.out(f"{target.type.shown}/{target.name}")
        else:
            inside = f" from {where} namespace" if target.type.namespaced else ""
            how = "force deleted" if force and grace_period == 0 else "deleted"
            dry = " (server dry run)" if dry_run == "server" else ""
            say.out(f'{target.type.shown} "{target.name}" {how}{inside}{dry}')
        going.append((path, _uid(answer), f"{target.type.shown}/{target.name}"))
    if wait and dry_run == "none":
        _wait_gone(server, going, seconds)
    return outputs.errors_of(errors)


def _listed(
    server: Server, targets: Sequence[Target], query: dict[str, str], all_namespaces: bool
) -> list[Target]:
    """Selectors become names, so that each deletion can be told."""
    found: list[Target] = []
    for target in targets:
        if target.name:
            found.append(target)
            continue
        try:
            page = server.get(target.type.path("" if all_namespaces else server.namespace), query)
        except StatusError as error:
            raise say.Failure(outputs.refusal(error)) from None
        for item in page.get("items") or []:
            metadata = item["metadata"]
            found.append(Target(target.type, metadata["name"], metadata.get("namespace", "")))
    return found


def _uid(answer: dict[str, Any]) -> str:
    """Of what was deleted: in a Status, or in the object where it lives on for a while."""
    return answer.get("details", {}).get("uid") or answer.get("metadata", {}).get("uid", "")


def _wait_gone(server: Server, going: list[tuple[str, str, str]], seconds: float) -> None:
    deadline = RealClock.monotonic() + seconds if seconds > 0 else float("inf")
    for path, uid, name in going:
        while _is_there(server, path, uid):
            if RealClock.monotonic() > deadline:
                raise say.Failure(f"timed out waiting for {name} to be gone")
            home.pause(LOOK_SECONDS)


def _is_there(server: Server, path: str, uid: str) -> bool:
    try:
        found = server.get(path, accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    except StatusError as error:
        if error.code == 404:
            return False
        raise say.Failure(outputs.refusal(error)) from None
    return not uid or found["metadata"].get("uid") == uid


def _seconds(text: str) -> float:
    from knarr.meta.durations import parse_go_duration

    try:
        return parse_go_duration(text)
    except ValueError:
        raise say.Failure(f'--timeout: "{text}" is not a duration like 30s or 5m', 2) from None
