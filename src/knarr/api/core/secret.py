"""Secret: bytes by key, with keys that some types demand."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import orjson

from knarr.api import checks, printing
from knarr.api.core.configmap import DATA_BYTES_MAX, decoded_length, immutable_errors
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import gojson, names
from knarr.meta.fielderrors import FieldError, invalid, required, too_long

OPAQUE = "Opaque"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"

#: keys that must be there, by type
REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
#: types whose key holds a JSON object
JSON_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}


class Secret(Kind):
    columns = (
        NAME,
        Column("Type", doc="core.v1.Secret.type"),
        Column("Data", doc="core.v1.Secret.data"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        if not obj.get("type"):
            obj["type"] = OPAQUE
        if "stringData" in obj:
            merge_string_data(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        data = obj.get("data") or {}
        size = 0
        for key, encoded in data.items():
            if wrong := names.is_config_map_key(key):
                errors += checks.invalids(f"data[{key}]", key, wrong)
            size += decoded_length(encoded)
        if size > DATA_BYTES_MAX:
            errors.append(too_long("data", DATA_BYTES_MAX))
        return errors + _of_type(obj["type"], data, obj["metadata"].get("annotations") or {})

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = checks.unchanged("type", obj["type"], old["type"])
        return errors + immutable_errors(obj, old, ("data",)) + self.validate(obj)

    def fields(self, obj: Object) -> dict[str, str]:
        return {"type": obj.get("type", "")}

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [
            obj["metadata"]["name"],
            obj.get("type", ""),
            len(obj.get("data") or ()),
            printing.age(obj, now),
        ]


def merge_string_data(secret: Object) -> None:
    """stringData is written over data, and never stored."""
    texts = secret.pop("stringData")
    if texts:
        data = secret.setdefault("data", {})
        for key, text in texts.items():
            data[key] = b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _of_type(kind: str, data: dict[str, str], annotations: dict[str, str]) -> list[FieldError]:
    if kind == OPAQUE:
        return []
    if kind == SERVICE_ACCOUNT_TOKEN:
        path = f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]"
        return checks.required_text(path, annotations.get(SERVICE_ACCOUNT_NAME))
    if kind == "kubernetes.io/basic-auth":
        missing = () if "username" in data or "password" in data else ("username", "password")
    elif kind == "kubernetes.io/ssh-auth":
        missing = () if data.get("ssh-privatekey") else ("ssh-privatekey",)
    else:
        missing = tuple(key for key in REQUIRED_KEYS.get(kind, ()) if key not in data)
    errors = [required(f"data[{key}]") for key in missing]
    key = JSON_KEYS.get(kind)
    if key in data and (problem := _json_object_problem(b64decode(data[key]))):
        errors.append(invalid(f"data[{key}]", "<secret contents redacted>", problem))
    return errors


def _json_object_problem(content: bytes) -> str:
    """Go's message when the content is no JSON object (null passes for one)."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return gojson.syntax_error(content)
    if value is None or isinstance(value, dict):
        return ""
    return f"json: cannot unmarshal {gojson.GO_NAMES[type(value)]} into Go value of type map[string]interface {{}}"
