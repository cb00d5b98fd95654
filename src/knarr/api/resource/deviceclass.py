"""DeviceClass: devices that an administrator offers under one name."""

from __future__ import annotations

from knarr.api.core import resourcenames
from knarr.api.kind import AGE, NAME, Kind, Object
from knarr.api.resource import deviceconfigs, devicenames, deviceselectors
from knarr.meta.fielderrors import FieldError, invalid

CONFIGS_MAX = 32


class DeviceClass(Kind):
    tracks_generation = True
    columns = (NAME, AGE)

    def validate(self, obj: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"], None)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"], old["spec"])


def _spec_errors(spec: Object, old: Object | None) -> list[FieldError]:
    """Selectors and configuration that were stored before are not compiled, nor measured, again."""
    selectors, configs = spec.get("selectors"), spec.get("config")
    stored = old is not None and old.get("selectors") == selectors
    found = deviceselectors.errors(selectors, "spec.selectors", stored)
    stored = old is not None and old.get("config") == configs
    found += devicenames.items(
        configs, CONFIGS_MAX, lambda config, path: deviceconfigs.errors(config, path, stored), "spec.config"
    )
    name = spec.get("extendedResourceName")
    if name is not None and not resourcenames.is_extended(name):
        detail = "must be a valid extended resource name"
        found.append(invalid("spec.extendedResourceName", name, detail))
    return found
