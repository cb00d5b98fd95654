"""Gives subresources and review requests their handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from knarr.auth.reviews import Reviews
from knarr.auth.tokens import DEFAULT_SECONDS
from knarr.meta import errors, times
from knarr.registry.context import Request
from knarr.registry.hooks import GVK, Object
from knarr.registry.lists import check_fields
from knarr.registry.operations import read_write_options
from knarr.registry.options import list_options
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


def register(plane: ControlPlane, reviews: Reviews) -> None:
    for module in (binding, eviction, scale):
        module.register(plane.operations)
    _register_reviews(plane, reviews)
    _register_tokens(plane)
    _register_component_statuses(plane)


def _register_reviews(plane: ControlPlane, reviews: Reviews) -> None:
    async def review(request: Request, view: View, body: bytes, content_type: str) -> Result:
        read_write_options(request, view)
        obj = plane.operations.sent(request, view, body, content_type)
        now = plane.world.clock.now()
        view.fields.update(None, obj, request.field_manager, "", times.format(now))
        await _admit(plane, request, view.gvk, obj)
        answer = await reviews.create(request, obj)
        head = {"kind": view.row.kind, "apiVersion": view.row.api_version}
        return Result(orjson.dumps({**head, **answer}), 201)

    for group, resource in REVIEWS:
        plane.registry.handlers[group, resource, ""] = review


async def _admit(plane: ControlPlane, request: Request, kind: GVK, obj: Object) -> None:
    """The admission of what is asked by creating it, and never stored."""
    review = plane.registry.admission.open(request, "CREATE", kind, obj, None, request.options)
    if review is not None:
        await review.admit()
        await review.validate()


def _register_tokens(plane: ControlPlane) -> None:
    async def issue(request: Request, view: View, body: bytes, content_type: str) -> Result:
        read_write_options(request, view)
        requests = plane.registry.open_request_view("authentication.k8s.io", "v1", "TokenRequest", view)
        obj = plane.operations.sent(request, requests, body, content_type)
        obj.setdefault("spec", {}).setdefault("expirationSeconds", DEFAULT_SECONDS)
        requests.fields.update(
            None, obj, request.field_manager, "token", times.format(plane.world.clock.now())
        )
        await _admit(plane, request, requests.gvk, obj)
        answer = await plane.identities.issuer.issue(
            request.namespace, request.name, obj, request.annotations, request.warn
        )
        return Result(orjson.dumps(answer), 201)

    plane.registry.handlers["", "serviceaccounts", "token"] = issue


#: what ComponentStatus (deprecated since v1.19) still tells of
COMPONENTS = ("controller-manager", "etcd-0", "scheduler")


def _is_selected(view: View, request: Request, name: str) -> bool:
    """Raises 400 and 422 for options that no list can have."""
    options = list_options(request.query)
    labels, fields = options.label_selector, options.field_selector
    if fields is not None:
        check_fields(view, fields)
    names = {"metadata.name": name, "metadata.namespace": ""}
    return (labels is None or labels.matches({})) and (fields is None or fields.matches(names))


def _register_component_statuses(plane: ControlPlane) -> None:
    def status(name: str) -> dict[str, object]:
        condition = {"type": "Healthy", "status": "True", "message": "ok"}
        return {"metadata": {"name": name}, "conditions": [condition]}

    async def serve(request: Request, view: View, body: bytes, content_type: str) -> Result:
        if request.verb == "list":
            items = [status(name) for name in COMPONENTS if _is_selected(view, request, name)]
            whole = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
            return Result(orjson.dumps(whole), 200, view, is_list=True)
        if request.name not in COMPONENTS:
            raise errors.StatusError(errors.failure(500, "", f"Component not found: {request.name}"))
        head = {"kind": "ComponentStatus", "apiVersion": "v1"}
        return Result(orjson.dumps({**head, **status(request.name)}), 200, view)

    plane.registry.handlers["", "componentstatuses", ""] = serve
