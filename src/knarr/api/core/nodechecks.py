"""What a node's taints, old annotations, swap and features may say."""

from __future__ import annotations

import re
from typing import Any

from knarr.api import checks, gostruct
from knarr.api.kind import Object
from knarr.meta import gojson, labels, names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required
from knarr.meta.names import DNS1123_SUBDOMAIN_MAX

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
TAINT: gostruct.Shape = (*gostruct.strings("key", "value", "effect"), ("timeAdded", "TimeAdded", None))
#: annotations from before their fields were; Kubernetes still reads what they say
TAINTS = "scheduler.alpha.kubernetes.io/taints"
AVOID_PODS = "scheduler.alpha.kubernetes.io/preferAvoidPods"
FEATURE = re.compile(r"[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*\Z")


def taint_errors(taints: Any, path: str = "metadata.taints") -> list[FieldError]:
    errors: list[FieldError] = []
    seen = set()
    for i, taint in enumerate(taints):
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        errors += labels.validate_label_name(key, f"{path}[{i}].key")
        if wrong := names.is_label_value(value):
            errors.append(invalid(f"{path}[{i}].value", value, ";".join(wrong)))
        if effect not in EFFECTS:
            where = f"{path}[{i}].effect"
            errors += checks.one_of(where, effect, EFFECTS) if effect else [required(where)]
        if (key, effect) in seen:
            error = duplicate(f"{path}[{i}]", gostruct.dump(taint, TAINT))
            errors.append(error._replace(detail="taints must be unique by key and effect pair"))
        seen.add((key, effect))
    return errors


def annotation_errors(metadata: Object) -> list[FieldError]:
    annotations, path = metadata.get("annotations") or {}, "metadata.annotations"
    errors: list[FieldError] = []
    if text := annotations.get(TAINTS):
        taints, fault = gojson.read(text, list, "[]core.Taint")
        if fault:
            errors.append(invalid(path, TAINTS, fault))
        errors += taint_errors(
            [taint for taint in taints or () if isinstance(taint, dict)], f"{path}.{TAINTS}"
        )
    if text := annotations.get(AVOID_PODS):
        avoided, fault = gojson.read(text, dict, "v1.AvoidPods")
        if fault:
            errors.append(invalid(f"{path}.AvoidPods", AVOID_PODS, fault))
        errors += _avoided_errors((avoided or {}).get("preferAvoidPods"), f"{path}.{AVOID_PODS}")
    return errors


def _avoided_errors(entries: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, entry in enumerate(entries if isinstance(entries, list) else ()):
        where = f"{path}[{i}].PodSignature"
        controller = ((entry or {}).get("podSignature") or {}).get("podController")
        if controller is None:
            errors.append(required(where))
        elif controller.get("controller") is not True:
            errors.append(invalid(f"{where}.PodController.Controller", False, "must point to a controller"))
    return errors


def swap_errors(status: Object) -> list[FieldError]:
    capacity = ((status.get("nodeInfo") or {}).get("swap") or {}).get("capacity")
    if capacity is None or capacity > 0:
        return []
    return [invalid("metadata.nodeSwapStatus.capacity", capacity, "must be greater than zero")]


def feature_errors(status: Object) -> list[FieldError]:
    """What the node's kubelet can do: names in order, none of them twice."""
    path = "status.declaredFeatures"
    features = status.get("declaredFeatures") or []
    errors: list[FieldError] = []
    for i, feature in enumerate(features):
        if fault := _feature_fault(feature):
            errors.append(invalid(f"{path}[{i}]", feature, f'invalid feature name "{feature}": {fault}'))
        following = features[i + 1] if i + 1 < len(features) else None
        if following == feature:
            errors.append(duplicate(f"{path}[{i + 1}]", following))
        elif following is not None and following < feature:
            errors.append(invalid(f"{path}[{i + 1}]", following, "list must be sorted alphabetically"))
    return errors


def _feature_fault(name: str) -> str:
    if len(name) > DNS1123_SUBDOMAIN_MAX:
        return f"must be no more than {DNS1123_SUBDOMAIN_MAX} characters"
    if FEATURE.match(name):
        return ""
    return (
        "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or"
        " MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
    )
