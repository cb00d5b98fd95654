"""Pod templates as objects of their own; nothing runs them."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells
from knarr.api.core.podspec.defaults import default_template
from knarr.api.core.podspec.template import validate_template
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.api.printing import format_labels
from knarr.meta.fielderrors import FieldError


class PodTemplate(Kind):
    pod_spec_path = ("template", "spec")
    tracks_generation = True
    columns = (
        NAME,
        CONTAINERS._replace(priority=0),
        IMAGES._replace(priority=0),
        Column(
            "Pod Labels",
            description="The labels for the pod template.",
        ),
    )

    def default(self, obj: Object) -> None:
        default_template(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        validate_template(obj["template"], "template", errors)
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        return warnings.for_template(obj["template"], "template")

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return warnings.for_update(obj, old, obj["template"], "template")

    def cells(self, obj: Object, now: float) -> list[Any]:
        template = obj.get("template", {})
        labels = format_labels(template.get("metadata", {}).get("labels"))
        return [obj["metadata"]["name"], *container_cells(template), labels]
