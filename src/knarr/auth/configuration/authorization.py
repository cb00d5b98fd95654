"""AuthorizationConfiguration: which authorizers are asked, in which order, and how webhooks among them are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from knarr.auth.configuration import ConfigurationError, load
from knarr.auth.configuration.chain import (
    AUTHORIZED_SECONDS,
    MODES,
    TIMEOUT_SECONDS_MAX,
    UNAUTHORIZED_SECONDS,
    WEBHOOK,
    Mode,
    Webhook,
)
from knarr.auth.configuration.expressions import Compiled, compile_expression, review_environment
from knarr.meta import fielderrors, names
from knarr.meta.durations import format_go_duration
from knarr.meta.fielderrors import FieldError

Object = dict[str, Any]

KIND = "AuthorizationConfiguration"
CONDITIONS_MAX = 64
SHAPE = {
    "authorizers": [
        {
            "type": load.STRING,
            "name": load.STRING,
            "webhook": {
                "authorizedTTL": load.DURATION,
                "cacheAuthorizedRequests": load.BOOL,
                "unauthorizedTTL": load.DURATION,
                "cacheUnauthorizedRequests": load.BOOL,
                "timeout": load.DURATION,
                "subjectAccessReviewVersion": load.STRING,
                "matchConditionSubjectAccessReviewVersion": load.STRING,
                "failurePolicy": load.STRING,
                "connectionInfo": {"type": load.STRING, "kubeConfigFile": load.STRING},
                "matchConditions": [{"expression": load.STRING}],
            },
        }
    ]
}


def read(path: str, required: Sequence[str] | None = None) -> list[Mode]:
    """From a file; `required` are the types besides webhooks that it must name. Raises ConfigurationError."""
    return parse(load.read_file(path), path, required)


def parse(data: bytes, path: str, required: Sequence[str] | None = None) -> list[Mode]:
    """As `read`, of a file's content."""
    config = load.decode(data, KIND, SHAPE, path)
    modes, found = check(config)
    if found:
        raise ConfigurationError(f"{path}: {fielderrors.aggregate(found)}")
    if required is not None:
        present = {mode.type for mode in modes} - {WEBHOOK}
        if present != set(required):
            raise ConfigurationError(
                f"{path}: authorizers of other types than Webhook cannot change without a restart: "
                f"expected {', '.join(sorted(required)) or 'none'}, found {', '.join(sorted(present)) or 'none'}"
            )
    return modes


def check(config: Object) -> tuple[list[Mode], list[FieldError]]:
    """The chain, and what is wrong with it."""
    members = config.get("authorizers") or []
    if not members:
        words = "at least one authorization mode must be defined"
        return [], [fielderrors.required("authorizers", words)]
    modes: list[Mode] = []
    found: list[FieldError] = []
    types: set[str] = set()
    known: set[str] = set()
    for number, member in enumerate(members):
        path, kind = f"authorizers[{number}]", member.get("type", "")
        wrong = _type(kind, types, f"{path}.type")
        if wrong:
            found += wrong
            continue
        types.add(kind)
        found += _name(member.get("name", ""), known, f"{path}.name")
        known.add(member.get("name", ""))
        webhook = None
        if kind == WEBHOOK:
            if "webhook" not in member:
                found.append(fielderrors.required(f"{path}.webhook", "required when type=Webhook"))
                continue
            webhook, wrong = check_webhook(member["webhook"], path)
            found += wrong
        elif "webhook" in member:
            words = "may only be specified when type=Webhook"
            found.append(fielderrors.invalid(f"{path}.webhook", "non-null", words))
        modes.append(Mode(kind, member.get("name", ""), webhook))
    return modes, found


def _type(kind: str, seen: set[str], path: str) -> list[FieldError]:
    if not kind:
        return [fielderrors.required(path)]
    if kind not in MODES:
        return [fielderrors.not_supported(path, kind, MODES)]
    if kind in seen and kind != WEBHOOK:
        return [fielderrors.duplicate(path, kind)]
    return []


def _name(name: str, seen: set[str], path: str) -> list[FieldError]:
    if not name:
        return [fielderrors.required(path)]
    if name in seen:
        return [fielderrors.duplicate(path, name)]
    if wrong := names.is_dns1123_subdomain(name):
        return [fielderrors.invalid(path, name, f"authorizer name is invalid: {', '.join(wrong)}")]
    return []


def check_webhook(config: Object, path: str) -> tuple[Webhook, list[FieldError]]:
    """The settings of one webhook, with Kubernetes' defaults, and what is wrong with them."""
    authorized = config.get("authorizedTTL") or AUTHORIZED_SECONDS
    unauthorized = config.get("unauthorizedTTL") or UNAUTHORIZED_SECONDS
    timeout = config.get("timeout") or 0.0
    found: list[FieldError] = []
    if not timeout:
        found.append(fielderrors.required(f"{path}.timeout"))
    elif not 0 < timeout <= TIMEOUT_SECONDS_MAX:
        shown = format_go_duration(timeout)
        found.append(fielderrors.invalid(f"{path}.timeout", shown, "must be > 0s and <= 30s"))
    for key, seconds in (("authorizedTTL", authorized), ("unauthorizedTTL", unauthorized)):
        if seconds < 0:
            found.append(fielderrors.invalid(f"{path}.{key}", format_go_duration(seconds), "must be > 0s"))
    version = config.get("subjectAccessReviewVersion", "")
    found += _one_of(version, f"{path}.subjectAccessReviewVersion", ("v1", "v1beta1"))
    texts = [c.get("expression", "") for c in config.get("matchConditions") or []]
    found += _condition_version(config.get("matchConditionSubjectAccessReviewVersion", ""), texts, path)
    policy = config.get("failurePolicy", "")
    found += _one_of(policy, f"{path}.failurePolicy", ("NoOpinion", "Deny"))
    connection = config.get("connectionInfo") or {}
    found += _connection(connection, f"{path}.connectionInfo")
    conditions, wrong = _conditions(texts, f"{path}.matchConditions")
    webhook = Webhook(
        connection.get("kubeConfigFile", ""),
        version,
        authorized if config.get("cacheAuthorizedRequests", True) else 0.0,
        unauthorized if config.get("cacheUnauthorizedRequests", True) else 0.0,
        timeout,
        policy == "Deny",
        conditions,
    )
    return webhook, found + wrong


def _one_of(value: str, path: str, choices: Sequence[str]) -> list[FieldError]:
    if not value:
        return [fielderrors.required(path)]
    return [] if value in choices else [fielderrors.not_supported(path, value, choices)]


def _condition_version(version: str, texts: Sequence[str], path: str) -> list[FieldError]:
    where = f"{path}.matchConditionSubjectAccessReviewVersion"
    if not version:
        return [fielderrors.required(where, "required if match conditions are specified")] if texts else []
    return [] if version == "v1" else [fielderrors.not_supported(where, version, ["v1"])]


def _connection(config: Object, path: str) -> list[FieldError]:
    kind, file = config.get("type", ""), config.get("kubeConfigFile")
    if not kind:
        return [fielderrors.required(f"{path}.type")]
    where = f"{path}.kubeConfigFile"
    if kind == "InClusterConfig":
        if file is not None:
            return [fielderrors.invalid(where, file, "can only be set when type=KubeConfigFile")]
        words = "InClusterConfig is not allowed for kube-apiserver"
        return [fielderrors.invalid(f"{path}.type", kind, words)]
    if kind != "KubeConfigFile":
        return [fielderrors.not_supported(f"{path}.type", kind, ["InClusterConfig", "KubeConfigFile"])]
    if not file:
        return [fielderrors.required(where)]
    if not os.path.isabs(file):
        return [fielderrors.invalid(where, file, "must be an absolute path")]
    if not Path(file).exists():
        words = f"error loading file: stat {file}: no such file or directory"
        return [fielderrors.invalid(where, file, words)]
    if not Path(file).is_file():
        return [fielderrors.invalid(where, file, "must be a regular file")]
    return []


def _conditions(texts: Sequence[str], path: str) -> tuple[list[Compiled], list[FieldError]]:
    if len(texts) > CONDITIONS_MAX:
        return [], [fielderrors.too_many(path, len(texts), CONDITIONS_MAX)]
    from knarr.meta.cel.types import BOOL

    compiled: list[Compiled] = []
    found: list[FieldError] = []
    for number, text in enumerate(texts):
        where = f"{path}[{number}].expression"
        if not text.strip():
            found.append(fielderrors.required(where))
        elif text in texts[:number]:
            found.append(fielderrors.duplicate(where, text))
        else:
            condition, wrong = compile_expression(review_environment(), text, where, [BOOL], told=True)
            found += wrong
            if condition is not None:
                compiled.append(condition)
    return compiled, found
