"""What the tests of kinds share: an object from a short body, its errors as text, its table row."""

from __future__ import annotations

import copy
from typing import Any

from knarr.api.catalog import BY_GVR, kind_of
from knarr.api.scheme import scheme
from knarr.meta import addresses, names

#: Kubernetes' longer messages, which tests/meta/test_names.py knows in full
LABEL = names.is_dns1123_label("A")[0]
SUBDOMAIN = names.is_dns1123_subdomain("A")[0]
WILDCARD = names.is_wildcard_dns1123_subdomain("A")[0]
QUALIFIED = names.is_qualified_name("a b")[0]
LABEL_VALUE = names.is_label_value("a b")[0]
CONFIG_KEY = names.is_config_map_key("a b")[0]
PERCENT = names.is_percent("a")[0]
BAD_IP = addresses.INVALID_IP
BAD_CIDR = addresses.INVALID_CIDR

CREATED_AT = "2026-01-02T03:04:05Z"
#: two hours later
NOW = 1767323045.0 + 7200


class Resource:
    """The rules of one resource, as the server meets them: bodies are decoded before the kind sees them."""

    def __init__(self, name: str, group: str = "", version: str = "v1") -> None:
        self.row = BY_GVR[group, version, name]
        self.kind = kind_of(group, version, name)

    def decoded(self, body: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": "a", **body.get("metadata", {})}
        if self.row.namespaced:
            metadata.setdefault("namespace", "ns")
        whole = {"apiVersion": self.row.api_version, "kind": self.row.kind, **body, "metadata": metadata}
        obj, unknown = scheme().normalize((self.row.group, self.row.version, self.row.kind), whole)
        assert not unknown, unknown
        obj["metadata"]["creationTimestamp"] = CREATED_AT
        return obj

    def defaulted(self, body: dict[str, Any]) -> dict[str, Any]:
        obj = self.decoded(body)
        self.kind.default(obj)
        return obj

    def created(self, body: dict[str, Any]) -> dict[str, Any]:
        """As it would be stored, whether it is good or not."""
        obj = self.defaulted(body)
        self.kind.prepare_for_create(obj)
        return obj

    def errors(self, body: dict[str, Any]) -> list[str]:
        return [str(error) for error in self.kind.validate(self.created(body))]

    def updated(
        self, old: dict[str, Any], new: dict[str, Any], subresource: str = ""
    ) -> tuple[dict, list[str]]:
        """The object after an update with the body `new`, and the errors of it."""
        before, after = self.created(old), self.defaulted(new)
        if subresource == "status":
            after["metadata"] = copy.deepcopy(before["metadata"])
            self.kind.prepare_for_status_update(after, before)
            return after, [str(error) for error in self.kind.validate_status_update(after, before)]
        self.kind.prepare_for_update(after, before)
        return after, [str(error) for error in self.kind.validate_update(after, before)]

    def update_errors(self, old: dict[str, Any], new: dict[str, Any], subresource: str = "") -> list[str]:
        return self.updated(old, new, subresource)[1]

    def warnings(self, body: dict[str, Any]) -> list[str]:
        return self.kind.warnings_on_create(self.created(body))

    def row_of(self, body: dict[str, Any]) -> list[Any]:
        """The cells of a row; there are as many as columns."""
        return self.kind.cells(self.defaulted(body), NOW)


def without_metadata(obj: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("metadata", "kind", "apiVersion")}
