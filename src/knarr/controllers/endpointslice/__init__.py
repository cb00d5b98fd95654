"""Endpoint slices: the addresses behind a service, a hundred per object.

desired      pods -> endpoints, grouped by the ports they offer
reconcile    slices that are there + endpoints that should be -> what to create, update, delete
topology     for which zones endpoints are meant, where a service asks for that
tracker      what was written and is not yet seen
controller   the coroutine around them
"""

from knarr.controllers.endpointslice.controller import EndpointSliceController

__all__ = ["EndpointSliceController"]
