"""CSIDriver: what a storage driver needs and can do."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import NONE, UNSET
from knarr.meta.fielderrors import FieldError, duplicate, invalid

FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
MODES = ("Persistent", "Ephemeral")
TOKEN_SECONDS_MIN = 600
TOKEN_SECONDS_MAX = 1 << 32
UPDATE_SECONDS_MIN = 10
DEFAULTS: tuple[tuple[str, Any], ...] = (
    ("attachRequired", True),
    ("podInfoOnMount", False),
    ("storageCapacity", False),
    ("fsGroupPolicy", "ReadWriteOnceWithFSType"),
    ("requiresRepublish", False),
    ("seLinuxMount", False),
)
#: of a feature that v1.36 has switched off (VolumeLimitScaling)
CLOSED = "preventPodSchedulingIfMissing"
IN_SECRETS = "serviceAccountTokenInSecrets"
#: changes of these raise the generation
COUNTED = ("tokenRequests", "requiresRepublish", "seLinuxMount")


class CSIDriver(Kind):
    allow_unconditional_update = False
    columns = (
        NAME,
        Column("AttachRequired", "boolean", doc="storage.v1.CSIDriverSpec.attachRequired"),
        Column("PodInfoOnMount", "boolean", doc="storage.v1.CSIDriverSpec.podInfoOnMount"),
        Column("StorageCapacity", "boolean", doc="storage.v1.CSIDriverSpec.storageCapacity"),
        Column("TokenRequests", doc="storage.v1.CSIDriverSpec.tokenRequests"),
        Column("RequiresRepublish", "boolean", doc="storage.v1.CSIDriverSpec.requiresRepublish"),
        Column("Modes", doc="storage.v1.CSIDriverSpec.volumeLifecycleModes"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for key, value in DEFAULTS:
            spec.setdefault(key, value)
        if not spec.get("volumeLifecycleModes"):
            spec["volumeLifecycleModes"] = ["Persistent"]
        for request in spec.get("tokenRequests") or ():
            request.setdefault("audience", "")

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        obj["spec"].pop(CLOSED, None)

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        generation = old["metadata"].get("generation", 0)
        if CLOSED not in old["spec"]:
            obj["spec"].pop(CLOSED, None)
        if any(obj["spec"].get(key) != old["spec"].get(key) for key in COUNTED):
            generation += 1
        if generation:
            obj["metadata"]["generation"] = generation

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        errors = checks.one_of("spec.fsGroupPolicy", spec["fsGroupPolicy"], FS_GROUP_POLICIES)
        errors += _token_errors(spec.get("tokenRequests") or ())
        for mode in spec["volumeLifecycleModes"]:
            errors += checks.one_of("spec.volumeLifecycleModes", mode, MODES)
        seconds = spec.get("nodeAllocatableUpdatePeriodSeconds")
        if seconds is not None and seconds < UPDATE_SECONDS_MIN:
            message = f"must be greater than or equal to {UPDATE_SECONDS_MIN} seconds"
            errors.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, message))
        in_secrets = spec.get(IN_SECRETS)
        if in_secrets is not None and not spec.get("tokenRequests"):
            message = f"{IN_SECRETS} is set but no tokenRequests are specified"
            errors.append(invalid(f"spec.{IN_SECRETS}", in_secrets, message))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        new, before = obj["spec"], old["spec"]
        errors = self.validate(obj)
        # the first path is spelled so in Kubernetes
        errors += checks.unchanged("spec.attachedRequired", new["attachRequired"], before["attachRequired"])
        modes = "volumeLifecycleModes"
        return errors + checks.unchanged(f"spec.{modes}", new[modes], before[modes])

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        audiences = [request["audience"] for request in spec.get("tokenRequests") or ()]
        return [
            obj["metadata"]["name"],
            spec["attachRequired"],
            spec["podInfoOnMount"],
            spec["storageCapacity"],
            ",".join(audiences) if audiences else UNSET,
            spec["requiresRepublish"],
            ",".join(spec["volumeLifecycleModes"]) or NONE,
            printing.age(obj, now),
        ]


def _token_errors(requests: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, request in enumerate(requests):
        path, audience, seconds = (
            f"spec.tokenRequests[{i}]",
            request["audience"],
            request.get("expirationSeconds"),
        )
        if audience in seen:
            errors.append(duplicate(f"{path}.audience", audience))
            continue
        seen.add(audience)
        if seconds is not None and seconds < TOKEN_SECONDS_MIN:
            message = "may not specify a duration less than 10 minutes"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, message))
        if seconds is not None and seconds > TOKEN_SECONDS_MAX:
            message = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, message))
    return errors
