"""How a definition's versions are converted into each other: not at all, or by a webhook."""

from __future__ import annotations

from typing import Any

from knarr.api import checks
from knarr.api.admissionregistration import webhookclient
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, required

STRATEGIES = ("None", "Webhook")
REVIEW_VERSIONS = ("v1", "v1beta1")


def errors(conversion: Any, path: str, allow_invalid_bundle: bool) -> list[FieldError]:
    if conversion is None:
        return []
    strategy = conversion.get("strategy", "")
    webhook = conversion.get("webhook") or {}
    client, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions")
    found = (
        checks.one_of(f"{path}.strategy", strategy, STRATEGIES)
        if strategy
        else [required(f"{path}.strategy")]
    )
    if strategy == "Webhook":
        found += _client_errors(client, f"{path}.webhookClientConfig", allow_invalid_bundle)
        return found + _review_version_errors(versions, f"{path}.conversionReviewVersions")
    unset = "should not be set when strategy is not set to Webhook"
    if client is not None:
        found.append(forbidden(f"{path}.webhookClientConfig", unset))
    if versions:
        found.append(forbidden(f"{path}.conversionReviewVersions", unset))
    return found


def _client_errors(client: Any, path: str, allow_invalid_bundle: bool) -> list[FieldError]:
    if client is None:
        return [required(path, "required when strategy is set to Webhook")]
    found: list[FieldError] = []
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        found.append(required(path, "exactly one of url or service is required"))
    elif url is not None:
        found += webhookclient.url_errors(f"{path}.url", url)
    else:
        found += webhookclient.service_errors(f"{path}.service", service)
    if client.get("caBundle") and not allow_invalid_bundle:
        found += webhookclient.bundle_errors(f"{path}.caBundle", client["caBundle"])
    return found


def _review_version_errors(versions: Any, path: str) -> list[FieldError]:
    if not versions:
        return [required(path)]
    found: list[FieldError] = []
    seen: set[str] = set()
    for i, version in enumerate(versions):
        if version in seen:
            found.append(invalid(f"{path}[{i}]", version, "duplicate version"))
            continue
        seen.add(version)
        found += [invalid(f"{path}[{i}]", version, message) for message in names.is_dns1035_label(version)]
    if not seen & set(REVIEW_VERSIONS):
        found.append(invalid(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return found
