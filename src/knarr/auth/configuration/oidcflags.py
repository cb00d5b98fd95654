"""The --oidc flags: one issuer, said in another way."""

from __future__ import annotations

from typing import Any

from knarr.auth.configuration import ConfigurationError, load
from knarr.auth.configuration.authentication import Authentication, check
from knarr.auth.configuration.settings import AuthenticationSettings
from knarr.meta import fielderrors


def from_flags(settings: AuthenticationSettings) -> Authentication:
    """Raises ConfigurationError."""
    issuers, found = check({"jwt": [_issuer(settings)]}, settings.service_account_issuer)
    if found:
        raise ConfigurationError(fielderrors.aggregate(found))
    return Authentication(issuers)


def _issuer(s: AuthenticationSettings) -> dict[str, Any]:
    issuer: dict[str, Any] = {"url": s.oidc_issuer_url, "audiences": [s.oidc_client_id]}
    if s.oidc_ca_file:
        issuer["certificateAuthority"] = load.read_file(s.oidc_ca_file).decode("utf-8", "replace")
    mappings: dict[str, Any] = {"username": {"claim": s.oidc_username_claim, "prefix": _username_prefix(s)}}
    if s.oidc_groups_claim:
        mappings["groups"] = {"claim": s.oidc_groups_claim, "prefix": s.oidc_groups_prefix}
    rules = []
    for pair in s.oidc_required_claim:
        claim, _, value = pair.partition("=")
        rules.append({"claim": claim, "requiredValue": value})
    return {"issuer": issuer, "claimMappings": mappings, "claimValidationRules": rules}


def _username_prefix(s: AuthenticationSettings) -> str:
    """Names of one issuer must not be taken for another's; an address belongs to one person anyway."""
    if s.oidc_username_prefix == "-":
        return ""
    if s.oidc_username_prefix or s.oidc_username_claim == "email":
        return s.oidc_username_prefix
    return f"{s.oidc_issuer_url}#"
