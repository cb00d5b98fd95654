"""What the API server itself writes into certificate signing requests: who asks, and when conditions changed."""

from __future__ import annotations

from knarr.meta import times
from knarr.registry.context import Request
from knarr.registry.storage import Object
from knarr.world.clock import Clock


class CertificateHook:
    """The registry's hook for certificatesigningrequests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def before_create(self, request: Request, obj: Object) -> None:
        """The requester is the user of the request, whatever the object says."""
        spec, user = obj["spec"], request.user
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        if user.name:
            spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = {key: list(values) for key, values in user.extra.items()}

    async def before_update(self, request: Request, obj: Object, old: Object) -> None:
        """New conditions get their times."""
        before = {c.get("type"): c for c in old.get("status", {}).get("conditions") or ()}
        now = times.format(self._clock.now())
        for condition in (obj.get("status") or {}).get("conditions") or ():
            known = before.get(condition.get("type"))
            if not condition.get("lastUpdateTime"):
                condition["lastUpdateTime"] = now
            if not condition.get("lastTransitionTime"):
                same = known is not None and known.get("status") == condition.get("status")
                since = known.get("lastTransitionTime") if same and known is not None else None
                condition["lastTransitionTime"] = since or now

    def undo(self, obj: Object) -> None:
        pass

    def done(self, obj: Object, old: Object | None) -> None:
        pass

    def after_delete(self, obj: Object) -> None:
        pass
