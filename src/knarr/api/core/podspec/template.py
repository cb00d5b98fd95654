"""Pod templates: what the kinds that make pods check of them."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.annotations import validate_annotations, validate_fields_match
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.validate import validate_pod_spec
from knarr.meta import labels, objectmeta
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported

Spec = dict[str, Any]
_MISMATCH = "`selector` does not match template `labels`"


def validate_template(template: Spec, path: str, errors: Errors) -> None:
    """`path` leads to the template itself."""
    metadata, spec = template.get("metadata", {}), template.get("spec", {})
    # labels and annotations are reported without `metadata`, as Kubernetes does
    errors += labels.validate_labels(metadata.get("labels"), f"{path}.labels")
    annotations = metadata.get("annotations")
    if annotations:
        errors += objectmeta.validate_annotations(annotations, f"{path}.annotations")
        found: Errors = []
        validate_annotations(annotations, spec, found)
        errors += [
            e._replace(field=e.field.replace("metadata.annotations", f"{path}.annotations", 1)) for e in found
        ]
    validate_pod_spec(spec, f"{path}.spec", errors)
    if annotations:
        validate_fields_match(annotations, spec, f"{path}.spec", errors)
    if spec.get("ephemeralContainers"):
        message = "ephemeral containers not allowed in pod template"
        errors.append(forbidden(f"{path}.spec.ephemeralContainers", message))


def matches(selector: Spec | None, template: Spec) -> bool | None:
    """Does a label selector select the template's pods? None when the selector cannot be read."""
    try:
        chosen = labels.from_label_selector(selector)
    except ValueError:
        return None
    return chosen.matches(template.get("metadata", {}).get("labels") or {})


def printed_selector(selector: Spec | None) -> Spec | None:
    """A label selector as Go prints it: the labels in order."""
    if not selector or not selector.get("matchLabels"):
        return selector
    return {**selector, "matchLabels": dict(sorted(selector["matchLabels"].items()))}


def mismatch(template: Spec, path: str) -> FieldError:
    labels_of = template.get("metadata", {}).get("labels")
    shown = dict(sorted(labels_of.items())) if labels_of else None
    return invalid(f"{path}.metadata.labels", shown, _MISMATCH)


def validate_always_running(spec: Spec, path: str, errors: Errors, kind: str = "ReplicaSet") -> None:
    """Kinds that keep pods running want them restarted, without a deadline; `kind` is who says so."""
    policy = spec.get("restartPolicy", "")
    if policy != "Always":
        errors.append(not_supported(f"{path}.restartPolicy", policy, ("Always",)))
    if "activeDeadlineSeconds" in spec:
        message = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(forbidden(f"{path}.activeDeadlineSeconds", message))


def validate_for_replicas(spec: Spec, errors: Errors) -> None:
    """The selector and template of a replica set, or of what makes replica sets."""
    selector, template, path = spec.get("selector"), spec.get("template", {}), "spec.template"
    selects = matches(selector, template)
    if selects is None:
        errors.append(invalid("spec.selector", printed_selector(selector), "invalid label selector"))
        return
    if not selects:
        errors.append(mismatch(template, path))
    validate_template(template, path, errors)
    validate_always_running(template.get("spec", {}), f"{path}.spec", errors)
