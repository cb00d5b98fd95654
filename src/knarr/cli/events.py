"""`knarr events`: what happened, oldest first."""

from __future__ import annotations

from typing import Any

import click

from knarr.cli import output as outputs
from knarr.cli import say
from knarr.cli.api import connect
from knarr.cli.options import all_namespaces_option, connection_options
from knarr.cli.resources import Types
from knarr.cli.table import Table
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world.clock import RealClock

HEADER = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]


@click.command()
@all_namespaces_option
@click.option("--for", "subject", default="", metavar="TYPE/NAME", help="Of one object.")
@click.option("--types", default="", help="Normal, Warning or both.")
@click.option("-w", "--watch", is_flag=True, help="Then show what happens, until Ctrl-C.")
@click.option("--no-headers", is_flag=True, help="Rows only.")
@click.option("-o", "--output", default="", metavar="FORMAT", help="yaml, json …")
@connection_options
def events(
    all_namespaces: bool,
    subject: str,
    types: str,
    watch: bool,
    no_headers: bool,
    output: str,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """List events, for instance `knarr events --for pod/web`."""
    outputs.check(output)
    server = connect(cluster, kubeconfig, context, namespace)
    query: dict[str, str] = {}
    if subject:
        target = Types(server).targets([subject])[0]
        query["fieldSelector"] = f"involvedObject.kind={target.type.kind},involvedObject.name={target.name}"
    wanted = {part.lower() for part in types.split(",") if part}
    path = "/api/v1/events" if all_namespaces else f"/api/v1/namespaces/{server.namespace}/events"
    try:
        page = server.get(path, query)
        found = sorted((one for one in page.get("items") or [] if _wanted(one, wanted)), key=seen)
        if output:
            outputs.write(output, outputs.listed([outputs.strip(one) for one in found]))
            return 0
        table = Table(not no_headers)
        if not found and not watch:
            where = "" if all_namespaces else f" in {server.namespace} namespace."
            say.note(f"No events found{where}")
        elif found:
            _add(table, found, all_namespaces)
        if watch:
            query["resourceVersion"] = page["metadata"]["resourceVersion"]
            for event in server.watch(path, query):
                if event["type"] in ("ADDED", "MODIFIED") and _wanted(event["object"], wanted):
                    _add(table, [event["object"]], all_namespaces)
    except StatusError as error:
        return outputs.errors_of([error])
    except KeyboardInterrupt:
        pass
    return 0


def _add(table: Table, found: list[dict[str, Any]], namespaces: bool) -> None:
    rows = [row(event) for event in found]
    if namespaces:
        rows = [
            [event["metadata"].get("namespace", ""), *cells] for event, cells in zip(found, rows, strict=True)
        ]
    table.add(["NAMESPACE", *HEADER] if namespaces else HEADER, rows)


def _wanted(event: dict[str, Any], types: set[str]) -> bool:
    return not types or event.get("type", "").lower() in types


def seen(event: dict[str, Any]) -> str:
    """When it last happened; events of the newer kind say it in a series."""
    series = event.get("series") or {}
    return (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp", "")
    )


def row(event: dict[str, Any]) -> list[str]:
    """As `kubectl events` words it."""
    subject = event.get("involvedObject") or {}
    return [
        ago(event),
        event.get("type", ""),
        event.get("reason", ""),
        f"{subject.get('kind', '')}/{subject.get('name', '')}",
        event.get("message", "").strip().replace("\n", "\\n"),
    ]


def ago(event: dict[str, Any]) -> str:
    """5m, or 5s (x3 over 2m)."""
    now = RealClock.now()
    series = event.get("series") or {}
    count = series.get("count") or event.get("count") or 1
    last = times.age(seen(event), now)
    if count > 1:
        first = event.get("firstTimestamp") or event.get("eventTime") or seen(event)
        return f"{last} (x{count} over {times.age(first, now)})"
    return last
