"""`knarr wait --for=…`: conditions, fields, creation, deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from knarr.cli import home, say
from knarr.cli import output as outputs
from knarr.cli.api import Server, connect
from knarr.cli.options import (
    all_namespaces_option,
    connection_options,
    field_selector_option,
    selector_option,
)
from knarr.cli.resources import Target, Types
from knarr.meta.errors import StatusError
from knarr.world.clock import RealClock

LOOK_SECONDS = 0.1
#: None: the object is not there
Test = Callable[[dict[str, Any] | None], bool]


@click.command()
@click.argument("resources", nargs=-1, required=True)
@click.option(
    "--for",
    "wanted",
    required=True,
    metavar="WHAT",
    help="condition=NAME[=VALUE], jsonpath={.path}[=VALUE], create or delete.",
)
@click.option("--timeout", default="30s", help="How long to wait; 0s looks once, negative is for ever. [30s]")
@click.option("--all", "everything", is_flag=True, help="All of the type.")
@all_namespaces_option
@selector_option
@field_selector_option
@connection_options
def wait(
    resources: tuple[str, ...],
    wanted: str,
    timeout: str,
    everything: bool,
    all_namespaces: bool,
    selector: str,
    field_selector: str,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Wait, for instance `knarr wait --for=condition=Available deploy/web --timeout=60s`."""
    server = connect(cluster, kubeconfig, context, namespace)
    test, met = parse(wanted)
    deadline = RealClock.monotonic() + _seconds(timeout)
    query = {k: v for k, v in (("labelSelector", selector), ("fieldSelector", field_selector)) if v}
    types = Types(server)
    chosen = types.targets(resources)
    if any(not target.name for target in chosen) and not (query or everything):
        raise say.Failure(
            "resource(s) were provided, but no name, label selector, or --all flag specified", 2
        )
    try:
        targets = _named(server, chosen, query, all_namespaces)
        if not targets:
            if wanted == "delete":
                return 0
            raise say.Failure("no matching resources found")
        for target in targets:
            _wait(server, target, test, wanted, deadline)
            say.out(f"{target.type.shown}/{target.name} {met}")
    except StatusError as error:
        return outputs.errors_of([error])
    return 0


def parse(wanted: str) -> tuple[Test, str]:
    """The test, and what is said when it is met. Raises Failure."""
    kind, _, rest = wanted.partition("=")
    if wanted == "delete":
        return (lambda obj: obj is None), "condition met"
    if wanted == "create":
        return (lambda obj: obj is not None), "condition met"
    if kind == "condition" and rest:
        name, _, value = rest.partition("=")
        return _condition(name, value or "True"), "condition met"
    if kind == "jsonpath" and rest:
        return _jsonpath(rest), "condition met"
    raise say.Failure(
        f'--for: "{wanted}" is not of the form condition=NAME[=VALUE], jsonpath={{.path}}[=VALUE], create or delete',
        2,
    )


def _condition(name: str, value: str) -> Test:
    def test(obj: dict[str, Any] | None) -> bool:
        status = (obj or {}).get("status") or {}
        observed = status.get("observedGeneration")
        if observed is not None and observed < (obj or {})["metadata"].get("generation", 0):
            return False  # what it says is about an older spec
        return any(
            one.get("type", "").lower() == name.lower() and one.get("status", "").lower() == value.lower()
            for one in status.get("conditions") or []
        )

    return test


def _jsonpath(text: str) -> Test:
    from knarr.cli.jsonpath import find

    path, found, value = text.partition("}")
    if not found:
        path, _, value = text.partition("=")
        value = f"={value}" if value else ""
    expression = f"{path}}}" if found else path
    wanted = value[1:].strip("'\"") if value.startswith("=") else None

    def test(obj: dict[str, Any] | None) -> bool:
        values = find(expression, obj) if obj is not None else []
        if wanted is None:
            return bool(values)
        return len(values) == 1 and _text(values[0]) == wanted

    return test


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _named(
    server: Server, targets: list[Target], query: dict[str, str], all_namespaces: bool
) -> list[Target]:
    found: list[Target] = []
    for target in targets:
        if target.name:
            found.append(target)
            continue
        page = server.get(target.type.path("" if all_namespaces else server.namespace), query)
        for item in page.get("items") or []:
            found.append(Target(target.type, item["metadata"]["name"], item["metadata"].get("namespace", "")))
    return found


def _wait(server: Server, target: Target, test: Test, wanted: str, deadline: float) -> None:
    path = target.type.path(target.namespace or server.namespace, target.name)
    while True:
        try:
            obj = server.get(path)
        except StatusError as error:
            if error.code != 404 or wanted not in ("delete", "create"):
                raise
            obj = None
        if test(obj):
            return
        if RealClock.monotonic() >= deadline:
            raise say.Failure(f"timed out waiting for the condition on {target.type.plural}/{target.name}")
        home.pause(LOOK_SECONDS)


def _seconds(text: str) -> float:
    from knarr.meta.durations import parse_go_duration

    try:
        seconds = parse_go_duration(text)
    except ValueError:
        raise say.Failure(f'--timeout: "{text}" is not a duration like 30s or 5m', 2) from None
    return float("inf") if seconds < 0 else seconds
