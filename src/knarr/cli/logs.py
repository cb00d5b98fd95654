"""`knarr logs`."""

from __future__ import annotations

import sys
import threading
from typing import Any

import click

from knarr.cli import output as outputs
from knarr.cli import pods, say
from knarr.cli.api import Server, connect
from knarr.cli.options import connection_options, selector_option
from knarr.meta.errors import StatusError


@click.command()
@click.argument("pod", required=False)
@click.argument("container_name", metavar="[CONTAINER]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on as it is written.")
@click.option("-c", "--container", default="", help="Which container.")
@click.option("--all-containers", is_flag=True, help="Every container of the pod.")
@click.option("-p", "--previous", is_flag=True, help="Of the container before the last restart.")
@click.option("--tail", type=int, default=-1, help="Only the last N lines.")
@click.option("--since", default="", help="Not older than a duration, as in 5m.")
@click.option("--since-time", default="", help="Not older than a time (RFC 3339).")
@click.option("--timestamps", is_flag=True, help="Each line with its time.")
@click.option("--prefix", is_flag=True, help="Each line with its pod and container.")
@click.option("--limit-bytes", type=int, default=0, help="At most this much.")
@selector_option
@connection_options
def logs(
    pod: str | None,
    container_name: str | None,
    follow: bool,
    container: str,
    all_containers: bool,
    previous: bool,
    tail: int,
    since: str,
    since_time: str,
    timestamps: bool,
    prefix: bool,
    limit_bytes: int,
    selector: str,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Print the log of a pod's container; POD may be TYPE/NAME (`deploy/web`)."""
    if not pod and not selector:
        raise click.UsageError("logs POD, logs TYPE/NAME or logs -l SELECTOR")
    server = connect(cluster, kubeconfig, context, namespace)
    query: dict[str, str] = {}
    for key, value in (("follow", follow), ("previous", previous), ("timestamps", timestamps)):
        if value:
            query[key] = "true"
    if since:
        query["sinceSeconds"] = str(_since(since))
    if since_time:
        query["sinceTime"] = since_time
    if tail >= 0 or selector:
        # as kubectl: of many pods the last ten lines each, where nothing is said
        query["tailLines"] = str(tail if tail >= 0 else 10)
    if limit_bytes:
        query["limitBytes"] = str(limit_bytes)
    try:
        found = pods.of_selector(server, selector) if selector else [pods.find(server, pod or "")]
    except StatusError as error:
        return outputs.errors_of([error])
    sources = [
        (one["metadata"]["name"], name)
        for one in found
        for name in _containers(one, container or container_name or "", all_containers)
    ]
    if not sources:
        say.note(f"No resources found in {server.namespace} namespace.")
    return _print_all(server, sources, query, prefix)


def _containers(pod: dict[str, Any], wanted: str, every: bool) -> list[str]:
    if not every:
        return [pods.container(pod, wanted)]
    keys = ("initContainers", "containers", "ephemeralContainers")
    return [one["name"] for key in keys for one in pod["spec"].get(key) or []]


def _print_all(server: Server, sources: list[tuple[str, str]], query: dict[str, str], prefix: bool) -> int:
    if len(sources) == 1 or "follow" not in query:
        return max((_print(server, *source, query, prefix) for source in sources), default=0)
    threads = [
        threading.Thread(target=_print, args=(server, *source, query, prefix), daemon=True)
        for source in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


def _print(server: Server, pod: str, container: str, query: dict[str, str], prefix: bool) -> int:
    path = pods.path(server, pod, "log")
    out = sys.stdout.buffer
    start = f"[pod/{pod}/{container}] ".encode() if prefix else b""
    try:
        if start:
            for line in server.lines(path, {**query, "container": container}, "*/*"):
                out.write(start + line + b"\n")
                out.flush()
        else:
            for piece in server.stream(path, {**query, "container": container}, "*/*"):
                out.write(piece)
                out.flush()
    except StatusError as error:
        return outputs.errors_of([error])
    return 0


def _since(text: str) -> int:
    from knarr.meta.durations import parse_go_duration

    try:
        seconds = parse_go_duration(text)
    except ValueError:
        seconds = 0
    if seconds <= 0:
        raise say.Failure(f'--since: "{text}" is not a duration like 30s or 5m', 2)
    return max(int(seconds), 1)
