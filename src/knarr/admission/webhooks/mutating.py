"""MutatingAdmissionWebhook: webhooks one after the other, each with the object as those before left it."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.admission.attributes import Attributes
from knarr.admission.matching import Matched
from knarr.admission.reinvocation import Reinvocation
from knarr.admission.webhooks.answer import Response
from knarr.admission.webhooks.calling import annotate
from knarr.admission.webhooks.errors import CallFailed, Denied, denial
from knarr.admission.webhooks.hooks import Hook
from knarr.admission.webhooks.plugin import WebhookPlugin, log
from knarr.admission.webhooks.versions import copied, replace
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.meta.gofmt import json_kind, quote
from knarr.meta.patch import json_patch

Object = dict[str, Any]
MUTATION, PATCH = "mutation.webhook.admission.k8s.io/", "patch.webhook.admission.k8s.io/"


class MutatingAdmissionWebhook(WebhookPlugin):
    name = "MutatingAdmissionWebhook"
    resource = "mutatingwebhookconfigurations"
    type = "admit"

    async def admit(self, a: Attributes) -> None:
        state = a.reinvocation
        if state is None:
            state = a.reinvocation = Reinvocation()
        calls = state.of(self.name)
        if state.again and calls.last_output != a.obj:
            calls.changed()  # a plugin of the API server's own changed the object since
        called = False
        for index, hook in self._candidates_of(a):
            matched = await self._match(hook, a)
            # A webhook that did not mean the object in the first round is not called in the second either.
            if matched is None or (state.again and not calls.is_due(hook.identity)):
                continue
            called = True
            if await self._ask(f"round_{int(state.again)}_index_{index}", hook, a, matched):
                calls.changed()
                state.wanted = True
            if hook.reinvoked:
                calls.made(hook.identity)
        if called and a.obj is not None:
            calls.last_output = copied(a.obj)

    async def _ask(self, place: str, hook: Hook, a: Attributes, matched: Matched) -> bool:
        """Whether the webhook changed the object. `place` names the call in audit annotations. Raises StatusError."""
        started, counts = self._clock.monotonic(), self._counts
        rejected, code, changed = True, 0, False
        try:
            changed = await self._call(place, hook, a, matched)
            rejected, code = False, 200
            return changed
        except Denied as denied:
            code = denied.error.code
            counts.rejection(hook.name, self.type, a.operation, "no_error", code)
            raise denied.error from None
        except CallFailed as failed:
            code, rejected = failed.code, not hook.ignores_failure
            if hook.ignores_failure:
                log.warning("failing open: %s", failed)
                counts.failed_open(hook.name, self.type)
                annotate(a, f"failed-open.{MUTATION}{place}", hook.name)
                return False
            counts.rejection(hook.name, self.type, a.operation, "calling_webhook_error", code)
            raise errors.internal(str(failed)) from None
        except StatusError:
            counts.rejection(hook.name, self.type, a.operation, "apiserver_internal_error", 0)
            raise
        finally:
            _note(a, f"{MUTATION}{place}", hook, mutated=changed)
            seconds = self._clock.monotonic() - started
            counts.call(hook.name, self.type, a.operation, seconds, rejected, code)

    async def _call(self, place: str, hook: Hook, a: Attributes, matched: Matched) -> bool:
        obj = await self._versions.shown(a.obj, matched)
        old = await self._versions.shown(a.old, matched)
        response = await self._caller.call(hook, a, matched, obj, old, mutating=True)
        patch = decode_patch(hook, response)
        if not patch:
            return False
        if obj is None or a.obj is None:
            words = "attempted to modify the object, which is not supported for this operation"
            raise errors.internal(f"admission webhook {quote(hook.name)} {words}")
        if response.patch_type != "JSONPatch":
            unsupported = f"unsupported patch type {quote(response.patch_type)}"
            raise CallFailed(hook.name, unsupported, denial(hook.name, response.status).error.code)
        try:
            new = await self._versions.held(a, patched(copied(obj), patch), matched)
        except ValueError as error:
            raise errors.internal(str(error)) from None
        _note(a, f"{PATCH}{place}", hook, patch=patch, patchType=response.patch_type)
        changed = new != a.obj
        replace(a.obj, new)
        return changed


def decode_patch(hook: Hook, response: Response) -> list[Object]:
    """The operations of a response's patch. Raises CallFailed."""
    if not response.patch:
        return []
    why = ""
    try:
        patch = orjson.loads(response.patch)
    except orjson.JSONDecodeError:
        from knarr.meta import gojson

        patch, why = None, gojson.syntax_error(response.patch)
    if patch is not None and not isinstance(patch, list):
        why = f"json: cannot unmarshal {json_kind(patch)} into Go value of type jsonpatch.Patch"
    for operation in patch if isinstance(patch, list) else ():
        if not isinstance(operation, dict):
            why = f"json: cannot unmarshal {json_kind(operation)} into Go value of type jsonpatch.Operation"
    if why:
        raise CallFailed(hook.name, f"received undecodable patch in webhook response: {why}", 503)
    return patch or []


def patched(obj: Object, patch: list[Object]) -> Any:
    """Raises ValueError in the words of the patch library for an operation that does not fit."""
    try:
        return json_patch.patched(obj, json_patch.check(patch))
    except (json_patch.Refused, StatusError) as error:
        raise ValueError(str(error)) from None


def _note(a: Attributes, key: str, hook: Hook, **more: Any) -> None:
    value = {"configuration": hook.configuration, "webhook": hook.name, **more}
    annotate(a, key, orjson.dumps(value).decode())
