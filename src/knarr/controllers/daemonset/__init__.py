"""DaemonSet: one pod on every node that fits."""

from __future__ import annotations

from knarr.controllers.daemonset.controller import DaemonSetController

__all__ = ["DaemonSetController"]
