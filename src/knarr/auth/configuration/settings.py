"""The flags that say who may come in and what they may do, with kube-apiserver's names and defaults.

Paths are absolute or relative to where the cluster was started; times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from knarr.auth.configuration import ConfigurationError
from knarr.auth.configuration.chain import AUTHORIZED_SECONDS, MODES, UNAUTHORIZED_SECONDS, WEBHOOK
from knarr.meta.gofmt import quote

ISSUER = "https://kubernetes.default.svc"
#: "" for a flag that was not given
ALGORITHMS = ("RS256",)


@dataclass(frozen=True)
class AuthenticationSettings:
    #: `oidc_required_claim` holds `key=value` pairs
    authentication_config: str = ""
    anonymous_auth: bool | None = None
    enable_bootstrap_token_auth: bool = True
    token_auth_file: str = ""
    #: authorities of client certificates besides the cluster's own
    client_ca_file: str = ""
    oidc_issuer_url: str = ""
    oidc_client_id: str = ""
    oidc_ca_file: str = ""
    oidc_username_claim: str = "sub"
    oidc_username_prefix: str = ""
    oidc_groups_claim: str = ""
    oidc_groups_prefix: str = ""
    oidc_required_claim: tuple[str, ...] = ()
    oidc_signing_algs: tuple[str, ...] = ALGORITHMS
    authentication_token_webhook_config_file: str = ""
    authentication_token_webhook_version: str = "v1beta1"
    authentication_token_webhook_cache_ttl: float = 120.0
    #: the first one issues, all are accepted
    service_account_issuer: tuple[str, ...] = (ISSUER,)
    #: the issuers, where there are none
    api_audiences: tuple[str, ...] = ()
    #: the key that signs; the cluster's own where there is none
    service_account_signing_key_file: str = ""
    #: further keys that may have signed
    service_account_key_file: tuple[str, ...] = ()
    #: 0 is no limit
    service_account_max_token_expiration: float = 0.0
    service_account_extend_token_expiration: bool = True
    service_account_jwks_uri: str = ""

    @property
    def audiences(self) -> tuple[str, ...]:
        return self.api_audiences or self.service_account_issuer


@dataclass(frozen=True)
class AuthorizationSettings:
    #: () stands for Node,RBAC
    authorization_mode: tuple[str, ...] = ()
    authorization_config: str = ""
    authorization_policy_file: str = ""
    authorization_webhook_config_file: str = ""
    authorization_webhook_version: str = "v1beta1"
    authorization_webhook_cache_authorized_ttl: float = AUTHORIZED_SECONDS
    authorization_webhook_cache_unauthorized_ttl: float = UNAUTHORIZED_SECONDS

    @property
    def modes(self) -> tuple[str, ...]:
        return self.authorization_mode or ("Node", "RBAC")


def check(authentication: AuthenticationSettings, authorization: AuthorizationSettings) -> None:
    """Raises ConfigurationError for flags that do not go together."""
    for problem in (*_authentication(authentication), *_authorization(authorization)):
        raise ConfigurationError(problem)


def changed(settings: AuthenticationSettings | AuthorizationSettings, prefix: str) -> list[str]:
    """Flags of a family that are not as they are by default."""
    return [
        field.name
        for field in fields(settings)
        if field.name.startswith(prefix) and getattr(settings, field.name) != field.default
    ]


def _authentication(s: AuthenticationSettings) -> Iterator[str]:
    given = changed(s, "oidc_")
    if s.authentication_config and given:
        yield "authentication-config file and oidc-* flags are mutually exclusive"
    if given and not (s.oidc_issuer_url and s.oidc_client_id):
        yield "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set"
    for algorithm in s.oidc_signing_algs if given else ():
        if algorithm not in _known_algorithms():
            yield f"oidc: unsupported signing alg: {quote(algorithm)}"
    for pair in s.oidc_required_claim:
        if "=" not in pair:
            yield f"malformed pair, expect string=string, found {quote(pair)} in --oidc-required-claim"
    yield from _version(
        s.authentication_token_webhook_version,
        "authentication webhook",
        s.authentication_token_webhook_config_file,
    )
    if s.service_account_jwks_uri and not s.service_account_jwks_uri.startswith("https://"):
        yield f"service-account-jwks-uri requires https scheme, parsed as: {s.service_account_jwks_uri}"
    if len(set(s.service_account_issuer)) != len(s.service_account_issuer):
        yield "service-account-issuer is the same more than once"
    if not all(s.service_account_issuer):
        yield "service-account-issuer should not be an empty string"
    limit = s.service_account_max_token_expiration
    if limit and not 3600 <= limit <= 2**32:
        yield "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds"


def _known_algorithms() -> Sequence[str]:
    from knarr.auth.signatures import ALGORITHMS as KNOWN

    return KNOWN


def _version(version: str, words: str, file: str) -> Iterator[str]:
    if file and version not in ("v1", "v1beta1"):
        yield f'unsupported {words} version {quote(version)}, supported versions are "v1", "v1beta1"'


def _authorization(s: AuthorizationSettings) -> Iterator[str]:
    if s.authorization_config:
        if s.authorization_mode or changed(s, "authorization_webhook"):
            yield (
                "--authorization-config can not be specified when --authorization-mode or "
                "--authorization-webhook-* flags are defined"
            )
        return
    modes: Sequence[str] = s.modes
    for mode in modes:
        if mode not in MODES:
            yield f"authorization-mode {quote(mode)} is not a valid mode"
    if "ABAC" in modes and not s.authorization_policy_file:
        yield "authorization-mode ABAC's authorization policy file not passed"
    if WEBHOOK in modes and not s.authorization_webhook_config_file:
        yield "authorization-mode Webhook's authorization config file not passed"
    if s.authorization_policy_file and "ABAC" not in modes:
        yield "cannot specify --authorization-policy-file without mode ABAC"
    if s.authorization_webhook_config_file and WEBHOOK not in modes:
        yield "cannot specify --authorization-webhook-config-file without mode Webhook"
    if len(set(modes)) != len(modes):
        shown = f"[{' '.join(map(quote, modes))}]"
        yield f"authorization-mode {shown} has mode specified more than once"
    yield from _version(
        s.authorization_webhook_version, "webhook authorizer", s.authorization_webhook_config_file
    )
