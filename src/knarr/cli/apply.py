"""`knarr apply`: server-side apply with the field manager `knarr`."""

from __future__ import annotations

from typing import Any

import click

from knarr.cli import output as outputs
from knarr.cli import say
from knarr.cli.api import Server, connect
from knarr.cli.manifests import Manifest, read, type_of
from knarr.cli.options import connection_options, files_option, recursive_option
from knarr.cli.resources import Type, Types
from knarr.meta.errors import StatusError

MANAGER = "knarr"
APPLY = "application/apply-patch+yaml"


@click.command()
@files_option
@recursive_option
@click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", help="server: check only.")
@click.option("--force-conflicts", is_flag=True, help="Take fields over from other managers.")
@click.option("--field-manager", default=MANAGER, help="Who owns the fields. [knarr]")
@click.option(
    "--validate", type=click.Choice(["strict", "warn", "ignore"]), default="strict", help="Unknown fields."
)
@click.option(
    "-o", "--output", default="", metavar="FORMAT", help="Print the objects instead: yaml, json, name …"
)
@connection_options
def apply(
    files: tuple[str, ...],
    recursive: bool,
    dry_run: str,
    force_conflicts: bool,
    field_manager: str,
    validate: str,
    output: str,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Create or change what files describe, for instance `knarr apply -f app.yaml` or `-f directory/`."""
    if not files:
        raise click.UsageError("must specify -f FILE, DIRECTORY, URL or - for stdin")
    outputs.check(output)
    server = connect(cluster, kubeconfig, context, namespace)
    types = Types(server)
    query = {"fieldManager": field_manager, "fieldValidation": validate.capitalize()}
    if dry_run == "server":
        query["dryRun"] = "All"
    if force_conflicts:
        query["force"] = "true"
    errors: list[Exception] = []
    applied: list[dict[str, Any]] = []
    defined: set[str] = set()
    for manifest in read(files, recursive):
        try:
            type_ = type_of(manifest, types, waiting=_group(manifest) in defined)
            obj, what = _apply_one(server, type_, manifest, query, namespace)
        except (StatusError, say.Failure) as error:
            errors.append(_explained(error, manifest))
            continue
        if type_.kind == "CustomResourceDefinition":
            defined.add(obj["spec"]["group"])
        if output:
            applied.append(outputs.strip(obj))
        else:
            say.out(
                f"{outputs.name_of(type_, obj)} {what}{' (server dry run)' if dry_run == 'server' else ''}"
            )
    if output == "name":
        for obj in applied:
            say.out(outputs.name_of(None, obj))
    elif applied:
        outputs.write(output, applied[0] if len(applied) == 1 else outputs.listed(applied))
    return outputs.errors_of(errors)


def _apply_one(
    server: Server, type_: Type, manifest: Manifest, query: dict[str, str], namespace: str | None
) -> tuple[dict[str, Any], str]:
    """The object and what became of it."""
    if not manifest.name:
        raise say.Failure(f"{manifest.origin}: apply needs metadata.name, generateName will not do")
    where = _namespace(server, type_, manifest, namespace)
    path = type_.path(where, manifest.name)
    before = _now(server, path)
    obj = server.call("PATCH", path, query, manifest.obj, APPLY)
    if before is None:
        return obj, "created"
    same = _told(before, manifest) == _told(obj, manifest)
    return obj, "unchanged" if same else "configured"


def _namespace(server: Server, type_: Type, manifest: Manifest, asked: str | None) -> str:
    if not type_.namespaced:
        return ""
    if asked and manifest.namespace and manifest.namespace != asked:
        raise say.Failure(
            f"the namespace from {manifest.origin}, {manifest.namespace!r}, does not match --namespace {asked!r}"
        )
    return manifest.namespace or server.namespace


def _now(server: Server, path: str) -> dict[str, Any] | None:
    try:
        return server.get(path)
    except StatusError as error:
        if error.code == 404:
            return None
        raise


def _told(obj: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """What an apply can change; what controllers write meanwhile is left out."""
    metadata, ours = obj["metadata"], manifest.obj["metadata"]
    annotations = {key: (metadata.get("annotations") or {}).get(key) for key in ours.get("annotations") or ()}
    kept = {key: metadata.get(key) for key in ("labels", "finalizers", "ownerReferences")}
    body = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    return {**body, "metadata": {**kept, "annotations": annotations}}


def _group(manifest: Manifest) -> str:
    return manifest.obj["apiVersion"].rpartition("/")[0]


def _explained(error: Exception, manifest: Manifest) -> Exception:
    if isinstance(error, StatusError) and error.reason == "Conflict":
        return say.Failure(
            f"{outputs.refusal(error)}\n  take the fields over with --force-conflicts, or remove them from"
            f" {manifest.origin}"
        )
    return error
