"""ValidatingAdmissionWebhook: all webhooks that are meant are asked at once; each may refuse."""

from __future__ import annotations

import asyncio
from typing import Any

from knarr.admission.attributes import Attributes
from knarr.admission.matching import Matched
from knarr.admission.webhooks.calling import annotate
from knarr.admission.webhooks.errors import CallFailed, Denied
from knarr.admission.webhooks.hooks import Hook
from knarr.admission.webhooks.plugin import WebhookPlugin, log
from knarr.meta import errors
from knarr.meta.errors import StatusError

Object = dict[str, Any]
FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/round_0_index_"


class ValidatingAdmissionWebhook(WebhookPlugin):
    name = "ValidatingAdmissionWebhook"
    resource = "validatingwebhookconfigurations"
    type = "validating"

    async def validate(self, a: Attributes) -> None:
        meant: list[tuple[Hook, Matched]] = []
        for _, hook in self._candidates_of(a):
            matched = await self._match(hook, a)
            if matched is not None:
                meant.append((hook, matched))
        if not meant:
            return
        shown = await self._shown(a, meant)
        if len(meant) == 1:
            found = [await self._outcome(0, meant[0], a, shown)]
        else:
            calls = (self._outcome(index, one, a, shown) for index, one in enumerate(meant))
            found = list(await asyncio.gather(*calls))
        refused = next((error for error in found if error is not None), None)
        if refused is not None:
            raise refused

    async def _shown(self, a: Attributes, meant: list[tuple[Hook, Matched]]) -> dict[Any, Any]:
        """(object, old object) in every version that somebody wants."""
        return {
            matched: (
                await self._versions.shown(a.obj, matched),
                await self._versions.shown(a.old, matched),
            )
            for matched in dict.fromkeys(matched for _, matched in meant)
        }

    async def _outcome(
        self, index: int, one: tuple[Hook, Matched], a: Attributes, shown: dict[Any, Any]
    ) -> StatusError | None:
        """The refusal of one webhook; None where it has nothing against the request."""
        hook, matched = one
        started, counts = self._clock.monotonic(), self._counts
        rejected, code = True, 0
        try:
            obj, old = shown[matched]
            await self._caller.call(hook, a, matched, obj, old, mutating=False)
            rejected, code = False, 200
            return None
        except Denied as denied:
            code = denied.error.code
            counts.rejection(hook.name, self.type, a.operation, "no_error", code)
            return denied.error
        except CallFailed as failed:
            code, rejected = failed.code, not hook.ignores_failure
            if hook.ignores_failure:
                log.warning("failing open: %s", failed)
                counts.failed_open(hook.name, self.type)
                annotate(a, f"{FAILED_OPEN}{index}", hook.name)
                return None
            counts.rejection(hook.name, self.type, a.operation, "calling_webhook_error", code)
            return errors.internal(str(failed))
        except StatusError as error:
            counts.rejection(hook.name, self.type, a.operation, "apiserver_internal_error", 0)
            return error
        finally:
            seconds = self._clock.monotonic() - started
            counts.call(hook.name, self.type, a.operation, seconds, rejected, code)
