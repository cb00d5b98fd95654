"""Deployment: replica sets, one per revision of the pod template, and the way from the old ones to the new."""

from __future__ import annotations

from knarr.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
