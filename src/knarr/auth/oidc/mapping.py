"""From the claims of a token to a user: by the names of claims, or by CEL expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from knarr.auth.configuration.authentication import Issuer
from knarr.auth.configuration.expressions import Compiled
from knarr.auth.identity import CREDENTIAL_ID, AuthenticationError
from knarr.meta.cel.values import CelError
from knarr.meta.gofmt import quote
from knarr.registry.context import UserInfo

Claims = Mapping[str, Any]

TEXTS = "expression must return a string or a list of strings"
KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


class UserMapping:
    """What one issuer's configuration makes of claims."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._names = issuer.config.get("claimMappings") or {}
        self._required = [
            (rule["claim"], rule.get("requiredValue", ""))
            for rule in issuer.config.get("claimValidationRules") or ()
            if rule.get("claim")
        ]

    def user(self, claims: Claims) -> UserInfo:
        """The user, past all rules; raises AuthenticationError."""
        user = UserInfo(self._username(claims), self._uid(claims), self._groups(claims), self._extra(claims))
        self._check_required(claims)
        _check(self._issuer.claim_rules, {"claims": claims}, "claim validation expression")
        if self._issuer.user_rules:
            _check(self._issuer.user_rules, {"user": _shown(user)}, "user info validation rule")
        return user

    def _username(self, claims: Claims) -> str:
        expression = self._issuer.username
        if expression is not None:
            what = "username claim expression"
            name = _evaluate(expression, claims, what)
            if not isinstance(name, str):
                raise AuthenticationError(f"oidc: error evaluating {what}: {what} must return a string")
            if not name:
                raise AuthenticationError("oidc: empty username via CEL expression is not allowed")
            return name
        mapping = self._names.get("username") or {}
        claim = mapping.get("claim", "")
        name = _text(claims, claim, f"oidc: parse username claims {quote(claim)}: ")
        if claim == "email":
            _check_verified(claims)
        return mapping.get("prefix", "") + name

    def _groups(self, claims: Claims) -> tuple[str, ...]:
        mapping = self._names.get("groups") or {}
        claim = mapping.get("claim", "")
        if claim:
            if claim not in claims:
                return ()
            prefix = mapping.get("prefix", "")
            return tuple(prefix + group for group in _one_or_many(claims[claim], claim))
        if self._issuer.groups is None:
            return ()
        what = "group claim expression"
        return _texts(_evaluate(self._issuer.groups, claims, what), f"oidc: error evaluating {what}: ")

    def _uid(self, claims: Claims) -> str:
        claim = (self._names.get("uid") or {}).get("claim", "")
        if claim:
            return _text(claims, claim, f"oidc: parse uid claim {quote(claim)}: ")
        if self._issuer.uid is None:
            return ""
        what = "uid claim expression"
        uid = _evaluate(self._issuer.uid, claims, what)
        if not isinstance(uid, str):
            raise AuthenticationError(f"oidc: error evaluating {what}: {what} must return a string")
        return uid

    def _extra(self, claims: Claims) -> dict[str, tuple[str, ...]]:
        identifier = claims.get("jti")
        found: dict[str, tuple[str, ...]] = {}
        if isinstance(identifier, str) and identifier:
            found[CREDENTIAL_ID] = (f"JTI={identifier}",)
        for key, expression in self._issuer.extra:
            value = _evaluate(expression, claims, "extra claim expression")
            words = f"oidc: error evaluating extra claim expression: {expression.text}: "
            if texts := _texts(value, words):
                found[key] = texts
        return found

    def _check_required(self, claims: Claims) -> None:
        for claim, wanted in self._required:
            if claim not in claims:
                raise AuthenticationError(f"oidc: required claim {claim} not present in ID token")
            found = _text(claims, claim, f"oidc: parse claim {claim}: ")
            if found != wanted:
                raise AuthenticationError(
                    f"oidc: required claim {claim} value does not match. Got = {found}, want = {wanted}"
                )


def _evaluate(expression: Compiled, claims: Claims, what: str) -> Any:
    try:
        return expression.evaluate({"claims": claims})
    except CelError as error:
        why = f"expression '{expression.text}' resulted in error: {error}"
        raise AuthenticationError(f"oidc: error evaluating {what}: {why}") from None


def _check(rules: Iterable[tuple[Compiled, str]], variables: Mapping[str, Any], what: str) -> None:
    for expression, message in rules:
        try:
            holds = expression.evaluate(variables)
        except CelError as error:
            why = f"expression '{expression.text}' resulted in error: {error}"
            raise AuthenticationError(f"oidc: error evaluating {what}: {why}") from None
        if holds is not True:
            why = f"validation expression '{expression.text}' failed: {message}"
            raise AuthenticationError(f"oidc: error evaluating {what}: {why}")


def _check_verified(claims: Claims) -> None:
    """An address that its issuer has not verified is nobody's name."""
    if "email_verified" not in claims:
        return
    verified = claims["email_verified"]
    if not isinstance(verified, bool):
        raise AuthenticationError(f"oidc: parse 'email_verified' claim: {_mismatch(verified, 'bool')}")
    if not verified:
        raise AuthenticationError("oidc: email not verified")


def _text(claims: Claims, name: str, words: str) -> str:
    if name not in claims:
        raise AuthenticationError(f"{words}claim not present")
    value = claims[name]
    if value is None:
        return ""  # as Go reads null into a string
    if not isinstance(value, str):
        raise AuthenticationError(words + _mismatch(value, "string"))
    return value


def _one_or_many(value: Any, claim: str) -> list[str]:
    """Some put a single group where a list belongs."""
    if isinstance(value, str):
        return [value]
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return value
    raise AuthenticationError(f"oidc: parse groups claim {quote(claim)}: {_mismatch(value, 'string')}")


def _mismatch(value: Any, wanted: str) -> str:
    return f"json: cannot unmarshal {KINDS.get(type(value), 'value')} into Go value of type {wanted}"


def _texts(value: Any, words: str) -> tuple[str, ...]:
    """A string or a list of strings without the empty ones; null is none."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(v for v in value if v)
    raise AuthenticationError(words + TEXTS)


def _shown(user: UserInfo) -> dict[str, Any]:
    """As `user` in expressions: every field is there."""
    extra = {key: list(values) for key, values in user.extra.items()}
    return {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
