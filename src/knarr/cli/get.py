"""`knarr get`: what is there, in the server's own tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from knarr.cli import output as outputs
from knarr.cli import say
from knarr.cli.api import TABLE, Server, connect
from knarr.cli.options import (
    all_namespaces_option,
    connection_options,
    field_selector_option,
    files_option,
    recursive_option,
    selector_option,
)
from knarr.cli.resources import Target, Type, Types, several_types
from knarr.cli.table import Table
from knarr.meta.errors import StatusError

#: items per request, as kubectl's --chunk-size
PAGE_ITEMS = 500


@click.command()
@click.argument("resources", nargs=-1)
@files_option
@recursive_option
@click.option("-o", "--output", default="", metavar="FORMAT", help=outputs.FORMATS)
@all_namespaces_option
@selector_option
@field_selector_option
@click.option("-w", "--watch", is_flag=True, help="Then show what changes, until Ctrl-C.")
@click.option("--watch-only", is_flag=True, help="Only show what changes.")
@click.option("--show-labels", is_flag=True, help="A last column with the labels.")
@click.option("-L", "--label-columns", multiple=True, help="A column for this label; may be repeated.")
@click.option("--no-headers", is_flag=True, help="Rows only.")
@click.option(
    "--sort-by", default="", metavar="PATH", help="Sort by a field, as in .metadata.creationTimestamp."
)
@click.option("--show-kind", is_flag=True, help="Names with their type.")
@click.option("--show-managed-fields", is_flag=True, help="Keep managedFields in YAML and JSON.")
@click.option("--ignore-not-found", is_flag=True, help="An object that is not there is no error.")
@click.option("--raw", metavar="PATH", help="Print what the server answers to GET PATH.")
@connection_options
def get(
    resources: tuple[str, ...],
    files: tuple[str, ...],
    recursive: bool,
    output: str,
    all_namespaces: bool,
    selector: str,
    field_selector: str,
    watch: bool,
    watch_only: bool,
    show_labels: bool,
    label_columns: tuple[str, ...],
    no_headers: bool,
    sort_by: str,
    show_kind: bool,
    show_managed_fields: bool,
    ignore_not_found: bool,
    raw: str | None,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """List resources, for instance `knarr get pods`, `get deploy,svc -A -o wide`, `get pod/web -o yaml`."""
    outputs.check(output)
    server = connect(cluster, kubeconfig, context, namespace)
    if raw:
        return _raw(server, raw)
    types = Types(server)
    if files:
        from knarr.cli.manifests import read, targets_of

        targets = targets_of(read(files, recursive), types)
    else:
        targets = types.targets(resources)
    query = {"labelSelector": selector, "fieldSelector": field_selector}
    asking = _Asking(
        server, "" if all_namespaces else server.namespace, {k: v for k, v in query.items() if v}
    )
    if output in ("", "wide"):
        labels = tuple(label for part in label_columns for label in part.split(","))
        look = _Look(
            wide=output == "wide",
            namespaces=all_namespaces,
            labels=show_labels,
            label_columns=labels,
            headers=not no_headers,
            kinds=show_kind or several_types(resources, targets),
            sort_by=sort_by,
        )
        view: _Tables | _Objects = _Tables(asking, look)
    else:
        view = _Objects(asking, output, show_managed_fields, sort_by)
    code = 0
    if not watch_only:
        code = view.show(targets, ignore_not_found)
    if (watch or watch_only) and not code:
        if len({target.type for target in targets}) > 1 or len(targets) > 1:
            raise say.Failure("only one resource, or all of one type, can be watched at a time", 2)
        _until_interrupted(view, targets[0], watch_only)
    return code


def _until_interrupted(view: Any, target: Target, watch_only: bool) -> None:
    try:
        view.watch(target, watch_only)
    except KeyboardInterrupt:
        pass


def _raw(server: Server, path: str) -> int:
    try:
        print(server.text(path).decode("utf-8", "replace"), end="", flush=True)
    except StatusError as error:
        return outputs.errors_of([error])
    return 0


class _Asking:
    """Lists, gets and watches of one command."""

    def __init__(self, server: Server, namespace: str, query: dict[str, str]) -> None:
        self.server, self.namespace, self.query = server, namespace, query

    def pages(self, target: Target, accept: str, more: dict[str, str]) -> Any:
        """The answers that together are the target: one object, or the pages of a list."""
        namespace = target.namespace or self.namespace
        path = target.type.path(namespace, target.name)
        if target.name:
            if target.type.namespaced and not namespace:
                raise say.Failure("a resource cannot be retrieved by name across all namespaces", 2)
            yield self.server.get(path, more, accept)
            return
        going = ""
        while True:
            query = {**self.query, **more, "limit": str(PAGE_ITEMS)}
            page = self.server.get(path, {**query, "continue": going} if going else query, accept)
            yield page
            going = page.get("metadata", {}).get("continue", "")
            if not going:
                return

    def watch(self, target: Target, revision: str, accept: str, more: dict[str, str]) -> Any:
        query = {**self.query, **more}
        if target.name:
            query["fieldSelector"] = f"metadata.name={target.name}"
        if revision:
            query["resourceVersion"] = revision
        path = target.type.path(self.namespace)
        while True:
            for event in self.server.watch(path, query, accept):
                yield event
                revision = _revision(event["object"]) or revision
            # the server ends every watch after a while
            query["resourceVersion"] = revision


def _revision(obj: dict[str, Any]) -> str:
    if obj.get("kind") == "Table":
        rows = obj.get("rows") or []
        if rows:
            return rows[-1].get("object", {}).get("metadata", {}).get("resourceVersion", "")
    return obj.get("metadata", {}).get("resourceVersion", "")


class _Look:
    """Which columns."""

    def __init__(
        self,
        wide: bool,
        namespaces: bool,
        labels: bool,
        label_columns: Sequence[str],
        headers: bool,
        kinds: bool,
        sort_by: str,
    ) -> None:
        self.wide, self.namespaces, self.labels = wide, namespaces, labels
        self.label_columns, self.headers, self.kinds, self.sort_by = label_columns, headers, kinds, sort_by

    @property
    def query(self) -> dict[str, str]:
        return {"includeObject": "Object"} if self.sort_by else {}

    def header(self, definitions: list[dict[str, Any]], type_: Type) -> list[str]:
        names = [definitions[i]["name"].upper() for i in self.chosen(definitions)]
        if self.namespaces and type_.namespaced:
            names.insert(0, "NAMESPACE")
        names += [label.rpartition("/")[2].upper() for label in self.label_columns]
        return [*names, "LABELS"] if self.labels else names

    def chosen(self, definitions: list[dict[str, Any]]) -> list[int]:
        return [i for i, column in enumerate(definitions) if self.wide or not column.get("priority")]

    def cells(self, row: dict[str, Any], definitions: list[dict[str, Any]], type_: Type) -> list[str]:
        metadata = (row.get("object") or {}).get("metadata") or {}
        cells = [_cell(row["cells"][i]) for i in self.chosen(definitions)]
        if self.kinds:
            cells[0] = f"{type_.shown}/{cells[0]}"
        if self.namespaces and type_.namespaced:
            cells.insert(0, metadata.get("namespace", ""))
        labels = metadata.get("labels") or {}
        cells += [labels.get(label, "") for label in self.label_columns]
        if self.labels:
            cells.append(",".join(f"{k}={v}" for k, v in sorted(labels.items())) or "<none>")
        return cells


class _Tables:
    """Server-side tables."""

    def __init__(self, asking: _Asking, look: _Look) -> None:
        self._asking, self._look = asking, look
        self._tables: dict[Type, Table] = {}
        self._definitions: dict[Type, list[dict[str, Any]]] = {}
        self._revision = ""

    def show(self, targets: Sequence[Target], ignore_not_found: bool) -> int:
        errors: list[Exception] = []
        shown = 0
        for type_, group in _by_type(targets):
            rows: list[dict[str, Any]] = []
            for target in group:
                try:
                    for page in self._asking.pages(target, TABLE, self._look.query):
                        rows += self._rows(page, type_)
                        self._revision = page.get("metadata", {}).get("resourceVersion", "")
                except StatusError as error:
                    if not (ignore_not_found and error.reason == "NotFound"):
                        errors.append(error)
            if rows:
                if shown and self._look.headers and len(targets) > 1:
                    say.out()
                shown += len(rows)
                self._print(_sorted(rows, self._look.sort_by), type_)
        if not shown and not errors and not all(target.name for target in targets):
            where = f" in {self._asking.namespace} namespace" if self._asking.namespace else ""
            namespaced = any(target.type.namespaced for target in targets)
            say.note(f"No resources found{where if namespaced else ''}{'.' if where and namespaced else ''}")
        return outputs.errors_of(errors)

    def watch(self, target: Target, watch_only: bool) -> None:
        revision = "" if watch_only else self._revision
        try:
            for event in self._asking.watch(target, revision, TABLE, self._look.query):
                if event["type"] != "BOOKMARK":
                    self._print(self._rows(event["object"], target.type), target.type)
        except StatusError as error:
            raise say.Failure(outputs.refusal(error)) from None

    def _rows(self, page: dict[str, Any], type_: Type) -> list[dict[str, Any]]:
        if page.get("kind") != "Table":
            raise say.Failure(f"the server has no table for {type_.qualified}; try -o yaml")
        # a watch names its columns once
        self._definitions[type_] = page.get("columnDefinitions") or self._definitions.get(type_, [])
        return page.get("rows") or []

    def _print(self, rows: list[dict[str, Any]], type_: Type) -> None:
        definitions = self._definitions[type_]
        table = self._tables.setdefault(type_, Table(self._look.headers))
        table.add(
            self._look.header(definitions, type_), [self._look.cells(row, definitions, type_) for row in rows]
        )


class _Objects:
    """Whole objects: YAML, JSON, names, templates."""

    def __init__(self, asking: _Asking, output: str, managed: bool, sort_by: str) -> None:
        self._asking, self._output, self._managed, self._sort_by = asking, output, managed, sort_by
        self._revision = ""

    def show(self, targets: Sequence[Target], ignore_not_found: bool) -> int:
        errors: list[Exception] = []
        found: list[tuple[Type, dict[str, Any]]] = []
        for target in targets:
            try:
                for page in self._asking.pages(target, "application/json", {}):
                    self._revision = page["metadata"].get("resourceVersion", "")
                    found += [(target.type, item) for item in _items(page, target)]
            except StatusError as error:
                if not (ignore_not_found and error.reason == "NotFound"):
                    errors.append(error)
        if self._sort_by:
            found.sort(key=lambda pair: _sort_key(pair[1], self._sort_by))
        if self._output == "name":
            for type_, obj in found:
                say.out(outputs.name_of(type_, obj))
        elif len(targets) == 1 and targets[0].name:
            if found:
                outputs.write(self._output, self._kept(found[0][1]))
        elif found or not errors:
            outputs.write(self._output, outputs.listed([self._kept(obj) for _, obj in found]))
        return outputs.errors_of(errors)

    def watch(self, target: Target, watch_only: bool) -> None:
        revision = "" if watch_only else self._revision
        try:
            for event in self._asking.watch(target, revision, "application/json", {}):
                if event["type"] == "BOOKMARK":
                    continue
                if self._output == "name":
                    say.out(outputs.name_of(target.type, event["object"]))
                    continue
                if self._output == "yaml":
                    say.out("---")
                outputs.write(self._output, self._kept(event["object"]))
        except StatusError as error:
            raise say.Failure(outputs.refusal(error)) from None

    def _kept(self, obj: dict[str, Any]) -> dict[str, Any]:
        return obj if self._managed else outputs.strip(obj)


def _items(page: dict[str, Any], target: Target) -> list[dict[str, Any]]:
    if target.name:
        return [page]
    # items of a list do not say what they are
    head = {"apiVersion": page["apiVersion"], "kind": target.type.kind}
    return [{**head, **item} for item in page.get("items") or []]


def _by_type(targets: Sequence[Target]) -> list[tuple[Type, list[Target]]]:
    groups: dict[Type, list[Target]] = {}
    for target in targets:
        groups.setdefault(target.type, []).append(target)
    return list(groups.items())


def _sorted(rows: list[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: _sort_key(row.get("object") or {}, path)) if path else rows


def _sort_key(obj: dict[str, Any], path: str) -> tuple[int, Any, str]:
    """Numbers by value, text by itself, what is missing first."""
    from knarr.cli.jsonpath import find

    value = next(iter(find(path, obj)), None)
    if value is None:
        return (0, 0, "")
    if isinstance(value, int | float):
        return (1, value, "")
    return (2, 0, value if isinstance(value, str) else json.dumps(value))


def _cell(value: Any) -> str:
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("\n", "\\n")
