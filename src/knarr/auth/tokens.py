"""Issuing service account tokens: the TokenRequest API, and the unbounded tokens of token secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from knarr.auth.satokens import LEGACY_ISSUER, username
from knarr.auth.tokenkeys import TokenKeys
from knarr.meta import errors, times
from knarr.meta import fielderrors as field
from knarr.registry.reader import Reader
from knarr.world.chance import Chance
from knarr.world.clock import Clock

Object = dict[str, Any]

GROUP = "authentication.k8s.io"
ISSUER = "https://kubernetes.default.svc"
DEFAULT_SECONDS = 3600
SECONDS_MIN = 600
SECONDS_MAX = 1 << 32
#: mounted without being asked for (ServiceAccount admission marks these with seven odd seconds): such a token lasts a
#: year for clients that never read it again, and is noted in the audit log from the time it should have been renewed
MOUNTED_SECONDS = 3607
EXTENDED_SECONDS = 365 * 24 * 3600


class TokenIssuer:
    """Signs tokens for service accounts; `audiences` are the API server's own.

    `seconds_max` is the longest a token lasts (0: no limit); `extends`: mounted tokens last a year, as clients of old
    never read them again.
    """

    def __init__(
        self,
        keys: TokenKeys,
        reader: Reader,
        clock: Clock,
        chance: Chance,
        issuer: str = ISSUER,
        audiences: Sequence[str] = (ISSUER,),
        seconds_max: int = 0,
        extends: bool = True,
    ) -> None:
        self._keys = keys
        self._reader = reader
        self._clock = clock
        self._chance = chance
        self.issuer_url = issuer
        self.audiences = tuple(audiences)
        self._seconds_max = seconds_max
        self._extends_mounted = extends

    async def issue(
        self,
        namespace: str,
        name: str,
        request: Object,
        annotations: dict[str, str] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> Object:
        """The answer to POST serviceaccounts/NAME/token: the TokenRequest with metadata and status filled in.

        Raises StatusError 404 for an unknown account or bound object, 422, 400, 409 as Kubernetes words them.
        `annotations` receives the note for the audit log, `warn` what the client should be told.
        """
        metadata = request.get("metadata") or {}
        _check_place(metadata, namespace, name)
        account = self._get("serviceaccounts", namespace, name)
        spec = dict(request.get("spec") or {})
        spec["audiences"] = list(spec.get("audiences") or self.audiences)
        spec.setdefault("expirationSeconds", DEFAULT_SECONDS)
        spec.setdefault("boundObjectRef", None)
        _check_seconds(spec["expirationSeconds"])
        bound = self._bound(namespace, name, spec["boundObjectRef"])
        self._shorten(spec, warn)
        now = int(self._clock.now())
        claims = self._claims(account, bound, spec, now)
        if annotations is not None:
            annotations["authentication.kubernetes.io/issued-credential-id"] = f"JTI={claims['jti']}"
        signer = await self._keys.signer()
        made = {"name": name, "namespace": namespace, "uid": account["metadata"]["uid"]}
        made["creationTimestamp"] = times.format(now)
        return {
            "kind": "TokenRequest",
            "apiVersion": f"{GROUP}/v1",
            "metadata": metadata | made,
            "spec": spec,
            "status": {
                "token": signer.sign(claims),
                "expirationTimestamp": times.format(now + spec["expirationSeconds"]),
            },
        }

    def _shorten(self, spec: Object, warn: Callable[[str], None] | None) -> None:
        wanted = spec["expirationSeconds"]
        if not self._seconds_max or wanted <= self._seconds_max:
            return
        spec["expirationSeconds"] = self._seconds_max
        if warn is not None:
            warn(f"requested expiration of {wanted} seconds shortened to {self._seconds_max} seconds")

    async def legacy(self, account: Object, secret: Object) -> str:
        """The token of a Secret of type kubernetes.io/service-account-token: it lasts as long as the Secret."""
        metadata = account["metadata"]
        prefix = "kubernetes.io/serviceaccount/"
        signer = await self._keys.signer()
        return signer.sign(
            {
                "iss": LEGACY_ISSUER,
                f"{prefix}namespace": metadata["namespace"],
                f"{prefix}secret.name": secret["metadata"]["name"],
                f"{prefix}service-account.name": metadata["name"],
                f"{prefix}service-account.uid": metadata["uid"],
                "sub": username(metadata["namespace"], metadata["name"]),
            }
        )

    def _claims(self, account: Object, bound: dict[str, Object], spec: Object, now: int) -> Object:
        metadata = account["metadata"]
        private: Object = {"namespace": metadata["namespace"]}
        for word in ("node", "pod", "secret"):
            if word in bound:
                private[word] = _reference(bound[word])
        private["serviceaccount"] = _reference(account)
        seconds = spec["expirationSeconds"]
        if self._extends(bound, spec):
            private["warnafter"] = now + seconds
            seconds = EXTENDED_SECONDS
        return {
            "aud": spec["audiences"],
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer_url,
            "jti": self._chance.uid(),
            "kubernetes.io": private,
            "nbf": now,
            "sub": username(metadata["namespace"], metadata["name"]),
        }

    def _extends(self, bound: dict[str, Object], spec: Object) -> bool:
        for_server = all(a in self.audiences for a in spec["audiences"])
        wanted = self._extends_mounted and "pod" in bound
        return wanted and spec["expirationSeconds"] == MOUNTED_SECONDS and for_server

    def _bound(self, namespace: str, name: str, reference: Object | None) -> dict[str, Object]:
        """What the token dies with, by the word for it in the claims; for a pod also its node."""
        if not reference:
            return {}
        group, _, version = reference.get("apiVersion", "").rpartition("/")
        kind, target = reference.get("kind", ""), reference.get("name", "")
        bound: dict[str, Object] = {}
        if group == "" and kind == "Pod":
            pod = bound["pod"] = self._get("pods", namespace, target)
            if pod["spec"].get("serviceAccountName", "") != name:
                raise errors.bad_request(
                    f'cannot bind token for serviceaccount "{name}" to pod running with different serviceaccount name.'
                )
            node = pod["spec"].get("nodeName")
            if node:
                known = self._reader.get("", "nodes", "", node)
                bound["node"] = known or {"metadata": {"name": node}}
        elif group == "" and kind == "Node":
            bound["node"] = self._get("nodes", "", target)
        elif group == "" and kind == "Secret":
            bound["secret"] = self._get("secrets", namespace, target)
        else:
            raise errors.bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        wanted = reference.get("uid")
        if wanted and bound[kind.lower()]["metadata"].get("uid") != wanted:
            why = (
                f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise errors.conflict("", kind, target, why)
        return bound

    def _get(self, resource: str, namespace: str, name: str) -> Object:
        found = self._reader.get("", resource, namespace, name)
        if found is None:
            raise errors.not_found("", resource, name)
        return found


def _reference(obj: Object) -> Object:
    metadata = obj["metadata"]
    reference = {"name": metadata["name"]}
    return reference | {"uid": metadata["uid"]} if metadata.get("uid") else reference


def _check_place(metadata: Object, namespace: str, name: str) -> None:
    for key, actual, words in (("name", name, "name"), ("namespace", namespace, "namespace")):
        given = metadata.get(key)
        if given and given != actual:
            error = field.invalid(
                f"metadata.{key}", given, f"must match the service account {words} if specified"
            )
            raise errors.invalid(GROUP, "TokenRequest", name, [error])


def _check_seconds(seconds: int) -> None:
    path = "spec.expirationSeconds"
    if seconds < SECONDS_MIN:
        error = field.invalid(path, seconds, "may not specify a duration less than 10 minutes")
    elif seconds > SECONDS_MAX:
        error = field.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")
    else:
        return
    raise errors.invalid(GROUP, "TokenRequest", "", [error])
