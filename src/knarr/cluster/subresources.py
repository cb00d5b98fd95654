"""Gives subresources and review requests their handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from knarr.auth.tokens import DEFAULT_SECONDS
from knarr.meta import times
from knarr.registry.context import Request
from knarr.registry.operations import read_write_options
from knarr.registry.result import Result
from knarr.registry.storage import View
from knarr.registry.subresources import binding, eviction, scale

if TYPE_CHECKING:
    from knarr.cluster.controlplane import ControlPlane

REVIEWS = (
    ("authentication.k8s.io", "tokenreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
)


def register(plane: ControlPlane) -> None:
    for module in (binding, eviction, scale):
        module.register(plane.operations)
    _register_reviews(plane)
    _register_tokens(plane)


def _register_reviews(plane: ControlPlane) -> None:
    async def review(request: Request, view: View, body: bytes, content_type: str) -> Result:
        read_write_options(request, view)
        obj = plane.operations.decoder.body(view, request, body, content_type)
        now = plane.world.clock.now()
        view.fields.update(None, obj, request.field_manager, "", times.format(now))
        answer = await plane.reviews.create(request, obj)
        head = {"kind": view.row.kind, "apiVersion": view.row.api_version}
        return Result(orjson.dumps({**head, **answer}), 201)

    for group, resource in REVIEWS:
        plane.registry.handlers[group, resource, ""] = review


def _register_tokens(plane: ControlPlane) -> None:
    async def issue(request: Request, view: View, body: bytes, content_type: str) -> Result:
        read_write_options(request, view)
        requests = plane.registry.open_request_view("authentication.k8s.io", "v1", "TokenRequest", view)
        obj = plane.operations.decoder.body(requests, request, body, content_type)
        obj.setdefault("spec", {}).setdefault("expirationSeconds", DEFAULT_SECONDS)
        requests.fields.update(
            None, obj, request.field_manager, "token", times.format(plane.world.clock.now())
        )
        answer = plane.issuer.issue(request.namespace, request.name, obj, request.annotations)
        return Result(orjson.dumps(answer), 201)

    plane.registry.handlers["", "serviceaccounts", "token"] = issue
