"""ConfigMap kube-system/extension-apiserver-authentication: whom extension API servers may believe.

Written at start and whenever it is not what it should be, as kube-apiserver's cluster_authentication_trust_controller
does. What others added stays.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson

from knarr.auth import requestheader
from knarr.auth.pki import PKI
from knarr.meta.errors import StatusError
from knarr.registry.registry import Registry
from knarr.watchcache import Selection, Watcher

log = logging.getLogger("knarr.cluster")

Object = dict[str, Any]
NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
LISTS = {
    "requestheader-username-headers": [requestheader.USER],
    "requestheader-uid-headers": [requestheader.UID],
    "requestheader-group-headers": [requestheader.GROUP],
    "requestheader-extra-headers-prefix": [requestheader.EXTRA_PREFIX],
    "requestheader-allowed-names": list(requestheader.ALLOWED_NAMES),
}
END = "-----END CERTIFICATE-----\n"


class AuthenticationTrust:
    """Keeps the ConfigMap."""

    def __init__(self, registry: Registry, pki: PKI, further: str = "") -> None:
        """`further` are more authorities of clients, PEM."""
        self._registry, self._pki = registry, pki
        self._bundles = self._of(further)
        self._watcher: Watcher | None = None
        self._task: asyncio.Task[None] | None = None

    def _of(self, further: str) -> dict[str, str]:
        bundles = {"client-ca-file": _combined(self._pki.ca.certificate, further)}
        if self._pki.has_front_proxy:
            bundles["requestheader-client-ca-file"] = self._pki.front_proxy_ca.certificate
        return bundles

    def change(self, further: str) -> None:
        """There are other authorities of clients; what the ConfigMap has of those before stays in it."""
        self._bundles = self._of(further)
        self._changed()

    def start(self) -> None:
        cacher = self._registry.storage("", "configmaps").cacher
        self._watcher = cacher.subscribe(lambda batch: self._changed(), Selection(NAMESPACE, NAME))

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        if self._task is not None:
            self._task.cancel()

    def _changed(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._sync())

    async def _sync(self) -> None:
        found = self._registry.get("", "configmaps", NAMESPACE, NAME)
        data = self._wanted((found or {}).get("data") or {})
        try:
            if found is None:
                metadata = {"name": NAME, "namespace": NAMESPACE}
                obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                await self._registry.create("", "configmaps", obj)
            elif found.get("data") != data:
                await self._registry.update(
                    "", "configmaps", {**orjson.loads(orjson.dumps(found)), "data": data}
                )
        except StatusError as error:
            if error.code != 409:
                log.warning("ConfigMap %s/%s: %s", NAMESPACE, NAME, error)

    def _wanted(self, data: dict[str, str]) -> dict[str, str]:
        wanted = {key: _combined(data.get(key, ""), bundle) for key, bundle in self._bundles.items()}
        if len(wanted) > 1:
            for key, values in LISTS.items():
                wanted[key] = orjson.dumps(list(dict.fromkeys([*_list(data.get(key, "")), *values]))).decode()
        return wanted


def _list(text: str) -> list[str]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def _combined(before: str, bundle: str) -> str:
    """Both bundles, each certificate once."""
    parts = [part.strip() for part in f"{before}\n{bundle}".split(END.strip())]
    return "".join(f"{part}\n{END}" for part in dict.fromkeys(part for part in parts if part))
