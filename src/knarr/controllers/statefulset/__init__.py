"""StatefulSet: pods with names that stay, brought up and down in order, and claims that outlive them."""

from __future__ import annotations

from knarr.controllers.statefulset.controller import StatefulSetController

__all__ = ["StatefulSetController"]
