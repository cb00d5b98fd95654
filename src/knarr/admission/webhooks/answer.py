"""What a webhook answered, and everything that can be wrong with it."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

import orjson

from knarr.egress import Answer, refusal
from knarr.meta import gojson
from knarr.meta.gofmt import json_kind, quote

Object = dict[str, Any]
KIND, GROUP = "AdmissionReview", "admission.k8s.io"
#: what fields of a response are, in Go's words
SHAPES: dict[str, tuple[type, str]] = {
    "uid": (str, "types.UID"),
    "allowed": (bool, "bool"),
    "status": (dict, "v1.Status"),
    "patch": (str, "[]uint8"),
    "patchType": (str, "v1.PatchType"),
    "auditAnnotations": (dict, "map[string]string"),
    "warnings": (list, "[]string"),
}
STATUS_SHAPES: dict[str, tuple[type, str]] = {
    "metadata": (dict, "v1.ListMeta"),
    "status": (str, "string"),
    "message": (str, "string"),
    "reason": (str, "v1.StatusReason"),
    "details": (dict, "v1.StatusDetails"),
    "code": (int, "int32"),
}


class Response(NamedTuple):
    """`status` is the webhook's own Status, as far as it gave one; `patch` a decoded JSON patch document, or b""."""

    allowed: bool
    status: Object | None
    patch: bytes
    patch_type: str
    annotations: dict[str, str]
    warnings: list[str]


class NotUnderstood(ValueError):
    """The answer is no AdmissionReview: as if there had been none. `code` is the HTTP status it counts as."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def decode(answer: Answer, version: str) -> Object:
    """The AdmissionReview in an answer. Raises NotUnderstood in the words of client-go."""
    refused = refusal(answer)
    if refused is not None:
        raise NotUnderstood(refused.message, refused.code)
    if not answer.body:
        kind = next((value for name, value in answer.headers if name.lower() == "content-type"), "")
        raise _no(f"0-length response with status code: {answer.code} and content type: {kind}")
    review = _parse(answer.body)
    _check_type(review, version)
    _check_shape(review)
    return review


def _no(text: str) -> NotUnderstood:
    return NotUnderstood(text, 503)


def _parse(body: bytes) -> Object:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        if body.lstrip().startswith(b"{"):
            why = gojson.syntax_error(body)
            raise _no(f"couldn't get version/kind; json parse error: {why}") from None
        found = _yaml(body)
    why = gojson.type_meta_error(orjson.dumps(found))
    if why or not isinstance(found, dict):
        raise _no(f"couldn't get version/kind; json parse error: {why}")
    return found


def _yaml(body: bytes) -> Any:
    """The API server's decoder takes YAML where it is offered any."""
    from knarr.meta import goyaml

    try:
        return goyaml.read(body).value
    except ValueError as error:
        raise _no(f"error converting YAML to JSON: {error}") from None


def _check_type(review: Object, version: str) -> None:
    """Another known version or kind cannot be converted; what says nothing is taken for what was expected."""
    group_version, kind = review.get("apiVersion") or "", review.get("kind") or ""
    if not group_version or not kind or (group_version, kind) == (f"{GROUP}/{version}", KIND):
        return
    group, _, found = group_version.rpartition("/")
    if group == GROUP and found in ("v1", "v1beta1") and kind == KIND:
        raise _no(f"converting ({found}.{KIND}) to ({version}.{KIND}): unknown conversion")
    raise _no(
        f'no kind "{kind}" is registered for version "{group_version}" in scheme "pkg/util/webhook/client.go:67"'
    )


def _check_shape(review: Object) -> None:
    response = review.get("response")
    if response is None:
        return
    if not isinstance(response, dict):
        raise _no(_mismatch(response, "AdmissionReview.response", "v1.AdmissionResponse"))
    _check_fields(response, SHAPES, "AdmissionResponse.response")
    _check_fields(response.get("status") or {}, STATUS_SHAPES, "Status.response.status")
    for field, values in (
        ("auditAnnotations", (response.get("auditAnnotations") or {}).values()),
        ("warnings", response.get("warnings") or ()),
    ):
        for value in values:
            if not isinstance(value, str):
                raise _no(_mismatch(value, f"AdmissionResponse.response.{field}", "string"))
    if response.get("patch"):
        try:
            base64.b64decode(response["patch"], validate=True)
        except (binascii.Error, ValueError):
            at = _not_base64(response["patch"])
            raise _no(f"illegal base64 data at input byte {at}") from None


def _check_fields(obj: Object, shapes: dict[str, tuple[type, str]], path: str) -> None:
    for field, (shape, name) in shapes.items():
        value = obj.get(field)
        # bool is an int to Python, not to JSON
        if value is None or (isinstance(value, shape) and (shape is bool or not isinstance(value, bool))):
            continue
        raise _no(_mismatch(value, f"{path}.{field}", name))


def _mismatch(value: Any, field: str, wanted: str) -> str:
    return f"json: cannot unmarshal {json_kind(value)} into Go struct field {field} of type {wanted}"


def _not_base64(text: str) -> int:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for at, letter in enumerate(text):
        if letter not in alphabet and not (letter == "=" and at >= len(text) - 2):
            return at
    return len(text)


def verify(review: Object, uid: str, version: str, mutating: bool) -> Response:
    """Raises ValueError for a response that does not belong to the request, or that may not be."""
    response = review.get("response")
    if response is None:
        raise ValueError("webhook response was absent")
    patch, patch_type = response.get("patch") or "", response.get("patchType")
    if version == "v1":
        _verify_v1(review, response, uid)
        patch_type = _verified_patch(patch, patch_type, mutating)
    else:
        patch_type = "JSONPatch" if patch and mutating else ""
    return Response(
        bool(response.get("allowed")),
        response.get("status"),
        base64.b64decode(patch) if mutating else b"",
        patch_type,
        response.get("auditAnnotations") or {},
        response.get("warnings") or [],
    )


def _verify_v1(review: Object, response: Object, uid: str) -> None:
    if response.get("uid", "") != uid:
        raise ValueError(f"expected response.uid={quote(uid)}, got {quote(response.get('uid') or '')}")
    group_version, kind = review.get("apiVersion") or "", review.get("kind") or ""
    if (group_version, kind) != (f"{GROUP}/v1", KIND):
        got = group_version if group_version else "/"
        raise ValueError(f"expected webhook response of {GROUP}/v1, Kind={KIND}, got {got}, Kind={kind}")


def _verified_patch(patch: str, patch_type: str | None, mutating: bool) -> str:
    if not mutating:
        if patch:
            raise ValueError("validating webhook may not return response.patch")
        if patch_type is not None:
            raise ValueError("validating webhook may not return response.patchType")
        return ""
    if patch and patch_type is None:
        raise ValueError("webhook returned response.patch but not response.patchType")
    if not patch and patch_type is not None:
        raise ValueError("webhook returned response.patchType but not response.patch")
    if patch_type == "":
        raise ValueError('webhook returned invalid response.patchType of ""')
    return patch_type or ""
