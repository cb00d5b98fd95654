"""The options of `knarr up` that say who may come in and what they may do, named as kube-apiserver's.

Like the others they stay with the cluster; an empty value goes back to the default.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE, TEXT, MANY, MANY_FILES, SPAN, YES_NO = "FILE", "TEXT", "TEXT,…", "FILE,…", "DURATION", "BOOLEAN"

#: option, what it takes, and its help
AUTHENTICATION = (
    ("authentication-config", FILE, "AuthenticationConfiguration: issuers of tokens, anonymous requests."),
    ("anonymous-auth", YES_NO, "Let requests without credentials in as system:anonymous. [true]"),
    ("enable-bootstrap-token-auth", YES_NO, "Let bootstrap tokens in. [true]"),
    ("client-ca-file", FILE, "Further authorities of client certificates, beside the cluster's own."),
    ("token-auth-file", FILE, "CSV lines of token, user, uid and groups."),
    ("oidc-issuer-url", TEXT, "An issuer of OpenID Connect tokens; https only."),
    ("oidc-client-id", TEXT, "Whom the tokens must be meant for."),
    ("oidc-ca-file", FILE, "Authorities of the issuer's certificate. [those of this machine]"),
    ("oidc-username-claim", TEXT, "The claim with the user's name. [sub]"),
    ("oidc-username-prefix", TEXT, "Put before names; - for none. [ISSUER#, none for email]"),
    ("oidc-groups-claim", TEXT, "The claim with the user's groups."),
    ("oidc-groups-prefix", TEXT, "Put before groups."),
    ("oidc-required-claim", MANY, "claim=value that a token must have; may be repeated."),
    ("oidc-signing-algs", MANY, "Algorithms that tokens may be signed with. [RS256]"),
    ("authentication-token-webhook-config-file", FILE, "kubeconfig of a server that knows tokens."),
    ("authentication-token-webhook-version", TEXT, "Version of TokenReview it is sent. [v1beta1]"),
    ("authentication-token-webhook-cache-ttl", SPAN, "How long its answers are kept. [2m]"),
    ("service-account-issuer", MANY, "Issuers of service account tokens; the first one issues."),
    ("api-audiences", MANY, "Whom tokens for this API must be meant for. [the issuers]"),
    ("service-account-signing-key-file", FILE, "The private key that signs, ECDSA P-256 or RSA. [drawn]"),
    ("service-account-key-file", MANY_FILES, "Further keys that may have signed."),
    ("service-account-max-token-expiration", SPAN, "The longest that a token lasts. [no limit]"),
    ("service-account-extend-token-expiration", YES_NO, "Mounted tokens last a year. [true]"),
    ("service-account-jwks-uri", TEXT, "Where others find the keys, in the discovery document."),
)
AUTHORIZATION = (
    ("authorization-mode", MANY, "Node, RBAC, ABAC, Webhook, AlwaysAllow, AlwaysDeny. [Node,RBAC]"),
    ("authorization-config", FILE, "AuthorizationConfiguration: which authorizers, in which order."),
    ("authorization-policy-file", FILE, "Policies of ABAC, one to a line."),
    ("authorization-webhook-config-file", FILE, "kubeconfig of a server that authorizes."),
    ("authorization-webhook-version", TEXT, "Version of SubjectAccessReview it is sent. [v1beta1]"),
    ("authorization-webhook-cache-authorized-ttl", SPAN, "How long its yes is kept. [5m]"),
    ("authorization-webhook-cache-unauthorized-ttl", SPAN, "How long its no is kept. [30s]"),
)


def _name(option: str) -> str:
    return option.replace("-", "_")


NAMES = tuple(_name(option) for option, _, _ in (*AUTHENTICATION, *AUTHORIZATION))
_KINDS = {_name(option): kind for option, kind, _ in (*AUTHENTICATION, *AUTHORIZATION)}


def _read(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """As it is kept: paths absolute, lists split, durations checked; None where the option was not given."""
    kind = _KINDS[str(parameter.name)]
    if kind in (MANY, MANY_FILES):
        if not value:
            return None
        # claims may hold commas, so they alone are not split
        pieces = (
            value if parameter.name == "oidc_required_claim" else [p for v in value for p in v.split(",")]
        )
        found = [piece.strip() for piece in pieces if piece.strip()]
        return [_absolute(piece) for piece in found] if kind == MANY_FILES else found
    if value and kind == FILE:
        return _absolute(value)
    if value and kind == SPAN:
        _seconds(value)
    return value


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _seconds(text: str) -> float:
    from knarr.meta.durations import parse_go_duration

    try:
        return parse_go_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _option(option: str, kind: str, words: str) -> Callable[..., Any]:
    return click.option(
        f"--{option}",
        type=click.BOOL if kind == YES_NO else str,
        multiple=kind in (MANY, MANY_FILES),
        metavar=kind,
        callback=_read,
        help=words,
    )


OPTIONS = [_option(*row) for row in (*AUTHENTICATION, *AUTHORIZATION)]


def settings_of(kept: dict[str, Any]) -> dict[str, Any]:
    """The settings of a cluster, by the names that `Config` has for them."""
    from knarr.auth.configuration.settings import AuthenticationSettings, AuthorizationSettings

    return {
        "authentication": AuthenticationSettings(**_values(kept, AUTHENTICATION)),
        "authorization": AuthorizationSettings(**_values(kept, AUTHORIZATION)),
    }


def _values(kept: dict[str, Any], rows: tuple[tuple[str, str, str], ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option, kind, _ in rows:
        value = kept.get(_name(option))
        if value is None or value in ("", [], ()):
            continue
        if kind in (MANY, MANY_FILES):
            value = tuple(value)
        elif kind == SPAN:
            value = _seconds(value)
        found[_name(option)] = value
    return found
