"""Service account tokens: JWTs that this cluster signed, good while what they are bound to exists."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator, Sequence
from typing import Any

from knarr.auth import jwt
from knarr.auth.identity import CREDENTIAL_ID, AuthenticationError, Identity
from knarr.auth.tokenkeys import TokenKeys
from knarr.meta import errors, names, times
from knarr.meta.gofmt import quote
from knarr.meta.metrics import Counters, Family
from knarr.registry.context import UserInfo
from knarr.registry.reader import Reader
from knarr.world.clock import Clock

PREFIX = "system:serviceaccount:"
ALL_GROUP = "system:serviceaccounts"
LEGACY_ISSUER = "kubernetes/serviceaccount"
EXTRA = "authentication.kubernetes.io/"
INVALIDATED = "service account token has been invalidated"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
LAST_USED = "kubernetes.io/legacy-token-last-used"
#: what is counted of tokens that were looked at
USES = {
    "valid_tokens": "Bound tokens that were good.",
    "stale_tokens": "Bound tokens whose holders should have asked for new ones.",
    "legacy_tokens": "Tokens of secrets that were good.",
    "legacy_auto_token_uses": "Those of secrets that were made for their accounts.",
    "legacy_manual_token_uses": "Those of secrets that somebody created.",
    "invalid_legacy_auto_token_uses": "Tokens of secrets that were marked invalid.",
}
#: clocks may differ, and a deletion may still be under way
LEEWAY_SECONDS = 60.0

Object = dict[str, Any]


def username(namespace: str, name: str) -> str:
    return f"{PREFIX}{namespace}:{name}"


def group_names(namespace: str) -> tuple[str, str]:
    return ALL_GROUP, f"{ALL_GROUP}:{namespace}"


def split_username(name: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name, None for any other user."""
    if not name.startswith(PREFIX):
        return None
    parts = name[len(PREFIX) :].split(":")
    if len(parts) != 2 or names.is_dns1123_label(parts[0]) or names.is_dns1123_subdomain(parts[1]):
        return None
    return parts[0], parts[1]


class ServiceAccountTokens:
    """Verifies signature, issuer, audience and times, then that every object the token names still is that object.

    `issuers` are all that may have issued.
    """

    def __init__(
        self,
        keys: TokenKeys,
        reader: Reader,
        clock: Clock,
        issuers: Sequence[str],
        audiences: Sequence[str],
    ) -> None:
        self._keys = keys
        self._reader = reader
        self._clock = clock
        self._issuers = frozenset(issuers)
        self._audiences = tuple(audiences)
        self._uses = {name: Counters(f"serviceaccount_{name}_total", words) for name, words in USES.items()}

    def metrics(self) -> Iterator[Family]:
        for uses in self._uses.values():
            yield uses.family()

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        parsed = jwt.parse(token)
        if parsed is None:
            return None
        issuer = parsed.claims.get("iss")
        if issuer == LEGACY_ISSUER:
            self._verify(parsed)
            return await self._legacy(token, parsed.claims)
        if issuer not in self._issuers:
            return None
        self._verify(parsed)
        named = _strings(parsed.claims.get("aud")) or self._audiences
        granted = tuple(a for a in named if a in audiences)
        if not granted:
            raise AuthenticationError(
                f"token audiences {_quoted(named)} is invalid for the target audiences {_quoted(audiences)}"
            )
        return self._bound(parsed.claims, granted)

    def _verify(self, parsed: jwt.Parsed) -> None:
        wanted = parsed.header.get("kid")
        candidates = [v for v in self._keys.verifiers if not wanted or v.key_id == wanted]
        if not candidates:
            raise AuthenticationError("invalid signature, no keys found")
        if not any(v.verify(parsed) for v in candidates):
            raise AuthenticationError("go-jose/go-jose: error in cryptographic primitive")

    # -- bound tokens --------------------------------------------------------------------------------------

    def _bound(self, claims: Object, granted: tuple[str, ...]) -> Identity:
        now = self._clock.now()
        self._check_times(claims, now)
        private = _mapping(claims.get("kubernetes.io"))
        namespace = str(private.get("namespace", ""))
        account = _mapping(private.get("serviceaccount"))
        name = str(account.get("name", ""))
        self._check_account(namespace, name, str(account.get("uid", "")), now, "service account")
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        if "secret" in private:
            self._check_bound("secrets", namespace, private["secret"], "secret", now)
        if "pod" in private:
            pod = self._check_bound("pods", namespace, private["pod"], "pod", now)
            extra |= {f"{EXTRA}pod-name": (pod[0],), f"{EXTRA}pod-uid": (pod[1],)}
        if "node" in private:
            # a pod's token names its node as a fact; only a token bound to the node itself dies with it
            reference = _mapping(private["node"])
            if "pod" not in private:
                self._check_bound("nodes", "", reference, "node", now)
            extra[f"{EXTRA}node-name"] = (str(reference.get("name", "")),)
            if reference.get("uid"):
                extra[f"{EXTRA}node-uid"] = (str(reference["uid"]),)
        user = UserInfo(username(namespace, name), str(account.get("uid", "")), group_names(namespace), extra)
        stale = _stale(claims, private, now)
        self._uses["stale_tokens" if stale else "valid_tokens"].add()
        return Identity(user, granted, stale)

    def _check_times(self, claims: Object, now: float) -> None:
        expires, starts = claims.get("exp"), claims.get("nbf")
        if isinstance(starts, int | float) and now + LEEWAY_SECONDS < starts:
            raise AuthenticationError("service account token is not valid yet")
        if isinstance(expires, int | float) and now - LEEWAY_SECONDS > expires:
            raise AuthenticationError("service account token has expired")

    def _check_account(self, namespace: str, name: str, uid: str, now: float, words: str) -> None:
        account = self._reader.get("", "serviceaccounts", namespace, name)
        if account is None:
            raise AuthenticationError(errors.not_found("", "serviceaccounts", name).message)
        if _deleted(account, now):
            raise AuthenticationError(f"{words} {namespace}/{name} has been deleted")
        found = account["metadata"].get("uid", "")
        if found != uid:
            raise AuthenticationError(f"{words} UID ({found}) does not match claim ({uid})")

    def _check_bound(
        self, resource: str, namespace: str, reference: Any, word: str, now: float
    ) -> tuple[str, str]:
        reference = _mapping(reference)
        name, uid = str(reference.get("name", "")), str(reference.get("uid", ""))
        found = self._reader.get("", resource, namespace, name)
        if found is None or _deleted(found, now):
            raise AuthenticationError(INVALIDATED)
        actual = found["metadata"].get("uid", "")
        if actual != uid:
            message = f"{word} UID ({actual}) does not match service account {word} ref claim ({uid})"
            raise AuthenticationError(message)
        return name, uid

    # -- tokens kept in secrets ----------------------------------------------------------------------------

    async def _legacy(self, token: str, claims: Object) -> Identity:
        keys = ("namespace", "secret.name", "service-account.name", "service-account.uid")
        namespace, secret_name, name, uid = (
            str(claims.get(f"kubernetes.io/serviceaccount/{key}", "")) for key in keys
        )
        subject = claims.get("sub", "")
        words = ("sub", "namespace", "secretName", "serviceAccountName", "serviceAccountUID")
        for word, value in zip(words, (subject, namespace, secret_name, name, uid), strict=True):
            if not value:
                raise AuthenticationError(f"{word} claim is missing")
        if subject != username(namespace, name):
            raise AuthenticationError("sub claim is invalid")
        now = self._clock.now()
        secret = self._reader.get("", "secrets", namespace, secret_name)
        if secret is None or _deleted(secret, now):
            raise AuthenticationError("Token has been invalidated")
        kept = base64.b64decode((secret.get("data") or {}).get("token", ""))
        if not hmac.compare_digest(kept, token.encode()):
            raise AuthenticationError("Token does not match server's copy")
        self._check_account(namespace, name, uid, now, "ServiceAccount")
        labels = secret["metadata"].get("labels") or {}
        if labels.get(INVALID_SINCE):
            self._uses["invalid_legacy_auto_token_uses"].add()
            raise AuthenticationError(
                f"the token in secret {namespace}/{secret_name} for service account {namespace}/{name} has been "
                f"marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or "
                f"remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            )
        self._uses["legacy_tokens"].add()
        made = self._made_for(namespace, name, secret_name)
        self._uses["legacy_auto_token_uses" if made else "legacy_manual_token_uses"].add()
        await self._note_use(secret, now)
        user = UserInfo(username(namespace, name), uid, group_names(namespace))
        return Identity(user, (), {"authentication.k8s.io/legacy-token": subject})

    def _made_for(self, namespace: str, account: str, secret: str) -> bool:
        """Whether the account lists the secret, as it does those that were once made for every account."""
        found = self._reader.get("", "serviceaccounts", namespace, account) or {}
        return any(entry.get("name") == secret for entry in found.get("secrets") or ())

    async def _note_use(self, secret: Object, now: float) -> None:
        """Mark the secret with today's date, so that unused ones can be found; once a day at most."""
        today = times.format(now)[:10]
        metadata = secret["metadata"]
        labels = metadata.get("labels") or {}
        if labels.get(LAST_USED) == today:
            return
        marked = {**secret, "metadata": {**metadata, "labels": {**labels, LAST_USED: today}}}
        try:
            await self._reader.update("", "secrets", marked)
        except errors.StatusError:
            # somebody else wrote it first; the next use marks it
            return


def _stale(claims: Object, private: Object, now: float) -> dict[str, str]:
    """The audit note for a token whose holder should have asked for a new one."""
    after = private.get("warnafter")
    if not isinstance(after, int | float) or not after or now <= after:
        return {}
    text = f"subject: {claims.get('sub', '')}, seconds after warning threshold: {int(now) - int(after)}"
    return {"authentication.k8s.io/stale-token": text}


def _deleted(obj: Object, now: float) -> bool:
    stamp = obj["metadata"].get("deletionTimestamp")
    return bool(stamp) and times.parse(stamp) < now - LEEWAY_SECONDS


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _mapping(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _quoted(values: Sequence[str]) -> str:
    return f"[{' '.join(map(quote, values))}]"
