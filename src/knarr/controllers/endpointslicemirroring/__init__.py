"""Endpoints that somebody writes by hand, mirrored into endpoint slices."""

from knarr.controllers.endpointslicemirroring.controller import EndpointSliceMirroringController

__all__ = ["EndpointSliceMirroringController"]
