"""`knarr describe`: an object for people: its fields, then its events."""

from __future__ import annotations

import re
from typing import Any

import click

from knarr.cli import output as outputs
from knarr.cli import say
from knarr.cli.api import Server, connect
from knarr.cli.events import ago, seen
from knarr.cli.options import all_namespaces_option, connection_options, selector_option
from knarr.cli.resources import Target, Types
from knarr.cli.table import Table
from knarr.meta.errors import StatusError

#: keys of these are no names of fields
MAPS = ("labels", "annotations", "selector", "matchLabels", "nodeSelector", "data")
#: said first, in this order, or not worth a line
METADATA = ("name", "namespace", "labels", "annotations", "creationTimestamp")
#: of a field's name: a capital and what follows it, or several capitals
WORDS = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z][^A-Z]*")
ACRONYMS = frozenset({"API", "CIDR", "DNS", "IP", "TLS", "UID", "URL"})
LEFT_OUT = ("managedFields", "resourceVersion", "uid", "generation", "generateName", "selfLink")


@click.command()
@click.argument("resources", nargs=-1, required=True)
@all_namespaces_option
@selector_option
@connection_options
def describe(
    resources: tuple[str, ...],
    all_namespaces: bool,
    selector: str,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Show resources with all they say and their events, for instance `knarr describe pod web`.

    Every kind is shown as kubectl shows custom resources: field by field."""
    server = connect(cluster, kubeconfig, context, namespace)
    errors: list[Exception] = []
    shown = 0
    for target in Types(server).targets(resources):
        try:
            for obj in _objects(server, target, selector, all_namespaces):
                if shown:
                    say.out("\n")
                shown += 1
                say.out("\n".join(lines(obj)))
                _show_events(server, obj)
        except StatusError as error:
            errors.append(error)
    if not shown and not errors:
        say.note(f"No resources found in {server.namespace} namespace.")
    return outputs.errors_of(errors)


def _objects(server: Server, target: Target, selector: str, everywhere: bool) -> list[dict[str, Any]]:
    namespace = "" if everywhere and not target.name else server.namespace
    found = server.get(
        target.type.path(namespace, target.name), {"labelSelector": selector} if selector else ()
    )
    head = {"apiVersion": found["apiVersion"], "kind": target.type.kind}
    return [found] if target.name else [{**head, **item} for item in found.get("items") or []]


def lines(obj: dict[str, Any]) -> list[str]:
    """`Name:  web` and so on, nested by indentation."""
    metadata = obj.get("metadata") or {}
    first = {
        key: metadata.get(key) for key in METADATA if metadata.get(key) or key in ("labels", "annotations")
    }
    rest = {key: value for key, value in metadata.items() if key not in METADATA + LEFT_OUT}
    body = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    return _fields({**first, **rest, "apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), **body}, 0)


def _fields(fields: dict[str, Any], depth: int) -> list[str]:
    width = max((len(_title(key)) for key in fields), default=0) + 1
    pad = "  " * depth
    written: list[str] = []
    for key, value in fields.items():
        title = f"{pad}{_title(key)}:"
        if isinstance(value, dict) and value and _flat(value) and key in MAPS:
            pairs = [
                f"{name}={text}" if key != "annotations" else f"{name}: {text}"
                for name, text in value.items()
            ]
            start = f"{title:<{width + len(pad) + 2}}"
            written += [(start if i == 0 else " " * len(start)) + pair for i, pair in enumerate(pairs)]
        elif isinstance(value, dict) and value:
            written += [title, *_fields(value, depth + 1)]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            written.append(title)
            for item in value:
                name = item.get("name") or item.get("type") or ""
                others = {k: v for k, v in item.items() if not (name and v == name and k in ("name", "type"))}
                written.append(f"{pad}  {name or '-'}:" if name else f"{pad}  -")
                written += _fields(others, depth + 2)
        else:
            written.append(f"{title:<{width + len(pad) + 2}}{_text(value)}".rstrip())
    return written


def _flat(value: dict[str, Any]) -> bool:
    return all(isinstance(item, str) for item in value.values())


def _text(value: Any) -> str:
    if value in (None, {}, []):
        return "<none>"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _title(key: str) -> str:
    """creationTimestamp -> Creation Timestamp, downwardAPI -> Downward API; what is no field name stays."""
    if not key.isalpha() or not key[0].islower():
        return key
    words = WORDS.findall(key[0].upper() + key[1:])
    return " ".join(word.upper() if word.upper() in ACRONYMS else word for word in words)


def _show_events(server: Server, obj: dict[str, Any]) -> None:
    metadata = obj["metadata"]
    selector = f"involvedObject.name={metadata['name']},involvedObject.uid={metadata.get('uid', '')}"
    namespace = metadata.get("namespace") or "default"
    found = (
        server.get(f"/api/v1/namespaces/{namespace}/events", {"fieldSelector": selector}).get("items") or []
    )
    if not found:
        say.out("Events:  <none>")
        return
    say.out("Events:")
    rows = [
        [
            event.get("type", ""),
            event.get("reason", ""),
            ago(event),
            (event.get("source") or {}).get("component") or event.get("reportingComponent", ""),
            event.get("message", "").strip(),
        ]
        for event in sorted(found, key=seen)
    ]
    head = ["Type", "Reason", "Age", "From", "Message"]
    rows.insert(0, ["----", "------", "----", "----", "-------"])
    Table().add([f"  {head[0]}", *head[1:]], [[f"  {row[0]}", *row[1:]] for row in rows])
