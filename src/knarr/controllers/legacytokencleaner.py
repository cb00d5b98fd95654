"""Token secrets of old that were made for a service account by themselves and that nobody has used for a year: first
their tokens are refused, and a year later they are deleted.

The API server notes uses on the secrets (auth/satokens.py), and in a config map since when it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from typing import Any

from knarr.api import podrefs
from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.client.client import is_conflict, is_not_found
from knarr.controllers.base import PeriodicController
from knarr.meta import times
from knarr.meta.errors import StatusError

log = logging.getLogger("knarr.controllers")

DAY_SECONDS = 86_400.0
#: how long a token may be idle
IDLE_SECONDS = 365 * DAY_SECONDS
TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
LAST_USED, INVALID_SINCE = "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since"
TYPE, ACCOUNT_NAME = "kubernetes.io/service-account-token", "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
DATE = re.compile(r"\d{4}-\d{2}-\d{2}").fullmatch


class LegacyTokenCleaner(PeriodicController):
    """Looks at all token secrets once a day; has no keys, and follows nothing in between."""

    name = "legacy-serviceaccount-token-cleaner-controller"
    service_account = "legacy-service-account-token-cleaner"

    async def for_ever(self) -> None:
        while True:
            await asyncio.sleep(DAY_SECONDS)
            try:
                await self.clean()
            except StatusError as error:
                log.warning("%s: %s; trying again tomorrow", self.name, error)

    async def clean(self) -> None:
        """One look at everything."""
        now = self.clock.now()
        since = await self._tracked_since()
        if since is None or now < since + DAY_SECONDS + IDLE_SECONDS:
            return  # a use may have gone unnoticed
        secrets = await self.client.list(core_v1.Secret, field_selector=f"type={TYPE}")
        idle = [secret for secret in secrets.items if is_idle(secret, now)]
        if not idle:
            return
        mounted = await self._mounted()
        for secret in idle:
            if (secret.metadata.namespace, secret.metadata.name) not in mounted and await self._automatic(
                secret
            ):
                with contextlib.suppress(StatusError):  # tomorrow is another day
                    await self._retire(secret, now)

    async def _tracked_since(self) -> float | None:
        try:
            found = await self.client.get(core_v1.ConfigMap, TRACKING, "kube-system")
        except StatusError as error:
            if is_not_found(error):
                return None
            raise
        text = found.data.get("since", "")
        return day(text) if DATE(text) else None

    async def _mounted(self) -> set[tuple[str, str]]:
        """Secrets that pods refer to."""
        pods = await self.client.list(core_v1.Pod)
        return {
            (pod.metadata.namespace, name)
            for pod in pods.items
            for name in podrefs.secrets(scheme().to_dict(pod))
        }

    async def _automatic(self, secret: Any) -> bool:
        """Whether it was made for its account by itself: then the account names it."""
        annotations = secret.metadata.annotations
        try:
            account = await self.client.get(
                core_v1.ServiceAccount, annotations.get(ACCOUNT_NAME, "-"), secret.metadata.namespace
            )
        except StatusError as error:
            if is_not_found(error):
                return False
            raise
        if annotations.get(ACCOUNT_UID) not in (None, account.metadata.uid):
            return False
        return any(reference.name == secret.metadata.name for reference in account.secrets)

    async def _retire(self, secret: Any, now: float) -> None:
        metadata = secret.metadata
        invalid = metadata.labels.get(INVALID_SINCE, "")
        if not DATE(invalid):
            label = {"metadata": {"labels": {INVALID_SINCE: date(now)}}}
            await self.client.patch(core_v1.Secret, metadata.name, metadata.namespace, label)
        elif invalid < date(now - IDLE_SECONDS):
            try:
                await self.client.delete(secret, resource_version=metadata.resourceVersion)
            except StatusError as error:
                if not is_not_found(error) and not is_conflict(error):
                    raise


def is_idle(secret: Any, now: float) -> bool:
    """Whether nobody has used it for a year; a date that nobody can read proves nothing."""
    metadata, limit = secret.metadata, now - IDLE_SECONDS
    if metadata.deletionTimestamp or times.parse(metadata.creationTimestamp) >= limit:
        return False
    used = metadata.labels.get(LAST_USED)
    return used is None or (bool(DATE(used)) and used < date(limit))


def date(seconds: float) -> str:
    return times.format(seconds)[:10]


def day(text: str) -> float:
    return times.parse(f"{text}T00:00:00Z")
