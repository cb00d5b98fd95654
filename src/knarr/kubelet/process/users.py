"""Which user a container runs as: what the spec asks for, as far as this machine lets us."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from knarr.kubelet.process.env import ConfigError


@dataclass(frozen=True)
class User:
    """uid, gid and groups to become (None: stay what we are), and what status shows."""

    uid: int | None
    gid: int | None
    groups: tuple[int, ...] | None
    #: (uid, gid) as seen inside a user namespace
    inner: tuple[int, int]

    @property
    def shown(self) -> tuple[int, int, tuple[int, ...]]:
        uid, gid = self.inner
        return uid, gid, self.groups or (gid,)


def user_of(pod: Any, container: Any, pod_name: str) -> User:
    """Raises ConfigError where runAsNonRoot forbids it."""
    uid = gid = non_root = None
    groups: list[int] = []
    context = pod.spec.securityContext
    if context is not None:
        uid, gid, non_root = context.runAsUser, context.runAsGroup, context.runAsNonRoot
        groups = list(context.supplementalGroups)
        if context.fsGroup is not None:
            groups.append(context.fsGroup)
    own = getattr(container, "securityContext", None)
    if own is not None:
        uid = own.runAsUser if own.runAsUser is not None else uid
        gid = own.runAsGroup if own.runAsGroup is not None else gid
        non_root = own.runAsNonRoot if own.runAsNonRoot is not None else non_root
    effective = os.getuid() if uid is None else uid
    if non_root and effective == 0:
        why = (
            "container's runAsUser breaks non-root policy"
            if uid == 0
            else ("container has runAsNonRoot and image will run as root")
        )
        raise ConfigError(f'{why} (pod: "{pod_name}", container: {container.name})')
    shown_gid = (os.getgid() if uid is None else 0) if gid is None else gid
    if os.getuid() != 0:
        return User(None, None, None, (effective, shown_gid))
    if uid is None and gid is None and not groups:
        return User(None, None, None, (0, 0))
    every = tuple(dict.fromkeys((shown_gid, *groups)))
    return User(effective, shown_gid, every, (effective, shown_gid))
