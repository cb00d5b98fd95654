"""Objects on the screen: YAML, JSON, names, JSONPath, custom columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from knarr.cli import say
from knarr.cli.resources import Type
from knarr.cli.say import Failure

FORMATS = "wide|yaml|json|name|jsonpath=TEMPLATE|custom-columns=SPEC"


def check(output: str) -> str:
    """The format, or a Failure that lists them."""
    kind, equals, rest = output.partition("=")
    if output in ("", "wide", "yaml", "json", "name"):
        return output
    if kind in ("jsonpath", "custom-columns") and equals and rest:
        return output
    raise Failure(f'unknown output format "{output}"; there is {FORMATS}', 2)


def strip(obj: dict[str, Any]) -> dict[str, Any]:
    """Without the managed fields, which few want to read."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return obj


def listed(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Several objects as kubectl gives them out."""
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}


def write(output: str, document: Any) -> None:
    """YAML, JSON, or what a template makes of it."""
    kind, _, rest = output.partition("=")
    if kind == "yaml":
        say.out(to_yaml(document).rstrip("\n"))
    elif kind == "json":
        say.out(json.dumps(document, indent=4, ensure_ascii=False, sort_keys=False))
    elif kind == "jsonpath":
        from knarr.cli.jsonpath import render

        # as kubectl: a template says itself where lines end
        print(render(rest, document), end="", flush=True)
    else:
        _custom_columns(rest, document)


def _custom_columns(spec: str, document: Any) -> None:
    from knarr.cli.jsonpath import find
    from knarr.cli.table import show

    columns = [part.partition(":") for part in spec.split(",")]
    if any(not path for _, _, path in columns):
        raise Failure(f"custom-columns: {spec!r} is not of the form NAME:.path,NAME:.path", 2)
    items = document["items"] if document.get("kind") == "List" else [document]
    rows = [[_cell(find(path, item)) for _, _, path in columns] for item in items]
    show([name for name, _, _ in columns], rows)


def _cell(values: list[Any]) -> str:
    if not values:
        return "<none>"
    return ",".join(v if isinstance(v, str) else json.dumps(v, separators=(",", ":")) for v in values)


def name_of(type_: Type | None, obj: dict[str, Any]) -> str:
    """deployment.apps/web"""
    name = obj["metadata"]["name"]
    if type_ is None:
        group = obj.get("apiVersion", "").rpartition("/")[0]
        kind = obj.get("kind", "").lower()
        return f"{kind}.{group}/{name}" if group else f"{kind}/{name}"
    return f"{type_.shown}/{name}"


def to_yaml(document: Any) -> str:
    """As kubectl writes it."""
    from knarr.apiserver.yamltext import dump

    return dump(document).decode()


def errors_of(errors: Sequence[Exception]) -> int:
    """Print them as kubectl does; the exit code."""
    from knarr.meta.errors import StatusError

    for error in errors:
        if isinstance(error, StatusError):
            say.note(refusal(error))
        else:
            say.error(str(error))
    return 1 if errors else 0


def refusal(error: Any) -> str:
    """A Status in kubectl's words."""
    reason, message = error.reason, error.message
    if reason == "Invalid":
        return f"The {_subject(error.status)} is invalid: {_causes(error.status)}"
    if reason:
        return f"Error from server ({reason}): {message}"
    return f"Error from server: {message}"


def _subject(status: dict[str, Any]) -> str:
    details = status.get("details", {})
    return f'{details.get("kind", "request")} "{details.get("name", "")}"'


def _causes(status: dict[str, Any]) -> str:
    causes = status.get("details", {}).get("causes", [])
    texts = [f"{cause.get('field', '')}: {cause.get('message', '')}".lstrip(": ") for cause in causes]
    if len(texts) == 1:
        return texts[0]
    return "".join(f"\n* {text}" for text in texts) or status.get("message", "")
