"""Objects from files, directories, stdin and addresses."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knarr.cli import home
from knarr.cli.resources import Target, Type, Types
from knarr.cli.say import Failure

SUFFIXES = (".yaml", ".yml", ".json")
#: how long a kind may take to appear after its definition was applied
KIND_SECONDS = 10.0
DOWNLOAD_SECONDS = 30.0


@dataclass(frozen=True)
class Manifest:
    """One object and where it stood."""

    obj: dict[str, Any]
    origin: str

    @property
    def name(self) -> str:
        return self.obj.get("metadata", {}).get("name", "")

    @property
    def namespace(self) -> str:
        return self.obj.get("metadata", {}).get("namespace", "")


def read(files: Sequence[str], recursive: bool = False) -> list[Manifest]:
    """Every object, in order; directories by name. Raises Failure."""
    return [manifest for name in files for manifest in _read(name, recursive)]


def _read(name: str, recursive: bool) -> Iterator[Manifest]:
    if name == "-":
        yield from parse(sys.stdin.read(), "stdin")
    elif name.startswith(("http://", "https://")):
        yield from parse(_download(name), name)
    else:
        path = Path(name)
        found = _in_directory(path, recursive) if path.is_dir() else [path]
        if not found:
            raise Failure(f"{name}: no file in this directory ends in {', '.join(SUFFIXES)}")
        for file in found:
            try:
                text = file.read_text("utf-8")
            except OSError as error:
                raise Failure(f'the path "{file}" cannot be read: {error.strerror}') from None
            except UnicodeDecodeError:
                raise Failure(f'the file "{file}" is not text in UTF-8') from None
            yield from parse(text, str(file))


def _in_directory(path: Path, recursive: bool) -> list[Path]:
    files = path.rglob("*") if recursive else path.iterdir()
    return sorted(file for file in files if file.suffix in SUFFIXES and file.is_file())


def _download(address: str) -> str:
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=DOWNLOAD_SECONDS) as answer:
            return answer.read().decode("utf-8")
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {address}: {getattr(error, 'reason', None) or error}") from None


def parse(text: str, origin: str) -> Iterator[Manifest]:
    """The objects of a stream of documents; lists are taken apart. Raises Failure."""
    import yaml

    from knarr.meta import goyaml

    documents = goyaml.load_all(text)
    while True:
        try:
            document = next(documents, None)
        except yaml.YAMLError as error:
            raise Failure(f"error parsing {origin}: {_reason(error)}") from None
        if document is None:
            return
        if document.complaint:
            raise Failure(f"error parsing {origin}: {document.duplicates[0]}")
        if document.value is not None:
            yield from _objects(document.value, origin)


def _reason(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return f"{where}{getattr(error, 'problem', None) or ' '.join(str(error).split())}"


def _objects(value: Any, origin: str) -> Iterator[Manifest]:
    if not isinstance(value, dict):
        raise Failure(f"error parsing {origin}: a document is no object but {_called(value)}")
    for key in ("apiVersion", "kind"):
        if not isinstance(value.get(key), str) or not value[key]:
            raise Failure(f"error validating {origin}: {key} not set")
    if value["kind"].endswith("List") and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _objects(item, origin)
        return
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        raise Failure(f"error validating {origin}: {value['kind']} without metadata.name")
    yield Manifest(value, origin)


def _called(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"{str(value)[:40]!r}"


def type_of(manifest: Manifest, types: Types, waiting: bool = False) -> Type:
    """Its type; `waiting` for one whose definition was just applied. Raises Failure."""
    api_version, kind = manifest.obj["apiVersion"], manifest.obj["kind"]
    step = 0.1
    for _ in range(int(KIND_SECONDS / step)):
        found = types.of_kind(api_version, kind)
        if found is not None:
            return found
        if not waiting:
            break
        home.pause(step)
        types.forget()
    raise Failure(
        f'no matches for kind "{kind}" in version "{api_version}" ({manifest.origin}); where it is a custom'
        " resource, apply its CustomResourceDefinition first"
    )


def targets_of(manifests: Sequence[Manifest], types: Types) -> list[Target]:
    """What the manifests name."""
    return [Target(type_of(one, types), one.name, one.namespace) for one in manifests]
