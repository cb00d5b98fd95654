"""Replays recorded conversations with a v1.36 server at the level of FieldManager.

What registry, defaulting and admission do is taken from the recorded answers: the new object of an update is the
answer itself, the live one the last answer for the same object.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from knarr.api.schema import definition_of, definitions
from knarr.meta.errors import StatusError
from knarr.meta.managed import FieldManager, TypeSchema, schema_of, schema_of_crd
from knarr.meta.managed.ownership import Converter

SCENARIOS = Path(__file__).parents[4] / "shared" / "parity" / "scenarios"
NOW = "2026-01-01T00:00:00Z"
APPLY = "application/apply-patch+yaml"
#: kinds whose main endpoint writes status, too
WITHOUT_STATUS_ENDPOINT = {"Event", "SubjectAccessReview", "LocalSubjectAccessReview", "TokenReview"}


@dataclass
class Step:
    """One request that may change an object, with what was there before and after."""

    scenario: str
    id: str
    method: str
    config: dict[str, Any] | None  # of an apply
    sent: Any  # managedFields in the body of an update
    manager: str
    force: bool
    subresource: str
    live: dict[str, Any] | None
    status: int
    after: dict[str, Any]
    schema: TypeSchema
    api_version: str
    writes_status: bool
    convert: Converter

    def __str__(self) -> str:
        return f"{self.scenario}/{self.id}"

    def field_manager(self) -> FieldManager:
        resets = () if self.writes_status else (("status",),)
        return FieldManager(
            self.schema,
            self.api_version,
            lambda subresource: () if subresource else resets,
            convert=self.convert,
        )


@dataclass
class Replay:
    name: str
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    customs: dict[tuple[str, str], TypeSchema] = field(default_factory=dict)
    without_status: set[str] = field(default_factory=lambda: set(WITHOUT_STATUS_ENDPOINT))

    def schema(self, api_version: str, kind: str) -> TypeSchema | None:
        group, _, version = api_version.rpartition("/")
        if (api_version, kind) in self.customs:
            return self.customs[api_version, kind]
        try:
            return schema_of(definitions(), definition_of(group, version, kind))
        except KeyError:
            return None

    def convert(self, value: dict[str, Any], version: str) -> tuple[TypeSchema, dict[str, Any]] | None:
        """Between versions of custom resources that convert by changing nothing."""
        schema = self.customs.get((version, value.get("kind", "")))
        return (schema, {**value, "apiVersion": version}) if schema else None

    def learn(self, crd: dict[str, Any]) -> None:
        spec = crd["spec"]
        for version in spec.get("versions", ()):
            if "status" not in version.get("subresources", {}):
                self.without_status.add(spec["names"]["kind"])
            schema = version.get("schema", {}).get("openAPIV3Schema")
            key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
            self.customs[key] = schema_of_crd(schema)

    def steps(self) -> Iterator[Step]:
        document = json.loads((SCENARIOS / f"{self.name}.json").read_text())
        for step in document["steps"]:
            body = step["expect"].get("body")
            if not isinstance(body, dict) or step["method"] == "DELETE":
                self._forget(step)
                continue
            if body.get("kind") == "CustomResourceDefinition" and "spec" in body:
                self.learn(body)
            made = self._step(step, body)
            if made and not hides_entries(step):
                yield made
            if (
                step["expect"]["status"] < 300
                and body.get("kind") not in (None, "Status", "Scale")
                and "metadata" in body
            ):
                if "dryRun" not in step.get("query", {}):
                    self._remember(step, body)

    def _forget(self, step: dict[str, Any]) -> None:
        prefix = object_path(step)
        self.objects = {path: value for path, value in self.objects.items() if not path.startswith(prefix)}

    def _remember(self, step: dict[str, Any], body: dict[str, Any]) -> None:
        if step["method"] == "DELETE" or hides_entries(step):
            self._forget(step)
        elif "items" not in body and "name" in body["metadata"]:
            self.objects[object_path(step, body)] = body

    def _step(self, step: dict[str, Any], after: dict[str, Any]) -> Step | None:
        query, status = step.get("query", {}), step["expect"]["status"]
        is_apply = ((step.get("headers") or {}).get("Content-Type") or "").startswith(APPLY)
        config = step.get("body") if is_apply else None
        if isinstance(config, str):
            try:
                config = yaml.safe_load(config)
            except yaml.YAMLError:
                return None
        if is_apply and not isinstance(config, dict):
            return None
        about = config if is_apply else after
        api_version, kind = about.get("apiVersion", ""), about.get("kind", "")
        schema = self.schema(api_version, kind)
        subresource = subresource_of(step["path"])
        if (
            schema is None
            or "metadata" not in after
            or step["method"] not in ("POST", "PUT", "PATCH")
            or subresource not in ("", "status")
        ):
            return None
        return Step(
            scenario=self.name,
            id=step["id"],
            method=step["method"],
            config=config,
            sent=sent_entries(step.get("body")),
            manager=query.get("fieldManager", "parity"),
            force=query.get("force") == "true",
            subresource=subresource,
            live=self.objects.get(object_path(step, after if status < 300 else None)),
            status=status,
            after=after,
            schema=schema,
            api_version=api_version,
            writes_status=kind in self.without_status,
            convert=self.convert,
        )


def hides_entries(step: dict[str, Any]) -> bool:
    return any(path in ("$", "metadata", "metadata.managedFields") for path in step.get("ignore", ()))


def sent_entries(body: Any) -> Any:
    """managedFields in the body of an update or patch."""
    if isinstance(body, dict):
        metadata = body.get("metadata")
        return metadata.get("managedFields") if isinstance(metadata, dict) else None
    if isinstance(body, list):
        return next((op.get("value") for op in body if op.get("path") == "/metadata/managedFields"), None)
    return None


def subresource_of(path: str) -> str:
    last = path.rsplit("/", 1)[1]
    return (
        last
        if last
        in (
            "status",
            "scale",
            "finalize",
            "resize",
            "ephemeralcontainers",
            "approval",
            "token",
            "binding",
            "eviction",
        )
        else ""
    )


def object_path(step: dict[str, Any], body: dict[str, Any] | None = None) -> str:
    path = step["path"]
    if step["method"] == "POST":
        return f"{path}/{(body or {}).get('metadata', {}).get('name', '')}"
    subresource = subresource_of(path)
    return path.removesuffix(f"/{subresource}") if subresource else path


def run(step: Step) -> dict[str, Any]:
    """What FieldManager makes of a step: the resulting object, or the Status of a refusal."""
    manager = step.field_manager()
    if step.config is not None:
        try:
            live = copy.deepcopy(step.live or {})
            return manager.apply(live, step.config, step.manager, step.force, step.subresource, NOW)
        except StatusError as e:
            return e.status
    new = copy.deepcopy(step.after)
    new["metadata"].pop("managedFields", None)
    if step.sent is not None:
        new["metadata"]["managedFields"] = copy.deepcopy(step.sent)
    manager.update(step.live, new, step.manager, step.subresource, NOW)
    return new


def owners(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries without their times, in an order of their own."""
    entries = value.get("metadata", {}).get("managedFields") or []
    timeless = [{k: v for k, v in entry.items() if k != "time"} for entry in entries]
    return sorted(timeless, key=lambda entry: json.dumps(entry, sort_keys=True))
