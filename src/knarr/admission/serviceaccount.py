"""Every pod runs as a service account, and gets its token mounted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.api import podrefs
from knarr.registry.reader import Reader
from knarr.world.chance import Chance

MIRROR = "kubernetes.io/config.mirror"
ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
VOLUME_PREFIX = "kube-api-access-"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
#: an hour and seven seconds: the seven mark tokens that were mounted without being asked for
TOKEN_SECONDS = 3607
#: a namespace's default account appears a moment after the namespace; how long a pod waits for it
WAIT_TRIES, WAIT_SECONDS = 10, 0.1


class ServiceAccount(Plugin):
    name = "ServiceAccount"

    def __init__(self, reader: Reader, chance: Chance) -> None:
        self._reader = reader
        self._chance = chance

    def handles(self, target: Target) -> bool:
        if (target.group, target.resource) != ("", "pods"):
            return False
        created = target.operation == CREATE and target.subresource == ""
        return created or (target.operation == UPDATE and target.subresource == "ephemeralcontainers")

    def admit(self, a: Attributes) -> Awaitable[None] | None:
        if a.operation != CREATE or _is_mirror(a.obj):
            return None
        spec = a.obj["spec"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._reader.get("", "serviceaccounts", a.namespace, name)
        if account is None and name == "default":
            return self._wait(a)
        self._complete(a, account)
        return None

    def validate(self, a: Attributes) -> None:
        spec = a.obj["spec"]
        if _is_mirror(a.obj):
            self._check_mirror(a, spec)
            return
        if not spec.get("serviceAccountName"):
            raise a.forbidden(f"no service account specified for pod {a.namespace}/{a.name}")
        account = self._reader.get("", "serviceaccounts", a.namespace, spec["serviceAccountName"])
        if account is None:
            raise self._missing(a)
        annotations = account["metadata"].get("annotations") or {}
        if annotations.get(ENFORCE_MOUNTABLE, "").lower() in ("1", "t", "true"):
            _limit_secrets(a, account)

    async def _wait(self, a: Attributes) -> None:
        for _ in range(WAIT_TRIES):
            await asyncio.sleep(WAIT_SECONDS)
            account = self._reader.get("", "serviceaccounts", a.namespace, "default")
            if account is not None:
                break
        self._complete(a, account)

    def _complete(self, a: Attributes, account: Object | None) -> None:
        if account is None:
            raise self._missing(a)
        spec = a.obj["spec"]
        if _automounts(account, spec):
            _mount_token(spec, f"{VOLUME_PREFIX}{self._chance.suffix()}")
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(s) for s in account["imagePullSecrets"]]

    def _missing(self, a: Attributes) -> Exception:
        name = a.obj["spec"]["serviceAccountName"]
        return a.forbidden(
            f'error looking up service account {a.namespace}/{name}: serviceaccount "{name}" not found'
        )

    @staticmethod
    def _check_mirror(a: Attributes, spec: Object) -> None:
        if spec.get("serviceAccountName"):
            raise a.forbidden("a mirror pod may not reference service accounts")
        if any(True for _ in podrefs.secrets(a.obj)):
            raise a.forbidden("a mirror pod may not reference secrets")
        for volume in spec.get("volumes") or ():
            for source in (volume.get("projected") or {}).get("sources") or ():
                if "serviceAccountToken" in source:
                    raise a.forbidden("a mirror pod may not use ServiceAccountToken volume projections")


def _is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def _automounts(account: Object, spec: Object) -> bool:
    """The pod's word counts before the account's; without either, tokens are mounted."""
    for source in (spec, account):
        if source.get("automountServiceAccountToken") is not None:
            return source["automountServiceAccountToken"]
    return True


def _mount_token(spec: Object, new_name: str) -> None:
    """Into every container that has nothing mounted at the place; a volume of the right name is used again."""
    volumes = spec.get("volumes") or []
    present = [v["name"] for v in volumes if v["name"].startswith(VOLUME_PREFIX)]
    name = present[0] if present else new_name
    mounted = False
    for key in ("initContainers", "containers"):
        for container in spec.get(key) or ():
            mounts = container.get("volumeMounts") or []
            if not any(m.get("mountPath") == MOUNT_PATH for m in mounts):
                mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
                container["volumeMounts"] = [*mounts, mount]
                mounted = True
    if mounted and not present:
        spec["volumes"] = [*volumes, {"name": name, "projected": _token_source()}]


def _token_source() -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    authority = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": authority},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": 0o644,
    }


def _limit_secrets(a: Attributes, account: Object) -> None:
    """The account says that its pods may only use the secrets it lists."""
    spec = a.obj["spec"]
    name = account["metadata"]["name"]
    mountable = {s.get("name") for s in account.get("secrets") or ()}
    pullable = {s.get("name") for s in account.get("imagePullSecrets") or ()}
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret and secret not in mountable:
            raise a.forbidden(
                f'volume with secret.secretName="{secret}" is not allowed because service account {name} '
                "does not reference that secret"
            )
    for key, word in (
        ("initContainers", "init container"),
        ("containers", "container"),
        ("ephemeralContainers", "ephemeral container"),
    ):
        for container in spec.get(key) or ():
            for variable in container.get("env") or ():
                reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if reference and reference.get("name") not in mountable:
                    raise a.forbidden(
                        f"{word} {container['name']} with envVar {variable['name']} referencing "
                        f'secret.secretName="{reference.get("name")}" is not allowed because service account {name} '
                        "does not reference that secret"
                    )
    for number, reference in enumerate(spec.get("imagePullSecrets") or ()):
        if reference.get("name") not in pullable:
            raise a.forbidden(
                f'imagePullSecrets[{number}].name="{reference.get("name")}" is not allowed because service account '
                f"{name} does not reference that imagePullSecret"
            )
