"""A definition's conversion webhook: ConversionReview out, converted objects back, and all that is checked of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson

from knarr.egress import Answer, EgressError, refusal
from knarr.meta import errors, fielderrors, gofmt, gojson, labels, objectmeta
from knarr.registry.custom.webhookcounts import CALL, INVALID, MALFORMED, PARTIAL, WebhookCounts
from knarr.registry.storage import Object
from knarr.world.clock import Clock, RealClock

#: how long a webhook may take; the webhook learns of it from the query
TIMEOUT_SECONDS = 30.0
GROUP, REVIEW = "apiextensions.k8s.io", "ConversionReview"
REVIEW_VERSIONS = ("v1", "v1beta1")
#: objects and bytes of one review; a larger list is converted in several
REVIEW_OBJECTS_MAX, REVIEW_BYTES_MAX = 500, 4 << 20
#: the metadata that a webhook may change
CHANGEABLE = ("labels", "annotations")
KEPT = (("kind", "kind"), ("name", "name"), ("namespace", "namespace"), ("uid", "UID"))


class Post(Protocol):
    """`egress.Egress.post`."""

    def __call__(
        self, client_config: Object, body: bytes, *, timeout: float, query: str = ""
    ) -> Awaitable[Answer]: ...


class ConversionWebhook:
    """The webhook that `spec.conversion` of a definition names. `uid` draws the uids of reviews."""

    def __init__(
        self,
        crd: Object,
        post: Post,
        uid: Callable[[], str],
        counts: WebhookCounts | None = None,
        clock: Clock = RealClock(),
    ) -> None:
        self._definition = crd["metadata"]["name"]
        self._counts, self._clock = counts or WebhookCounts(), clock
        webhook = crd["spec"]["conversion"]["webhook"]
        self._client = webhook["clientConfig"]
        self._versions = webhook["conversionReviewVersions"]
        self._post, self._uid = post, uid

    async def convert(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        """The objects, none of which is in that version yet, in that version; their metadata but labels and
        annotations is what it was. Raises 500 in the API server's words.
        """
        converted: list[Object] = []
        began = self._clock.monotonic()
        succeeded = False
        try:
            for part in _parts(objects):
                converted += await self._counted(part, api_version)
            succeeded = True
        finally:
            seconds, before = self._clock.monotonic() - began, objects[0].get("apiVersion", "")
            self._counts.converted(seconds, self._definition, before, api_version, succeeded)
        return converted

    async def _counted(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        began = self._clock.monotonic()
        step = _Step()
        try:
            return await self._review(objects, api_version, step)
        finally:
            self._counts.called(self._clock.monotonic() - began, step.failure)

    async def _review(self, objects: Sequence[Object], api_version: str, step: _Step) -> list[Object]:
        version = next((v for v in self._versions if v in REVIEW_VERSIONS), None)
        if version is None:
            raise failed("no supported conversion review versions")
        what, uid = f"conversion webhook for {_gvk(objects[0])}", self._uid()
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": objects}
        review = {"kind": REVIEW, "apiVersion": f"{GROUP}/{version}", "request": request}
        try:
            answer = await self._post(
                self._client,
                orjson.dumps(review),
                timeout=TIMEOUT_SECONDS,
                query=f"timeout={int(TIMEOUT_SECONDS)}s",
            )
            refused = refusal(answer)
            if refused is not None:
                raise ValueError(refused.message)
            step.failure = MALFORMED
            found = _converted(answer.body, version, uid)
        except (EgressError, ValueError) as error:
            raise failed(f"{what} failed: {error}") from None
        step.failure = PARTIAL
        if len(found) != len(objects):
            raise failed(f"{what} returned {len(found)} objects, expected {len(objects)}")
        step.failure = INVALID
        for before, after in zip(objects, found, strict=True):
            _check_type(what, before, after, api_version)
            try:
                _check_identity(before, after)
            except ValueError as error:
                raise failed(f"{what} returned invalid object: {error}") from None
            try:
                after["metadata"] = _metadata(before, after)
            except ValueError as error:
                raise failed(f"{what} returned invalid metadata: {error}") from None
        step.failure = ""
        return found


class _Step:
    """How a call under way would have failed, if it ended now."""

    failure = CALL


def failed(message: str) -> errors.StatusError:
    """500 without a reason: the API server hands the converter's errors on as they are."""
    return errors.StatusError(errors.failure(500, "", message))


def _parts(objects: Sequence[Object]) -> list[list[Object]]:
    parts: list[list[Object]] = [[]]
    size = 0
    for obj in objects:
        more = len(orjson.dumps(obj)) if len(objects) > 1 else 0
        if parts[-1] and (len(parts[-1]) == REVIEW_OBJECTS_MAX or size + more > REVIEW_BYTES_MAX):
            parts.append([])
            size = 0
        parts[-1].append(obj)
        size += more
    return parts


def _gvk(obj: Object) -> str:
    return f"{obj.get('apiVersion', '')}, Kind={obj.get('kind', '')}"


def _converted(body: bytes, version: str, uid: str) -> list[Object]:
    """The objects of an answer. Raises ValueError for an answer that has none."""
    review = _decoded(body)
    wanted, got = f"{GROUP}/{version}", review["apiVersion"]
    if version == "v1" and (got, review["kind"]) != (wanted, REVIEW):
        raise ValueError(f"expected webhook response of {wanted}, Kind={REVIEW}, got {_gvk(review)}")
    response = review.get("response")
    if response is None:
        raise ValueError("no response provided")
    if version == "v1" and response.get("uid", "") != uid:
        sent, back = gofmt.quote(uid), gofmt.quote(response.get("uid", ""))
        raise ValueError(f"expected response.uid={sent}, got {back}")
    result = response.get("result") or {}
    if result.get("status") != "Success":
        status = result.get("status", "")
        raise ValueError(result.get("message") or f"response.result.status was '{status}', not 'Success'")
    objects = response.get("convertedObjects") or []
    if not all(isinstance(obj, dict) for obj in objects):
        raise ValueError("converted objects must be objects")
    return objects


def _decoded(body: bytes) -> Object:
    """The review in a body. Raises ValueError with the decoder's words."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError(
            f"couldn't get version/kind; json parse error: {gojson.syntax_error(body)}"
        ) from None
    if why := gojson.type_meta_error(body):
        raise ValueError(f"couldn't get version/kind; json parse error: {why}")
    review = review or {}
    text = body.decode("utf-8", "replace")
    for field, name in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not review.get(field):
            raise ValueError(f"Object '{name}' is missing in '{text}'")
    response = review.get("response")
    if response is not None and not isinstance(response, dict):
        raise ValueError(
            f"json: cannot unmarshal {gojson.GO_NAMES.get(type(response), 'object')} into Go struct field"
            " ConversionReview.response of type v1.ConversionResponse"
        )
    return review


def _check_type(what: str, before: Object, after: Object, api_version: str) -> None:
    got = after.get("apiVersion", "")
    if got != api_version:
        raise failed(
            f"{what} returned invalid object at index 0: invalid groupVersion (expected {api_version}, received {got})"
        )
    kind, wanted = after.get("kind", ""), before.get("kind", "")
    if kind != wanted:
        raise failed(
            f"{what} returned invalid object at index 0: invalid kind (expected {wanted}, received {kind})"
        )


def _check_identity(before: Object, after: Object) -> None:
    """Raises ValueError where the webhook made another object of it."""
    metadata = after.get("metadata")
    ours, theirs = before.get("metadata") or {}, metadata if isinstance(metadata, dict) else {}
    for field, name in KEPT[1:]:
        if ours.get(field, "") != theirs.get(field, ""):
            raise ValueError(
                f"must have the same {name}: {ours.get(field, '')} != {gofmt.go_plain(theirs.get(field, ''))}"
            )


def _metadata(before: Object, after: Object) -> Object:
    """The metadata as it was, with the converted object's labels and annotations. Raises ValueError."""
    if "metadata" not in after:
        raise ValueError("missing metadata in converted object")
    theirs = after["metadata"]
    if not isinstance(theirs, dict):
        raise ValueError(f"invalid metadata of type {_go_type(theirs)} in converted object")
    metadata: Object = orjson.loads(orjson.dumps(before.get("metadata") or {}))
    for field in CHANGEABLE:
        value = theirs.get(field)
        if value is None:
            metadata.pop(field, None)
            continue
        if not isinstance(value, dict):
            raise ValueError(f"invalid metadata.{field} of type {_go_type(value)} in converted object")
        for key, text in value.items():
            if not isinstance(text, str):
                raise ValueError(
                    f"metadata.{field}[{key}] must be a string, but is {_go_type(text)} in converted object"
                )
        if value != (metadata.get(field) or {}) and (found := _errors(field, value)):
            raise ValueError(fielderrors.aggregate(found))
        metadata[field] = value
    return metadata


def _errors(field: str, value: dict[str, str]) -> list[fielderrors.FieldError]:
    if field == "labels":
        return labels.validate_labels(value, "metadata.labels")
    return objectmeta.validate_annotations(value, "metadata.annotation")


def _go_type(value: Any) -> str:
    """The type as Go's decoder of unknown objects has it."""
    if value is None:
        return "<nil>"
    names = {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")
